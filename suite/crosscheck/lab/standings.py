"""Who does better in a contest: rows that hold the score of one subject against another's.

Scores go by subject and name: `scored["wide, brier"]["NLL"]` is [S], one number a seed. Nothing here
trains, so that tables and figures may read scores back without Keras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crosscheck.claims import Check, rows

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


def compared_rows(check: Check, compared: Sequence[str], scored: Scored, **shared: Any) -> pd.DataFrame:
    """A check's rows that hold a subject's score against another's, and in the control against a third's.

    `compared` names the score, and then the subjects: whose it is, whose it is held against, and whose it is
    held against in the control.
    """
    score, *subjects = compared
    value, other, control = (scored[subject][score] for subject in subjects)
    claim_rows = check.rows(claim=value, reference=other, **shared)
    return pd.concat([claim_rows, check.rows(control=value, reference=control, **shared)])
