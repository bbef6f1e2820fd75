"""What the metrics of a compiled model make of its outputs; they may misread what the loss reads rightly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from crosscheck._keras import compiled_with
from crosscheck.doctor._cut import Cut
from crosscheck.doctor._theory import Theory

M = keras.metrics
THRESHOLDED = (
    M.AUC,
    M.Precision,
    M.Recall,
    M.PrecisionAtRecall,
    M.RecallAtPrecision,
    M.SensitivityAtSpecificity,
    M.SpecificityAtSensitivity,
    M.TruePositives,
    M.TrueNegatives,
    M.FalsePositives,
    M.FalseNegatives,
)
OF_PROBABILITIES = (M.BinaryCrossentropy, M.CategoricalCrossentropy, M.SparseCategoricalCrossentropy)


def metrics_of(model: keras.Model, place: Any, count: int) -> list[Any]:
    """The metrics compiled for one of `count` outputs, by its index and its names."""
    config = compiled_with(model)
    found: list[Any] = []
    for given in (config.get("metrics"), config.get("weighted_metrics")):
        found += flat(chosen(given, place, count))
    return found


def chosen(given: Any, place: tuple[int, tuple[Any, ...]], count: int) -> Any:
    i, names = place
    if isinstance(given, dict):
        return next((given[name] for name in names if name in given), None)
    if count > 1 and isinstance(given, list | tuple):
        return given[i] if len(given) == count else None
    return given


def flat(given: Any) -> list[Any]:
    if given is None:
        return []
    return [m for part in given for m in flat(part)] if isinstance(given, list | tuple) else [given]


def misreadings(metrics: list[Any], cut: Cut, theory: Theory | None) -> Iterator[str]:
    """Yields in a line each what a metric gets wrong, and what to do."""
    if theory is None:
        return
    for given in metrics:
        name, metric = name_of(given), resolved(given)
        k, are_logits = cut.shape[cut.class_axis], cut.kind == "identity"
        if str(given).lower() in ("accuracy", "acc"):
            texts = by_shape(k, are_logits, theory)
        elif isinstance(metric, M.BinaryAccuracy) or name == "binary_accuracy":
            texts = by_threshold(getattr(metric, "threshold", 0.5), are_logits)
        else:
            texts = by_kind(metric, are_logits)
        yield from (f"metric: {name!r} {text}" for text in (*texts, *wrong_accuracy(name, metric, k, theory)))


def by_shape(k: int, are_logits: bool, theory: Theory) -> Iterator[str]:
    """Yields what becomes of "accuracy", which Keras resolves by the shapes."""
    if theory.labels == "labels" and k > 1:
        threshold = "threshold=0" if are_logits else ""
        yield (
            f"becomes categorical accuracy, for there are {k} outputs: whether the largest one is right, and "
            f"not each. Use BinaryAccuracy({threshold})."
        )
    elif theory.labels == "labels":
        yield from by_threshold(0.5, are_logits)


def by_threshold(threshold: float, are_logits: bool) -> Iterator[str]:
    """Yields that an accuracy cuts where the output does not."""
    if are_logits and threshold == 0.5:
        yield "cuts at 0.5, and the output is a logit. Use BinaryAccuracy(threshold=0)."
    if not are_logits and threshold == 0:
        yield "cuts at 0, and the output is a probability: all of them lie above. Use threshold=0.5."


def by_kind(metric: Any, are_logits: bool) -> Iterator[str]:
    """Yields that a metric of probabilities gets logits, or one of logits probabilities."""
    if isinstance(metric, OF_PROBABILITIES) and bool(metric.from_logits) != are_logits:
        yield f"takes the output for what it is not. Give it from_logits={are_logits}."
    if are_logits and isinstance(metric, THRESHOLDED) and has_default_thresholds(metric):
        if isinstance(metric, M.AUC) and not metric.get_config().get("from_logits"):
            yield "has thresholds in [0, 1], and the output is a logit. Use AUC(from_logits=True)."
        elif not isinstance(metric, M.AUC):
            yield "has thresholds in [0, 1], and the output is a logit. Use thresholds=0, or probabilities."


def wrong_accuracy(name: str, metric: Any, k: int, theory: Theory) -> Iterator[str]:
    """Yields that an accuracy takes labels of another form than the loss."""
    kinds = {
        "classes": "sparse_categorical_accuracy",
        "one-hot": "categorical_accuracy",
        "labels": "binary_accuracy",
    }
    wanted = kinds.get(theory.labels)
    by_class = {
        M.SparseCategoricalAccuracy: "sparse_categorical_accuracy",
        M.CategoricalAccuracy: "categorical_accuracy",
        M.BinaryAccuracy: "binary_accuracy",
    }
    have = next((text for kind, text in by_class.items() if isinstance(metric, kind)), name)
    if wanted and have in kinds.values() and have != wanted and (k > 1 or "categorical" in have):
        yield f"takes labels of another form than the loss. Use {wanted}."


def has_default_thresholds(metric: Any) -> bool:
    """Whether the thresholds of a metric lie in [0, 1], as they do unless they are given."""
    thresholds = getattr(metric, "thresholds", None)
    values = thresholds if isinstance(thresholds, list | tuple) else [thresholds or 0.5]
    return all(0 < float(value) <= 1 for value in values) or len(values) > 1


def resolved(given: Any) -> Any:
    """The metric of a name; what is no name as it is."""
    if not isinstance(given, str) or given.lower() in ("accuracy", "acc", "ce", "crossentropy"):
        return given
    try:
        return keras.metrics.get(given)
    except ValueError:
        return given


def name_of(given: Any) -> str:
    return (
        given
        if isinstance(given, str)
        else getattr(given, "name", getattr(given, "__name__", type(given).__name__))
    )
