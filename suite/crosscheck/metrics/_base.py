"""What the metrics share: labels as frequencies, predictions as probabilities, weights, Keras classes.

A single output is taken as two classes, so that everything below these functions is about K ≥ 2 columns.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import mask_of

TOLERANCE = 0.01  # of a distribution's sum and entries: bfloat16 rounds to 0.4 %


@dataclass(frozen=True)
class Examples:
    """n examples of K ≥ 2 classes.

    Attributes:
        labels: frequencies of the classes, [n, K].
        probabilities: [n, K].
        logits: [n, K], or None where there are none.
        weight: [n].
        binary: whether they came from a single output.
    """

    labels: Any
    probabilities: Any
    logits: Any
    weight: Any
    binary: bool


def examples(y_true: Any, y_pred: Any, sample_weight: Any, dtype: str, from_logits: bool) -> Examples:
    """Returns a batch's labels, predictions and weights, times Keras' mask, as `Examples` of this dtype.

    Examples of weight 0 get fixed values in place of their own, so that a NaN that is masked does not spread.

    Raises:
        ValueError: if the shapes do not fit.
    """
    weight = weights(y_pred, sample_weight, dtype)  # first: it reads the mask, which conversions lose
    prediction = ops.cast(y_pred, dtype)
    counted = ops.expand_dims(weight != 0, -1)
    labels = replaced(frequencies(y_true, prediction), counted)
    logits = replaced(columns(prediction), counted) if from_logits else None
    p = replaced(probabilities(prediction, from_logits), counted)
    k = p.shape[-1]
    labels, p = (ops.reshape(values, (-1, k)) for values in (labels, p))
    logits = None if logits is None else ops.reshape(logits, (-1, k))
    return Examples(labels, p, logits, ops.reshape(weight, (-1,)), binary=prediction.shape[-1] == 1)


def label_examples(y_true: Any, y_pred: Any, sample_weight: Any, dtype: str, from_logits: bool) -> Examples:
    """Returns a batch of several labels, each of its own sigmoid, as `Examples` of L columns.

    Labels are shares in [0, 1], [..., L] as the predictions; [...] will do where L = 1. What is outside of
    [0, 1] becomes NaN.

    Raises:
        ValueError: if the shapes do not fit.
    """
    weight = weights(y_pred, sample_weight, dtype)
    prediction, y = ops.cast(y_pred, dtype), ops.convert_to_tensor(y_true)
    if len(y.shape) == len(prediction.shape) - 1 and prediction.shape[-1] == 1:
        y = ops.expand_dims(y, -1)
    if not fits(y.shape, prediction.shape):
        raise ValueError(f"Labels {tuple(y.shape)} and predictions {tuple(prediction.shape)} do not fit.")
    counted = ops.expand_dims(weight != 0, -1)
    p = ops.sigmoid(prediction) if from_logits else prediction
    both = (replaced(as_shares(values), counted) for values in (ops.cast(y, dtype), p))
    labels, p = (ops.reshape(values, (-1, prediction.shape[-1])) for values in both)
    return Examples(labels, p, None, ops.reshape(weight, (-1,)), binary=False)


def as_shares(values: Any) -> Any:
    """Returns values where they lie in [0, 1], to `TOLERANCE`, and NaN elsewhere."""
    inside = ops.logical_and(values >= -TOLERANCE, values <= 1 + TOLERANCE)
    return ops.where(inside, values, ops.full_like(values, float("nan")))


def frequencies(y_true: Any, prediction: Any) -> Any:
    """Returns the labels as frequencies [..., K] for predictions [..., K]; K = 2 for a single output.

    Raises:
        ValueError: if their shapes do not fit.
    """
    y, rank, outputs = ops.convert_to_tensor(y_true), len(prediction.shape), prediction.shape[-1]
    dense = len(y.shape) == rank and y.shape[-1] == outputs > 1
    if not dense and len(y.shape) == rank and y.shape[-1] == 1:
        y = ops.squeeze(y, -1)
    if not fits(y.shape, prediction.shape if dense else prediction.shape[:-1]):
        raise ValueError(f"Labels {tuple(y.shape)} and predictions {tuple(prediction.shape)} do not fit.")
    if dense:
        return distribution(ops.cast(y, prediction.dtype))
    if outputs == 1:
        positive = ops.expand_dims(ops.cast(y, prediction.dtype), -1)
        return distribution(ops.concatenate([1 - positive, positive], -1))
    places = ops.arange(outputs, dtype="int32")
    return distribution(ops.cast(ops.expand_dims(ops.cast(y, "int32"), -1) == places, prediction.dtype))


def reason_for_nan(labels: Any, probabilities: Any, apart: bool = False) -> str:
    """Returns why labels or predictions [..., K] became NaN, in words; "" where none of them did.

    `apart` says that the columns are labels of their own, not K classes.
    """
    y, p = (np.isnan(np.asarray(values)).any(-1) for values in (labels, probabilities))
    k = np.shape(labels)[-1]
    if y.any() and apart:
        return f"{int(y.sum())} of {y.size} rows of labels are not all in [0, 1], and give NaN."
    if y.any():
        return (
            f"{int(y.sum())} of {y.size} labels are no classes 0…{k - 1}, nor frequencies of them, and give "
            "NaN. Labels that begin at 1, or are −1 and 1, must be brought to 0…K−1 first."
        )
    if p.any():
        return (
            f"{int(p.sum())} of {p.size} predictions are no probabilities, and give NaN. If they are logits, "
            "say `from_logits=True`."
        )
    return ""


def warn_of_nan(labels: Any, probabilities: Any, apart: bool) -> None:
    """Warns of labels or predictions that became NaN, where they are numbers; not within a program."""
    try:
        reason = reason_for_nan(ops.convert_to_numpy(labels), ops.convert_to_numpy(probabilities), apart)
    except Exception:  # the tensors of a program that is being compiled have no numbers yet
        return
    if reason:
        warnings.warn(reason, stacklevel=4)


def beside(y: np.ndarray, replicates: int, n: int) -> np.ndarray:
    """Returns labels [R, N, …], from such labels or from [N, …] that all replicates share.

    Where R = N, labels of two axes fit both ways and count as shared.

    Raises:
        ValueError: if neither fits.
    """
    if y.shape[:2] == (replicates, n) and (replicates != n or y.ndim == 3):
        return y
    if y.shape[:1] != (n,):
        raise ValueError(f"`y` must be [{n}, …] or [{replicates}, {n}, …]; its shape is {list(y.shape)}.")
    return np.broadcast_to(y, (replicates, *y.shape))


def fits(shape: Any, other: Any) -> bool:
    """Returns whether two shapes are the same, as far as both are known."""
    sizes = zip(shape, other, strict=False)
    return len(shape) == len(other) and all(a == b or a is None or b is None for a, b in sizes)


def columns(logits: Any) -> Any:
    """Returns logits of K ≥ 2 classes; a single logit z becomes (0, z)."""
    return ops.concatenate([ops.zeros_like(logits), logits], -1) if logits.shape[-1] == 1 else logits


def probabilities(prediction: Any, from_logits: bool) -> Any:
    """Returns probabilities [..., K], K ≥ 2; NaN where the prediction is no distribution."""
    if from_logits:
        return ops.softmax(columns(prediction), axis=-1)
    single = prediction.shape[-1] == 1
    return distribution(ops.concatenate([1 - prediction, prediction], -1) if single else prediction)


def distribution(p: Any) -> Any:
    """Returns p where its last axis holds a distribution, to `TOLERANCE`, and NaN elsewhere."""
    inside = ops.logical_and(p >= -TOLERANCE, p <= 1 + TOLERANCE)
    whole = ops.abs(ops.sum(p, axis=-1, keepdims=True) - 1) <= TOLERANCE
    valid = ops.logical_and(ops.all(inside, axis=-1, keepdims=True), whole)
    return ops.where(valid, p, ops.full_like(p, float("nan")))


def weights(y_pred: Any, sample_weight: Any, dtype: str) -> Any:
    """Returns one weight an example, [...] for predictions [..., K]: sample weight times mask, or 1."""
    shape = ops.shape(y_pred)[:-1]
    total = ops.ones(shape, dtype)
    for factor in (sample_weight, mask_of(y_pred)):
        if factor is not None:
            total = total * aligned(ops.cast(factor, dtype), len(shape))
    return total


def aligned(weight: Any, rank: int) -> Any:
    """Returns a weight [B], [B, 1] or [B, T] in a shape that broadcasts against examples [B, …]."""
    if len(weight.shape) > rank and weight.shape[-1] == 1:
        weight = ops.squeeze(weight, -1)
    return ops.reshape(weight, (*ops.shape(weight), *[1] * (rank - len(weight.shape))))


def replaced(values: Any, counted: Any) -> Any:
    """Returns the values, with equal frequencies (or logits) in place of those that do not count."""
    return ops.where(counted, values, ops.ones_like(values) / values.shape[-1])


class StreamingMetric(keras.metrics.Metric):
    """A Keras metric whose state is sums over examples.

    Args:
        name: of the metric.
        dtype: of its sums: float32 or float64.

    Raises:
        ValueError: for another dtype; a sum over examples soon outgrows half precision.
    """

    def __init__(self, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"`dtype` must be float32 or float64, for it holds sums; not {self.dtype}.")

    def add_sums(self, shape: tuple[int, ...], *names: str) -> None:
        """Adds variables of zeros, each an attribute of its name."""
        for name in names:
            setattr(self, name, self.add_variable(shape, "zeros", dtype=self.dtype, name=name))


class ProbabilityMetric(StreamingMetric):
    """A metric of predicted distributions. A subclass defines `accumulate`, which adds a batch to its sums.

    Labels that are no classes 0…K−1, and predictions that are no distributions, give NaN; outside of compiled
    programs a warning says which it is.

    Args:
        from_logits: whether predictions are logits.
        name, dtype: as in `StreamingMetric`.
    """

    def __init__(self, from_logits: bool = False, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.from_logits = from_logits

    labels_apart = False  # whether each label has a sigmoid of its own, and rows need not sum to 1

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        read = label_examples if self.labels_apart else examples
        batch = read(y_true, y_pred, sample_weight, self.dtype, self.from_logits)
        warn_of_nan(batch.labels, batch.probabilities, self.labels_apart)
        self.accumulate(batch)

    def accumulate(self, batch: Examples) -> None:
        """Adds a batch to the sums."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}


class MeanMetric(StreamingMetric):
    """Σ weight · value / Σ weight over examples."""

    total: Any
    weight: Any

    def __init__(self, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.add_sums((), "total", "weight")

    def add(self, values: Any, weight: Any) -> None:
        """Adds values and their weights, [n] each."""
        self.total.assign(self.total + ops.sum(values * weight))
        self.weight.assign(self.weight + ops.sum(weight))

    def result(self) -> Any:
        return self.total / self.weight


def member_of(values: Any, low: Any, high: Any) -> Any:
    """Returns 1 where low < value ≤ high, else 0: [...] to [..., bins] in the values' dtype."""
    values = ops.expand_dims(values, -1)
    low, high = (ops.convert_to_tensor(edges, dtype=values.dtype) for edges in (low, high))
    return ops.cast(ops.logical_and(values > low, values <= high), values.dtype)


def equal_width(bins: int) -> Any:
    """Returns lower and upper edges of B bins (b/B, (b+1)/B]; the outer ones reach to −∞ and ∞."""
    edges = [b / bins for b in range(bins + 1)]
    return [float("-inf"), *edges[1:-1]], [*edges[1:-1], float("inf")]


def per_count(total: Any, count: Any) -> Any:
    """Returns total / count, and 0 where nothing was counted."""
    return total / ops.where(count > 0, count, ops.ones_like(count))


def positive(name: str, number: int) -> int:
    """Returns the argument `name` as an int, or raises a ValueError: it must be whole and at least 1."""
    if int(number) != number or number < 1:
        raise ValueError(f"`{name}` must be a whole number of at least 1, not {number}.")
    return int(number)


def one_of(name: str, choice: str, choices: Any) -> str:
    """Returns the argument `name`; raises a ValueError unless it is one of the choices."""
    if choice not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, not {choice!r}.")
    return choice
