"""Shapes that people really pass: the right number or an error, never silently another one. (check 10)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.audit.checks.use.calls import (
    accepted_arguments,
    example_losses,
    is_close,
    is_signalled,
    losses_called_by_hand,
    reduced_loss,
    reportable,
    value_or_error,
)
from crosscheck.audit.checks.use.examples import NO_EXAMPLES
from crosscheck.audit.checks.use.inputs import Batch, K, call_as_typed, valid_batch, valid_pair
from crosscheck.audit.contract import (
    Finding,
    LossCheck,
    Subject,
    described,
    failed,
    not_applicable,
    passed,
)

SHAPED = "it takes predictions of more axes, and no others"
SMOOTHED = 0.25  # exact in binary
RAISE = "compare the shapes, and raise where they differ"
ALIGN = f"{RAISE}, or reshape the labels: Keras aligns them for a function, not for a class of one's own"


def column(subject: Subject) -> Finding:
    """(B,) labels or predictions beside (B, 1): paired one to one, not each with each."""
    if subject.axes:
        return not_applicable("column", SHAPED)
    if subject.kind == "categorical":
        return not_applicable("column", "a categorical label is a row; see `integer labels`")
    if subject.kind == "multilabel":
        return not_applicable("column", "several labels an example have no column to drop")
    batch = valid_pair(subject)
    values = example_losses(subject, batch)
    cases = [(variant, values) for variant in columns(batch)]
    finding = right_or_signalled("column", subject, cases, "broadcast", ALIGN)
    if finding.verdict == "failed" or subject.is_class:
        return finding
    by_hand = right_or_signalled("column", subject, cases, "broadcast", ALIGN, losses_called_by_hand)
    if by_hand.verdict == "passed":
        return finding
    note = (
        "right as `compile` calls a function, which aligns the two; called by itself it pairs each with each"
    )
    return replace(by_hand, verdict="described", note=note)


def columns(batch: Batch) -> list[Batch]:
    if batch.x.shape[-1] != 1:
        return [Batch(batch.y[:, None], batch.x)]
    return [Batch(batch.y[:, 0], batch.x), Batch(batch.y, batch.x[:, 0])]


def flat(subject: Subject) -> Finding:
    """(B,) labels and (B,) predictions with weights: Σ wᵢ lᵢ / B, as for (B, 1)."""
    if subject.axes:
        return not_applicable("flat predictions", SHAPED)
    if subject.kind != "binary":
        return not_applicable("flat predictions", "only one number an example can be passed as (B,)")
    batch = valid_pair(subject)
    squeezed = Batch(batch.y[:, 0], batch.x[:, 0])
    weights = np.array([1.0, 0.0], "float32")
    measured = value_or_error(reduced_loss, subject, squeezed, weights)
    expected = (weights * example_losses(subject, batch)).mean()
    if is_signalled(measured) or is_close(measured, expected):
        return passed("flat predictions", "(B,) and (B,) with weights: the number of (B, 1), or an error")
    return failed(
        "flat predictions",
        f"{call_as_typed(subject, squeezed)}, sample_weight=[1, 0]",
        measured=reportable(measured),
        expected=reportable(expected),
        cause="the mean over the last axis is the mean over the examples; the weights multiply that",
        remedy="reshape both to (B, 1), or refuse predictions of rank 1",
    )


def square(subject: Subject) -> Finding:
    """(B, T) steps with B = T: step t of example b has its own loss, in its own place."""
    if subject.axes:
        return not_applicable("square", SHAPED)
    steps = [valid_batch(subject).rows([2 * t, 2 * t + 1]) for t in (0, 1)]
    if subject.values != "one each" or example_losses(subject, steps[0]).shape != (2,):
        return not_applicable("square", NO_EXAMPLES)
    cube = Batch(
        np.stack([step.y for step in steps], 1), np.stack([step.x for step in steps], 1)
    )  # [B, T, …], B = T
    expected = np.stack([example_losses(subject, step) for step in steps], 1)  # [B, T]
    together = losses_of_all_steps(subject, cube)
    expected = expected if together is None else together
    cases = [(cube, expected)]
    if subject.kind == "binary":  # Keras averages over T here, which leaves the total as it is
        dropped = Batch(cube.y[..., 0], cube.x)
        averaged = np.ndim(value_or_error(example_losses, subject, dropped)) == 1
        cases.append((dropped, expected.mean(1) if averaged and together is None else expected))
    finding = right_or_signalled("square", subject, cases, "axes taken for one another")
    weights = np.array([1.0, 2.0], "float32")
    weighted = value_or_error(reduced_loss, subject, cube, weights, "sum")
    if (
        finding.verdict != "passed"
        or is_signalled(weighted)
        or is_close(weighted, (weights[:, None] * expected).sum())
        or together is not None
    ):
        return finding
    return passed("square", f"{finding.note}; Keras itself multiplies sample_weight (B,) along T, silently")


def losses_of_all_steps(subject: Subject, cube: Batch) -> np.ndarray | None:
    """One loss an example of all its steps, [B], where it has the same alone: the overlap of an image, say.

    None for a loss of single steps, for their mean, and where examples change each other's value.
    """
    values = value_or_error(example_losses, subject, cube)
    if not isinstance(values, np.ndarray) or values.shape != (len(cube.x),):
        return None
    ones = [Batch(cube.y[b : b + 1], cube.x[b : b + 1]) for b in range(len(cube.x))]
    alone = [value_or_error(example_losses, subject, one) for one in ones]
    if any(np.shape(value) != (1,) for value in alone):
        return None
    return values if is_close(values, np.concatenate(alone)) else None


def integer_labels(subject: Subject) -> Finding:
    """Passes class numbers for one-hot rows, or the reverse, with B ≠ K and with B = K.

    A formula of rows that spreads the numbers over the classes, as `*` does, says nothing about them: that is
    described. One that makes something else of them fails.
    """
    if subject.axes:
        return not_applicable("integer labels", SHAPED)
    if subject.kind not in ("categorical", "sparse"):
        return not_applicable("integer labels", "labels of 0 and 1 are their own numbers")
    batch = valid_batch(subject)
    cases = []
    for part in (batch.rows(slice(0, 2)), batch.rows(slice(0, K))):  # B < K, then B = K
        values = example_losses(subject, part)
        cases += [(part.labelled(y), values) for y in mistaken_labels(subject, part)]
    finding = right_or_signalled("integer labels", subject, cases, "broadcast or misread")
    if finding.verdict == "failed" and all(is_right_or_spread(subject, *case) for case in cases):
        return described(
            "integer labels",
            finding.at,
            measured=finding.measured,
            expected=finding.expected,
            note="no fault of a formula of rows: it spreads class numbers over the classes without a word",
            remedy="compare the shapes and raise, as Keras' CategoricalCrossentropy does",
        )
    return finding


def is_right_or_spread(subject: Subject, batch: Batch, expected: np.ndarray) -> bool:
    """Whether a call gives the right values, a signal, or those of the labels in every class's place."""
    measured = value_or_error(example_losses, subject, batch)
    if is_signalled(measured) or is_close(measured, expected):
        return True
    if subject.kind != "categorical" or np.ndim(batch.y) > 2:
        return False
    try:
        spread = np.broadcast_to(batch.y, batch.x.shape)
    except ValueError:
        return False
    of_spread = value_or_error(example_losses, subject, batch.labelled(spread))
    return not is_signalled(of_spread) and is_close(measured, of_spread)


def mistaken_labels(subject: Subject, batch: Batch) -> list[np.ndarray]:
    if subject.kind == "sparse":
        return [np.eye(K)[batch.y]]
    return [batch.y.argmax(-1)[:, None], batch.y.argmax(-1)]


def axis(subject: Subject) -> Finding:
    """`axis=1` on [B, K, T] is the last axis on [B, T, K], smoothed or not."""
    arguments_accepted = accepted_arguments(subject)
    if "axis" not in arguments_accepted or subject.kind in ("binary", "ordinal") or subject.axes:
        return not_applicable("axis", "there is no `axis` to choose")
    batch = valid_batch(subject)
    steps = [batch.rows([i, i + 1]) for i in (0, 2)]
    last = Batch(
        np.stack([step.y for step in steps], 1), np.stack([step.x for step in steps], 1)
    )  # [2, 2, K]
    first = last if subject.kind == "sparse" else last.labelled(np.moveaxis(last.y, 1, -1))
    first = first.predicting(np.moveaxis(last.x, 1, -1))
    for smoothing in ({}, {"label_smoothing": SMOOTHED})[: 1 + ("label_smoothing" in arguments_accepted)]:
        expected = value_or_error(example_losses, subject, last, axis=-1, **smoothing)
        measured = value_or_error(example_losses, subject, first, axis=1, **smoothing)
        if not is_signalled(measured) and not is_close(measured, expected):
            return wrong_values(
                "axis",
                subject,
                first,
                measured,
                expected,
                "the last axis is used somewhere",
                axis=1,
                **smoothing,
            )
    return passed("axis", "axis=1 on [B, K, T]: the values of axis=-1 on [B, T, K], or an error")


def right_or_signalled(
    check: str,
    subject: Subject,
    cases: list[tuple[Batch, np.ndarray]],
    cause: str,
    remedy: str = RAISE,
    losses: Callable[[Subject, Batch], np.ndarray] = example_losses,
) -> Finding:
    """Failed at the first case whose value is neither the expected one nor a signal."""
    notes: list[str] = []
    for batch, expected in cases:
        measured = value_or_error(losses, subject, batch)
        if isinstance(measured, np.ndarray) and measured.size == np.size(expected):
            expected = np.reshape(expected, measured.shape)  # an axis of 1 pairs nothing wrongly
        elif isinstance(measured, np.ndarray) and measured.ndim == 0:
            expected = np.mean(
                expected
            )  # of (B,) predictions: what weights make of it, `flat predictions` asks
        if not is_signalled(measured) and not is_close(measured, expected):
            wrong = wrong_values(
                check, subject, batch, measured, expected, f"labels and predictions are {cause}"
            )
            return replace(wrong, remedy=remedy)
        notes.append(
            f"{batch.y.shape} with {batch.x.shape}: {'refused' if is_signalled(measured) else 'right'}"
        )
    return passed(check, "; ".join(notes))


def wrong_values(
    check: str, subject: Subject, batch: Batch, measured: Any, expected: Any, cause: str, **arguments: Any
) -> Finding:
    return failed(
        check,
        call_as_typed(subject, batch, **arguments, reduction=None),
        measured=reportable(measured),
        expected=f"{reportable(expected)}, or an error",
        cause=cause,
        remedy=RAISE,
    )


CHECKS = (
    LossCheck("column", "(B,) against (B, 1) pairs each label with its prediction, or raises.", column),
    LossCheck("flat predictions", "(B,) against (B,) honours the weights, or raises.", flat, "misuse"),
    LossCheck("square", "(B, T) with B = T keeps its axes apart.", square),
    LossCheck(
        "integer labels",
        "Numbers for rows, or rows for numbers: right or an error; described where a formula spreads them.",
        integer_labels,
        "misuse",
    ),
    LossCheck("axis", "A class axis that is not the last is right or an error.", axis, "other arguments"),
)
