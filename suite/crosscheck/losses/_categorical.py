"""Losses of K exclusive classes, a softmax over their logits: cross-entropy and the Brier score."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.losses._shared import LogitLoss, computed, in_shape, mean_over_labels, require_shape, tensors


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
    z = computed(logits)
    y = in_shape(ops.convert_to_tensor(y_true, dtype=z.dtype), z)
    if keras.backend.backend() == "torch":  # it differentiates a log-softmax of its own 2 to 4 times faster
        loss = -ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1)
    else:
        shifted, normalizer = parts(z)
        loss = ops.sum(y, axis=-1) * normalizer - ops.sum(y * shifted, axis=-1)
    return smoothed(loss, z, label_smoothing)


@keras.saving.register_keras_serializable(package="crosscheck")
def sparse_categorical_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """−ln softmax(z)_y: the categorical loss for integer labels.

    Args:
        y_true: y in 0…K−1, [...] or [..., 1]. Any other number makes loss and gradient of its example NaN.
        logits: [..., K], finite.
        label_smoothing: α in [0, 1], one number or a tensor that broadcasts against the examples.

    Returns:
        Nats per example, [...], as exact as `categorical_crossentropy`.

    Raises:
        ValueError: if there is not one label to K logits.

    >>> losses = sparse_categorical_crossentropy([0, 1, 7], np.array([[9.0, 0.0]] * 3))
    >>> losses.numpy().round(4).tolist()
    [0.0001, 9.0001, nan]
    """
    z, y = computed(logits), ops.convert_to_tensor(y_true)
    if len(y.shape) == len(z.shape) and y.shape[-1] == 1:
        y = ops.squeeze(y, -1)
    require_shape(y, z, z.shape[:-1])
    label = ops.cast(y, "int32")
    valid = ops.logical_and(ops.logical_and(label >= 0, label < z.shape[-1]), ops.equal(label, y))
    label = ops.where(valid, label, 0)
    if keras.backend.backend() == "jax":  # where Keras' op makes one-hot labels: half again as slow
        shifted, normalizer = parts(z)
        true = ops.take_along_axis(shifted, ops.expand_dims(label, -1), axis=-1)
        loss = normalizer - ops.squeeze(true, -1)
    else:
        loss = ops.sparse_categorical_crossentropy(label, z, from_logits=True)
    loss = smoothed(loss, z, label_smoothing)
    return loss * ops.where(valid, ops.ones_like(loss), np.nan)


def parts(z: Any) -> tuple[Any, Any]:
    """Returns z − max z, [..., K], and the logarithm of the sum of its exponentials, [...]."""
    shifted = z - ops.stop_gradient(ops.max(z, axis=-1, keepdims=True))
    return shifted, ops.log(ops.sum(ops.exp(shifted), axis=-1))


def smoothed(loss: Any, z: Any, label_smoothing: Any) -> Any:
    """Returns (1 − α) loss + α (ln Σ_k e^(z_k) − mean z), and the loss itself where α is the number 0."""
    if isinstance(label_smoothing, (int, float)) and label_smoothing == 0:
        return loss
    alpha = ops.convert_to_tensor(label_smoothing, dtype=z.dtype)
    shifted, normalizer = parts(z)
    return (1 - alpha) * loss + alpha * (normalizer - mean_over_labels(shifted))


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
def zero_one(y_true: Any, logits: Any) -> Any:
    """The 0-1 loss: 1 where another class has a larger logit than the true one, ½ at a tie, else 0.

    It is written with `sign`, so that its gradient is 0 everywhere and on every backend. `argmax` would have
    no gradient at all, and Keras on TensorFlow would refuse to train.

    Args:
        y_true: integer labels, [...] or [..., 1].
        logits: [..., K], finite, K ≥ 2.

    Returns:
        Per example, [...], without unit.
    """
    z, y = computed(logits), ops.cast(y_true, "int32")
    if len(y.shape) == len(z.shape):
        y = ops.squeeze(y, -1)
    own = ops.one_hot(y, z.shape[-1], dtype="bool")
    true = ops.sum(ops.where(own, z, 0), axis=-1)
    other = ops.max(ops.where(own, -np.inf, z), axis=-1)
    return (1 - ops.sign(true - other)) / 2


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
