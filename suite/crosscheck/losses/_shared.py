"""What the losses share: dtypes, shapes, sigmoids without cancellation, and their Keras class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops


def computed(logits: Any) -> Any:
    """Returns the logits in the dtype of the computation: float64 stays, everything else becomes float32."""
    logits = ops.convert_to_tensor(logits)
    wide = keras.backend.standardize_dtype(logits.dtype) == "float64"
    return logits if wide else ops.cast(logits, "float32")


def tensors(y_true: Any, label_smoothing: Any, logits: Any) -> tuple[Any, Any, Any]:
    """Returns labels, α and logits in the dtype of the computation, α without a detour by float32."""
    z = computed(logits)
    y, alpha = (ops.convert_to_tensor(value, dtype=z.dtype) for value in (y_true, label_smoothing))
    return y, alpha, z


def in_shape(y: Any, z: Any) -> Any:
    """Returns the labels in the logits' shape; for logits [..., 1] the labels may come as [...].

    Raises:
        ValueError: for any other difference of the shapes, as far as they are known.
    """
    if len(y.shape) == len(z.shape) - 1 and z.shape[-1] == 1:
        y = ops.expand_dims(y, -1)
    require_shape(y, z, z.shape)
    return y


def require_shape(y: Any, z: Any, shape: Any) -> None:
    """Raises a ValueError unless the labels y have this shape, as far as both are known."""
    sizes = list(zip(y.shape, shape, strict=False))
    if len(y.shape) != len(shape) or any(a != b for a, b in sizes if a is not None and b is not None):
        raise ValueError(f"Labels {tuple(y.shape)} and logits {tuple(z.shape)} differ in shape.")


def mean_over_labels(losses: Any) -> Any:
    """Returns the mean over the last axis, [..., L] to [...].

    `ops.mean` would round float64 to float32 on JAX and PyTorch (Keras 3.15).
    """
    return ops.sum(losses, axis=-1) / ops.cast(ops.shape(losses)[-1], losses.dtype)


def class_rows(y_true: Any, z: Any) -> Any:
    """Returns labels of K classes as rows [..., K] of the logits' dtype; integers become one-hot rows.

    Args:
        y_true: one-hot or soft rows [..., K], or integers [...] or [..., 1]. An integer that is no class
            0…K−1 becomes a row of NaN.
        z: logits [..., K], K ≥ 2, as `computed`.

    Raises:
        ValueError: for labels of any other shape, and for K = 1.
    """
    y, k = ops.convert_to_tensor(y_true), z.shape[-1]
    if k == 1:
        raise ValueError(f"Logits {tuple(z.shape)} are of one class; of labels there are binary losses.")
    if len(y.shape) == len(z.shape) and y.shape[-1] != 1:
        return in_shape(ops.cast(y, z.dtype), z)
    if len(y.shape) == len(z.shape):
        y = ops.squeeze(y, -1)
    require_shape(y, z, z.shape[:-1])
    label = ops.cast(y, "int32")
    valid = ops.logical_and(ops.logical_and(label >= 0, label < k), ops.equal(ops.cast(label, y.dtype), y))
    rows = ops.one_hot(ops.where(valid, label, 0), k, dtype=z.dtype)
    return ops.where(ops.expand_dims(valid, -1), rows, ops.full_like(rows, float("nan")))


def label_losses(z: Any) -> tuple[Any, Any]:
    """Returns −ln σ(z) and −ln σ(−z), the cross-entropies of label 1 and of label 0, exact in both tails."""
    negative, side = sides(z)
    small, nothing = ops.log1p(ops.exp(-side * z)), ops.zeros_like(z)
    return ops.where(negative, -z, nothing) + small, ops.where(negative, nothing, z) + small


def constant(values: Any, z: Any) -> Any:
    """Returns numbers, or a tensor, in the dtype of the logits, without a detour by float32."""
    return ops.convert_to_tensor(values, dtype=z.dtype)


def plain(values: Any) -> Any:
    """Returns numbers, lists or arrays of them as numbers and lists that can be saved; tensors, too."""
    return np.asarray(ops.convert_to_numpy(values) if ops.is_tensor(values) else values, "float64").tolist()


def sides(z: Any) -> tuple[Any, Any]:
    """Returns whether z < 0, and the side s = −1 where it is, 1 elsewhere.

    Unlike sign(z), s is never 0, so that the derivative of |z| = s z is ±1 everywhere. The losses are written
    with them in place of `ops.softplus`, which PyTorch cuts off at z = 20 in every dtype.
    """
    negative = z < 0
    return negative, ops.where(negative, -ops.ones_like(z), ops.ones_like(z))


def both_sigmoids(z: Any) -> tuple[Any, Any]:
    """Returns σ(z) and σ(−z), both computed from e^(−|z|).

    The derivative that a backend takes of `ops.sigmoid` is p (1 − p) of the rounded p: 0 once p rounds to 1.
    """
    negative, side = sides(z)
    small = ops.exp(-side * z)
    large = ops.ones_like(z)
    return (
        ops.where(negative, small, large) / (1 + small),
        ops.where(negative, large, small) / (1 + small),
    )


class LossOfLogits(keras.losses.Loss):
    """A Keras loss around a pure function of labels, logits and arguments that hold for every example.

    A subclass sets `function`, and in `arguments` the names of its own attributes that the function takes;
    they must be numbers or lists of them, for they are saved.

    Args:
        reduction, name: as in `keras.losses.Loss`.
        dtype: labels and predictions are cast to it before they arrive here. By default float64 under a
            global float64 policy, where Keras' own losses stay in float32; else Keras' default, `floatx`. In
            half precision integer labels from 257 (bfloat16) or 2049 (float16) on would be rounded, as they
            are by Keras' own loss.

    Raises:
        ValueError: when called, for predictions without an axis of labels or classes, [B], whose mean over
            the last axis would be taken over the examples.
    """

    function: ClassVar[Callable[..., Any]]
    arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None
    ):
        wide = keras.config.dtype_policy().variable_dtype == "float64"
        super().__init__(name=name, reduction=reduction, dtype=dtype or ("float64" if wide else None))

    def held(self) -> dict[str, Any]:
        """Returns the function's arguments by name."""
        return {name: getattr(self, name) for name in self.arguments}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if len(y_pred.shape) < 2:
            raise ValueError(f"Logits {tuple(y_pred.shape)} lack an axis: reshape one an example to [B, 1].")
        return type(self).function(y_true, y_pred, **self.held())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.held(), "dtype": self.dtype}


class LogitLoss(LossOfLogits):
    """A Keras loss around a pure function of labels, logits and α. A subclass sets `function`.

    Args:
        label_smoothing: Keras' α, in [0, 1].
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for a `label_smoothing` outside [0, 1]; when called, as `LossOfLogits`.
    """

    arguments = ("label_smoothing",)

    def __init__(
        self,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(reduction, name, dtype)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"`label_smoothing` must lie in [0, 1], not {label_smoothing}.")
        self.label_smoothing = label_smoothing
