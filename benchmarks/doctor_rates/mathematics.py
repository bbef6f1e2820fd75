"""The mathematics of a random model in float64: what it predicts of its logits, and the loss of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import log_expit, log_softmax, logsumexp

Row = np.ndarray
STEP = 1e-4


def of_softmax(z: Row) -> tuple[Row, Row]:
    """ln p and ln(1 − p) of a softmax."""
    log_p = log_softmax(z)
    rest = [logsumexp(np.delete(log_p, k)) if len(z) > 1 else -np.inf for k in range(len(z))]
    return log_p, np.array(rest)


def of_sigmoid(z: Row) -> tuple[Row, Row]:
    """ln p and ln(1 − p) of a sigmoid."""
    return log_expit(z), log_expit(-z)


def class_crossentropy(y: Row, log_p: Row, log_q: Row, smoothing: float = 0.0) -> float:
    """Of the predictions scaled to sum to 1."""
    y = y * (1 - smoothing) + smoothing / len(y)
    return float(-y @ (log_p - logsumexp(log_p)))


def class_focal(y: Row, log_p: Row, log_q: Row, gamma: float, alpha: float) -> float:
    log_p = log_p - logsumexp(log_p)
    return float(-np.sum(alpha * y * (-np.expm1(log_p)) ** gamma * log_p))


def divergence(y: Row, log_p: Row, log_q: Row) -> float:
    """Of one-hot labels: −ln p of the true class, whatever the predictions sum to."""
    return float(-log_p[int(y.argmax())])


def label_crossentropy(y: Row, log_p: Row, log_q: Row, smoothing: float = 0.0) -> float:
    y = y * (1 - smoothing) + smoothing / 2
    return float(np.mean(-y * log_p - (1 - y) * log_q))


def label_focal(y: Row, log_p: Row, log_q: Row, gamma: float, alpha: float | None) -> float:
    missed = np.where(y > 0.5, np.exp(log_q), np.exp(log_p)) ** gamma
    weight = 1.0 if alpha is None else np.where(y > 0.5, alpha, 1 - alpha)
    return float(np.mean(weight * missed * np.where(y > 0.5, -log_p, -log_q)))


def squared_error(y: Row, log_p: Row, log_q: Row) -> float:
    return float(np.mean(np.where(y > 0.5, np.exp(log_q), np.exp(log_p)) ** 2))


def derivative(function: Callable[[float], float], t: float) -> float:
    """By a central difference."""
    return (function(t + STEP) - function(t - STEP)) / (2 * STEP)


def is_lost(gradient: Row, exact: Row, z: Row, label: Row) -> bool:
    """Whether gradients are not the exact ones times a factor, to a tenth of the largest of their label."""
    largest = {int(k): np.abs(exact[label == k]).max() for k in np.unique(label)}
    size = np.array([largest[int(k)] for k in label])
    benign = (np.abs(z) <= 2) & (np.abs(exact) > 0.05 * size)
    with np.errstate(all="ignore"):
        ratio = gradient[benign] / exact[benign]
        factor = float(np.median(ratio))
        off = np.abs(gradient / factor - exact) / size
    uneven: Any = np.ptp(ratio) > 0.05 * abs(factor)
    return bool(not np.isfinite(factor) or factor == 0 or uneven or not (off <= 0.1).all())
