"""Smoothed labels: where the loss is least, by its gradient, in closed form and by search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize


def smoothed_gradient(loss: Any, alpha: float, y_true: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """∂L/∂z of a loss of ours with labels smoothed by α, in float64."""
    from crosscheck import autodiff  # here: a figure asks for closed forms alone, without Keras

    smoothed = lambda y, z: loss(y, z, label_smoothing=alpha)
    return autodiff.logit_gradient(smoothed, y_true, logits)


def binary_optimum(alpha: float) -> float:
    """The logit at which binary cross-entropy with Keras' α is least: ln((1 − ε)/ε), ε = α/2."""
    return float(np.log((1 - alpha / 2) / (alpha / 2)))


def categorical_optimum(alpha: float, k: int) -> float:
    """The gap between the true class's logit and every other at the optimum: ln(1 + K(1 − α)/α)."""
    return float(np.log1p(k * (1 - alpha) / alpha))


def minimised(alpha: float, k: int) -> float:
    """The same gap by direct minimisation of the loss at logits (g, 0, …, 0)."""
    true, other = 1 - alpha + alpha / k, alpha / k
    rest = lambda g: np.log1p((k - 1) * np.exp(-g))  # −ln of the true class's probability
    loss = lambda g: true * rest(g) + (k - 1) * other * (g + rest(g))
    return float(optimize.minimize_scalar(loss, bracket=(0, 10), tol=1e-12).x)


def our_slope(alpha: float, k: int) -> Callable[[float], float]:
    """Our loss's gradient at the true class along logits (g, 0, …, 0), in float64."""
    from crosscheck import losses

    loss = losses.binary_crossentropy if k == 2 else losses.categorical_crossentropy
    one_hot = np.eye(1, 1 if k == 2 else k)
    return lambda g: smoothed_gradient(loss, alpha, one_hot, g * one_hot)[0, 0]


def plain_slope(alpha: float, k: int) -> Callable[[float], float]:
    """p − y′ of the true class: 1 / (1 + (K − 1) e^(−g)) − (1 − α + α/K)."""
    wide = np.longdouble
    target = 1 - wide(alpha) * (k - 1) / k
    return lambda g: float(1 / (1 + (k - 1) * np.exp(-wide(g))) - target)


def stationary_gap(slope: Callable[[float], float]) -> float:
    """The root of a gradient along the gap g."""
    return optimize.brentq(slope, 0, 30, xtol=1e-15, rtol=1e-15)
