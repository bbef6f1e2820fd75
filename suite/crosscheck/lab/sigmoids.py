"""The sigmoid in floats and at as many digits as one likes, and the chain rule that goes through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import mpmath
import numpy as np

from crosscheck import autodiff

MANY_DIGITS = 5_000  # e^−10,000 has 4,343 zeros behind the point
FEW_DIGITS = 50
LARGEST = 200  # logits above round to 0 or 1 in every float that is looked at


def by_exponential(z: Any) -> Any:
    """σ(z) = 1 / (1 + e^(−z)), of a number of mpmath's."""
    return 1 / (1 + mpmath.exp(-z))


def by_tangent(z: Any) -> Any:
    """σ(z) = (1 + tanh(z/2)) / 2, of a number of mpmath's."""
    return (1 + mpmath.tanh(z / 2)) / 2


def log_distance(sigmoid: Callable[[Any], Any], z: np.ndarray, digits: int) -> np.ndarray:
    """ln of the distance of σ(z) from the nearer of 0 and 1, [N]; −∞ where it has come to be one of them."""
    with mpmath.workdps(digits):
        p = [sigmoid(mpmath.mpf(float(logit))) for logit in z]
        nearest = [min(q, 1 - q) for q in p]
        return np.array([float(mpmath.log(d)) if d > 0 else -np.inf for d in nearest])


def log_distance_law(z: float) -> float:
    """−|z| − ln(1 + e^(−|z|)), which is finite for every z."""
    return float(-abs(z) - np.log1p(np.exp(-abs(z))))


def in_keras(z: np.ndarray) -> np.ndarray:
    return autodiff.numbers(keras.ops.sigmoid(*autodiff.tensors(z)))


def in_numpy(z: np.ndarray) -> np.ndarray:
    """1 / (1 + e^(−z)), as one would write it, in the dtype of z."""
    return 1 / (1 + np.exp(-z))


def reaches(end: float, sigmoid: Callable[[np.ndarray], np.ndarray], dtype: str) -> int:
    """The least integer |z| at which the sigmoid is 1, of positive z, or 0, of negative ones."""
    size = np.arange(1, LARGEST + 1)
    p = sigmoid((size if end else -size).astype(dtype))
    return int(size[np.argmax(p == end)])


def chain_rule(z: np.ndarray, y: np.ndarray, dtype: str) -> np.ndarray:
    """(p − y) / (p (1 − p)) · p (1 − p) with p = σ(z), factor by factor in a dtype: [N], float64."""
    z, y = autodiff.tensors(z.astype(dtype), y.astype(dtype))
    p = keras.ops.sigmoid(z)
    slope = p * (1 - p)
    return autodiff.numbers((p - y) / slope * slope).astype("float64")
