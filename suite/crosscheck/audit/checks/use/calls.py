"""Calls the loss of a subject: for one value per example, for one in all, or for what it raises."""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from crosscheck.audit.checks.use.inputs import Batch
from crosscheck.audit.contract import NotPerExample, Subject
from crosscheck.audit.probe import with_reduction
from crosscheck.autodiff import numbers

CLOSE = 1e-5  # relative and absolute: two ways to the same float32 number


class FunctionLoss(keras.losses.Loss):
    """A function as `model.compile` takes it: a Keras loss that aligns the two before it calls it."""

    def __init__(self, function: Callable[[Any, Any], Any], **arguments: Any):
        super().__init__(**arguments)
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(*aligned(y_true, y_pred))


def aligned(y: Any, x: Any) -> tuple[Any, Any]:
    """Labels and predictions as `compile` hands them to a function: (B,) beside (B, 1) gets its last axis.

    Of more axes one of size 1 that the other has not is dropped. A class of one's own gets them as they come.
    """
    if len(y.shape) > len(x.shape):
        return aligned(x, y)[::-1]
    if len(x.shape) != len(y.shape) + 1 or x.shape[-1] != 1:
        return y, x
    expand, squeeze = keras.ops.expand_dims, keras.ops.squeeze
    return (expand(y, -1), x) if len(y.shape) == 1 else (y, squeeze(x, -1))


def make_loss(subject: Subject, reduction: str | None = "sum_over_batch_size", **arguments: Any) -> Any:
    """A new loss with this reduction, to be called with labels, predictions and weights.

    Where the constructor takes no `reduction`, the attribute is set. Checks of use are not about precision: a
    loss of half precision is made in float32 unless `arguments` say otherwise.
    """
    if subject.is_class and subject.config.get("dtype") in ("bfloat16", "float16"):
        arguments = {"dtype": "float32", **arguments}
    if not subject.is_class:
        return FunctionLoss(subject.make(**arguments), reduction=reduction)
    return with_reduction(functools.partial(subject.make, **arguments), reduction)


def example_losses(subject: Subject, batch: Batch, **arguments: Any) -> np.ndarray:
    """The values of the unreduced loss in float64, in whatever shape it gives them.

    A function gets labels and predictions as `compile` would hand them on.
    """
    if subject.is_class:
        return as_float64(make_loss(subject, subject.unreduced, **arguments)(batch.y, batch.x))
    return as_float64(subject.make(**arguments)(*aligned(*as_tensors(batch))))


def losses_called_by_hand(subject: Subject, batch: Batch) -> np.ndarray:
    """The values of a function that is called by itself, as in a training loop of one's own."""
    return as_float64(subject.make()(*as_tensors(batch)))


def per_example_losses(subject: Subject, batch: Batch, **arguments: Any) -> np.ndarray:
    """One number for each example, [B]: the mean of whatever numbers the unreduced loss gives for it.

    Raises:
        NotPerExample: where it gives other numbers than one each, or some each, for several examples.
    """
    values = example_losses(subject, batch, **arguments)
    if values.ndim and len(batch.y) == 1:
        return values.mean(keepdims=True).reshape(1)
    if values.ndim and len(values) != len(batch.y):
        raise NotPerExample(f"It gave values of shape {values.shape} for {len(batch.y)} examples")
    return values.reshape(len(values), -1).mean(-1) if values.ndim > 1 else values


def reduced_loss(
    subject: Subject, batch: Batch, weights: Any = None, reduction: str = "sum_over_batch_size"
) -> float:
    return float(as_float64(make_loss(subject, reduction)(batch.y, batch.x, sample_weight=weights)))


def as_tensors(batch: Batch) -> tuple[Any, Any]:
    """Labels and predictions as tensors, in the dtypes they have."""
    y, x = (keras.ops.convert_to_tensor(array, dtype=array.dtype.name) for array in (batch.y, batch.x))
    return y, x


def as_float64(value: Any) -> np.ndarray:
    return numbers(keras.ops.convert_to_tensor(value)).astype("float64")


def value_or_error(function: Callable[..., Any], *positional: Any, **arguments: Any) -> np.ndarray | str:
    """What a call returns as an array of float64, or the first line of the error that it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(function(*positional, **arguments), "float64")
    except Exception as error:
        return error_line(error)


def error_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {re.sub(r'{{.*?}} *', '', lines[0])[:200]}"  # TensorFlow names nodes so


def is_signalled(value: np.ndarray | str) -> bool:
    """Whether the caller can see that something is wrong: an error, or NaN or infinity in the value."""
    return isinstance(value, str) or not np.isfinite(value).all()


def accepted_arguments(subject: Subject) -> dict[str, inspect.Parameter]:
    """The named parameters of the constructor or function, but for labels and predictions.

    They are read off the loss that `make` returns, for `make` itself may hide them.
    """
    loss: Any = subject.make()
    parameters_found = inspect.signature(type(loss) if subject.is_class else loss).parameters
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: parameter
        for name, parameter in parameters_found.items()
        if name not in ("y_true", "y_pred") and parameter.kind not in variadic
    }


def is_close(a: Any, b: Any, within: float = CLOSE) -> bool:
    """Whether all numbers are the same within that; NaN is equal to nothing."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=within, atol=within))


def reportable(value: Any) -> float | str:
    """A number, or a list of a few as text, as a finding holds them."""
    if isinstance(value, str):
        return value
    array = np.asarray(value, "float64")
    return float(array) if array.ndim == 0 else str(np.round(array, 6).tolist())
