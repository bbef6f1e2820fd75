"""Criteria: each turns the rows of one setting into an estimate and names the region it must lie in.

The verdict is the same for all: the whole interval inside the region `holds`, the whole interval
outside `fails`, anything else is `undecided`. Rows of one seed are averaged first; every value is taken
against its own reference, so comparisons are paired by seed. What is estimated is the median over seeds,
unless a criterion says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
    tails: ClassVar[int] = 0

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
    """The difference between value and reference lies within ± `margin` (an equivalence test).

    Attributes:
        margin: what still counts as equal.
        group: where theory speaks of a mean over seeds: the mean of so many seeds at a time is a value, and
            the median over the groups is judged.
        bounds: where theory speaks of a mean of values that cannot leave these: their mean is judged.
    """

    margin: float
    group: int = 1
    bounds: tuple[float, float] | None = None
    kind: ClassVar[str] = "equal"
    tails: ClassVar[int] = 2  # ends of its interval that can make it fail wrongly

    @property
    def region(self) -> tuple[float, float]:
        return -self.margin, self.margin

    def estimate(self, rows: pd.DataFrame, level: float) -> Estimate:
        if is_exact(rows):
            return worst(rows, lambda off: off.abs().idxmax())
        return typical_difference(rows, level, self.group, self.bounds)

    def __str__(self) -> str:
        return f"within theory ± {self.margin:g}"


@dataclass(frozen=True)
class Exceeds:
    """The difference between value and reference is at least `margin`; `group`, `bounds` as in `Equal`."""

    margin: float
    group: int = 1
    bounds: tuple[float, float] | None = None
    kind: ClassVar[str] = "exceeds"
    tails: ClassVar[int] = 1

    @property
    def region(self) -> tuple[float, float]:
        return self.margin, np.inf

    def estimate(self, rows: pd.DataFrame, level: float) -> Estimate:
        if is_exact(rows):
            return worst(rows, lambda off: off.idxmin())
        return typical_difference(rows, level, self.group, self.bounds)

    def __str__(self) -> str:
        return f"difference ≥ {self.margin:g}"


@dataclass(frozen=True)
class Trend:
    """Every step along `x` raises the value by at least `step` (by at most −`step` where it falls)."""

    step: float = 0.0
    increasing: bool = True
    kind: ClassVar[str] = "trend"
    tails: ClassVar[int] = 1

    @property
    def region(self) -> tuple[float, float]:
        return self.step, np.inf

    def estimate(self, rows: pd.DataFrame, level: float) -> Estimate:
        """The smallest of the median steps; that one of them fails, at a level split over all."""
        wide = rows.assign(off=rows["value"] - rows["reference"]).pivot_table("off", "seed", "x")
        steps = np.diff(wide.to_numpy(), axis=1) * (1 if self.increasing else -1)  # [S, X − 1]
        split = 1 - (1 - level) / steps.shape[1]
        if is_exact(rows):
            return estimates.exact(float(steps.min()), steps.shape[1])
        one, shared = ([estimates.median(step, at) for step in steps.T] for at in (level, split))
        return estimates.smallest(one, shared)

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


def typical_difference(
    rows: pd.DataFrame, level: float, group: int, bounds: tuple[float, float] | None
) -> Estimate:
    """Of value − reference over seeds, each seed counting once however many rows it has."""
    off = rows["value"] - rows["reference"]
    by_seed = mean_by(off, rows["seed"])
    if bounds is not None:
        return estimates.mean(by_seed, level, bounds)
    if rows["trials"].notna().all():
        return typical_share(rows, by_seed, level)
    if group > 1:
        by_seed = by_seed[: len(by_seed) // group * group].reshape(-1, group).mean(1)
    return estimates.median(by_seed, level)


def typical_share(rows: pd.DataFrame, off: np.ndarray, level: float) -> Estimate:
    """The median over seeds of probabilities that were seen as shares: one that was 0 of n need not be 0.

    Nine tenths of the error go to the order of the seeds, so that as few decide as elsewhere; the rest goes
    to what each share may hide, whose bounds hardly widen for it.
    """
    hidden = 0.1 * (1 - level)
    trials, reference = mean_by(rows["trials"], rows["seed"]), mean_by(rows["reference"], rows["seed"])
    lower, upper = estimates.share(off + reference, trials, hidden / 2 / len(off))
    between = estimates.median_between(off, lower - reference, upper - reference, level + hidden)
    return replace(between, level=level)


def mean_by(values: pd.Series, seeds: pd.Series) -> np.ndarray:
    """The mean of each seed's values, in the order of the seeds; NaN where one of them is NaN."""
    order = np.argsort(seeds.to_numpy(), kind="stable")
    starts = np.flatnonzero(np.diff(seeds.to_numpy()[order])) + 1
    return np.array([part.mean() for part in np.split(values.to_numpy()[order], starts)])
