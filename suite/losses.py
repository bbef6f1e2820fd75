"""Cross-entropy on logits: pure functions, and thin Keras classes around them.

There is no `from_logits` argument: the logits are what keeps the gradient alive, so ours take nothing else.
Every function gives one value per example and reduces nothing. Half-precision logits are computed in float32.

Keras' convention for `label_smoothing` α: y ← y (1 − α) + α/K, with K = 2 for binary labels; α is one number,
or a tensor that broadcasts against the examples [...].

Labels and logits never broadcast against each other, which would pair every label with every logit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops


def computed(logits: Any) -> Any:
    """Logits in the dtype of the computation: float64 stays, everything else becomes float32."""
    logits = ops.convert_to_tensor(logits)
    return (
        logits if keras.backend.standardize_dtype(logits.dtype) == "float64" else ops.cast(logits, "float32")
    )


def tensors(y_true: Any, label_smoothing: Any, logits: Any) -> tuple[Any, Any, Any]:
    """Labels, α and logits in the dtype of the computation; α is never rounded on its way to float64."""
    z = computed(logits)
    y, alpha = (ops.convert_to_tensor(given, dtype=z.dtype) for given in (y_true, label_smoothing))
    return y, alpha, z


def in_shape(y: Any, z: Any) -> Any:
    """Labels in the logits' shape; beside one logit an example, [..., 1], the labels may be [...].

    Raises:
        ValueError: for any other difference of the shapes, as far as they are known.
    """
    if len(y.shape) == len(z.shape) - 1 and z.shape[-1] == 1:
        y = ops.expand_dims(y, -1)
    sizes = list(zip(y.shape, z.shape, strict=False))
    if len(y.shape) != len(z.shape) or any(a != b for a, b in sizes if a is not None and b is not None):
        raise ValueError(f"Labels {tuple(y.shape)} and logits {tuple(z.shape)} differ in shape.")
    return y


def binary_tensors(y_true: Any, label_smoothing: Any, logits: Any) -> tuple[Any, Any]:
    """Smoothed labels and logits, [..., L]; α, one number an example, serves all its labels."""
    y, alpha, z = tensors(y_true, label_smoothing, logits)
    alpha = ops.expand_dims(alpha, -1)
    return in_shape(y, z) * (1 - alpha) + alpha / 2, z


@keras.saving.register_keras_serializable(package="crosscheck")
def binary_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """−y ln σ(z) − (1 − y) ln(1 − σ(z)), averaged over the last axis as Keras does.

    Written ln(1 + e^(−|z|)) plus |z| for the side that is wrong: for a hard label nothing cancels in either
    tail, neither in the value nor in the gradient σ(z) − y.

    Args:
        y_true: labels in [0, 1], [..., L]; [...] will do where L = 1.
        logits: [..., L], finite.
        label_smoothing: α in [0, 1], one number or a tensor that broadcasts against the examples.

    Returns:
        Nats per example, [...]. For hard labels value and gradient are exact to rounding, relative to their
        own size, down to the dtype's smallest normal number.

    Raises:
        ValueError: if labels and logits differ in shape.
    """
    y, z = binary_tensors(y_true, label_smoothing, logits)
    negative, side = sides(z)
    wrong = ops.where(negative, -y * z, (1 - y) * z)
    return mean_over_labels(wrong + ops.log1p(ops.exp(-side * z)))


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
def brier(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """(σ(z) − y)², the binary Brier score on the scale 0…1, averaged over the last axis.

    Its gradient 2 (p − y) p (1 − p) vanishes on both sides, also where the prediction is confidently wrong.
    Written with σ(z) and σ(−z) apart, it does so only as fast as in theory: where p rounds to 1, the foil of
    cross-entropy is not dead before its time.

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

    Its gradient is 0 everywhere, on every backend, for it is written with `sign`. That of `argmax` is none at
    all, with which Keras refuses to train on TensorFlow.

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


def mean_over_labels(losses: Any) -> Any:
    """[..., L] to [...]; `ops.mean` would round float64 to float32 on JAX and PyTorch (Keras 3.15)."""
    return ops.sum(losses, axis=-1) / ops.cast(ops.shape(losses)[-1], losses.dtype)


def sides(z: Any) -> tuple[Any, Any]:
    """Whether z < 0, and −1 or 1 for it: unlike sign(z) never 0, so that autodiff of |z| = side · z is ±1.

    What is made of them is not left to `ops.softplus`, which PyTorch cuts off at z = 20 in every dtype.
    """
    negative = z < 0
    return negative, ops.where(negative, -ops.ones_like(z), ops.ones_like(z))


def both_sigmoids(z: Any) -> tuple[Any, Any]:
    """σ(z) and σ(−z) from e^(−|z|).

    Autodiff of `ops.sigmoid` takes p (1 − p) of the rounded p, which is 0 once p rounds to 1.
    """
    negative, side = sides(z)
    small = ops.exp(-side * z)
    large = ops.ones_like(z)
    return (
        ops.where(negative, small, large) / (1 + small),
        ops.where(negative, large, small) / (1 + small),
    )


class LogitLoss(keras.losses.Loss):
    """A Keras loss around one of the functions above; `function` is what a subclass fixes.

    Args:
        label_smoothing: Keras' α, in [0, 1].
        reduction, name: as in `keras.losses.Loss`.
        dtype: labels and predictions are cast to it before they arrive here. By default float64 under a
            global float64 policy, where Keras' own losses stay in float32; else Keras' default, `floatx`. In
            half precision integer labels from 257 (bfloat16) or 2049 (float16) on would be rounded, as they
            are by Keras' own loss.

    Raises:
        ValueError: for a `label_smoothing` outside [0, 1].
    """

    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        wide = keras.config.dtype_policy().variable_dtype == "float64"
        super().__init__(name=name, reduction=reduction, dtype=dtype or ("float64" if wide else None))
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"`label_smoothing` must lie in [0, 1], not {label_smoothing}.")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return type(self).function(y_true, y_pred, self.label_smoothing)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="crosscheck")
class BinaryCrossentropy(LogitLoss):
    """`binary_crossentropy` for `model.compile`: labels and logits [..., L]."""

    function = staticmethod(binary_crossentropy)


@keras.saving.register_keras_serializable(package="crosscheck")
class CategoricalCrossentropy(LogitLoss):
    """`categorical_crossentropy` for `model.compile`: one-hot or soft labels and logits [..., K]."""

    function = staticmethod(categorical_crossentropy)


@keras.saving.register_keras_serializable(package="crosscheck")
class SparseCategoricalCrossentropy(LogitLoss):
    """`sparse_categorical_crossentropy` for `model.compile`: integer labels [...], logits [..., K]."""

    function = staticmethod(sparse_categorical_crossentropy)


@keras.saving.register_keras_serializable(package="crosscheck")
class Brier(LogitLoss):
    """`brier` for `model.compile`: labels and logits [..., L]."""

    function = staticmethod(brier)


@keras.saving.register_keras_serializable(package="crosscheck")
class CategoricalBrier(LogitLoss):
    """`categorical_brier` for `model.compile`: one-hot or soft labels and logits [..., K]."""

    function = staticmethod(categorical_brier)
