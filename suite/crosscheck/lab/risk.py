"""Binary losses in expectation over labels that are 1 with probability q: risk, excess and minimiser.

Losses go by name (`LOSSES`): functions of labels and logits [N, 1] with a value per example, on any backend.
The risk of a logit z is q L(1, z) + (1 − q) L(0, z); of a proper loss it is least where σ(z) = q.
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


def expected_loss(loss: str, q: np.ndarray, z: np.ndarray | float) -> np.ndarray:
    """q L(1, z) + (1 − q) L(0, z), float64 [N], for q [N] and z, [N] or one number."""
    z = np.broadcast_to(z, q.shape)[:, None]
    logits = ops.convert_to_tensor(z, dtype="float64")
    one, zero = (autodiff.numbers(LOSSES[loss](y, logits)) for y in (np.ones_like(z), np.zeros_like(z)))
    return q * one + (1 - q) * zero


def excess(loss: str, q: np.ndarray, z: np.ndarray | float, best: Any = None) -> np.ndarray:
    """What the prediction σ(z) costs beyond predicting q, or beyond σ(`best`): [N], for q [N]."""
    best = np.log(q) - np.log1p(-q) if best is None else best
    return expected_loss(loss, q, z) - expected_loss(loss, q, best)


def exact_excess(loss: str, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The excess in closed form, computed at 50 digits: [N], for q and z [N].

    Of "cross-entropy" it is KL(q‖σ(z)), of "brier" (σ(z) − q)²; other losses have no closed form here.

    Raises:
        KeyError: for another loss.
    """
    import mpmath

    def divergence(q: Any, z: Any) -> Any:
        p, rest = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
        return q * mpmath.log(q / p) + (1 - q) * mpmath.log((1 - q) / rest)

    def squared_distance(q: Any, z: Any) -> Any:
        return (1 / (1 + mpmath.exp(-z)) - q) ** 2

    formula = {"cross-entropy": divergence, "brier": squared_distance}[loss]
    with mpmath.workdps(DIGITS):
        pairs = zip(map(mpmath.mpf, q.tolist()), map(mpmath.mpf, z.tolist()), strict=True)
        return np.array([float(formula(*pair)) for pair in pairs])


def minimiser(loss: str, q: float) -> float:
    """argmin_p of the expected loss, searched over the logits within ± `REACH`."""

    def objective(z: float) -> float:
        return expected_loss(loss, np.array([q]), np.array([z]))[0]

    best = optimize.minimize_scalar(
        objective, bounds=(-REACH, REACH), method="bounded", options={"xatol": 1e-8}
    )
    return float(1 / (1 + np.exp(-best.x)))
