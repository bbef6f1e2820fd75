"""A sparse loss that leaves one negative class number out on purpose, as −1 or −100 often marks no label."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from crosscheck.audit.checks.use.calls import (
    is_close,
    is_signalled,
    per_example_losses,
    value_or_error,
)
from crosscheck.audit.checks.use.inputs import Batch, K, call_as_typed, valid_batch
from crosscheck.audit.contract import Finding, Subject, described
from crosscheck.audit.probe import Probe
from crosscheck.autodiff import differentiated, numbers

OTHERS = (K, -1, -2, -100)


def ignores_a_number(check: str, subject: Subject, numbers_asked: list[Any]) -> Finding | None:
    """The description of a loss that ignores exactly one of these negative numbers; None of any other.

    It is 0 with a gradient of 0 for that number at every example, the examples beside it keep their losses,
    and no other number that is no class gives a finite loss.
    """
    if subject.kind != "sparse" or subject.values != "one each":
        return None
    negative = [number for number in numbers_asked if number < 0 and is_ignored(subject, number)]
    if len(negative) != 1 or not others_show(subject, negative[0]):
        return None
    batch = valid_batch(subject).rows(slice(0, 1))
    labelled = batch.labelled(np.full(batch.y.shape, negative[0]))
    return described(
        check,
        call_as_typed(subject, labelled, reduction=None),
        measured=0.0,
        expected="NaN or an error, unless that number marks what has no label",
        note=f"it ignores class {negative[0]}: no loss and no gradient for it, the examples beside it keep "
        "theirs, and other numbers that are no class show; in a mean it counts as an example of loss 0",
        remedy="say in its documentation which number it ignores; a mean over the others needs weights of 0",
    )


def is_ignored(subject: Subject, number: int) -> bool:
    """Whether each example in turn has no loss and no gradient with that label, the others keeping theirs."""
    batch = valid_batch(subject)
    values = per_example_losses(subject, batch)
    for i in range(len(values)):
        y = batch.y.copy()
        y[i] = number
        labelled = Batch(y, batch.x)
        measured = value_or_error(per_example_losses, subject, labelled)
        if is_signalled(measured) or not is_close(measured, np.where(np.arange(len(values)) == i, 0, values)):
            return False
        if value_or_error(largest_gradient, subject, labelled, i) != 0:
            return False
    return True


def largest_gradient(subject: Subject, batch: Batch, row: int) -> np.ndarray:
    """The size of the gradient by the predictions of one row."""
    loss, x = Probe(subject).raw_values(), batch.x.reshape(len(batch.x), -1)
    labels = ops.convert_to_tensor(batch.y)
    gradient, _ = differentiated(lambda x: (loss(labels, x),))(ops.convert_to_tensor(x))
    return np.abs(numbers(gradient)[row]).max()


def others_show(subject: Subject, ignored: int) -> bool:
    """Whether every other number that is no class gives NaN or an error."""
    batch = valid_batch(subject).rows(slice(0, 1))
    rows = [batch.labelled(np.full(batch.y.shape, number)) for number in OTHERS if number != ignored]
    return all(is_signalled(value_or_error(per_example_losses, subject, row)) for row in rows)
