"""Binary losses in expectation over labels that are 1 with probability q: cost, excess and minimiser.

Losses go by name (`LOSSES`): functions of labels and logits [N, 1] with a value per example, on any backend.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy import optimize

from crosscheck import autodiff, losses

GAMMA = 2.0  # of the focal loss
REACH = 30.0  # how far from 0 a minimiser is searched for
DIGITS = 50


def absolute_error(y_true: Any, logits: Any) -> Any:
    """|σ(z) − y|, which is not proper: its expectation is least at the likelier label."""
    y, z = losses.binary_tensors(y_true, 0.0, logits)
    return losses.mean_over_labels(ops.abs(ops.sigmoid(z) - y))


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "cross-entropy": losses.binary_crossentropy,
    "brier": losses.brier,
    "absolute": absolute_error,
    "focal": partial(keras.losses.binary_focal_crossentropy, gamma=GAMMA, from_logits=True),  # unweighted
}


def expected(loss: str, q: np.ndarray, z: np.ndarray | float) -> np.ndarray:
    """q L(1, z) + (1 − q) L(0, z) in float64, for q [N] and z, [N] or one number."""
    z = np.broadcast_to(z, q.shape)[:, None]
    logits = ops.convert_to_tensor(z, dtype="float64")
    one, zero = (autodiff.numbers(LOSSES[loss](y, logits)) for y in (np.ones_like(z), np.zeros_like(z)))
    return q * one + (1 - q) * zero


def excess(loss: str, q: np.ndarray, z: np.ndarray | float, best: Any = None) -> np.ndarray:
    """What the prediction σ(z) costs beyond predicting q, or beyond σ(`best`), for q [N]."""
    best = np.log(q) - np.log1p(-q) if best is None else best
    return expected(loss, q, z) - expected(loss, q, best)


def law(loss: str, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The excess of cross-entropy, KL(q‖σ(z)), or of `brier`, (σ(z) − q)², at 50 digits, for q and z [N]."""
    import mpmath

    def at(q: Any, z: Any) -> Any:
        q, p, rest = mpmath.mpf(q), 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
        if loss == "brier":
            return (p - q) ** 2
        return q * mpmath.log(q / p) + (1 - q) * mpmath.log((1 - q) / rest)

    with mpmath.workdps(DIGITS):
        return np.array(
            [float(at(*pair)) for pair in zip(q.tolist(), map(mpmath.mpf, z.tolist()), strict=True)]
        )


def minimiser(loss: str, q: float) -> float:
    """argmin_p of the expected loss, searched over the logits within ± `REACH`."""
    objective = lambda z: expected(loss, np.array([q]), np.array([z]))[0]  # noqa: E731
    best = optimize.minimize_scalar(
        objective, bounds=(-REACH, REACH), method="bounded", options={"xatol": 1e-8}
    )
    return float(1 / (1 + np.exp(-best.x)))
