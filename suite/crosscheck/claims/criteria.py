"""Criteria: each turns the rows of one setting into an estimate and names the region it must lie in.

The verdict is the same for all: the whole interval inside the region `holds`, the whole interval
outside `fails`, anything else is `undecided`. Rows of one seed are averaged first; every value is taken
against its own reference, so comparisons are paired by seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from crosscheck.claims import estimates
from crosscheck.claims.estimates import Estimate
from crosscheck.claims.words import Verdict

if TYPE_CHECKING:
    import pandas as pd


def judge(estimate: Estimate, region: tuple[float, float]) -> Verdict:
    """`holds`, `fails` or `undecided`, from the estimate's interval and the region."""
    lo, hi = region
    if lo <= estimate.lo and estimate.hi <= hi:
        return Verdict.HOLDS
    if estimate.hi < lo or estimate.lo > hi:
        return Verdict.FAILS
    return Verdict.UNDECIDED


@dataclass(frozen=True)
class Identity:
    """Every value equals its reference to within `ulps` times the row's resolution."""

    ulps: float = 4.0
    kind: ClassVar[str] = "identity"

    @property
    def region(self) -> tuple[float, float]:
        return -np.inf, self.ulps  # the deviation has no sign

    def estimate(self, rows: pd.DataFrame, level: float) -> Estimate:
        """The largest deviation, in units in the last place; a NaN deviates without end."""
        off = np.abs(rows["value"] - rows["reference"]) / rows["resolution"]
        return estimates.exact(float(off.fillna(np.inf).max()), len(rows))

    def __str__(self) -> str:
        return f"largest deviation ≤ {self.ulps:g} units in the last place"


@dataclass(frozen=True)
class Equal:
    """The mean difference between value and reference lies within ± `margin` (an equivalence test)."""

    margin: float
    kind: ClassVar[str] = "equal"

    @property
    def region(self) -> tuple[float, float]:
        return -self.margin, self.margin

    def estimate(self, rows: pd.DataFrame, level: float) -> Estimate:
        if is_exact(rows):
            return worst(rows, lambda off: off.abs().idxmax())
        return mean_difference(rows, level)

    def __str__(self) -> str:
        return f"within theory ± {self.margin:g}"


@dataclass(frozen=True)
class Exceeds:
    """The mean difference between value and reference is at least `margin`."""

    margin: float
    kind: ClassVar[str] = "exceeds"

    @property
    def region(self) -> tuple[float, float]:
        return self.margin, np.inf

    def estimate(self, rows: pd.DataFrame, level: float) -> Estimate:
        if is_exact(rows):
            return worst(rows, lambda off: off.idxmin())
        return mean_difference(rows, level)

    def __str__(self) -> str:
        return f"difference ≥ {self.margin:g}"


@dataclass(frozen=True)
class Trend:
    """Every step along `x` raises the value by at least `step` (by at most −`step` where it falls)."""

    step: float = 0.0
    increasing: bool = True
    kind: ClassVar[str] = "trend"

    @property
    def region(self) -> tuple[float, float]:
        return self.step, np.inf

    def estimate(self, rows: pd.DataFrame, level: float) -> Estimate:
        """The smallest step, at a level split over all of them."""
        wide = rows.assign(off=rows["value"] - rows["reference"]).pivot_table("off", "seed", "x")
        steps = np.diff(wide.to_numpy(), axis=1) * (1 if self.increasing else -1)  # [S, X − 1]
        split = 1 - (1 - level) / steps.shape[1]
        if is_exact(rows):
            return estimates.exact(float(steps.min()), steps.shape[1])
        return estimates.smallest([estimates.mean(step, split) for step in steps.T])

    def __str__(self) -> str:
        return f"every step {'up' if self.increasing else 'down'} by ≥ {self.step:g}"


Criterion = Identity | Equal | Exceeds | Trend


def is_exact(rows: pd.DataFrame) -> bool:
    return bool((rows["seed"] == -1).all())


def worst(rows: pd.DataFrame, furthest: Callable[[pd.Series], Any]) -> Estimate:
    """Where nothing is random, each row must do: the one that does worst decides, and NaN does."""
    off = (rows["value"] - rows["reference"]).reset_index(drop=True)
    value = float("nan") if off.isna().any() else float(off[furthest(off)])
    return estimates.exact(value, len(rows))


def mean_difference(rows: pd.DataFrame, level: float) -> Estimate:
    """Mean of value − reference over seeds, each seed counting once however many rows it has."""
    off = rows["value"] - rows["reference"]
    by_seed = off.groupby(rows["seed"]).agg(lambda group: group.mean(skipna=False))
    return estimates.mean(by_seed.to_numpy(), level)
