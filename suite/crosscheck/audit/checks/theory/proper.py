"""Point 7: is the expected loss least at the true probabilities?"""

from __future__ import annotations

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.checks.theory.derivative import STEPS, WEIGHTS
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed
from crosscheck.audit.probe import Probe, hard_labels, probe_of
from crosscheck.audit.theories import minimiser, over

TOLERANCE = 1e-5
KINKED = "Give no gradient of your own, and have no kink there: `relu`, `abs` and `maximum` have one."
GRID = 0.01  # less than the distance between neighbours on it


def outcomes(kind: str) -> np.ndarray:
    """The labels that can come up, in the order of their probabilities; both labels alike for several."""
    return np.array([[0.0, 0.0], [1.0, 1.0]]) if kind == "multilabel" else hard_labels(kind)


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
    measured = probe(*points.paired(logits_of(kind, p), labels), probe.precise, head)
    return measured.value.reshape(len(p), -1), measured.gradient.reshape(len(p), len(labels), -1)


def proper(subject: Subject) -> Finding:
    """Checks over a grid of q and p that p = q is stationary and no regret is negative, behind every head.

    Only a loss that is meant to be proper can fail: of any other it is described where its minimum lies.
    """
    if subject.kind == "ordinal":
        return not_applicable("proper", "its levels are not independent labels")
    if not is_meant_proper(subject):
        return report_minimum(subject)
    findings = [judge_minimum(subject, head) for head in probe_of(subject).heads]
    return next((finding for finding in findings if finding.verdict == "failed"), findings[0])


def is_meant_proper(subject: Subject) -> bool:
    """Whether the loss ought to be proper: its theory is. A user's formula is evaluated."""
    theory = subject.claimed
    if theory is None or subject.class_weights:
        return False
    if subject.own_theory is None:
        return theory.proper or theory.hessian
    q = points.simplex(subject.kind)
    labels = outcomes(subject.kind)
    exact = subject.expected(*points.paired(logits_of(subject.kind, q), labels))
    assert exact is not None
    slopes = exact.gradient.reshape(len(q), len(labels), -1)
    return bool(np.abs(np.einsum("qj,qjk->qk", chances(subject.kind, q), slopes)).max() <= TOLERANCE)


def report_minimum(subject: Subject) -> Finding:
    """A finding that describes where the minimum of the loss lies, for the q furthest from it."""
    probe, q = probe_of(subject), points.simplex(subject.kind)
    values, _ = tables(probe, q, probe.heads[0])
    least = q[(chances(subject.kind, q) @ values.T).argmin(-1)]
    distances = np.abs(least - q).max(-1)
    furthest = int(distances.argmax())
    if subject.theory is None and distances.max() < GRID:
        note = "described, for no theory is known: the expected loss is least at the true probabilities"
        return passed("proper", note, threshold=TOLERANCE)
    by_design = "as its theory says" if subject.theory else "by design, for all that is known"
    minimum = f"for q = {listed(q[furthest])} the expected loss is least at p = {listed(least[furthest])}"
    return passed("proper", f"not proper, {by_design}: {minimum}", threshold=TOLERANCE)


def judge_minimum(subject: Subject, head: str) -> Finding:
    probe, kind, q = probe_of(subject), subject.kind, points.simplex(subject.kind)
    minimisers = minimiser(subject.parameters, kind, q)
    values, _ = tables(probe, q, head)
    best, slopes = tables(probe, minimisers, head)
    odds = chances(kind, q)
    table = odds @ values.T
    regret = table - (odds * best).sum(-1)[:, None]  # [Q, P]
    stationary = np.abs(np.einsum("qj,qjk->qk", odds, slopes)).max(-1)
    least = q[table.argmin(-1)]
    is_improper = ~((stationary <= TOLERANCE) & (regret.min(-1) >= -TOLERANCE))
    if not is_improper.any():
        place = "at the smoothed q" if not np.array_equal(minimisers, q) else "at p = q"
        note = f"stationary {place}, no regret below 0, over {len(q)} true probabilities"
        return passed("proper", note, measured=float(stationary.max()), threshold=TOLERANCE)
    if regret.min() >= -TOLERANCE:
        worst = int(stationary.argmax())
        return not_at_rest(probe, head, q[worst], minimisers[worst], float(stationary[worst]))
    is_improper &= regret.min(-1) < -TOLERANCE
    worst = int(np.flatnonzero(is_improper)[np.abs(least - minimisers)[is_improper].max(-1).argmax()])
    minimum = f"for q = {listed(q[worst])} the expected loss is least at p = {listed(least[worst])}"
    return failed(
        "proper",
        f"q = {listed(q[worst])}",
        measured=listed(least[worst]),
        expected=listed(minimisers[worst]),
        threshold=TOLERANCE,
        note=f"{minimum}; gradient at p = q {stationary[worst]:.3g}, least regret {regret[worst].min():.3g}",
        cause="not a proper scoring rule: its minimum is not at the true probabilities",
        remedy="Do not read its predictions as probabilities without calibrating them.",
    )


def not_at_rest(probe: Probe, head: str, q: np.ndarray, p: np.ndarray, gradient: float) -> Finding:
    """The failure where no other prediction is better, and the expected loss has a gradient at p = q."""
    slope = steepest_slope(probe, head, q, p)
    is_of_value = slope > gradient / 10
    return failed(
        "proper",
        f"q = {listed(q)}",
        measured=gradient,
        expected=0.0,
        threshold=TOLERANCE,
        note=f"the largest gradient of the expected loss at p = {listed(p)}, where it should be least; by "
        f"differences of the value it is {slope:.3g}, and no other p of the grid is better",
        cause="its minimum is beside the true probabilities, and not at them"
        if is_of_value
        else "the gradient is not the derivative of the value there",
        remedy="Compare it with its formula." if is_of_value else KINKED,
    )


def steepest_slope(probe: Probe, head: str, q: np.ndarray, p: np.ndarray) -> float:
    """The largest derivative of the expected loss by a logit at p, from differences of the value."""
    kind, step = probe.subject.kind, STEPS[probe.precise]
    z, labels = logits_of(kind, p[None]), outcomes(kind)
    rows = np.concatenate([z + m * step * unit for unit in np.eye(z.shape[-1]) for m, _ in WEIGHTS])
    values = probe(*points.paired(rows, labels), probe.precise, head).value.reshape(len(rows), -1)
    expected_loss = (values @ chances(kind, q[None])[0]).reshape(-1, len(WEIGHTS))
    return float(np.abs(expected_loss @ [weight for _, weight in WEIGHTS]).max() / step)


def listed(p: np.ndarray) -> str:
    return f"[{', '.join(f'{share:.4g}' for share in p)}]"


CHECKS = (
    LossCheck(
        "proper", "The true probabilities minimise the expected loss, unless its theory says no.", proper
    ),
)
