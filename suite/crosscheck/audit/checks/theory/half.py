"""Point 14: half precision, in the predictions and in the loss itself, and batches that are large."""

from __future__ import annotations

import warnings
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras import ops

from crosscheck._keras import compute_in
from crosscheck.audit import points
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed
from crosscheck.audit.judging import call_as_typed, cause_of, first_deviation
from crosscheck.audit.probe import HALVES, fresh_loss, hard_labels, labels_as_taken, probe_of
from crosscheck.audit.theories import ValueAndGradient
from crosscheck.autodiff import numbers

UNITS = {"bfloat16": 2.0**-7, "float16": 2.0**-10}  # the spacing at 1
ULPS = 8
LARGE = 8192  # examples of a loss near 100 each: their sum is beyond float16
TS = (0, 1, -1, 4, -4, 10, -10, 15, -15, 17, -17, 20, -20, 50, -50, 100, -100)
UNREDUCED = "nothing of a function reduces: Keras takes the mean, in the dtype of the loss around it"


def half(subject: Subject) -> Finding:
    """Predictions in half precision: finite to |z| = 100 and within 8 units in the last place.

    Against the theory, or where none is known against the loss's own numbers in float32.
    """
    probe = probe_of(subject)
    z, y = points.paired(points.logits(subject.kind, TS), hard_labels(subject.kind))
    theory, reference = probe.expected(z, y), subject.theory or "itself in float32"
    for dtype, unit in UNITS.items():
        for head in probe.heads:
            in_float32 = probe(z, y, "float32", head)
            expected = (
                in_float32 if theory is None else where_float32_is_right(theory, in_float32, ULPS * unit)
            )
            deviation = first_deviation(probe(z, y, dtype, head), expected, ULPS * unit)
            if deviation:
                cause, remedy = cause_of(deviation, head)
                return failed(
                    "half precision",
                    call_as_typed(subject, z[deviation.row], y[deviation.row], head, dtype),
                    measured=deviation.measured,
                    expected=deviation.expected,
                    threshold=ULPS * unit,
                    note=f"{deviation.quantity}, {dtype}, against {reference}; right in float32",
                    cause=cause or f"computed in {dtype}",
                    remedy=remedy or "Compute in float32 whatever the predictions' dtype.",
                )
    return passed("half precision", f"bfloat16 and float16 to |z| = 100, against {reference}", threshold=ULPS)


def where_float32_is_right(
    theory: ValueAndGradient, in_float32: ValueAndGradient, tolerance: float
) -> ValueAndGradient:
    """The theory's numbers; where the loss misses them in float32, its own."""
    pairs = ((theory.value, in_float32.value), (theory.gradient, in_float32.gradient))
    with np.errstate(invalid="ignore"):
        near = [np.abs(a - b) <= tolerance * np.maximum(1, np.abs(a)) for a, b in pairs]
    return ValueAndGradient(
        *(np.where(right | np.isnan(a), a, b) for right, (a, b) in zip(near, pairs, strict=True))
    )


def large_batch(subject: Subject) -> Finding:
    """Predictions in half precision, 8192 confident mistakes: their mean is one's."""
    if not subject.is_class:
        return not_applicable("large batch", UNREDUCED)
    return compare_reduction("large batch", subject, made_in_half=False)


def half_loss(subject: Subject) -> Finding:
    """The same of a loss that is itself made in half precision.

    Keras' own reduction overflows in every such loss: that is held against Keras' losses, and against one
    that reduces by itself; of any other it is said.
    """
    if not subject.is_class:
        return not_applicable("half loss", UNREDUCED)
    finding = compare_reduction("half loss", subject, made_in_half=True)
    is_of_keras = type(subject.make()).__module__.startswith("keras.")
    if finding.verdict == "failed" and not is_of_keras and is_reduced_by_keras(subject):
        return passed("half loss", f"reported, not failed: {finding.cause}, in Keras' reduction of any loss")
    return finding


def is_reduced_by_keras(subject: Subject) -> bool:
    """Whether the loss leaves its reduction to Keras, also from within a `__call__` of its own."""
    reached: list[Any] = []
    of_keras = keras.losses.Loss.__call__

    def noted(loss: Any, *arguments: Any, **named: Any) -> Any:
        reached.append(loss)
        return of_keras(loss, *arguments, **named)

    z, y = points.tail(subject.kind, right=False, ts=(96,))
    with mock.patch.object(keras.losses.Loss, "__call__", noted):
        mean_of_many(subject, z[:1], y[:1], "float32", made_in_half=False)
    return bool(reached)


def compare_reduction(check: str, subject: Subject, made_in_half: bool) -> Finding:
    if subject.values != "one each":
        return not_applicable(check, "it gives no value for each example; see `per example`")
    probe = probe_of(subject)
    z, y = points.tail(subject.kind, right=False, ts=(96,))
    z, y = z[:1], y[:1]
    head = probe.heads[0]
    for dtype in HALVES:
        expected = single_value(probe(z, y, dtype, head))
        value = mean_of_many(subject, z, y, dtype, made_in_half)
        if not abs(value - expected) <= ULPS * UNITS[dtype] * max(1, abs(expected)):
            how_made = f", of a loss made with dtype={dtype!r}" if made_in_half else ""
            return failed(
                check,
                f"{call_as_typed(subject, z[0], y[0], head, dtype)}, {LARGE} times{how_made}",
                measured=value,
                expected=expected,
                threshold=ULPS * UNITS[dtype],
                note=f"the mean over {LARGE} equal examples",
                cause=f"the sum over the batch overflows or is rounded in {dtype}",
                remedy="Reduce in float32.",
            )
    what = "a loss made in them" if made_in_half else "predictions in them"
    return passed(check, f"the mean over {LARGE} confident mistakes, bfloat16 and float16, {what}")


def single_value(measured: ValueAndGradient) -> float:
    return float(np.ravel(measured.value)[0])


def mean_of_many(subject: Subject, z: np.ndarray, y: np.ndarray, dtype: str, made_in_half: bool) -> float:
    probe = probe_of(subject)
    loss = fresh_loss(subject, reduction="sum_over_batch_size")
    if made_in_half:
        compute_in(loss, dtype)
    logits, labels = (np.repeat(array, LARGE, axis=0) for array in (z, y))
    predictions = probe.in_its_shape(probe.head(probe.heads[0])(ops.convert_to_tensor(logits, dtype=dtype)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(np.ravel(numbers(loss(labels_as_taken(subject, labels, dtype), predictions)))[0])


CHECKS = (
    LossCheck("half precision", "Predictions in half precision: finite, to 8 units in the last place.", half),
    LossCheck("large batch", "The mean over 8192 examples of them is that of one.", large_batch),
    LossCheck("half loss", "So it is for a loss made in half precision.", half_loss, "other arguments"),
)
