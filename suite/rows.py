"""Tidy rows: one measured number each, with everything needed to judge and to draw it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

EXACT = -1  # the seed of a row in which nothing is random

DEFAULTS: dict[str, Any] = {
    "check": "",  # id of the check that judges this row; empty for rows that are only shown
    "arm": "claim",  # "claim" or "control"
    "setting": "",  # one of the check's settings
    "quantity": "",  # what was measured, where a figure or table needs to know
    "path": "",  # how the loss was reached, for the path grid
    "x": np.nan,  # the number along which a trend or a curve runs
    "seed": EXACT,
    "value": np.nan,
    "reference": 0.0,  # what the value is held against: theory, or the other side of a paired comparison
    "resolution": np.nan,  # one unit in the last place (identities), or the standard error of evaluation
}
COLUMNS = tuple(DEFAULTS)


def tidy(**columns: Any) -> pd.DataFrame:
    """Rows from scalars and arrays of one common shape, broadcast and flattened; the rest is default.

    Raises:
        ValueError: for a column that no row has (see `COLUMNS`), or shapes that do not broadcast.
    """
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise ValueError(f"Rows have no column {sorted(unknown)}; they have {list(COLUMNS)}.")
    filled = {**DEFAULTS, **columns}
    arrays = np.broadcast_arrays(*(np.asarray(filled[name]) for name in COLUMNS))
    frame = pd.DataFrame({name: array.ravel() for name, array in zip(COLUMNS, arrays, strict=True)})
    return typed(frame)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The promised columns in the promised types: numbers as float64, seeds as int64, the rest as text."""
    numbers = ("x", "value", "reference", "resolution")
    kinds = {n: "float64" if n in numbers else "int64" if n == "seed" else "str" for n in COLUMNS}
    return frame[list(COLUMNS)].astype(kinds)


def both_arms(claim: dict[str, Any], control: dict[str, Any], **shared: Any) -> pd.DataFrame:
    """Rows of a claim and of its control, which share all other columns."""
    return pd.concat([tidy(**shared, **claim), tidy(arm="control", **shared, **control)])
