"""The inputs: logits [N, K] with labels in rows [N, K], those with the smallest logits first."""

from __future__ import annotations

import itertools

import numpy as np

from crosscheck.audit.contract import Kind
from crosscheck.audit.probe import CLASSES, hard_labels
from crosscheck.audit.theories import over

Rows = tuple[np.ndarray, np.ndarray]
MODERATE = (
    0.0,
    1e-3,
    -1e-3,
    0.125,
    -0.125,
    0.5,
    -0.5,
    1.25,
    -1.25,
    2,
    -2,
    3.5,
    -3.5,
    5,
    -5,
    7.5,
    -7.5,
    10,
    -10,
)
TAIL = (15, 16, 17, 20, 30, 50, 88, 100, 1e3, 1e4)
SOFT = {1: [[0.25]], 2: [[0.25, 0.875]], 3: [[0.5, 0.125, 0.375]]}


def as_float32(z: np.ndarray) -> np.ndarray:
    """What float32 can hold, so that the oracle sees the very logits that the loss sees."""
    return np.asarray(z, "float32").astype("float64")


def paired(z: np.ndarray, y: np.ndarray) -> Rows:
    """Every row of logits with every row of labels."""
    return np.repeat(z, len(y), axis=0), np.tile(y, (len(z), 1))


def logits(kind: Kind, ts: tuple[float, ...] = MODERATE) -> np.ndarray:
    """One logit at each t with the others at rest, in turn, and all apart: [N, K]."""
    if kind == "binary":
        return as_float32(np.array(ts)[:, None])
    if kind in ("multilabel", "ordinal"):
        return as_float32(np.array([[t, u] for t in ts for u in (-t / 2, 1.0)]))
    return as_float32(np.array([row for t in ts for row in ([t, 0, 0], [0, t, 0], [1, -t / 2, t])]))


def moderate(kind: Kind, soft: bool) -> Rows:
    """|z| ≤ 10 with hard labels, or with soft ones."""
    return paired(logits(kind), np.array(SOFT[CLASSES[kind]]) if soft else hard_labels(kind))


def tail(kind: Kind, right: bool, ts: tuple[float, ...] = TAIL) -> Rows:
    """Confident by t, and wrong (or right)."""
    sign = 1.0 if right else -1.0
    rows: list[tuple[list[float], list[float]]] = []
    for t in (sign * t for t in ts):
        if kind == "binary":
            rows += [([t], [1.0]), ([-t], [0.0])]
        elif kind in ("multilabel", "ordinal"):
            rows += [([t, 0.5], [1.0, 0.0]), ([0.5, -t], [1.0, 0.0])]
        else:
            rows += [([t, 0, 0], [1.0, 0, 0]), ([0, 0.5, t], [0, 0, 1.0])]
            rows += [] if right else [([0, -t, 0], [1.0, 0, 0])]
    z, y = (np.array(arrays, float) for arrays in zip(*rows, strict=True))
    return z, y


def of_every_class(z: np.ndarray, y: np.ndarray) -> Rows:
    """The rows once for each class, their classes moved on by one each time, so that each is the label."""
    moved = [(np.roll(z, k, -1), np.roll(y, k, -1)) for k in range(y.shape[-1])]
    return np.concatenate([z for z, _ in moved]), np.concatenate([y for _, y in moved])


def own_logit(kind: Kind, y: np.ndarray) -> np.ndarray:
    """Which logit `tail` moves: that of the true class, or of the label."""
    if kind in ("multilabel", "ordinal"):
        return np.tile([0, 1], len(y) // 2)
    return y.argmax(-1)


def everywhere(kind: Kind) -> Rows:
    """Out to |z| = 1000, all labels."""
    return paired(
        logits(kind, (0, 1, -1, 10, -10, 50, -50, 88, -88, 89, -89, 104, -104, 500, -500, 1e3, -1e3)),
        hard_labels(kind),
    )


def generic(kind: Kind, n: int = 8, seed: int = 7) -> np.ndarray:
    """Logits with nothing special about them: 1/16 above multiples of 1/8 within ±4, no two alike in a row.

    None is near ±1, where a hinge loss has its kink, or its second derivative has.
    """
    rng, k = np.random.default_rng(seed), CLASSES[kind]
    multiples = np.arange(-32, 33) / 8 + 1 / 16
    multiples = multiples[np.abs(np.abs(multiples) - 1) > 0.2]
    return np.array([rng.choice(multiples, k, replace=False) for _ in range(n)])


def ties(kind: Kind) -> np.ndarray:
    """Logits that are equal, all or two of them."""
    k = CLASSES[kind]
    if k == 1:
        return np.zeros((1, 1))
    return np.array(
        [[0.0] * k, [1.5] * k, *([[1.0] * (k - 1) + [-1.0], [1.0] + [2.0] * (k - 1)] if k > 2 else [])]
    )


def simplex(kind: Kind) -> np.ndarray:
    """Probabilities to put questions with, inside the simplex: [Q, K]; for labels p of each, [Q, 1]."""
    if over(kind) == "labels":
        return np.arange(0.05, 0.96, 0.05)[:, None]
    steps = [s for s in itertools.product(range(1, 19), repeat=2) if sum(s) < 20]
    return np.array([[a, b, 20 - a - b] for a, b in steps]) / 20
