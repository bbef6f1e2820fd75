"""Losses of K exclusive classes, a softmax over their logits: cross-entropy and the Brier score."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from suite.losses.shared import LogitLoss, computed, in_shape, mean_over_labels, tensors


@keras.saving.register_keras_serializable(package="crosscheck")
def categorical_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """−Σ_k y_k ln softmax(z)_k.

    Smoothed, it is (1 − α) times that plus α (ln Σ_k e^(z_k) − mean z): the same as smoothing the labels, but
    K small labels are never summed, whose rounding would show in the gradient where K is large.

    Args:
        y_true: one-hot or soft labels, [..., K]; without smoothing they need not sum to 1.
        logits: [..., K], finite.
        label_smoothing: α in [0, 1], one number or a tensor that broadcasts against the examples.

    Returns:
        Nats per example, [...]. In the left tail, the true class's logit far below another, value and
        gradient p Σy − y are exact to rounding. In the right tail the other classes' components p still are,
        relative to their own size; the true class's p − 1 and the value are so only against 1: both become 0
        where the other classes' p sum to less than half the dtype's step at 1 (float32: a lead of some 17).

    Raises:
        ValueError: if labels and logits differ in shape.
    """
    y, alpha, z = tensors(y_true, label_smoothing, logits)
    y = in_shape(y, z)
    shifted = z - ops.stop_gradient(ops.max(z, axis=-1, keepdims=True))
    normalizer = ops.log(ops.sum(ops.exp(shifted), axis=-1))
    loss = ops.sum(y, axis=-1) * normalizer - ops.sum(y * shifted, axis=-1)
    if isinstance(label_smoothing, (int, float)) and label_smoothing == 0:
        return loss
    return (1 - alpha) * loss + alpha * (normalizer - mean_over_labels(shifted))


@keras.saving.register_keras_serializable(package="crosscheck")
def sparse_categorical_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """−ln softmax(z)_y: the categorical loss for integer labels.

    Args:
        y_true: y in 0…K−1, [...] or [..., 1]; any other number counts as no label, a loss of 0 unsmoothed.
        logits: [..., K], finite.
        label_smoothing: α in [0, 1], one number or a tensor that broadcasts against the examples.

    Returns:
        Nats per example, [...], as exact as `categorical_crossentropy`.

    Raises:
        ValueError: if there is not one label to K logits.
    """
    z, y = computed(logits), ops.cast(y_true, "int32")
    if len(y.shape) == len(z.shape) and y.shape[-1] == 1:
        y = ops.squeeze(y, -1)
    return categorical_crossentropy(ops.one_hot(y, z.shape[-1], dtype=z.dtype), z, label_smoothing)


@keras.saving.register_keras_serializable(package="crosscheck")
def categorical_brier(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """Σ_k (softmax(z)_k − y_k)², the Brier score of K classes on the scale 0…2.

    Its gradient vanishes on both sides, as that of `brier` does; its Hessian is indefinite at some logits.

    Args:
        y_true, logits, label_smoothing: as in `categorical_crossentropy`.

    Returns:
        Per example, [...], without unit; exact to rounding against 1.

    Raises:
        ValueError: if labels and logits differ in shape.

    Source: Brier 1950.
    """
    y, alpha, z = tensors(y_true, label_smoothing, logits)
    y, alpha = in_shape(y, z), ops.expand_dims(alpha, -1)
    mixed = y * (1 - alpha) + alpha / z.shape[-1]
    return ops.sum(ops.square(ops.softmax(z, axis=-1) - mixed), axis=-1)


@keras.saving.register_keras_serializable(package="crosscheck")
class CategoricalCrossentropy(LogitLoss):
    """`categorical_crossentropy` for `model.compile`: one-hot or soft labels and logits [..., K]."""

    function = staticmethod(categorical_crossentropy)


@keras.saving.register_keras_serializable(package="crosscheck")
class SparseCategoricalCrossentropy(LogitLoss):
    """`sparse_categorical_crossentropy` for `model.compile`: integer labels [...], logits [..., K]."""

    function = staticmethod(sparse_categorical_crossentropy)


@keras.saving.register_keras_serializable(package="crosscheck")
class CategoricalBrier(LogitLoss):
    """`categorical_brier` for `model.compile`: one-hot or soft labels and logits [..., K]."""

    function = staticmethod(categorical_brier)
