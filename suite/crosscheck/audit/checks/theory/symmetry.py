"""Point 6: shifts of all logits change nothing, and neither does the order of classes."""

from __future__ import annotations

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.checks.theory.accuracy import rounding
from crosscheck.audit.checks.theory.weights import judge_told_weights
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed
from crosscheck.audit.judging import Deviation, call_as_typed, first_deviation
from crosscheck.audit.probe import Probe, hard_labels, probe_of
from crosscheck.audit.theories import ValueAndGradient, over

TOLERANCE = 1e-5
SHIFTS = (3.0, -3.0, 64.0)  # exact for multiples of 1/16


def shift(subject: Subject) -> Finding:
    """A constant added to all logits changes nothing, and the gradient sums to 0, where theory says so.

    Where none is known, value and gradient have to say the same: that it changes may be meant.
    """
    if over(subject.kind) == "labels":
        return not_applicable("shift", "one logit a label: a shift is no symmetry")
    probe = probe_of(subject)
    z, y = points.paired(points.generic(subject.kind), hard_labels(subject.kind))
    if subject.claimed and not is_shift_free(subject):
        return passed("shift", f"described: {subject.theory} itself changes with a shift of all logits")
    for head in probe.heads:
        measured = probe(z, y, head=head)
        sums, moves = summed(subject, z, y, measured, head), shifted(probe, z, y, measured, head)
        if sums and moves and not subject.claimed:
            return passed(
                "shift", f"described, for no theory is known: {moves.cause}; value and gradient agree in that"
            )
        if sums or moves:
            return sums or moves  # type: ignore[return-value]
    return passed("shift", "shifts by 3, −3 and 64; the gradient sums to 0", threshold=TOLERANCE)


def is_shift_free(subject: Subject) -> bool:
    """Whether the theory itself, as it is evaluated, is the same for logits that are all shifted."""
    z, y = points.paired(points.generic(subject.kind, 2), hard_labels(subject.kind))
    plain, moved = subject.expected(z, y), subject.expected(z + SHIFTS[0], y)
    assert plain is not None and moved is not None
    return bool(np.allclose(plain.value, moved.value, rtol=1e-12, atol=1e-12))


def symmetry(subject: Subject) -> Finding:
    """Classes, or both values of a label, are treated alike where theory says so; else it is described.

    Class weights that were told are to be those of the loss.
    """
    probe = probe_of(subject)
    if subject.told_weights:
        return judge_told_weights(subject)
    if subject.kind == "ordinal":
        return not_applicable("symmetry", "levels have an order")
    if subject.claimed and not treats_classes_alike(subject):
        words = f"class weights {list(subject.class_weights)}" if subject.class_weights else subject.theory
        return not_applicable("symmetry", f"not alike by its theory: {words}")
    z, y = points.paired(points.generic(subject.kind), hard_labels(subject.kind))
    for head in probe.heads:
        finding = mirrored(probe, z, y, probe(z, y, head=head), head)
        if finding and not subject.claimed:
            numbers = f"{finding.measured:.6g} and {finding.expected:.6g} at {finding.at}"
            return passed("symmetry", f"described, for no theory is known: {finding.cause}: {numbers}")
        if finding:
            return finding
    how = "label and logit turned round" if over(subject.kind) == "labels" else "classes in another order"
    return passed("symmetry", how, threshold=TOLERANCE)


def shifted(
    probe: Probe, z: np.ndarray, y: np.ndarray, measured: ValueAndGradient, head: str
) -> Finding | None:
    for shift in SHIFTS:
        moved = probe(z + shift, y, head=head)
        deviation = first_deviation(moved, measured, TOLERANCE, rounding(probe.subject, z + shift))
        if deviation:
            cause = f"the loss changes when {shift:g} is added to every logit, which no probability does"
            return asymmetry("shift", probe.subject, z + shift, y, deviation, head, cause)
    return None


def summed(
    subject: Subject, z: np.ndarray, y: np.ndarray, measured: ValueAndGradient, head: str
) -> Finding | None:
    total = measured.gradient.sum(-1)
    rows_off = np.flatnonzero(~(np.abs(total) <= TOLERANCE))
    if not len(rows_off):
        return None
    deviation = Deviation(int(rows_off[0]), 0, float(total[rows_off[0]]), 0.0)
    return asymmetry(
        "shift", subject, z, y, deviation, head, "the gradients by the logits do not sum to zero"
    )


def mirrored(
    probe: Probe, z: np.ndarray, y: np.ndarray, measured: ValueAndGradient, head: str
) -> Finding | None:
    """Compares with classes in another order along with their labels, or label and sign of z reversed."""
    if over(probe.subject.kind) == "labels":
        mirrored = probe(-z, 1 - y, head=head)
        mirrored, mirrored_z, mirrored_y = ValueAndGradient(mirrored.value, -mirrored.gradient), -z, 1 - y
    else:
        order = np.roll(np.arange(z.shape[-1]), 1)
        back = np.argsort(order)
        mirrored_z, mirrored_y = z[:, order], y[:, order]
        mirrored = probe(mirrored_z, mirrored_y, head=head)
        mirrored = ValueAndGradient(mirrored.value, mirrored.gradient[:, back])
    deviation = first_deviation(mirrored, measured, TOLERANCE)
    cause = "one class is treated unlike another"
    return (
        asymmetry("symmetry", probe.subject, mirrored_z, mirrored_y, deviation, head, cause)
        if deviation
        else None
    )


def asymmetry(
    check: str, subject: Subject, z: np.ndarray, y: np.ndarray, deviation: Deviation, head: str, cause: str
) -> Finding:
    call = call_as_typed(subject, z[deviation.row], y[deviation.row], head)
    numbers = {"measured": deviation.measured, "expected": deviation.expected, "threshold": TOLERANCE}
    return failed(check, call, note=deviation.quantity, cause=cause, **numbers)


def treats_classes_alike(subject: Subject) -> bool:
    """Whether the theory treats classes alike, as it is evaluated."""
    z, y = points.paired(points.generic(subject.kind, 2), hard_labels(subject.kind))
    mirror_points = (-z, 1 - y) if over(subject.kind) == "labels" else (np.roll(z, 1, -1), np.roll(y, 1, -1))
    plain, mirrored = subject.expected(z, y), subject.expected(*mirror_points)
    assert plain is not None and mirrored is not None
    return bool(np.allclose(plain.value, mirrored.value, rtol=1e-12, atol=1e-12))


CHECKS = (
    LossCheck("shift", "A shift of all logits changes nothing; the gradient sums to 0.", shift),
    LossCheck("symmetry", "Classes are treated alike, unless it is said that they are not.", symmetry),
)
