"""Shapes that people really pass: the right number or an error, never silently another one. (check 10)"""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.audit.checks.use.calls import each, near, outcome, parameters, shown, signals, total
from crosscheck.audit.checks.use.examples import NO_EXAMPLES
from crosscheck.audit.checks.use.inputs import Batch, K, batch, pair, typed
from crosscheck.audit.contract import Check, Finding, Subject, failed, not_applicable, passed

SMOOTHED = 0.25  # exact in binary


def column(subject: Subject) -> Finding:
    """(B,) labels or predictions beside (B, 1): paired one to one, not each with each."""
    if subject.kind == "categorical":
        return not_applicable("column", "a categorical label is a row; see `integer labels`")
    if subject.kind == "multilabel":
        return not_applicable("column", "several labels an example have no column to drop")
    given = pair(subject)
    values = each(subject, given)
    return silently("column", subject, [(other, values) for other in columns(given)], "broadcast")


def columns(given: Batch) -> list[Batch]:
    if given.x.shape[-1] != 1:
        return [Batch(given.y[:, None], given.x)]
    return [Batch(given.y[:, 0], given.x), Batch(given.y, given.x[:, 0])]


def flat(subject: Subject) -> Finding:
    """(B,) labels and (B,) predictions with weights: Σ wᵢ lᵢ / B, as for (B, 1)."""
    if subject.kind != "binary":
        return not_applicable("flat predictions", "only one number an example can be passed as (B,)")
    given = pair(subject)
    squeezed = Batch(given.y[:, 0], given.x[:, 0])
    weights = np.array([1.0, 0.0], "float32")
    found = outcome(total, subject, squeezed, weights)
    expected = (weights * each(subject, given)).mean()
    if signals(found) or near(found, expected):
        return passed("flat predictions", "(B,) and (B,) with weights: the number of (B, 1), or an error")
    return failed(
        "flat predictions",
        f"{typed(subject, squeezed)}, sample_weight=[1, 0]",
        measured=shown(found),
        expected=shown(expected),
        cause="the mean over the last axis is the mean over the examples; the weights multiply that",
        remedy="reshape both to (B, 1), or refuse predictions of rank 1",
    )


def square(subject: Subject) -> Finding:
    """(B, T) steps with B = T: step t of example b has its own loss, in its own place."""
    steps = [batch(subject).rows([2 * t, 2 * t + 1]) for t in (0, 1)]
    if each(subject, steps[0]).shape != (2,):
        return not_applicable("square", NO_EXAMPLES)
    cube = Batch(np.stack([s.y for s in steps], 1), np.stack([s.x for s in steps], 1))  # [B, T, …], B = T
    expected = np.stack([each(subject, s) for s in steps], 1)  # [B, T]
    cases = [(cube, expected)]
    if subject.kind == "binary":  # Keras averages over T here, which leaves the total as it is
        dropped = Batch(cube.y[..., 0], cube.x)
        averaged = np.ndim(outcome(each, subject, dropped)) == 1
        cases.append((dropped, expected.mean(1) if averaged else expected))
    found = silently("square", subject, cases, "axes taken for one another")
    weights = np.array([1.0, 2.0], "float32")
    told = outcome(total, subject, cube, weights, "sum")
    if found.verdict != "passed" or signals(told) or near(told, (weights[:, None] * expected).sum()):
        return found
    return passed("square", f"{found.note}; Keras itself multiplies sample_weight (B,) along T, silently")


def integer_labels(subject: Subject) -> Finding:
    """Class numbers where one-hot rows are expected, or the reverse, with B ≠ K and with B = K."""
    if subject.kind not in ("categorical", "sparse"):
        return not_applicable("integer labels", "labels of 0 and 1 are their own numbers")
    given = batch(subject)
    cases = []
    for part in (given.rows(slice(0, 2)), given.rows(slice(0, K))):  # B < K, then B = K
        values = each(subject, part)
        cases += [(part.labelled(y), values) for y in mistaken(subject, part)]
    return silently("integer labels", subject, cases, "broadcast")


def mistaken(subject: Subject, given: Batch) -> list[np.ndarray]:
    if subject.kind == "sparse":
        return [np.eye(K)[given.y]]
    return [given.y.argmax(-1)[:, None], given.y.argmax(-1)]


def axis(subject: Subject) -> Finding:
    """`axis=1` on [B, K, T] is the last axis on [B, T, K], smoothed or not."""
    known = parameters(subject)
    if "axis" not in known or subject.kind == "binary":
        return not_applicable("axis", "there is no `axis` to choose")
    given = batch(subject)
    steps = [given.rows([i, i + 1]) for i in (0, 2)]
    last = Batch(np.stack([s.y for s in steps], 1), np.stack([s.x for s in steps], 1))  # [2, 2, K]
    first = last if subject.kind == "sparse" else last.labelled(np.moveaxis(last.y, 1, -1))
    first = first.predicting(np.moveaxis(last.x, 1, -1))
    for extra in ({}, {"label_smoothing": SMOOTHED})[: 1 + ("label_smoothing" in known)]:
        expected = outcome(each, subject, last, axis=-1, **extra)
        found = outcome(each, subject, first, axis=1, **extra)
        if not signals(found) and not near(found, expected):
            return wrong(
                "axis", subject, first, found, expected, "the last axis is used somewhere", axis=1, **extra
            )
    return passed("axis", "axis=1 on [B, K, T]: the values of axis=-1 on [B, T, K], or an error")


def silently(check: str, subject: Subject, cases: list[tuple[Batch, np.ndarray]], cause: str) -> Finding:
    """Failed at the first case whose value is neither the expected one nor a signal."""
    heard: list[str] = []
    for given, expected in cases:
        found = outcome(each, subject, given)
        if not signals(found) and not near(found, expected):
            return wrong(check, subject, given, found, expected, f"labels and predictions are {cause}")
        heard.append(f"{given.y.shape} with {given.x.shape}: {'refused' if signals(found) else 'right'}")
    return passed(check, "; ".join(heard))


def wrong(
    check: str, subject: Subject, given: Batch, found: Any, expected: Any, cause: str, **arguments: Any
) -> Finding:
    return failed(
        check,
        typed(subject, given, **arguments, reduction=None),
        measured=shown(found),
        expected=f"{shown(expected)}, or an error",
        cause=cause,
        remedy="compare the shapes, and raise where they differ",
    )


CHECKS = (
    Check("column", "(B,) against (B, 1) pairs each label with its prediction, or raises.", column),
    Check("flat predictions", "(B,) against (B,) honours the weights, or raises.", flat, "misuse"),
    Check("square", "(B, T) with B = T keeps its axes apart.", square),
    Check(
        "integer labels",
        "Numbers for rows, or rows for numbers: right or an error.",
        integer_labels,
        "misuse",
    ),
    Check("axis", "A class axis that is not the last is right or an error.", axis, "other arguments"),
)
