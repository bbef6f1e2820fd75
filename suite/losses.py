"""Cross-entropy on logits: pure functions, and thin Keras classes around them.

There is no `from_logits` argument: the logits are what keeps the gradient alive, so ours take nothing else.
Every function gives one value per example and reduces nothing. Half-precision logits are computed in float32.

Keras' convention for `label_smoothing` α: y ← y (1 − α) + α/K, with K = 2 for binary labels.
"""

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


def binary_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """−y ln σ(z) − (1 − y) ln(1 − σ(z)), averaged over the last axis as Keras does.

    Written y·softplus(−z) + (1 − y)·softplus(z): for a hard label one term is exactly 0, and neither the
    value nor the gradient σ(z) − y cancels in either tail.

    Args:
        y_true: labels in [0, 1], [..., L].
        logits: [..., L], finite.
        label_smoothing: α in [0, 1]; a tensor must broadcast against the labels.

    Returns:
        Nats per example, [...]. The gradient is exact to rounding, relative to its own size, down to
        where it underflows.
    """
    y, alpha, z = tensors(y_true, label_smoothing, logits)
    y = y * (1 - alpha) + alpha / 2
    return ops.mean(y * ops.softplus(-z) + (1 - y) * ops.softplus(z), axis=-1)


def categorical_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """−Σ_k y_k ln softmax(z)_k.

    Smoothed, it is (1 − α) times that plus α (ln Σ_k e^(z_k) − mean z): the same as smoothing the labels, but
    K small labels are never summed, whose rounding would show in the gradient where K is large.

    Args:
        y_true: one-hot or soft labels, [..., K]; without smoothing they need not sum to 1.
        logits: [..., K], finite.
        label_smoothing: α in [0, 1]; a tensor must broadcast against the examples.

    Returns:
        Nats per example, [...]. The gradient p Σy − y is exact to rounding, relative to the largest of its
        components; the true class's own component p − 1 cannot be smaller than the dtype's step at 1.
    """
    y, alpha, z = tensors(y_true, label_smoothing, logits)
    loss = -ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1)
    if isinstance(label_smoothing, (int, float)) and label_smoothing == 0:
        return loss
    shifted = z - ops.stop_gradient(ops.max(z, axis=-1, keepdims=True))
    uniform = ops.logsumexp(shifted, axis=-1) - ops.mean(shifted, axis=-1)
    return (1 - alpha) * loss + alpha * uniform


def sparse_categorical_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """−ln softmax(z)_y for integer labels y in 0…K−1, [...], and logits [..., K]: the categorical loss."""
    classes = ops.shape(logits)[-1]
    one_hot = ops.one_hot(ops.cast(y_true, "int32"), classes, dtype=computed(logits).dtype)
    return categorical_crossentropy(one_hot, logits, label_smoothing)


def brier(y_true: Any, logits: Any) -> Any:
    """(σ(z) − y)², the binary Brier score on the scale 0…1, averaged over the last axis: [..., L] to [...].

    Its gradient 2 (p − y) p (1 − p) vanishes on both sides, also where the prediction is confidently wrong.
    """
    z = computed(logits)
    return ops.mean(ops.square(ops.sigmoid(z) - ops.cast(y_true, z.dtype)), axis=-1)


class LogitLoss(keras.losses.Loss):
    """A Keras loss around one of the functions above; `function` is what a subclass fixes.

    Args:
        label_smoothing: Keras' α, in [0, 1].
        reduction, name, dtype: as in `keras.losses.Loss`. Predictions arrive in `dtype` (float32 unless the
            process's `floatx` says otherwise).

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
        super().__init__(name=name, reduction=reduction, dtype=dtype)
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
