"""The loss itself on the first labels and predictions: what it refuses, and what it makes of them."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from crosscheck._keras import is_of_keras
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output
from crosscheck.diagnose._saying import fault, shape_of
from crosscheck.diagnose._words import first_line

COMPUTES = "loss-computes"


class OfFunction(keras.losses.Loss):
    """A function of labels and predictions as Keras takes it for a loss."""

    def __init__(self, function: Any):
        super().__init__()
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)


def refused_by_loss(output: Output, y: np.ndarray) -> Finding | None:
    """✗ where the loss cannot be computed, or is not what a loss of rows is; None where it can."""
    p = output.predictions
    if p is None or not np.isfinite(p.astype("float64")).all():
        return None
    loss = output.anatomy.loss
    loss = loss if isinstance(loss, keras.losses.Loss) else OfFunction(loss)
    first = aligned(y[: len(p)], p) if is_of_keras_or_function(output.anatomy.loss) else y[: len(p)]
    if len(first) != len(p):
        return None
    try:
        value = float(keras.ops.convert_to_numpy(keras.ops.mean(loss(first, p))))
        values = tuple(keras.ops.shape(loss.call(*map(as_float, (first, p)))))
    except Exception as error:
        return refused(output, y, error)
    if len(p) > 1 and p.ndim == 2 and values == (len(p), len(p)) and p.shape[1] != len(p):
        return crossed(output, y)
    is_of_head = output.anatomy.head == "identity" and output.anatomy.takes_logits is False
    return None if math.isfinite(value) or is_of_head else not_finite(output, value)


def is_of_keras_or_function(loss: Any) -> bool:
    """Whether Keras brings labels and predictions to one rank first: not for a class of one's own."""
    return not isinstance(loss, keras.losses.Loss) or is_of_keras(type(loss))


def aligned(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Labels of the predictions' rank, where they lack, or have, one axis of length 1."""
    if y.ndim == p.ndim - 1 and p.shape[-1] == 1:
        return y[..., None]
    return y[..., 0] if y.ndim == p.ndim + 1 and y.shape[-1] == 1 else y


def as_float(array: np.ndarray) -> Any:
    return keras.ops.convert_to_tensor(array.astype(keras.config.floatx()))


def refused(output: Output, y: np.ndarray, error: Exception) -> Finding:
    assert output.predictions is not None
    return fault(
        COMPUTES,
        f"{output.loss} refuses labels {shape_of(y)} beside the output {shape_of(output.predictions)}: "
        f"{first_line(error)[:200]}",
        "Training stops at its first step.",
        "labels of the shape that the loss takes",
        output,
    )


def crossed(output: Output, y: np.ndarray) -> Finding:
    """[N] beside [N, 1]: every label is compared with every prediction."""
    assert output.predictions is not None
    return fault(
        COMPUTES,
        f"{output.loss} gives N × N values for labels {shape_of(y)} beside the output "
        f"{shape_of(output.predictions)}.",
        "It compares every label with every prediction; what is trained is the labels' mean.",
        "y = y[:, None]",
        output,
    )


def not_finite(output: Output, value: float) -> Finding:
    return fault(
        COMPUTES,
        f"{output.loss} is {value} on the first rows, of labels and predictions that are finite.",
        "The first step makes every weight NaN.",
        "crosscheck audit MODULE:LOSS says where it breaks",
        output,
    )
