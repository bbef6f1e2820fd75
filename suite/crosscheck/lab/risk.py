"""Binary losses in expectation over labels that are 1 with probability q: risk, excess and minimiser.

Losses go by name (`LOSSES`): functions of labels and logits [N, 1] with a value per example, on any backend.
The risk of a logit z is q L(1, z) + (1 − q) L(0, z); of a proper loss it is least where σ(z) = q.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy import special

from crosscheck import autodiff, calibration, losses

GAMMA = 2.0  # of the focal loss
REACH = 30.0  # how far from 0 a minimiser is searched for
NARROW = 1e-8  # logits between which it is taken for found: values alone tell no more
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
SLIGHT = 1e-6  # label smoothing that nobody would notice


def slightly_smoothed(loss: str) -> Callable[[Any, Any], Any]:
    """A loss of `LOSSES` whose labels are smoothed by `SLIGHT`."""
    return lambda y, z: LOSSES[loss](y * (1 - SLIGHT) + SLIGHT / 2, z)


def in_numpy(loss: str) -> Callable[[Any, Any], np.ndarray]:
    """Cross-entropy and the Brier score in NumPy and SciPy, of labels and logits [N, 1]: [N]."""

    def cross_entropy(y: Any, z: Any) -> np.ndarray:
        return np.logaddexp(0, np.where(y == 1, -1, 1) * autodiff.numbers(z))[:, 0]

    def brier(y: Any, z: Any) -> np.ndarray:
        return special.expit(np.where(y == 1, -1, 1) * autodiff.numbers(z))[:, 0] ** 2

    return cross_entropy if loss == "cross-entropy" else brier


def brier_by_keras(y: Any, z: Any) -> Any:
    """Keras' squared error of its own sigmoid."""
    return keras.losses.mean_squared_error(y, ops.sigmoid(z))


def of_clipped(y: Any, z: Any) -> Any:
    """Keras' cross-entropy of a probability, which it clips at 1e−7: it is not told the logits."""
    return keras.losses.binary_crossentropy(y, 1 / (1 + ops.exp(-z)))


def spherical(y: Any, z: Any) -> Any:
    """−p_y / √(p² + (1 − p)²), a third proper score."""
    p, rest = ops.sigmoid(z)[:, 0], ops.sigmoid(-z)[:, 0]
    own = ops.where(ops.convert_to_tensor(y)[:, 0] > 0.5, p, rest)
    return -own / ops.sqrt(p * p + rest * rest)


def mild_focal(y: Any, z: Any) -> Any:
    """Keras' focal loss at γ = 0.1."""
    return keras.losses.binary_focal_crossentropy(y, z, gamma=0.1, from_logits=True)


def expected_loss(loss: Any, q: np.ndarray, z: np.ndarray | float) -> np.ndarray:
    """q L(1, z) + (1 − q) L(0, z), float64 [N], for q [N] and z, [N] or one number; a loss or its name."""
    loss = LOSSES.get(loss, loss)
    z = np.broadcast_to(z, q.shape)[:, None]
    logits = ops.convert_to_tensor(z, dtype="float64")
    one, zero = (autodiff.numbers(loss(y, logits)) for y in (np.ones_like(z), np.zeros_like(z)))
    return q * one + (1 - q) * zero


def excess(loss: Any, q: np.ndarray, z: np.ndarray | float, best: Any = None) -> np.ndarray:
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


def minimisers(loss: Any, q: Sequence[float] | np.ndarray) -> np.ndarray:
    """argmin_p of the expected loss at each of the chances [N], searched over logits within ± `REACH`: [N].

    By golden section, for all of them at once: an expected loss has no second valley.
    """
    chances, shrink = np.asarray(q, float), (np.sqrt(5) - 1) / 2
    low, high = np.full(chances.shape, -REACH), np.full(chances.shape, REACH)
    while (high - low).max() > NARROW:
        left, right = high - shrink * (high - low), low + shrink * (high - low)
        leftward = expected_loss(loss, chances, left) < expected_loss(loss, chances, right)
        low, high = np.where(leftward, low, left), np.where(leftward, right, high)
    return special.expit((low + high) / 2)


def restored(p: np.ndarray, gamma: float) -> np.ndarray:
    """The chances that predictions p [N] of a model trained on focal loss stand for: [N]."""
    logits = calibration.focal_restored(special.logit(p)[:, None], gamma)
    return special.expit(autodiff.numbers(logits)[:, 0])


def restored_least(q: float) -> float:
    """The same of the minimiser of the expected focal loss at q: q again."""
    return float(restored(minimisers("focal", [q]), GAMMA)[0])


# --- laws ---


def excess_by_formula(score: str, share: np.ndarray, p: float, q: float) -> np.ndarray:
    """Mean of L(p) − L(q) over labels of which these shares [N] are 1, from the scores' formulas: [N]."""
    if score == "cross-entropy":
        return share * np.log(q / p) + (1 - share) * np.log((1 - q) / (1 - p))
    return share * ((1 - p) ** 2 - (1 - q) ** 2) + (1 - share) * (p**2 - q**2)


def kl(q: Any, p: Any) -> Any:
    """KL(q‖p) of two chances, in nats."""
    return special.rel_entr(q, p) + special.rel_entr(1 - q, 1 - p)


def kl_by_integration(q: float, p: float) -> float:
    """∫ (t − q) / (t (1 − t)) dt from q to p: the expected loss' slope in p."""
    import mpmath

    return float(mpmath.quad(lambda t: (t - q) / (t * (1 - t)), [q, p]))


def squared_by_expectation(q: float, p: float) -> float:
    """The excess of the Brier score, (p − q)², from its values under both labels."""
    return q * ((1 - p) ** 2 - (1 - q) ** 2) + (1 - q) * (p**2 - q**2)


def cost_weight(loss: Any, z: np.ndarray) -> np.ndarray:
    """w(t) at t = σ(z), [2, N]: from the slopes in p under the labels 1 and 0, −L₁′/(1 − t) and L₀′/t.

    A proper score is a mix of costs, with the weight w(t) on errors where a decision is due at the chance t
    (Buja et al. 2005). Slopes in p are those in z, by autodiff, over t (1 − t).
    """
    t, rest = special.expit(z), special.expit(-z)
    slopes = [
        autodiff.logit_gradient(LOSSES.get(loss, loss), np.full((len(z), 1), y), z[:, None])[:, 0]
        for y in (1.0, 0.0)
    ]
    return np.stack([-slopes[0] / (t * rest**2), slopes[1] / (t**2 * rest)])


def weight_by_complex_step(loss: str, z: np.ndarray) -> np.ndarray:
    """`cost_weight` from the scores' formulas, differentiated by a complex step in NumPy: [2, N]."""
    h, t, rest = 1e-30, special.expit(z), special.expit(-z)
    point = z + 1j * h
    if loss == "cross-entropy":
        one, zero = np.log1p(np.exp(-point)), np.log1p(np.exp(point))
    else:
        one, zero = (1 + np.exp(point)) ** -2, (1 + np.exp(-point)) ** -2
    return np.stack([-one.imag / (t * rest**2), zero.imag / (t**2 * rest)]) / h


def score_from_weights(weight: str, p: float) -> float:
    """∫_p^1 (1 − t) w(t) dt, what a score of these cost weights makes of p and the label 1."""
    import mpmath

    w = {"cross-entropy": lambda t: 1 / (t * (1 - t)), "brier": lambda t: 2}[weight]
    return float(mpmath.quad(lambda t: (1 - t) * w(t), [p, 1]))
