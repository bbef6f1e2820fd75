"""Estimates with intervals, from one value per seed, without assuming how the values are distributed.

The default is the median over seeds, between two of the ordered values: whatever the distribution, it lies
below the k-th smallest of n with probability P(Binomial(n, ½) < k). At the level that the suite uses, 16
seeds suffice, from the smallest value to the largest. A mean has such an interval only where the values are
known to be bounded (Bahadur & Savage 1956); then it is found by betting (Waudby-Smith & Ramdas 2024).
`tests/test_statistics.py` simulates all of them at the level in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

POWER = 0.8  # "could have been detected" means: with this probability
MEDIAN_NOISE = float(np.sqrt(np.pi / 2))  # standard error of a median over that of a mean, normal values
GRID = 2_000  # candidate means looked at; the interval reaches one of them further on either side


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: the point estimate; `lo`, `hi`: its interval.
        level: coverage of the interval; 1 where nothing is random.
        n: seeds (or groups of them), or points looked at where nothing is random.
        sd: standard deviation between seeds (seed noise).
        detectable: smallest effect that would have been found with probability `POWER`; of all numbers here
            the one that takes noise to be normal.
    """

    value: float
    lo: float
    hi: float
    level: float
    n: int
    sd: float = 0.0
    detectable: float = 0.0


def exact(value: float, n: int = 1) -> Estimate:
    """A number in which nothing is random."""
    return Estimate(value, value, value, 1.0, n)


def median(values: np.ndarray, level: float) -> Estimate:
    """Median over seeds, with the interval of coverage at least `level` between two of the ordered values.

    `values` is [S]. Too few seeds for the level (under 16 at 99.995 %), or a value that is not finite, give
    an interval without end: undecided. Values that all agree give one without width: of every other possible
    outcome, less than half of the seeds can have it.
    """
    return median_between(values, values, values, level)


def median_between(values: np.ndarray, lower: np.ndarray, upper: np.ndarray, level: float) -> Estimate:
    """The same where each seed's own value is known to lie in [`lower`, `upper`] only, [S] each."""
    n = len(values)
    rank = order(n, level)
    if rank == 0 or not np.isfinite(values).all():
        return unknown(values, level)
    centre, sd = float(np.median(values)), float(np.std(values, ddof=1))
    lo, hi = float(np.sort(lower)[rank - 1]), float(np.sort(upper)[n - rank])
    return Estimate(centre, lo, hi, level, n, sd, detectable(hi - lo, sd, n))


@lru_cache
def order(n: int, level: float) -> int:
    """The greatest k for which the k-th smallest and k-th largest of n enclose the median; 0 for none."""
    from scipy import special

    below = special.bdtr(np.arange(n // 2), n, 0.5)  # P(Binomial(n, ½) ≤ k − 1), k = 1 … n/2
    return int(np.sum(below <= (1 - level) / 2))


def mean(values: np.ndarray, level: float, bounds: tuple[float, float] | None = None) -> Estimate:
    """Mean over seeds of values that cannot leave `bounds`, with an interval of coverage at least `level`.

    `values` is [S]. A candidate mean m is left out once a gambler who bets against it would have multiplied
    his stake by 2 / (1 − level), on either side (the hedged capital process). Without bounds no interval can
    be had from any number of seeds, and it is one without end.

    Raises:
        ValueError: a value lies outside the bounds.
    """
    values = np.asarray(values, dtype=float)
    if bounds is None or len(values) < 2 or not np.isfinite(values).all():
        return unknown(values, level)
    low, high = bounds
    if values.min() < low or values.max() > high:
        raise ValueError(f"Values from {values.min():g} to {values.max():g} lie outside {bounds}.")
    x, m = (values - low) / (high - low), np.linspace(0, 1, GRID + 1)
    kept = m[capital(x, m, level) < 1]
    lo, hi = max(0.0, kept.min() - 1 / GRID), min(1.0, kept.max() + 1 / GRID)
    lo, hi = low + (high - low) * lo, low + (high - low) * hi
    sd = float(np.std(values, ddof=1))
    return Estimate(
        float(values.mean()), lo, hi, level, len(values), sd, detectable(hi - lo, sd, len(values))
    )


def capital(x: np.ndarray, m: np.ndarray, level: float) -> np.ndarray:
    """The gambler's fortune over what rules m out, [M], after values x in [0, 1], [S]."""
    return np.exp(np.minimum(fortunes(x, m, level).max(0) + np.log((1 - level) / 2), 50))


def fortunes(x: np.ndarray, m: np.ndarray, level: float) -> np.ndarray:
    """The logarithms of what bets on a mean above m, and on one below, have made of a stake of 1, [2, M]."""
    n, error = len(x), 1 - level
    seen = np.arange(1, n + 1)
    centre = (0.5 + np.cumsum(x)) / (seen + 1)
    spread = (0.25 + np.cumsum((x - centre) ** 2)) / (seen + 1)
    before = np.concatenate([[0.25], spread[:-1]])  # a bet may know the values before it alone
    stake = np.sqrt(2 * np.log(2 / error) / (n * before))[:, None]
    with np.errstate(divide="ignore"):
        up = np.minimum(stake, 0.5 / m)
        down = np.minimum(stake, 0.5 / (1 - m))
    gain = x[:, None] - m
    rising, falling = (np.log1p(bet).sum(0) for bet in (up * gain, -down * gain))
    return np.stack([rising, falling])


def share(value: np.ndarray, trials: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """The exact bounds of a probability that came out as `value` in so many trials (Clopper & Pearson 1934).

    Each is missed with probability `tail` at most.
    """
    from scipy import special

    hits, misses = value * trials, (1 - value) * trials
    lower = np.where(hits > 0, special.betaincinv(np.maximum(hits, 1e-9), misses + 1, tail), 0.0)
    upper = np.where(misses > 0, special.betaincinv(hits + 1, np.maximum(misses, 1e-9), 1 - tail), 1.0)
    return lower, upper


def unknown(values: np.ndarray, level: float) -> Estimate:
    """An estimate that decides nothing."""
    n = len(values)
    centre = float(np.median(values)) if n else np.nan
    return Estimate(centre, -np.inf, np.inf, level, n, np.nan, np.inf)


def detectable(width: float, sd: float, n: int) -> float:
    """The effect that clears an interval of this width with probability `POWER`."""
    from scipy import special

    return float(width / 2 + special.ndtri(POWER) * MEDIAN_NOISE * sd / np.sqrt(n))


def smallest(at_level: list[Estimate], shared: list[Estimate]) -> Estimate:
    """The smallest of several: over its lower end with each `at_level`, over its upper with the `shared` one.

    That the smallest exceeds something is wrong only where the one that does not was taken to: no share of
    the error is lost to the others. That it does not is wrong where any of them was misjudged: they share.
    """
    least = min(at_level, key=lambda e: e.value)
    return Estimate(
        least.value,
        min(e.lo for e in at_level),
        min(e.hi for e in shared),
        least.level,
        least.n,
        least.sd,
        max(e.detectable for e in at_level),
    )


def seeds_needed(estimate: Estimate, lo: float, hi: float) -> int | None:
    """Fresh seeds after which an interval of this spread would clear the nearer edge of [lo, hi]."""
    clearance, edge = min((abs(estimate.value - edge), edge) for edge in (lo, hi) if np.isfinite(edge))
    reach = estimate.hi - estimate.value if edge > estimate.value else estimate.value - estimate.lo
    if not np.isfinite(reach) or clearance == 0:
        return None
    return int(np.ceil(estimate.n * max(1.1, (reach / clearance) ** 2)))  # never as few as were too few
