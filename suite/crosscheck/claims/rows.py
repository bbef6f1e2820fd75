"""Tidy rows: one measured number each, with everything needed to judge and to draw it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import pandas as pd

EXACT = -1  # the seed of a row in which nothing is random

DEFAULTS: dict[str, Any] = {
    "check": "",  # id of the check that judges this row; empty for rows that are only shown
    "arm": "claim",  # "claim", "control" (which must fail) or "positive" (a control that must hold)
    "setting": "",  # one of the check's settings
    "quantity": "",  # what was measured, where a figure or table needs to know
    "path": "",  # how the loss was reached, for the path grid
    "x": np.nan,  # the number along which a trend or a curve runs
    "seed": EXACT,
    "value": np.nan,
    "reference": 0.0,  # what the value is held against: theory, or the other side of a paired comparison
    "resolution": np.nan,  # one unit in the last place (identities), or the standard error of evaluation
    "trials": np.nan,  # of a value that is a share: of how many; its exact bounds are then counted in
}
COLUMNS = tuple(DEFAULTS)
NUMBERS = ("x", "value", "reference", "resolution", "trials")
KINDS = {name: "float64" if name in NUMBERS else "int64" if name == "seed" else "str" for name in COLUMNS}


def tidy(**columns: Any) -> pd.DataFrame:
    """Rows from scalars and arrays of one common shape, broadcast and flattened; the rest is default.

    Raises:
        ValueError: for a column that no row has (see `COLUMNS`), or shapes that do not broadcast.
    """
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise ValueError(f"Rows have no column {sorted(unknown)}; they have {list(COLUMNS)}.")
    filled = {**DEFAULTS, **columns}
    kinds = [float if name in NUMBERS else None for name in COLUMNS]
    parts = (np.asarray(filled[name], dtype=kind) for name, kind in zip(COLUMNS, kinds, strict=True))
    arrays = np.broadcast_arrays(*parts)
    frame = pd.DataFrame({name: array.ravel() for name, array in zip(COLUMNS, arrays, strict=True)})
    return typed(frame)


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The promised columns in the promised types: numbers as float64, seeds as int64, the rest as text."""
    chosen = frame if tuple(frame.columns) == COLUMNS else frame[list(COLUMNS)]
    # A conversion is dearer than the frame of a few rows, even where it changes nothing.
    foreign = {name: kind for name, kind in KINDS.items() if chosen[name].dtype != kind}
    return chosen.astype(foreign) if foreign else chosen


def gathered(frames: pd.DataFrame | Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One frame of what a measuring function returned or yielded, numbered from 0, in the promised types."""
    together = frames if isinstance(frames, pd.DataFrame) else pd.concat(frames)
    return typed(together.reset_index(drop=True))


class Judged(Protocol):
    """What of a `crosscheck.claims.Check` its rows have to agree with."""

    @property
    def id(self) -> str: ...
    @property
    def settings(self) -> tuple[str, ...]: ...
    @property
    def exact(self) -> bool: ...
    @property
    def criterion(self) -> Any: ...


def of_check(
    check: Judged,
    claim: Any = None,
    control: Any = None,
    reference: Any = 0.0,
    positive: Any = None,
    **columns: Any,
) -> pd.DataFrame:
    """The rows of a check's arms; see `Check.rows`, which is how a study calls it."""
    values = {"claim": claim, "control": control, "positive": positive}
    arms = [(arm, value) for arm, value in values.items() if value is not None]
    if not arms:
        raise ValueError(f"Check {check.id!r} was given neither the claim's values nor a control's.")
    frames = [
        tidy(check=check.id, arm=arm, value=value, reference=reference, **columns) for arm, value in arms
    ]
    rows = pd.concat(frames) if len(frames) > 1 else frames[0]
    foreign = sorted(set(rows["setting"]) - set(check.settings))
    if foreign:
        raise ValueError(f"Check {check.id!r} has no setting {foreign[0]!r}; it has {list(check.settings)}.")
    if not check.exact and (rows["seed"] == EXACT).any():
        raise ValueError(f"Check {check.id!r} is judged over seeds, but some of its rows have none.")
    if check.criterion.kind == "identity" and rows["resolution"].isna().any():
        raise ValueError(f"Check {check.id!r} is an identity: its rows need a `resolution`.")
    return rows
