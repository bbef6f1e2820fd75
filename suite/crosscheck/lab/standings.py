"""Who does better in a contest: rows that hold the score of one subject against another's.

Scores go by subject and name: `scored["wide, brier"]["NLL"]` is [S], one number a seed. Nothing here
trains, so that tables and figures may read scores back without Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from crosscheck.claims import Check, rows
from crosscheck.lab.comparisons import Comparison

Scored = Mapping[str, Mapping[str, np.ndarray]]


def shown_rows(scored: Scored, **shared: Any) -> pd.DataFrame:
    """Every score, only shown: its quantity is `subject: name`."""
    return pd.concat(
        rows.tidy(quantity=f"{subject}: {name}", value=value, **shared)
        for subject, by_name in scored.items()
        for name, value in by_name.items()
    )


def scores_shown(shown: pd.DataFrame) -> pd.DataFrame:
    """The `shown_rows` among a study's, with the subject's `what` and `loss`, and the name of the `score`."""
    scored = shown[shown["quantity"].str.contains(": ")]
    return scored.assign(**scored["quantity"].str.extract("(?P<what>.*), (?P<loss>.*): (?P<score>.*)"))


def compared_rows(check: Check, compared: Comparison, scored: Scored, **shared: Any) -> pd.DataFrame:
    """A check's rows: in each arm, a subject's score is held against another's."""
    arms = {
        arm: [scored[subject][compared.score] for subject in pair] for arm, pair in compared.pairs.items()
    }
    return pd.concat(
        check.rows(**{arm: value}, reference=other, **shared) for arm, (value, other) in arms.items()
    )


def table(shown: pd.DataFrame, what: str) -> pd.DataFrame:
    """Held-out scores among a study's rows, mean and SD over seeds, by images and `what` was compared."""
    scored, index = scores_shown(shown), ["setting", "what", "score"]
    wide = scored.pivot_table("value", index, "loss", ["mean", "std"], sort=False)
    columns = [(kind, loss) for loss in ("cross-entropy", "brier") for kind in ("mean", "std")]
    wide = wide[columns].set_axis([f"{loss}, {kind}" for kind, loss in columns], axis=1)
    return wide.rename_axis(["Images", what, "Held-out score"]).reset_index()
