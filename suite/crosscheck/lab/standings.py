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
