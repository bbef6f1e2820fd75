"""The exact loss, gradient and second derivative of cross-entropy, at 50 digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

DIGITS = 50
RIVALS = {"binary": 1, "categorical": 2, "sparse": 2}  # what p = e^z / (e^z + rivals) competes with


class Derivatives(NamedTuple):
    """Loss, dL/dz and d²L/dz² of each example, [N] each; NaN where a path does not give one."""

    value: np.ndarray
    gradient: np.ndarray
    second: np.ndarray


def oracle(loss: str, z: np.ndarray, y: np.ndarray) -> Derivatives:
    """Cross-entropy along one logit z [N], all others being 0, with the label y [N] of its class.

    −y ln p − (1 − y) ln p′, where p = e^z / (e^z + r) and p′ = 1 / (e^z + r), with r = 1 rival for binary
    labels (p′ = 1 − p) and r = 2 in three classes, the second of which has the rest of the label. The
    gradient is p − y, the second derivative p (1 − p). No digit cancels in either tail.

    >>> exact = oracle("binary", np.array([0.0]), np.array([1.0]))
    >>> [float(array[0]) for array in exact]  # ln 2, p − y, p (1 − p)
    [0.6931471805599453, -0.5, 0.25]
    """
    r = RIVALS[loss]
    wrong = lambda mp, t: mp.log1p(r * mp.exp(-t))
    right = lambda mp, t: mp.log(r) + mp.log1p(mp.exp(t) / r)
    p = lambda mp, t: 1 / (1 + r * mp.exp(-t))
    q = lambda mp, t: 1 / (1 + mp.exp(t) / r)
    return Derivatives(
        _at_50_digits(lambda mp, t, y: y * wrong(mp, t) + (1 - y) * right(mp, t), z, y),
        _at_50_digits(lambda mp, t, y: (1 - y) * p(mp, t) - y * q(mp, t), z, y),
        _at_50_digits(lambda mp, t, y: p(mp, t) * q(mp, t), z, y),
    )


def softmax(z: np.ndarray) -> np.ndarray:
    """The softmax of logits [N, K] at 50 digits, rounded to float64."""
    return _from_softmax(lambda p: p, z)


def softmax_gradient(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """p − y of logits [N, K] and labels [N, K] at 50 digits, rounded to float64."""
    return _from_softmax(lambda p, y: p - y, z, y)


def softmax_jacobian(z: np.ndarray) -> np.ndarray:
    """diag(p) − ppᵀ of logits [N, K] at 50 digits, rounded to float64: [N, K, K]."""
    return _from_softmax(lambda p: np.diag(p) - np.outer(p, p), z)


def _from_softmax(formula: Callable[..., Any], z: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
    """formula(p, …) of the softmax p of each row of logits [N, K], at 50 digits, rounded to float64."""
    import mpmath

    exact = np.vectorize(mpmath.mpf, otypes=[object])
    with mpmath.workdps(DIGITS):
        exponentials = np.vectorize(mpmath.exp, otypes=[object])(exact(np.asarray(z, float)))
        p = exponentials / exponentials.sum(-1, keepdims=True)
        return np.array([formula(*row) for row in zip(p, *map(exact, arrays), strict=True)]).astype(float)


def _at_50_digits(formula: Callable[..., Any], z: np.ndarray, y: np.ndarray) -> np.ndarray:
    import mpmath

    with mpmath.workdps(DIGITS):
        pairs = zip(np.asarray(z, float).tolist(), np.asarray(y, float).tolist(), strict=True)
        return np.array([float(formula(mpmath, mpmath.mpf(a), mpmath.mpf(b))) for a, b in pairs])
