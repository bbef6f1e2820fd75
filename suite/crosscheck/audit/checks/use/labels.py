"""Labels that people really pass: right, NaN or an error, never a finite wrong number. (check 11)

What is right depends on the kind:

- sparse: a whole number from 0 to K − 1, and what `ignore_class` names, whose loss is 0; nothing else is.
- binary, multilabel and categorical: a label is a number in a formula. Where that is a polynomial of degree
  up to 3 (cross-entropy 1, Brier 2, focal 1 + γ) its continuation is right outside of [0, 1]; a row that
  does not sum to 1 may be normalised instead. Labels clipped, rounded or cut off are wrong. Where it is no
  polynomial (y ln y) nothing but clipping is known to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.audit.checks.use.calls import (
    accepted_arguments,
    as_float64,
    is_close,
    is_signalled,
    make_loss,
    per_example_losses,
    reportable,
    value_or_error,
)
from crosscheck.audit.checks.use.ignored_number import ignores_a_number
from crosscheck.audit.checks.use.inputs import Batch, K, call_as_typed, has_dense_labels, valid_batch
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed

NODES = np.array([0, 1 / 3, 2 / 3, 1])  # four labels fix a polynomial of degree 3
BETWEEN = (1 / 6, 1 / 2, 5 / 6)  # where what is no such polynomial leaves it; one of them may be a chance
NEAR = 0.02  # of the way from the clipped loss: a formula that is nearly a polynomial misses it by as much
ROUNDING = 64 * np.finfo("float32").eps  # of the nodes' values, as the continuation magnifies it
UNCLIPPED = "another number than inside of the range, NaN or an error"
IMPOSSIBLE = (K, -1, -100)


def out_of_range(subject: Subject) -> Finding:
    """Passes K, −1 and −100 for a class; 2, −1 and −100 where the label is a number in [0, 1]."""
    if not has_dense_labels(subject):
        values = [v for v in IMPOSSIBLE if v != subject.config.get("ignore_class")]
        found = must_be_signalled("label range", subject, values, "the label is clamped, wrapped or no class")
        is_silent = found.verdict == "failed"
        return (ignores_a_number("label range", subject, values) if is_silent else None) or found
    if "hinge" in f"{subject.theory} {subject.name}".lower():
        return not_applicable("label range", "a hinge takes labels of -1 and 1")
    batch = telling_row(subject)
    batch_at = lambda t: batch.labelled(with_first_label(batch.y, t))
    return against_continuation(
        "label range", subject, batch_at, (2.0, -1.0, -100.0), "labels are clipped to [0, 1]"
    )


def telling_row(subject: Subject) -> Batch:
    """The example with the largest loss of those with a label of 1: beside one near 0 labels look alike."""
    batch = valid_batch(subject)
    rows = [batch.rows(slice(i, i + 1)) for i in range(len(batch.y)) if (batch.y[i] == 1).any()]
    values = [float(per_example_losses(subject, row).mean()) for row in rows]
    return rows[int(np.argmax(np.nan_to_num(values, nan=-np.inf)))]


def with_first_label(y: np.ndarray, t: float) -> np.ndarray:
    """The labels with the first one that is 1 replaced by t."""
    changed = y.copy()
    changed[tuple(np.argwhere(y == 1)[0])] = t
    return changed


def row_sums(subject: Subject) -> Finding:
    """Rows that sum to 2, or hold two classes: the formula's number, or that of the normalised row."""
    if subject.kind != "categorical":
        return not_applicable("label rows", "labels are not rows of shares")
    batch = telling_row(subject)
    shared = np.array([[0.5, 0.5, 0.0]])
    hard_losses = [per_example_losses(subject, batch.labelled(np.eye(K)[[k]])) for k in (0, 1)]
    mixed_loss = value_or_error(per_example_losses, subject, batch.labelled(shared))
    if not is_signalled(mixed_loss) and any(is_close(mixed_loss, loss) for loss in hard_losses):
        return wrong_label(
            "label rows", subject, batch.labelled(shared), mixed_loss, "only one class of the row counts"
        )
    return against_continuation(
        "label rows",
        subject,
        lambda t: batch.labelled(t * shared),
        (2.0,),
        "the row is clipped",
        normalised=True,
    )


def against_continuation(
    check: str,
    subject: Subject,
    batch_at: Callable[[float], Batch],
    outside: tuple[float, ...],
    cause: str,
    normalised: bool = False,
) -> Finding:
    """Compares the loss at labels outside with the polynomial through its values at `NODES`."""
    per_example_losses(subject, valid_batch(subject))  # a loss that refuses valid labels refuses nothing here
    at_nodes = [value_or_error(per_example_losses, subject, batch_at(t)) for t in NODES]
    if any(is_signalled(value) for value in at_nodes[1:]):
        return passed(check, f"soft labels are refused already: {reportable(at_nodes[1])}")
    at_zero = [at_nodes[0]] if not is_signalled(at_nodes[0]) else []
    values, nodes = np.array([*at_zero, *at_nodes[1:]]).reshape(-1), NODES[-len(at_zero) - 3 :]
    at_between = {t: value_or_error(per_example_losses, subject, batch_at(t)) for t in BETWEEN}
    polynomial = all(
        not isinstance(value, str) and is_close(value, lagrange_weights(nodes, t) @ values[:, None])
        for t, value in at_between.items()
    )
    bend = max(bend_between(nodes, values, t, value) for t, value in at_between.items())
    free_sides: set[bool] = set()  # where a nearer label is not clipped, one further out is not either
    for t in outside:
        measured = value_or_error(per_example_losses, subject, batch_at(t))
        weights = lagrange_weights(nodes, t)
        expected = float(weights @ values)
        bound = float(values[-1 if t > 1 else 0])  # what clipping gives, and what is no continuation is near
        rounding = ROUNDING * (np.abs(weights) * np.abs(values)).sum()
        slack = rounding + bend * growth(nodes, t) + NEAR * abs(expected - bound)
        if isinstance(measured, str) or is_signalled(measured):
            continue
        off = np.abs(measured - expected).max()
        if off <= slack:
            free_sides.add(t > 1)
            polynomial = polynomial and bool(off <= rounding)  # nearly one is none further out
            continue
        is_clipped = is_at_bound(measured, at_nodes, t) and (t > 1) not in free_sides
        if not is_clipped:
            free_sides.add(t > 1)
        if normalised and is_clipped and is_close(values[-1], values[-2]):
            continue
        if is_clipped or polynomial:
            return wrong_label(
                check, subject, batch_at(t), measured, cause, expected=expected if polynomial else UNCLIPPED
            )
    note = "the number that the formula gives" if polynomial else "not clipped; the formula is no polynomial"
    return passed(check, f"labels times or of {outside}: {note}, NaN or an error")


def is_at_bound(measured: np.ndarray, at_nodes: list[np.ndarray | str], t: float) -> bool:
    """Whether a loss is that of the bound on the side of t, and not that of the other bound."""
    near, far = (at_nodes[-1], at_nodes[0]) if t > 1 else (at_nodes[0], at_nodes[-1])
    return not isinstance(near, str) and is_close(measured, near) and not is_close(measured, far)


def bend_between(nodes: np.ndarray, values: np.ndarray, t: float, value: np.ndarray | str) -> float:
    """By how much more than rounding the loss leaves the polynomial at t, over the growth of that error."""
    if isinstance(value, str):
        return 0.0
    error = np.abs(value - lagrange_weights(nodes, t) @ values).max() - ROUNDING / 16 * np.abs(values).max()
    return max(0.0, float(error)) / growth(nodes, t)


def growth(nodes: np.ndarray, t: float) -> float:
    """∏ |t − node|, as which the error of an interpolation grows."""
    return float(np.prod(np.abs(t - nodes)))


def lagrange_weights(nodes: np.ndarray, t: float) -> np.ndarray:
    """The values at the nodes' weights in the polynomial through them, at t."""
    is_other = ~np.eye(len(nodes), dtype=bool)
    return np.array(
        [
            np.prod((t - nodes[others]) / (node - nodes[others]))
            for node, others in zip(nodes, is_other, strict=True)
        ]
    )


def not_a_number(subject: Subject) -> Finding:
    """A NaN among the labels shows: NaN in that example's loss, or an error."""
    return must_be_signalled(
        "label NaN", subject, [np.nan], "NaN is cast to an integer, compared or clipped away"
    )


def fractional(subject: Subject) -> Finding:
    """1.5 is no class; 0.3 and 0.7 are shares, not 0 and 1."""
    if not has_dense_labels(subject):
        return must_be_signalled("label fraction", subject, [1.5], "the label is cut off to an integer")
    batch = telling_row(subject)
    loss_of_0, loss_of_1 = (
        per_example_losses(subject, batch.labelled(with_first_label(batch.y, t))) for t in (0.0, 1.0)
    )
    for t in (0.3, 0.7):
        soft_batch = batch.labelled(with_first_label(batch.y, t))
        measured = value_or_error(per_example_losses, subject, soft_batch)
        if (
            not is_signalled(measured)
            and not is_close(loss_of_0, loss_of_1)
            and (is_close(measured, loss_of_0) or is_close(measured, loss_of_1))
        ):
            return wrong_label(
                "label fraction", subject, soft_batch, measured, "the label is cut off or rounded"
            )
    return passed("label fraction", "labels of 0.3 and 0.7 give neither the loss of 0 nor that of 1")


def ignored(subject: Subject) -> Finding:
    """With `ignore_class` an example of that class has no loss and does not count in the mean."""
    if "ignore_class" not in accepted_arguments(subject):
        return not_applicable("ignored label", "there is no `ignore_class`")
    if subject.values != "one each" or subject.axes:
        return not_applicable("ignored label", "examples are not asked one by one; see `per example`")
    for label in (-100, -1, 0):
        finding = failed_to_ignore(subject, label)
        if finding is not None:
            return finding
    return passed("ignored label", "ignore_class of -100, -1 and 0: no loss, and not counted in the mean")


def failed_to_ignore(subject: Subject, label: int) -> Finding | None:
    """The failure where the second example, which has the ignored label, counts; else None."""
    batch = valid_batch(subject)
    ignoring: dict[str, Any] = {"ignore_class": label}
    values = per_example_losses(subject, batch, ignore_class=K + 7)
    ignored_batch = batch.labelled(np.where([False, True, False, False], label, batch.y))
    kept = ignored_batch.y != label
    mean = float(values[kept].mean())
    measured = value_or_error(per_example_losses, subject, ignored_batch, **ignoring)
    if not isinstance(measured, np.ndarray) or not is_close(measured, np.where(kept, values, 0.0)):
        cause, expected = "an ignored example has a loss, or another has none", np.where(kept, values, 0.0)
        return wrong_label(
            "ignored label", subject, ignored_batch, measured, cause, reportable(expected), **ignoring
        )
    if subject.is_class and not is_close(
        as_float64(make_loss(subject, **ignoring)(ignored_batch.y, ignored_batch.x)), mean
    ):
        measured, cause = (
            as_float64(make_loss(subject, **ignoring)(ignored_batch.y, ignored_batch.x)),
            "ignored examples count in the mean",
        )
        return wrong_label("ignored label", subject, ignored_batch, measured, cause, mean, **ignoring)
    return None


def must_be_signalled(check: str, subject: Subject, labels: list[Any], cause: str) -> Finding:
    """Fails at the first of these labels that gives a finite number."""
    per_example_losses(subject, valid_batch(subject))  # a loss that refuses valid labels refuses nothing here
    signals_seen = []
    for label in labels:
        batch = valid_batch(subject).rows(slice(0, 1))
        y = batch.y.astype("float32")
        y.reshape(-1)[0] = label
        labelled = batch.labelled(y)
        measured = value_or_error(per_example_losses, subject, labelled)
        if not is_signalled(measured):
            found = wrong_label(check, subject, labelled, measured, cause)
            return as_levels(found, subject, batch, label, measured) if subject.kind == "ordinal" else found
        signals_seen.append(f"{label}: {'error' if isinstance(measured, str) else 'NaN'}")
    return passed(check, ", ".join(signals_seen))


def as_levels(found: Finding, subject: Subject, batch: Batch, label: Any, measured: Any) -> Finding:
    """Described where an ordinal loss reads a label as its comparison with the levels does, else failed.

    `y > arange(K − 1)` makes the highest of a label above, the lowest of one below and of NaN, and a
    neighbour of one between.
    """
    lowest, highest = 0, batch.x.shape[-1]
    near = (int(np.floor(label)), int(np.ceil(label))) if np.isfinite(label) else (lowest,)
    read_as = {min(max(number, lowest), highest) for number in near}
    losses = [per_example_losses(subject, batch.labelled(np.array([number]))) for number in read_as]
    if not any(is_close(measured, loss) for loss in losses):
        return found
    note = "no fault of the formula: comparing the label with the levels says nothing of one that is none"
    return replace(found, verdict="described", note=note)


def wrong_label(
    check: str,
    subject: Subject,
    batch: Batch,
    measured: Any,
    cause: str,
    expected: Any = "NaN or an error",
    **arguments: Any,
) -> Finding:
    return failed(
        check,
        call_as_typed(subject, batch, reduction=None, **arguments),
        measured=reportable(measured),
        expected=expected,
        cause=cause,
        remedy="compare the labels with what they may be; `ops.where(valid, loss, nan)` works in a graph too",
    )


CHECKS = (
    LossCheck("label range", "A label outside its range is no silent number.", out_of_range, "misuse"),
    LossCheck("label rows", "A row that sums to something else than 1 is not cut.", row_sums, "misuse"),
    LossCheck("label NaN", "A label of NaN shows.", not_a_number, "misuse"),
    LossCheck(
        "label fraction", "A fraction is a share or an error, never a whole label.", fractional, "misuse"
    ),
    LossCheck("ignored label", "What `ignore_class` names does not count.", ignored, "other arguments"),
)
