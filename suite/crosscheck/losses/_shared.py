"""What the losses share: dtypes, shapes, sigmoids without cancellation, and their Keras class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
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


class LogitLoss(keras.losses.Loss):
    """A Keras loss around a pure function of labels, logits and α. A subclass sets `function`.

    Args:
        label_smoothing: Keras' α, in [0, 1].
        reduction, name: as in `keras.losses.Loss`.
        dtype: labels and predictions are cast to it before they arrive here. By default float64 under a
            global float64 policy, where Keras' own losses stay in float32; else Keras' default, `floatx`. In
            half precision integer labels from 257 (bfloat16) or 2049 (float16) on would be rounded, as they
            are by Keras' own loss.

    Raises:
        ValueError: for a `label_smoothing` outside [0, 1]; when called, for predictions without an axis of
            labels or classes, [B], whose mean over the last axis would be taken over the examples.
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
        if len(y_pred.shape) < 2:
            raise ValueError(f"Logits {tuple(y_pred.shape)} lack an axis: reshape one an example to [B, 1].")
        return type(self).function(y_true, y_pred, self.label_smoothing)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing, "dtype": self.dtype}
