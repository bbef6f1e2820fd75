"""Whether a loss of no known theory falls where the prediction is wrong: training makes mistakes worse."""

from __future__ import annotations

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.contract import Finding, Subject, failed
from crosscheck.audit.judging import call_as_typed
from crosscheck.audit.probe import Probe, probe_of
from crosscheck.audit.recognition import AGREEMENT
from crosscheck.audit.theories import over

DISTANCES = (0.0, 1.0, 2.0, 4.0, 8.0, 12.0)  # by which the label's own logit is on the wrong side
FALL = 0.05  # of the highest loss on the way: far more than rounding, and what no penalty on logits makes
INSTEAD = "weigh each example by (1 − p)^γ, which forgets what is right already; p^γ forgets what is wrong"
COMPLEMENTARY = "turn its sign; where labels say what an example is not, tell so with --theory or --expect"


def rewards_mistakes(subject: Subject) -> Finding | None:
    """The failure of `dead gradient` where a loss is less for a confident mistake than for a small one.

    Every margin, bounded or robust loss rises, or rests, the further the label's logit is on the wrong side.
    """
    probe, kind = probe_of(subject), subject.kind
    z, y = points.tail(kind, right=False, ts=DISTANCES)
    values = probe(z, y, probe.precise).value.reshape(len(DISTANCES), -1)  # [T, rows]
    highest, furthest = values.max(0), values[-1]
    with np.errstate(invalid="ignore"):
        falls = highest - furthest > FALL * np.maximum(np.abs(highest), 1e-6)
    if not falls.any():
        return None
    row = int(np.flatnonzero(falls)[0])
    place, top = (len(DISTANCES) - 1) * values.shape[1] + row, int(values[:, row].argmax())
    exponent = exponent_of_p(probe, z, y)
    cause = "the loss falls as the prediction gets worse, and training on it makes mistakes worse"
    return failed(
        "dead gradient",
        call_as_typed(subject, z[place], y[place], probe.heads[0]),
        measured=float(furthest[row]),
        expected=f"no less than {highest[row]:.6g}, as {DISTANCES[-1] - DISTANCES[top]:g} nearer the label",
        threshold=FALL,
        note=f"the loss of a mistake that is confident by 12{where_it_pulls(probe, row)}",
        cause=f"{cause}: it is cross-entropy times p^{exponent:.3g}" if exponent else cause,
        remedy=INSTEAD if exponent else COMPLEMENTARY,
    )


def where_it_pulls(probe: Probe, row: int) -> str:
    """In words, whether the gradient is larger where the prediction is right than where it is wrong."""
    sizes = []
    for right, t in ((True, 1.0), (False, 4.0)):
        z, y = points.tail(probe.subject.kind, right, (t,))
        own = points.own_logit(probe.subject.kind, y)[row]
        sizes.append(abs(float(probe(z, y, probe.precise).gradient[row, own])))
    if not sizes[0] > sizes[1]:
        return ""
    return (
        f"; its gradient is {sizes[0]:.3g} where it is right by 1, and {sizes[1]:.3g} where it is wrong by 4"
    )


def exponent_of_p(probe: Probe, z: np.ndarray, y: np.ndarray) -> float | None:
    """γ where the loss is cross-entropy times the γth power of the label's probability, times anything."""
    if probe.subject.kind not in ("binary", "categorical", "sparse"):
        return None
    p = probe.probabilities(z)
    of_label = (p * y).sum(-1) if over(probe.subject.kind) == "classes" else np.where(y > 0.5, p, 1 - p)[:, 0]
    values = probe(z, y, probe.precise).value
    near = (of_label > 1e-3) & (of_label < 1 - 1e-3)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.log(values[near] / -np.log(of_label[near]))
    if not np.isfinite(weights).all():
        return None
    gamma, offset = np.polyfit(np.log(of_label[near]), weights, 1)
    fitted = gamma * np.log(of_label[near]) + offset
    return float(gamma) if gamma > 0 and np.allclose(fitted, weights, atol=100 * AGREEMENT) else None
