"""Point 7: is the expected loss least at the true probabilities?"""

from __future__ import annotations

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.contract import Check, Finding, Subject, failed, passed
from crosscheck.audit.probe import Probe, hot, probe_of
from crosscheck.audit.theories import expected, over, target, theory_of

TOLERANCE = 1e-5


def outcomes(kind: str) -> np.ndarray:
    """The labels that can come up, in the order of their probabilities; both labels alike for several."""
    return np.array([[0.0, 0.0], [1.0, 1.0]]) if kind == "multilabel" else hot(kind)


def chances(kind: str, p: np.ndarray) -> np.ndarray:
    """The probability of each outcome, [Q, J]."""
    return np.concatenate([1 - p, p], axis=1) if over(kind) == "labels" else p


def logits_of(kind: str, p: np.ndarray) -> np.ndarray:
    if over(kind) == "labels":
        z = np.log(p) - np.log1p(-p)
        return np.repeat(z, 2, axis=1) if kind == "multilabel" else z
    return np.log(p)


def tables(probe: Probe, p: np.ndarray, head: str) -> tuple[np.ndarray, np.ndarray]:
    """Loss [P, J] and gradient [P, J, K] at each prediction p and outcome j."""
    kind = probe.subject.kind
    labels = outcomes(kind)
    told = probe(*points.paired(logits_of(kind, p), labels), probe.precise, head)
    return told.value.reshape(len(p), -1), told.gradient.reshape(len(p), len(labels), -1)


def proper(subject: Subject) -> Finding:
    """Stationary at p = q, regret not negative, over a grid of q and p; behind every head."""
    if not meant(subject):
        return reported(subject)
    found = [judged(subject, head) for head in probe_of(subject).heads]
    return next((each for each in found if each.verdict == "failed"), found[0])


def meant(subject: Subject) -> bool:
    """Whether it ought to be proper: unless its theory says otherwise. The user's own formula is asked."""
    if subject.formula is None:
        theory = theory_of(subject)
        return theory is None or theory.proper or theory.hessian
    q = points.simplex(subject.kind)
    labels = outcomes(subject.kind)
    told = expected(subject, *points.paired(logits_of(subject.kind, q), labels))
    assert told is not None
    slopes = told.gradient.reshape(len(q), len(labels), -1)
    return bool(np.abs(np.einsum("qj,qjk->qk", chances(subject.kind, q), slopes)).max() <= TOLERANCE)


def reported(subject: Subject) -> Finding:
    """Where the minimum of an improper loss lies, for the q at which it is furthest away."""
    probe, q = probe_of(subject), points.simplex(subject.kind)
    values, _ = tables(probe, q, probe.heads[0])
    least = q[(chances(subject.kind, q) @ values.T).argmin(-1)]
    one = int(np.abs(least - q).max(-1).argmax())
    moved = f"for q = {listed(q[one])} the expected loss is least at p = {listed(least[one])}"
    return passed("proper", f"not proper, as its theory says: {moved}", threshold=TOLERANCE)


def judged(subject: Subject, head: str) -> Finding:
    probe, kind, q = probe_of(subject), subject.kind, points.simplex(subject.kind)
    wanted = target(subject.parameters, kind, q)
    values, _ = tables(probe, q, head)
    best, slopes = tables(probe, wanted, head)
    odds = chances(kind, q)
    table = odds @ values.T
    regret = table - (odds * best).sum(-1)[:, None]  # [Q, P]
    stationary = np.abs(np.einsum("qj,qjk->qk", odds, slopes)).max(-1)
    least = q[table.argmin(-1)]
    lost = ~((stationary <= TOLERANCE) & (regret.min(-1) >= -TOLERANCE))
    if not lost.any():
        where = "at the smoothed q" if not np.array_equal(wanted, q) else "at p = q"
        note = f"stationary {where}, no regret below 0, over {len(q)} true probabilities"
        return passed("proper", note, measured=float(stationary.max()), threshold=TOLERANCE)
    one = int(np.flatnonzero(lost)[np.abs(least - wanted)[lost].max(-1).argmax()])
    moved = f"for q = {listed(q[one])} the expected loss is least at p = {listed(least[one])}"
    name = (
        ""
        if subject.theory
        else "If it is not meant to be proper, say with --theory what it is meant to be. "
    )
    return failed(
        "proper",
        f"q = {listed(q[one])}",
        measured=listed(least[one]),
        expected=listed(wanted[one]),
        threshold=TOLERANCE,
        note=f"{moved}; gradient at p = q {stationary[one]:.3g}, least regret {regret[one].min():.3g}",
        cause="not a proper scoring rule: its minimum is not at the true probabilities",
        remedy=f"{name}Do not read its predictions as probabilities without calibrating them.",
    )


def listed(p: np.ndarray) -> str:
    return f"[{', '.join(f'{each:.4g}' for each in p)}]"


CHECKS = (
    Check("proper", "The true probabilities minimise the expected loss, unless its theory says no.", proper),
)
