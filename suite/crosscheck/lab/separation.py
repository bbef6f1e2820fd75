"""Gradient descent on separable points in the plane, next to what theory says of it (Soudry et al. 2018).

With û the direction of the hard-margin separator ŵ, L = û·w and v the part of w across it: once only the
points with the least margin count, v stays and L grows as ln t, so that 1 − cos(w, ŵ) falls as 1/ln² t.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import integrate

from crosscheck import data

POINTS = 32
DECAY = 2e-4  # small enough for the late, large steps not to overshoot the minimum that it makes
# What theory speaks of is time, steps × rate; slopes are fitted over these spans of it.
EARLY, LATE = (1e3, 2e4), (1e5, 2e6)


class Descents(NamedTuple):
    """The descents on every kind of set, for S seeds.

    Attributes:
        time: steps × rate, [T].
        loss, norm, bend: by kind: mean loss, ‖w‖/‖ŵ‖ and 1 − cos(w, ŵ), [T, S] each.
        bend_drop: by kind that has such a law: what ln(1 − cos) should fall by over the span LATE, [S].
    """

    time: np.ndarray
    loss: dict[str, np.ndarray]
    norm: dict[str, np.ndarray]
    bend: dict[str, np.ndarray]
    bend_drop: dict[str, np.ndarray]


RANDOM, DECAYED, ONE, TWO, TWO_DECAYED = "random", "random, decay", "one point", "two near", "two near, decay"


def descents(seeds: Sequence[int], steps: int) -> Descents:
    """All kinds of sets, as one program: 32 random points; one point, 32 times; two near ones among 32.

    Descent takes so many steps at rate 1, then as many at the rate that ends LATE, when the loss is flat
    enough to bear it.
    """
    from crosscheck.lab import descent  # here: figures need the names of this file without Keras

    random = [data.separable(np.random.default_rng(seed), POINTS, margin=0.3) for seed in seeds]
    one = [(np.repeat(x[:1], POINTS, 0), np.repeat(y[:1], POINTS)) for x, y in random]
    near = [two_near(np.random.default_rng((seed, 1))) for seed in seeds]
    two = [(x, y) for x, y, *_ in near]
    kinds = {RANDOM: random, DECAYED: random, ONE: one, TWO: two, TWO_DECAYED: two}
    x, y = (np.stack([pair[i] for sets in kinds.values() for pair in sets]) for i in (0, 1))
    decay = np.repeat([DECAY if kind in (DECAYED, TWO_DECAYED) else 0.0 for kind in kinds], len(seeds))
    time, weights = descent.descend(x, y, ((steps, 1.0), (steps, LATE[1] / steps)), decay)
    by_kind = lambda values: dict(zip(kinds, np.split(values, len(kinds), axis=1), strict=True))
    separator = np.concatenate([separators(kind, sets, near) for kind, sets in kinds.items()])  # [R, 2]
    a, b = np.array([sides for *_, sides in near]).T
    laws = {ONE: bend_drop_of_one(np.array([x[0] @ x[0] for x, _ in one])), TWO: bend_drop(a, b, POINTS)}
    norm = np.linalg.norm(weights, axis=2) / np.linalg.norm(separator, axis=1)
    loss, bend = descent.mean_loss(weights, x, y), one_less_cosine(weights, separator)
    return Descents(time, by_kind(loss), by_kind(norm), by_kind(bend), {**laws, TWO_DECAYED: laws[TWO]})


def separators(kind: str, sets: list[Any], near: list[Any]) -> np.ndarray:
    """The hard-margin separator of each set: [S, 2]."""
    if kind in (TWO, TWO_DECAYED):
        return np.array([along for _, _, along, _ in near])
    if kind == ONE:
        return np.array([(2 * y[0] - 1) * x[0] / (x[0] @ x[0]) for x, y in sets])
    return np.array([separator(x, y) for x, y in sets])


def separator(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The shortest w with margins of at least 1 on points [N, 2] with labels [N], by trying out: [2].

    In the plane one point or two hold it. NaN where no line through the origin separates.
    """
    signed = np.where(y == 1, 1, -1)[:, None] * x.astype("float64")
    alone = signed / (signed**2).sum(1, keepdims=True)
    i, j = np.triu_indices(len(signed), 1)
    pairs = np.stack([signed[i], signed[j]], axis=1)  # [P, 2, 2]
    pairs = pairs[np.abs(np.linalg.det(pairs)) > 1e-12]
    tried = np.concatenate([alone, np.linalg.solve(pairs, np.ones((len(pairs), 2, 1)))[..., 0]])
    fits = tried[(tried @ signed.T).min(1) >= 1 - 1e-9]
    return min(fits, key=np.linalg.norm, default=np.full(2, np.nan))


def two_near(
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float]]:
    """Points of which two have the least margin, 1, one on either side, and all others three times as much.

    Returns:
        Points, float32 [32, 2], labels in {0, 1}, the separator ŵ, a unit vector, and (a, b): how far across
        it the two lie, a on one side and b on the other.
    """
    angle = rng.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    a, b = rng.uniform(1.5, 2.5), rng.uniform(0.8, 1.2)
    margin = np.concatenate([[1, 1], 3 + np.abs(rng.standard_normal(POINTS - 2))])
    beside = np.concatenate([[a, -b], rng.standard_normal(POINTS - 2)])
    y = rng.integers(0, 2, POINTS)
    x = (2 * y - 1)[:, None] * (np.outer(margin, along) + np.outer(beside, across))
    return x.astype("float32"), y.astype("int32"), along, (a, b)


def one_less_cosine(weights: np.ndarray, separator: np.ndarray) -> np.ndarray:
    """1 − cos of the angle between weights [T, R, 2] and separators [R, 2], without cancellation: [T, R]."""
    across = weights[..., 0] * separator[:, 1] - weights[..., 1] * separator[:, 0]
    return 2 * np.sin(np.arctan2(np.abs(across), (weights * separator).sum(-1)) / 2) ** 2


def drop(time: np.ndarray, bend: np.ndarray, span: tuple[float, float] = LATE) -> np.ndarray:
    """By how much ln(1 − cos) falls over a span of time, [S], of 1 − cos [T, S]."""
    first, last = (np.searchsorted(time, end * (1 - 1e-9)) for end in span)
    return np.log(bend[first] / bend[last])


def bend_drop(a: Any, b: Any, points: int, span: tuple[float, float] = LATE) -> Any:
    """What theory says that it falls by where two points have the least margin.

    v settles where a e^(−av) = b e^(bv), at ln(a/b)/(a + b); e^L grows as t (e^(−av) + e^(bv))/N.
    """
    v = np.log(a / b) / (a + b)
    grows = (np.exp(-a * v) + np.exp(b * v)) / points
    early, late = (1 - np.cos(np.arctan2(v, np.log(grows * t))) for t in span)
    return np.log(early / late)


def bend_drop_of_one(length_squared: Any, span: tuple[float, float] = LATE) -> Any:
    """The same for a single point: its margin grows as ln(‖x‖² t), and what is across never changes."""
    early, late = (np.log(length_squared * t) for t in span)
    return 2 * np.log(late / early)


def bend_drop_by_flow(a: float, b: float, points: int, span: tuple[float, float] = LATE) -> float:
    """The same as `bend_drop`, by solving the flow of gradient descent from w = 0, in ln t."""

    def flow(s: float, w: Any) -> list[float]:
        near = [np.exp(s) / (1 + np.exp(w[0] + side)) / points for side in (a * w[1], -b * w[1])]
        return [sum(near), a * near[0] - b * near[1]]

    ends = np.log(span)
    solved = integrate.solve_ivp(flow, (-5, ends[1]), [0, 0], "LSODA", t_eval=ends, rtol=1e-10, atol=1e-12)
    early, late = (1 - np.cos(np.arctan2(*w[::-1])) for w in solved.y.T)
    return float(np.log(early / late))
