"""What the losses share: dtypes and shapes, sigmoids that do not cancel, and the Keras class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import keras
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
    require_shape(y, z, z.shape)
    return y


def require_shape(y: Any, z: Any, wanted: Any) -> None:
    """Raises a ValueError unless the labels have the wanted shape, as far as both are known."""
    sizes = list(zip(y.shape, wanted, strict=False))
    if len(y.shape) != len(wanted) or any(a != b for a, b in sizes if a is not None and b is not None):
        raise ValueError(f"Labels {tuple(y.shape)} and logits {tuple(z.shape)} differ in shape.")


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
    """A Keras loss around a pure function of labels, logits and α; `function` is what a subclass fixes.

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
