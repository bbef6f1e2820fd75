"""Seeded generators whose posterior is known exactly; each takes its random generator explicitly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np


@dataclass(frozen=True)
class GaussianMixture:
    """Two isotropic Gaussians of unit variance, their means `separation` apart along the first axis.

    The means are ∓separation/2 and class 1 has the probability `prior`, so that the log-odds are linear:
    log P(y=1|x)/P(y=0|x) = separation · x₀ + logit(prior).

    Raises:
        ValueError: separation < 0, dim < 1, or prior outside (0, 1).
    """

    separation: float
    dim: int = 2
    prior: float = 0.5

    def __post_init__(self) -> None:
        if not (self.separation >= 0 and self.dim >= 1 and 0 < self.prior < 1):
            raise ValueError(f"{self} needs separation >= 0, dim >= 1 and 0 < prior < 1.")

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Features, float32 [n, D], and labels, int32 [n]."""
        y = (rng.random(n) < self.prior).astype(np.int32)
        x = rng.standard_normal((n, self.dim))
        x[:, 0] += self.separation * (y - 0.5)
        return x.astype(np.float32), y

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """P(y=1|x), float64 [n], at the features x [n, D]."""
        from scipy import special

        return special.expit(self.separation * np.asarray(x, np.float64)[:, 0] + special.logit(self.prior))

    def bayes_error(self) -> float:
        """Error of the best classifier, which decides for 1 where x₀ exceeds t = logit(1 − prior)/separation.

        (1 − prior) Φ(−separation/2 − t) + prior Φ(t − separation/2); at separation 0 the rarer class's share.
        """
        from scipy import special

        if self.separation == 0:
            return min(self.prior, 1 - self.prior)
        half, threshold = self.separation / 2, special.logit(1 - self.prior) / self.separation
        return float(
            (1 - self.prior) * special.ndtr(-half - threshold) + self.prior * special.ndtr(threshold - half)
        )


def samples(
    mixtures: Sequence[GaussianMixture], seeds: Sequence[int], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Examples of every seed, mixture by mixture: features, float32 [R, n, D], and labels, int32 [R, n]."""
    drawn = [mixture.sample(np.random.default_rng(seed), n) for mixture in mixtures for seed in seeds]
    x, y = zip(*drawn, strict=True)
    return np.stack(x), np.stack(y)


def separable(
    rng: np.random.Generator, n: int, dim: int = 2, margin: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Points that a hyperplane through the origin separates, each at least `margin` away from it.

    Standard normal points, moved along the hyperplane's normal, a random direction, by `margin` further from
    it and to the side of their label. The labels are as many zeros as ones (one more zero for odd n).

    Returns:
        Features, float32 [n, dim], and labels in {0, 1}, int32 [n].

    Raises:
        ValueError: dim < 1 or margin < 0.
    """
    if dim < 1 or margin < 0:
        raise ValueError(f"dim = {dim} must be at least 1, and margin = {margin} at least 0.")
    normal = rng.standard_normal(dim)
    normal /= np.linalg.norm(normal)
    y = rng.permutation(np.arange(n) % 2)
    x = rng.standard_normal((n, dim))
    slack = 1e-6 * (np.linalg.norm(x, axis=1) + margin)  # float32 rounds by less than 1e-7 of the length
    distance = np.abs(x @ normal) + margin + slack
    x += np.outer((2 * y - 1) * distance - x @ normal, normal)
    return x.astype(np.float32), y.astype(np.int32)


def separator_norm(x: np.ndarray, y: np.ndarray) -> float:
    """Norm of the hard-margin separator through the origin: min ‖w‖ with margins of at least 1, by SciPy.

    Of points [n, dim] and labels [n] in {0, 1}; NaN where the search fails, as it must on inseparable ones.
    """
    from scipy import optimize

    signed = np.where(y == 1, 1, -1)[:, None] * x.astype("float64")
    best = optimize.minimize(
        lambda w: w @ w / 2,
        x0=np.linalg.lstsq(signed, np.ones(len(x)), rcond=None)[0],
        jac=lambda w: w,
        constraints={"type": "ineq", "fun": lambda w: signed @ w - 1, "jac": lambda w: signed},
        method="SLSQP",
    )
    return float(np.linalg.norm(best.x)) if best.success else np.nan


def overlapping(
    rng: np.random.Generator, n: int, dim: int = 2, flip: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Points as from `separable`, with round(flip · n) labels turned round.

    Chance alone could leave few points in many dimensions separable, so one turned point takes the place of
    an unturned one: with two labels at one place, no classifier whatever gets all of them right.

    Returns:
        Features, float32 [n, dim], and labels in {0, 1}, int32 [n].

    Raises:
        ValueError: flip outside (0, 1/2], or n so small that no label or all of one class would turn.
    """
    x, y = separable(rng, n, dim)
    turned = rng.permutation(n)[: round(flip * n)]
    stays = np.setdiff1d(np.arange(n), turned)
    if not (0 < flip <= 0.5 and turned.size):
        raise ValueError(f"flip = {flip} must be in (0, 1/2], and turn at least one of n = {n} labels.")
    twin = next((i for i in stays if y[i] == y[turned[0]]), None)
    if twin is None:
        raise ValueError(f"n = {n} is too small for flip = {flip}.")
    x[turned[0]] = x[twin]
    y[turned] = 1 - y[turned]
    return x, y


def logistic(
    rng: np.random.Generator, n: int, dim: int, tau: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A logistic model, its weights drawn from N(0, τ²I): P(y = 1 | x) = σ(w · x), x standard normal.

    Returns:
        Features, float32 [n, dim], labels 0 and 1, float32 [n, 1], and the true weights w [dim].
    """
    from scipy import special

    w, x = rng.normal(size=dim) * tau, rng.normal(size=(n, dim))
    y = rng.random(n) < special.expit(x @ w)
    return x.astype("float32"), y[:, None].astype("float32"), w


@dataclass(frozen=True)
class CommonCause:
    """Labels that depend on each other only through a hidden cause, which the feature sometimes reveals.

    H is a fair coin. Given H the labels Y_0 … Y_{L−1} are independent, with P(Y_l=1|H=1) = (1 + strength)/2
    and P(Y_l=1|H=0) = (1 − strength)/2. The feature is one-hot: H=0 seen, H=1 seen, or erased; it is seen
    with probability `revealed`, whatever H and Y are. Every label alone is a fair coin.

    An outcome y is counted in C order, Σ_l y_l 2^(L−1−l): label 0 is the highest bit.

    Raises:
        ValueError: labels < 1, or strength or revealed outside [0, 1].
    """

    labels: int
    strength: float
    revealed: float

    def __post_init__(self) -> None:
        if not (self.labels >= 1 and 0 <= self.strength <= 1 and 0 <= self.revealed <= 1):
            raise ValueError(f"{self} needs labels >= 1, and strength and revealed in [0, 1].")

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Features, float32 [n, 3], and labels, int32 [n, L]."""
        cause = rng.integers(2, size=n)
        seen = rng.random(n) < self.revealed
        on = rng.random((n, self.labels)) < self._on(cause)[:, None]
        return np.eye(3, dtype=np.float32)[np.where(seen, cause, 2)], on.astype(np.int32)

    def joint_given(self, h: int) -> np.ndarray:
        """P(y | H=h), [2] * L."""
        on = self._on(h)
        return reduce(np.multiply.outer, [np.array([1 - on, on])] * self.labels)

    def joint(self) -> np.ndarray:
        """P(y), [2] * L."""
        return (self.joint_given(0) + self.joint_given(1)) / 2

    def joint_given_feature(self) -> np.ndarray:
        """P(y | feature), [3, 2**L]: the features in the order H=0 seen, H=1 seen, erased."""
        return np.stack([p.ravel() for p in (self.joint_given(0), self.joint_given(1), self.joint())])

    def feature_probabilities(self) -> np.ndarray:
        """P(feature), [3], in the same order."""
        return np.array([self.revealed / 2, self.revealed / 2, 1 - self.revealed])

    def total_correlation(self) -> float:
        """Σ_l H(Y_l) − H(Y) in nats, the divergence of P(y) from 2^−L; for L = 2 the mutual information."""
        from scipy import special

        return float(special.rel_entr(self.joint(), 0.5**self.labels).sum())

    def conditional_total_correlation(self) -> float:
        """The same given the feature, in nats: (1 − revealed) as much, for a seen cause leaves none."""
        return (1 - self.revealed) * self.total_correlation()

    def _on(self, cause: int | np.ndarray) -> np.ndarray:
        """P(Y_l=1 | H=cause)."""
        return (1 + self.strength * (2 * np.asarray(cause) - 1)) / 2
