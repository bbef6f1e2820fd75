"""Metrics of several labels an example: F1, subset accuracy, precision and recall among the k foremost.

Labels are 0 or 1, [..., L] as the predictions; leading axes are examples, each with its weight and mask. A
label that is neither makes the result NaN, and so does a prediction that is no number.
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.metrics._base import (
    MeanMetric,
    StreamingMetric,
    fits,
    one_of,
    per_count,
    positive,
    weights,
)

ZERO_DIVISION = (0, 1, "skip")
AVERAGES = ("macro", "micro", "example")


def rows(values: Any, counted: Any, valid: Any) -> Any:
    """Returns values as [n, L]: 0 for examples that do not count, NaN where they are not valid."""
    values = ops.where(valid, values, ops.full_like(values, float("nan")))
    values = ops.where(counted, values, ops.zeros_like(values))
    return ops.reshape(values, (-1, values.shape[-1]))


def label_rows(y_true: Any, prediction: Any, whole: bool = True) -> tuple[Any, Any]:
    """Returns labels in the shape and dtype of the predictions, and which of them are labels.

    Args:
        y_true: [..., L]; [...] will do where L = 1.
        prediction: [..., L].
        whole: whether labels are 0 or 1, not shares between.

    Raises:
        ValueError: if the shapes do not fit.
    """
    y = ops.convert_to_tensor(y_true)
    if len(y.shape) == len(prediction.shape) - 1 and prediction.shape[-1] == 1:
        y = ops.expand_dims(y, -1)
    if not fits(y.shape, prediction.shape):
        raise ValueError(f"Labels {tuple(y.shape)} and predictions {tuple(prediction.shape)} do not fit.")
    y = ops.cast(y, prediction.dtype)
    if whole:
        return y, ops.logical_or(ops.equal(y, 0), ops.equal(y, 1))
    return y, ops.logical_and(y >= 0, y <= 1)


def warn_of_nan(y: Any, prediction: Any) -> None:
    """Warns of labels or predictions that became NaN, where they are numbers; not within a program."""
    try:
        bad = [int(np.isnan(ops.convert_to_numpy(values)).any(-1).sum()) for values in (y, prediction)]
    except Exception:  # the tensors of a program that is being compiled have no numbers yet
        return
    if bad[0]:
        warnings.warn(
            f"{bad[0]} rows of labels hold something else than 0 and 1, and give NaN.", stacklevel=4
        )
    elif bad[1]:
        warnings.warn(
            f"{bad[1]} rows of predictions are no probabilities, and give NaN. If they are logits, say "
            "`from_logits=True`.",
            stacklevel=4,
        )


class LabelMetric(StreamingMetric):
    """A metric of scores of several labels. A subclass defines `accumulate`, which adds a batch to its sums.

    Args:
        name, dtype: as in `StreamingMetric`.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        weight = weights(
            y_pred, sample_weight, self.dtype
        )  # first: it reads the mask, which conversions lose
        counted = ops.expand_dims(weight != 0, -1)
        scores = ops.cast(y_pred, self.dtype)
        y, is_label = self.labels(y_true, scores)
        y, scores = rows(y, counted, is_label), rows(scores, counted, self.valid(scores))
        warn_of_nan(y, scores)
        self.accumulate(y, scores, ops.reshape(weight, (-1,)))

    def labels(self, y_true: Any, scores: Any) -> tuple[Any, Any]:
        """Returns labels [..., L], and which of them are labels."""
        return label_rows(y_true, scores)

    def valid(self, scores: Any) -> Any:
        """Returns which scores may be: all that are numbers."""
        return ops.logical_not(ops.isnan(scores))

    def accumulate(self, y: Any, scores: Any, weight: Any) -> None:
        """Adds labels and scores [n, L] with weights [n] to the sums."""
        raise NotImplementedError


class ThresholdMetric(LabelMetric):
    """A metric of the labels whose probability is above a threshold.

    Args:
        threshold: one number in [0, 1], or L of them: a label is predicted where p > threshold. None predicts
            the greatest score alone, of equals the first, as for exclusive classes; labels may then be
            integers, too.
        from_logits: whether predictions are logits, each of its own sigmoid.
        name, dtype: as in `StreamingMetric`.

    Raises:
        ValueError: for a threshold outside [0, 1].
    """

    def __init__(
        self, threshold: Any = 0.5, from_logits: bool = False, name: str | None = None, dtype: Any = None
    ):
        super().__init__(name=name, dtype=dtype)
        values = None if threshold is None else np.asarray(threshold, "float64")
        if values is not None and not ((values >= 0) & (values <= 1)).all():
            raise ValueError(
                f"`threshold` must lie in [0, 1], not {threshold!r}; it is one of probabilities."
            )
        self.threshold, self.from_logits = None if values is None else values.tolist(), from_logits

    def labels(self, y_true: Any, scores: Any) -> tuple[Any, Any]:
        y = ops.convert_to_tensor(y_true)
        column = len(y.shape) == len(scores.shape) and y.shape[-1] == 1 < scores.shape[-1]
        y = ops.squeeze(y, -1) if column else y
        if self.threshold is not None or len(y.shape) != len(scores.shape) - 1 or scores.shape[-1] == 1:
            return label_rows(y_true, scores)
        places = ops.arange(scores.shape[-1], dtype="int32")
        same = ops.equal(ops.expand_dims(ops.cast(y, scores.dtype), -1), ops.cast(places, scores.dtype))
        is_class = ops.any(same, axis=-1, keepdims=True)
        return ops.cast(same, scores.dtype), ops.broadcast_to(is_class, ops.shape(same))

    def valid(self, scores: Any) -> Any:
        if self.from_logits or self.threshold is None:
            return super().valid(scores)
        return ops.logical_and(scores >= 0, scores <= 1)

    def predicted(self, scores: Any) -> Any:
        """Returns 1 for labels that are predicted, else 0: [n, L]; NaN where a score is."""
        if self.threshold is None:
            chosen = ops.one_hot(ops.argmax(scores, axis=-1), scores.shape[-1], dtype=scores.dtype)
        else:
            threshold = np.asarray(self.threshold)
            with np.errstate(divide="ignore"):
                edge = np.log(threshold) - np.log1p(-threshold) if self.from_logits else threshold
            chosen = ops.cast(scores > ops.convert_to_tensor(edge, dtype=scores.dtype), scores.dtype)
        return ops.where(ops.isnan(scores), scores, chosen)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold, "from_logits": self.from_logits}


@keras.saving.register_keras_serializable(package="crosscheck")
class F1(ThresholdMetric):
    """2 TP / (2 TP + FP + FN), averaged over labels, pooled, or averaged over examples.

    Keras' `F1Score` has no average over examples, reads no logits and no mask, takes [B, L] alone, and
    hides its rule for 0/0 in an ε.

    Args:
        average: "macro", the mean over labels of each one's F1; "micro", one F1 of all decisions together;
            "example", the mean over examples of 2 |S ∩ P| / (|S| + |P|), with S the true and P the predicted
            labels.
        threshold, from_logits: as in `ThresholdMetric`: p > threshold, or None for the greatest score alone.
        zero_division: what 0/0 counts: a label (or example, or all) without any true or predicted 1. 0 and 1
            count as such; "skip" leaves it out of the mean, and is NaN where nothing is left. Examples often
            have no label at all, and macro F1 over rare labels depends on it.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    Raises:
        ValueError: for an unknown choice, or a threshold outside [0, 1].

    >>> metric = F1("example")
    >>> metric.update_state([[1, 0, 1], [0, 0, 0]], [[0.9, 0.1, 0.2], [0.3, 0.1, 0.2]])
    >>> round(float(metric.result()), 4)  # (2/3 + 0/0) / 2
    0.3333
    """

    hits: Any
    ones: Any
    weight: Any

    def __init__(
        self,
        average: str = "macro",
        threshold: Any = 0.5,
        zero_division: int | str = 0,
        from_logits: bool = False,
        name: str = "f1",
        dtype: Any = None,
    ):
        super().__init__(threshold, from_logits, name, dtype)
        self.average = one_of("average", average, AVERAGES)
        if zero_division not in ZERO_DIVISION:
            raise ValueError(f'`zero_division` must be 0, 1 or "skip", not {zero_division!r}.')
        self.zero_division = zero_division
        self.add_sums((), "weight")
        self.places: int | None = None  # over which the mean goes: L labels, or one
        if average != "macro":
            self.start(1)

    def start(self, places: int) -> None:
        """Makes the sums; where there is one for each label, the first batch tells how many."""
        self.add_sums((places,), "hits", "ones")
        self.places = places

    def accumulate(self, y: Any, scores: Any, weight: Any) -> None:
        if self.places is None:
            self.start(y.shape[-1])
        chosen = self.predicted(scores)
        hits, ones = 2 * y * chosen, y + chosen  # [n, L]
        if self.average == "example":
            counts = ops.sum(ones, axis=-1)
            f1, weight = self.without_zero_division(ops.sum(hits, axis=-1), counts, weight)
            hits, ones = f1[:, None], ops.ones_like(f1)[:, None]
        elif self.average == "micro":
            hits, ones = (ops.sum(values, axis=-1, keepdims=True) for values in (hits, ones))
        self.hits.assign(self.hits + ops.sum(hits * weight[:, None], axis=0))
        self.ones.assign(self.ones + ops.sum(ones * weight[:, None], axis=0))
        self.weight.assign(self.weight + ops.sum(weight))

    def without_zero_division(self, hits: Any, ones: Any, weight: Any) -> tuple[Any, Any]:
        """Returns hits / ones and its weight, by the rule where ones is 0."""
        nothing = ops.equal(ones, 0)
        if self.zero_division == "skip":
            weight = ops.where(nothing, ops.zeros_like(weight), weight)
        value = 0 if self.zero_division == "skip" else self.zero_division
        return ops.where(nothing, ops.full_like(ones, value), per_count(hits, ones) + 0 * ones), weight

    def result(self) -> Any:
        if self.places is None:
            return ops.full((), float("nan"), self.dtype)
        hits, ones = ops.convert_to_tensor(self.hits), ops.convert_to_tensor(self.ones)
        if self.average == "example":
            return ops.sum(hits) / ops.sum(ones)
        f1, weight = self.without_zero_division(hits, ones, ops.ones_like(ones))
        seen = 0 * self.weight / self.weight  # NaN before the first example
        return ops.sum(f1 * weight) / ops.sum(weight) + seen

    def get_config(self) -> dict[str, Any]:
        own = {"average": self.average, "zero_division": self.zero_division}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="crosscheck")
class SubsetAccuracy(ThresholdMetric, MeanMetric):
    """The share of examples all of whose labels are right.

    Labels decided one by one are not the set that is right most often; `losses.most_likely` gives that one.

    Args:
        threshold, from_logits: as in `ThresholdMetric`: p > threshold, or None for the greatest score alone.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    Raises:
        ValueError: for a threshold outside [0, 1].
    """

    def __init__(
        self,
        threshold: Any = 0.5,
        from_logits: bool = False,
        name: str = "subset_accuracy",
        dtype: Any = None,
    ):
        super().__init__(threshold, from_logits, name, dtype)

    def accumulate(self, y: Any, scores: Any, weight: Any) -> None:
        self.add(1 - ops.max(ops.abs(y - self.predicted(scores)), axis=-1) + 0 * ops.sum(y, axis=-1), weight)


class AtK(LabelMetric, MeanMetric):
    """A metric of the k foremost labels; of equal scores the first comes first.

    Args:
        k: how many labels are shown.
        name, dtype: as in `StreamingMetric`.

    Raises:
        ValueError: for a k that is no whole number from 1 on; at the first batch, if it exceeds L.
    """

    def __init__(self, k: int, name: str | None = None, dtype: Any = None):
        self.k = positive("k", k)
        super().__init__(name=name, dtype=dtype)

    def hits(self, y: Any, scores: Any) -> Any:
        """Returns how many of the k foremost labels are true, [n]; NaN where a score is."""
        if self.k > scores.shape[-1]:
            raise ValueError(f"`k` is {self.k}, and there are {scores.shape[-1]} labels.")
        order = ops.argsort(-scores, axis=-1)[:, : self.k]
        return ops.sum(ops.take_along_axis(y, order, axis=-1), axis=-1) + 0 * ops.sum(scores, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


@keras.saving.register_keras_serializable(package="crosscheck")
class PrecisionAtK(AtK):
    """The share of true labels among the k of greatest score, averaged over examples.

    Scores may be probabilities or logits: their order alone counts. An example without any label counts 0.

    Args:
        k: how many labels are shown.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    Raises:
        ValueError: for a k that is no whole number from 1 on; at the first batch, if it exceeds L.
    """

    def __init__(self, k: int = 1, name: str = "precision_at_k", dtype: Any = None):
        super().__init__(k, name, dtype)

    def accumulate(self, y: Any, scores: Any, weight: Any) -> None:
        self.add(self.hits(y, scores) / self.k, weight)


@keras.saving.register_keras_serializable(package="crosscheck")
class RecallAtK(AtK):
    """The share of an example's true labels that are among the k of greatest score, averaged over examples.

    Scores may be probabilities or logits: their order alone counts. An example without any label has no
    recall, and is left out; one with more than k labels cannot reach 1.

    Args:
        k: how many labels are shown.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    Raises:
        ValueError: for a k that is no whole number from 1 on; at the first batch, if it exceeds L.
    """

    def __init__(self, k: int = 1, name: str = "recall_at_k", dtype: Any = None):
        super().__init__(k, name, dtype)

    def accumulate(self, y: Any, scores: Any, weight: Any) -> None:
        true = ops.sum(y, axis=-1)
        weight = ops.where(ops.equal(true, 0), ops.zeros_like(weight), weight)
        self.add(per_count(self.hits(y, scores), true) + 0 * true, weight)
