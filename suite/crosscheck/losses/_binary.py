"""Losses of binary labels, one logit a label: cross-entropy and the Brier score."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crosscheck.losses._shared import LogitLoss, both_sigmoids, in_shape, mean_over_labels, sides, tensors

ROUNDING = 1e-3  # by which a soft label may lie outside of [0, 1]


def binary_tensors(y_true: Any, label_smoothing: Any, logits: Any) -> tuple[Any, Any]:
    """Returns smoothed labels and logits, [..., L] both; α of an example holds for all its labels.

    Labels outside of [0, 1], such as −1 or 255, become NaN: with them the loss has no minimum.
    """
    y, alpha, z = tensors(y_true, label_smoothing, logits)
    y = in_shape(y, z)
    is_label = ops.logical_and(y >= -ROUNDING, y <= 1 + ROUNDING)
    y = ops.where(is_label, y, ops.full_like(y, float("nan")))
    alpha = ops.expand_dims(alpha, -1)
    return y * (1 - alpha) + alpha / 2, z


@keras.saving.register_keras_serializable(package="crosscheck")
def binary_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """−y ln σ(z) − (1 − y) ln(1 − σ(z)), averaged over the last axis as Keras does.

    Written ln(1 + e^(−|z|)) plus |z| for the side that is wrong: for a hard label nothing cancels in either
    tail, neither in the value nor in the gradient σ(z) − y.

    Args:
        y_true: labels in [0, 1], [..., L]; [...] will do where L = 1. Any other number, such as −1 or 255,
            makes loss and gradient of its example NaN.
        logits: [..., L], finite.
        label_smoothing: α in [0, 1], one number or a tensor that broadcasts against the examples.

    Returns:
        Nats per example, [...]. For hard labels value and gradient are exact to rounding, relative to their
        own size, down to the dtype's smallest normal number.

    Raises:
        ValueError: if labels and logits differ in shape.

    >>> z = np.array([[-100.0], [0.0], [100.0]])  # logits of class 1
    >>> binary_crossentropy(np.ones((3, 1)), z).numpy().round(4).tolist()
    [100.0, 0.6931, 0.0]
    """
    y, z = binary_tensors(y_true, label_smoothing, logits)
    negative, side = sides(z)
    wrong = ops.where(negative, -y * z, (1 - y) * z)
    return mean_over_labels(wrong + ops.log1p(ops.exp(-side * z)))


@keras.saving.register_keras_serializable(package="crosscheck")
def brier(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """(σ(z) − y)², the binary Brier score on the scale 0…1, averaged over the last axis.

    Its gradient 2 (p − y) p (1 − p) vanishes on both sides, also where the prediction is confidently wrong.
    It is written with σ(z) and σ(−z) apart, so that it vanishes no faster than in theory where p rounds to 1.

    Args:
        y_true, logits, label_smoothing: as in `binary_crossentropy`.

    Returns:
        Per example, [...], without unit. For hard labels value and gradient are exact to rounding, relative
        to their own size, down to the dtype's smallest normal number.

    Raises:
        ValueError: if labels and logits differ in shape.
    """
    y, z = binary_tensors(y_true, label_smoothing, logits)
    p, q = both_sigmoids(z)
    return mean_over_labels(ops.square((1 - y) * p - y * q))


@keras.saving.register_keras_serializable(package="crosscheck")
class BinaryCrossentropy(LogitLoss):
    """`binary_crossentropy` for `model.compile`: labels and logits [..., L]."""

    function = staticmethod(binary_crossentropy)


@keras.saving.register_keras_serializable(package="crosscheck")
class Brier(LogitLoss):
    """`brier` for `model.compile`: labels and logits [..., L]."""

    function = staticmethod(brier)
