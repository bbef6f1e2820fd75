"""Class numbers of many classes: none is taken for another, in the loss's own dtype or on its way there."""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.audit.checks.use.calls import (
    accepted_arguments,
    is_close,
    is_signalled,
    per_example_losses,
    reportable,
    value_or_error,
)
from crosscheck.audit.checks.use.inputs import Batch, has_dense_labels
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed
from crosscheck.audit.theories import probabilities

CHECK = "label too large"
EXACT_UP_TO = {
    "bfloat16": 256,
    "float16": 2048,
    "float32": 2**24,
}  # up to here every whole number has its own place
CLASSES = 300
NUMBERS = (127, 128, 255, 257, 299)  # the last of int8, the first beyond, of uint8, of bfloat16, and the last
SMALL = 3  # a class number that every dtype holds


def too_large(subject: Subject) -> Finding:
    """Every class of 300 has its own loss, and so has the first that the loss's dtype cannot hold."""
    if has_dense_labels(subject):
        return not_applicable(CHECK, "labels are not class numbers")
    dtype = str(getattr(subject.make(), "dtype", "float32"))
    if dtype in ("bfloat16", "float16"):
        return told_apart(CHECK, subject, dtype, dtype=dtype)
    if subject.kind == "ordinal":
        return not_applicable(CHECK, f"it is asked of classes; {in_half_precision(subject)}")
    return among_many(subject)


def among_many(subject: Subject) -> Finding:
    """Compares the losses of large class numbers with that of a small one in the same place.

    Two columns of the predictions change places along with the label. A loss that treats classes unlike each
    other fails only where a class's loss is that of another class.
    """
    x = many_classes(subject)
    at_small = value_or_error(loss_of_class, subject, x, SMALL)
    if is_signalled(at_small):
        return not_applicable(CHECK, f"it takes no {CLASSES} classes: {reportable(at_small)}")
    unlike = []
    for number in NUMBERS:
        measured = value_or_error(loss_of_class, subject, x, number)
        moved = value_or_error(loss_of_class, subject, exchanged_columns(x, number), SMALL)
        if not is_signalled(measured) and is_close(measured, moved):
            continue
        others = [] if is_signalled(measured) else classes_with_its_loss(subject, x, number)
        if others or is_signalled(measured):
            return confused(subject, number, measured, moved, others)
        unlike.append(number)
    note = f"classes {', '.join(map(str, NUMBERS))} of {CLASSES} have their own losses"
    note += f"; {unlike} other ones than class {SMALL} in their place" if unlike else ""
    return passed(CHECK, f"{note}; {in_half_precision(subject)}")


def many_classes(subject: Subject) -> np.ndarray:
    """One row of predictions for 300 classes, no two alike: [1, 300]."""
    z = np.random.default_rng(CLASSES).permutation(np.linspace(-2, 2, CLASSES))[None]
    return (z if subject.from_logits else probabilities(subject.kind, z)).astype("float32")


def exchanged_columns(x: np.ndarray, number: int) -> np.ndarray:
    """The predictions with the columns of that class and of the small one exchanged."""
    moved = x.copy()
    moved[:, [number, SMALL]] = x[:, [SMALL, number]]
    return moved


def loss_of_class(subject: Subject, x: np.ndarray, number: int) -> np.ndarray:
    middle = (1,) * subject.axes
    y = np.full((1, *middle), number, "int32")
    return per_example_losses(subject, Batch(y, x.reshape(1, *middle, x.shape[-1])))


def classes_with_its_loss(subject: Subject, x: np.ndarray, number: int) -> list[int]:
    """The other classes that have the very loss of one, at these predictions and in the reverse order."""
    others = [other for other in range(CLASSES) if other != number]
    for predictions in (x, x[:, ::-1]):
        loss = loss_of_class(subject, predictions, number)
        others = [other for other in others if has_loss(subject, predictions, other, loss)]
    return others


def has_loss(subject: Subject, x: np.ndarray, number: int, loss: np.ndarray) -> bool:
    measured = value_or_error(loss_of_class, subject, x, number)
    return not isinstance(measured, str) and is_close(measured, loss, 1e-7)


def confused(subject: Subject, number: int, measured: Any, moved: Any, others: list[int]) -> Finding:
    listed = ", ".join(map(str, others[:3])) + (", …" if len(others) > 3 else "")
    return failed(
        CHECK,
        f"{subject.name}(y_true=[{number}], y_pred=…), {CLASSES} classes",
        measured=reportable(measured),
        expected=reportable(moved),
        note=f"expected: the loss of class {SMALL} with the predictions of both exchanged",
        cause=f"class {number} has the loss of class {listed}, at predictions that differ for all classes"
        if others
        else "",
        remedy="take class numbers as int32, and cast them to nothing smaller",
    )


def told_apart(check: str, subject: Subject, loss_dtype: str, **arguments: Any) -> Finding:
    label = EXACT_UP_TO[loss_dtype] + 1
    x = np.full((1, label + 2), 0.0 if subject.from_logits else 2.0**-12, "float32")
    x[0, label] = 4.0 if subject.from_logits else 0.5  # the right class's loss is less than any other's
    own_label, other_label = (np.array([number]) for number in (label, label - 1))
    measured, of_other_label = (
        value_or_error(per_example_losses, subject, Batch(y, x), **arguments)
        for y in (own_label, other_label)
    )
    if isinstance(of_other_label, str):  # no answer either where the label fits
        return failed(
            check,
            f"{subject.name}(dtype={loss_dtype!r})",
            measured=of_other_label,
            cause=f"no loss in {loss_dtype}",
        )
    if is_signalled(measured) or not is_close(measured, of_other_label, 1e-3):
        return passed(check, f"label {label} of {label + 2} classes in {loss_dtype}")
    return failed(
        check,
        f"x = np.full((1, {label + 2}), {x[0, 0]}); x[0, {label}] = {x[0, label]}; "
        f"{subject.name}(dtype={loss_dtype!r})(np.array([{label}]), x)",
        measured=reportable(measured),
        expected=f"less: class {label}'s loss, not class {label - 1}'s; or an error",
        cause=f"`keras.losses.Loss.__call__` casts integer labels to {loss_dtype}, which has no {label}",
        remedy="keep the loss in float32, or cast the predictions only",
    )


def in_half_precision(subject: Subject) -> str:
    """In words, whether the same loss would confuse large labels in half precision."""
    if "dtype" not in accepted_arguments(subject):
        return "it cannot be asked for half precision"
    findings = {dtype: told_apart("", subject, dtype, dtype=dtype) for dtype in ("bfloat16", "float16")}
    confused = [
        f"{EXACT_UP_TO[dtype] + 1} in {dtype}" for dtype, finding in findings.items() if finding.remedy
    ]
    return (
        f"it would take {' and '.join(confused)} for another class"
        if confused
        else "nor is half precision wrong"
    )


CHECKS = (LossCheck(CHECK, "A class number beyond the dtype is not another class.", too_large),)
