"""Point 6: what adds up to nothing, and what must not depend on the order of classes."""

from __future__ import annotations

import inspect

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.checks.theory.accuracy import rounding
from crosscheck.audit.contract import Check, Finding, Subject, failed, not_applicable, passed
from crosscheck.audit.judging import Off, first_off, typed
from crosscheck.audit.probe import Probe, hot, probe_of
from crosscheck.audit.theories import Told, expected, over, theory_of

TOLERANCE = 1e-5
SHIFTS = (3.0, -3.0, 64.0)  # exact for multiples of 1/16
WEIGHTED = ("weight", "alpha", "balanc", "pos_", "cost", "prior")


def shift(subject: Subject) -> Finding:
    """A constant added to all logits changes nothing, and the gradient sums to zero."""
    if over(subject.kind) == "labels":
        return not_applicable("shift", "one logit a label: a shift is no symmetry")
    probe = probe_of(subject)
    z, y = points.paired(points.generic(subject.kind), hot(subject.kind))
    for head in probe.heads:
        told = probe(z, y, head=head)
        found = summed(subject, z, y, told, head) or shifted(probe, z, y, told, head)
        if found:
            return found
    return passed("shift", "shifts by 3, −3 and 64; the gradient sums to 0", threshold=TOLERANCE)


def symmetry(subject: Subject) -> Finding:
    """Classes, or both values of a label, are treated alike, unless it is said that they are not."""
    probe = probe_of(subject)
    why = lopsided(subject)
    if why:
        return not_applicable("symmetry", why)
    z, y = points.paired(points.generic(subject.kind), hot(subject.kind))
    for head in probe.heads:
        found = mirrored(probe, z, y, probe(z, y, head=head), head)
        if found:
            return found
    alike = "label and logit turned round" if over(subject.kind) == "labels" else "classes in another order"
    return passed("symmetry", alike, threshold=TOLERANCE)


def shifted(probe: Probe, z: np.ndarray, y: np.ndarray, told: Told, head: str) -> Finding | None:
    for shift in SHIFTS:
        moved = probe(z + shift, y, head=head)
        off = first_off(moved, told, TOLERANCE, rounding(probe.subject, z + shift))
        if off:
            cause = f"the loss changes when {shift:g} is added to every logit, which no probability does"
            return asymmetry("shift", probe.subject, z + shift, y, off, head, cause)
    return None


def summed(subject: Subject, z: np.ndarray, y: np.ndarray, told: Told, head: str) -> Finding | None:
    total = told.gradient.sum(-1)
    bad = np.flatnonzero(~(np.abs(total) <= TOLERANCE))
    if not len(bad):
        return None
    off = Off(int(bad[0]), 0, float(total[bad[0]]), 0.0)
    return asymmetry("shift", subject, z, y, off, head, "the gradients by the logits do not sum to zero")


def mirrored(probe: Probe, z: np.ndarray, y: np.ndarray, told: Told, head: str) -> Finding | None:
    """Classes put in another order along with their labels; a binary label swapped along with z's sign."""
    if over(probe.subject.kind) == "labels":
        other = probe(-z, 1 - y, head=head)
        other, at, label = Told(other.value, -other.gradient), -z, 1 - y
    else:
        order = np.roll(np.arange(z.shape[-1]), 1)
        back = np.argsort(order)
        at, label = z[:, order], y[:, order]
        other = probe(at, label, head=head)
        other = Told(other.value, other.gradient[:, back])
    off = first_off(other, told, TOLERANCE)
    why = "one class is treated unlike another"
    return asymmetry("symmetry", probe.subject, at, label, off, head, why) if off else None


def asymmetry(
    check: str, subject: Subject, z: np.ndarray, y: np.ndarray, off: Off, head: str, cause: str
) -> Finding:
    at = typed(subject, z[off.row], y[off.row], head)
    numbers = {"measured": off.measured, "expected": off.expected, "threshold": TOLERANCE}
    return failed(check, at, note=off.quantity, cause=cause, **numbers)


def lopsided(subject: Subject) -> str:
    """Why classes may be treated differently; "" where they may not."""
    theory = theory_of(subject)
    if subject.formula:
        return "" if alike(subject) else f"{subject.theory} does not treat classes alike"
    if theory:
        weighted = subject.parameters.get("balanced", 0.0) == 1.0
        return (
            "balanced by α" if weighted else "" if theory.symmetric else f"{subject.theory} is not symmetric"
        )
    try:
        names = [*subject.config, *inspect.signature(subject.make).parameters]
    except (TypeError, ValueError):
        names = list(subject.config)
    found = [name for name in names if any(word in name.lower() for word in WEIGHTED)]
    return f"its `{found[0]}` may weigh classes" if found else ""


def alike(subject: Subject) -> bool:
    """Whether the user's own formula is as symmetric as ours: it is asked."""
    z, y = points.paired(points.generic(subject.kind, 2), hot(subject.kind))
    mirror = (-z, 1 - y) if over(subject.kind) == "labels" else (np.roll(z, 1, -1), np.roll(y, 1, -1))
    here, there = expected(subject, z, y), expected(subject, *mirror)
    assert here is not None and there is not None
    return bool(np.allclose(here.value, there.value, rtol=1e-12, atol=1e-12))


CHECKS = (
    Check("shift", "A shift of all logits changes nothing; the gradient sums to 0.", shift),
    Check("symmetry", "Classes are treated alike, unless it is said that they are not.", symmetry),
)
