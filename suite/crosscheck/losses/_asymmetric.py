"""The asymmetric loss of several labels, from logits."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crosscheck.losses._binary import binary_tensors
from crosscheck.losses._shared import LossOfLogits, both_sigmoids, label_losses, mean_over_labels


@keras.saving.register_keras_serializable(package="crosscheck")
def asymmetric_loss(
    y_true: Any,
    logits: Any,
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    margin: float = 0.05,
) -> Any:
    """−y (1 − p)^γ₊ ln p − (1 − y) p_m^γ₋ ln(1 − p_m), p = σ(z), p_m = max(p − m, 0); the mean over labels.

    Absent labels count less the smaller p is, and nothing below the margin. It is not proper: the predicted
    chances are too high, and `crosscheck.restoring.asymmetric_restored` tells the true ones. At γ = 0 and
    m = 0 it is `binary_crossentropy`.

    Args:
        y_true: labels in [0, 1], [..., L]; one between is a share of label 1.
        logits: [..., L], finite.
        gamma_positive, gamma_negative: γ₊ and γ₋, 0 or more.
        margin: m, in [0, 1).

    Returns:
        Nats per example, [...], averaged over labels where the paper sums. With m = 0 value and gradient of
        hard labels are exact to rounding, relative to their own size; with m > 0 those of label 0 are so
        against m.

    Raises:
        ValueError: if labels and logits differ in shape; for a γ below 0, or m outside [0, 1).

    Source: Ben-Baruch et al. 2021, equations 5 to 7.
    """
    require_asymmetric(gamma_positive, gamma_negative, margin)
    y, z = binary_tensors(y_true, 0.0, logits)
    of_one, of_zero = label_losses(z)
    present = ops.exp(-gamma_positive * of_zero) * of_one
    plainly = lambda: ops.exp(-gamma_negative * of_one) * of_zero
    absent = beyond(z, gamma_negative, margin) if margin else plainly()
    return mean_over_labels(y * present + (1 - y) * absent)


def beyond(z: Any, gamma: float, margin: float) -> Any:
    """Returns −p_m^γ ln(1 − p_m) with p_m = max(σ(z) − m, 0), m > 0.

    1 − p_m is 1 − p + m, which nothing cancels in for large z; below, ln(1 − p_m) is taken of p_m itself.
    """
    p, rest = both_sigmoids(z)
    inside, upper = p > margin, z > 0
    shifted = ops.where(inside, p - margin, ops.full_like(p, 0.5))  # no power of 0, whose slope may be ∞
    low = -ops.log1p(-ops.where(upper, ops.full_like(p, 0.5), shifted))
    high = -ops.log(ops.where(ops.logical_and(upper, inside), rest + margin, ops.ones_like(p)))
    value = ops.where(upper, high, low)
    factor = ops.power(shifted, gamma) if gamma else ops.ones_like(p)
    return ops.where(inside, factor * value, ops.zeros_like(p))


def require_asymmetric(gamma_positive: float, gamma_negative: float, margin: float) -> None:
    """Raises a ValueError for a γ below 0, or a margin outside [0, 1)."""
    if not (gamma_positive >= 0 and gamma_negative >= 0):
        raise ValueError(f"γ₊ and γ₋ must not be negative; they are {gamma_positive} and {gamma_negative}.")
    if not 0 <= margin < 1:
        raise ValueError(f"`margin` must lie in [0, 1), not {margin}.")


@keras.saving.register_keras_serializable(package="crosscheck")
class AsymmetricLoss(LossOfLogits):
    """`asymmetric_loss` for `model.compile`: labels and logits [..., L].

    Args:
        gamma_positive, gamma_negative: γ₊ and γ₋, 0 or more.
        margin: m, in [0, 1).
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for a γ below 0, or m outside [0, 1).
    """

    function = staticmethod(asymmetric_loss)
    arguments = ("gamma_positive", "gamma_negative", "margin")

    def __init__(
        self,
        gamma_positive: float = 0.0,
        gamma_negative: float = 4.0,
        margin: float = 0.05,
        **options: Any,
    ):
        super().__init__(**options)
        require_asymmetric(gamma_positive, gamma_negative, margin)
        self.gamma_positive, self.gamma_negative, self.margin = gamma_positive, gamma_negative, margin
