"""The loss itself on the first labels and predictions: what it refuses, and what it makes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from crosscheck._keras import is_of_keras
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output
from crosscheck.diagnose._saying import fault, shape_of
from crosscheck.diagnose._words import first_line

COMPUTES = "loss-computes"
PAIRED = 5  # rows whose pairs are looked at


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
        return crossed(output, y, "gives N × N values")
    if pairs_each_with_each(loss, first, p):
        return crossed(output, y, "is on a few rows the mean over all pairs of a label and a prediction")
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


def pairs_each_with_each(loss: keras.losses.Loss, y: np.ndarray, p: np.ndarray) -> bool:
    """Whether a loss over [N, 1] has, on a few rows, the value of all pairs, and not that of the rows' own.

    The rows have different labels, and predictions within (0, 1) that rise with them, so that the two differ.
    """
    _, some = np.unique(y.reshape(len(y), -1)[:, 0], return_index=True)
    if p.ndim != 2 or p.shape[1] != 1 or len(some) < 2:
        return False
    labels = y[some[:PAIRED]]
    scores = np.linspace(0.1, 0.9, len(labels))[:, None]
    each = range(len(labels))

    def value(rows: Sequence[int], columns: Sequence[int]) -> float:
        called = loss.call(as_float(labels[list(rows)]), as_float(scores[list(columns)]))
        return float(keras.ops.convert_to_numpy(keras.ops.mean(called)))

    try:
        together, own = value(each, each), float(np.mean([value([i], [i]) for i in each]))
        pairs = float(np.mean([value([i], [j]) for i in each for j in each]))
    except Exception:  # it takes no single rows
        return False
    return math.isclose(together, pairs, rel_tol=1e-4) and not math.isclose(together, own, rel_tol=1e-3)


def crossed(output: Output, y: np.ndarray, what: str) -> Finding:
    """[N] beside [N, 1]: every label is compared with every prediction."""
    assert output.predictions is not None
    return fault(
        COMPUTES,
        f"{output.loss} {what}, for labels {shape_of(y)} beside the output {shape_of(output.predictions)}.",
        "It compares every label with every prediction; what is trained is the labels' mean.",
        "y = y[:, None]" if y.ndim == 1 else "labels and predictions of one shape in the loss",
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
