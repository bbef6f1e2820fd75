"""Point 8: the Hessian is the derivative of the gradient, and diag(p) − ppᵀ where it applies."""

from __future__ import annotations

import numpy as np
from keras import ops

from crosscheck.audit import points
from crosscheck.audit.checks.theory.derivative import STEPS, TOLERANCE, differences
from crosscheck.audit.contract import Check, Finding, Subject, failed, passed
from crosscheck.audit.judging import typed
from crosscheck.audit.probe import Probe, hot, labels_of, probe_of
from crosscheck.audit.theories import over, probabilities, theory_of
from crosscheck.autodiff import gradient, numbers


def hessians(probe: Probe, y: np.ndarray, z: np.ndarray, head: str) -> np.ndarray:
    """H[n, i, j] by differentiating each component of the gradient, [N, K, K], eagerly."""
    dtype = probe.precise
    values, labels = probe.values(dtype, head), labels_of(probe.subject, y, dtype)
    slope = gradient(lambda z: values(labels, z))
    component = lambda i: lambda z: slope(z)[:, i]
    given = ops.convert_to_tensor(z, dtype=dtype)
    rows = [gradient(component(i))(given) for i in range(z.shape[-1])]
    return numbers(ops.stack(rows, axis=1)).astype("float64")


def curvature(subject: Subject) -> Finding:
    """The Hessian against differences of the gradient and, for cross-entropy, against diag(p) − ppᵀ."""
    probe, head = probe_of(subject), probe_of(subject).heads[0]
    z, y = points.paired(points.generic(subject.kind), hot(subject.kind))
    found = hessians(probe, y, z, head)

    def ask(rows: np.ndarray) -> np.ndarray:
        return probe(rows, np.tile(y, (len(rows) // len(z), 1)), probe.precise, head).gradient

    central, _, _, kinked = (np.swapaxes(e, 0, 1) for e in differences(ask, z, STEPS[probe.precise]))
    wanted, tolerance, name = np.where(kinked, found, central), TOLERANCE, "differences of the gradient"
    theory = theory_of(subject)
    if theory and theory.hessian:
        wanted, tolerance, name = probe.factor * textbook(subject.kind, z), 1e-4, "diag(p) − ppᵀ"
    bad = np.argwhere(~(np.abs(found - wanted) <= tolerance))
    least = float(np.linalg.eigvalsh((found + np.swapaxes(found, 1, 2)) / 2).min()) if not len(bad) else 0.0
    if len(bad):
        row, i, j = map(int, bad[0])
        return failed(
            "hessian",
            typed(subject, z[row], y[row], head, probe.precise),
            measured=float(found[row, i, j]),
            expected=float(wanted[row, i, j]),
            threshold=tolerance,
            note=f"second derivative by logits {i} and {j}, against {name}",
            cause="a custom gradient that cannot be differentiated again, or is stopped",
            remedy="Write the gradient in terms of its inputs, so that it has a derivative itself.",
        )
    shape = "positive semi-definite" if least > -1e-6 else "not positive semi-definite"
    return passed(
        "hessian",
        f"against {name}; {shape} at these logits, least eigenvalue {least:.3g}",
        measured=float(np.abs(found - wanted).max()),
        threshold=tolerance,
    )


def textbook(kind: str, z: np.ndarray) -> np.ndarray:
    """diag(p) − ppᵀ of classes; p (1 − p) over the number of labels on the diagonal of labels."""
    p = probabilities(kind, z)
    if over(kind) == "labels":
        return np.einsum("ni,ij->nij", p * (1 - p), np.eye(p.shape[-1])) / p.shape[-1]
    return np.einsum("ni,ij->nij", p, np.eye(p.shape[-1])) - np.einsum("ni,nj->nij", p, p)


CHECKS = (
    Check("hessian", "So is the second derivative; it is diag(p) − ppᵀ where theory says so.", curvature),
)
