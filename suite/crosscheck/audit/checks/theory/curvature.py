"""Point 8: the Hessian is the derivative of the gradient, and diag(p) − ppᵀ where it applies."""

from __future__ import annotations

import numpy as np
from keras import ops

from crosscheck.audit import points
from crosscheck.audit.checks.theory.derivative import STEPS, TOLERANCE, differences
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, passed
from crosscheck.audit.judging import call_as_typed
from crosscheck.audit.probe import Probe, hard_labels, labels_as_taken, probe_of
from crosscheck.audit.theories import over, probabilities
from crosscheck.autodiff import gradient, numbers


def hessians(probe: Probe, y: np.ndarray, z: np.ndarray, head: str) -> np.ndarray:
    """H[n, i, j] by differentiating each component of the gradient, [N, K, K], eagerly."""
    n = len(z) if probe.subject.values == "one each" else 1
    return np.concatenate(
        [hessians_of_rows(probe, y[i : i + n], z[i : i + n], head) for i in range(0, len(z), n)]
    )


def hessians_of_rows(probe: Probe, y: np.ndarray, z: np.ndarray, head: str) -> np.ndarray:
    dtype = probe.precise
    values, labels = probe.values(dtype, head), labels_as_taken(probe.subject, y, dtype)
    slope = gradient(lambda z: values(labels, z))
    component = lambda i: lambda z: slope(z)[:, i]
    logits = ops.convert_to_tensor(z, dtype=dtype)
    rows = [gradient(component(i))(logits) for i in range(z.shape[-1])]
    return numbers(ops.stack(rows, axis=1)).astype("float64")


def curvature(subject: Subject) -> Finding:
    """Compares the Hessian with differences of the gradient or, where it applies, with diag(p) − ppᵀ."""
    probe, head = probe_of(subject), probe_of(subject).heads[0]
    z, y = points.paired(points.generic(subject.kind), hard_labels(subject.kind))
    hessian = hessians(probe, y, z, head)

    def gradients_at(rows: np.ndarray) -> np.ndarray:
        return probe(rows, np.tile(y, (len(rows) // len(z), 1)), probe.precise, head).gradient

    central, _, _, kinked = (
        np.swapaxes(array, 0, 1) for array in differences(gradients_at, z, STEPS[probe.precise])
    )
    reference, tolerance, name = np.where(kinked, hessian, central), TOLERANCE, "differences of the gradient"
    theory = subject.claimed
    if theory and theory.hessian and not subject.class_weights:
        reference, tolerance, name = probe.factor * textbook_hessian(subject.kind, z), 1e-4, "diag(p) − ppᵀ"
    deviations = np.argwhere(~(np.abs(hessian - reference) <= tolerance))
    least_eigenvalue = (
        float(np.linalg.eigvalsh((hessian + np.swapaxes(hessian, 1, 2)) / 2).min())
        if not len(deviations)
        else 0.0
    )
    if len(deviations):
        row, i, j = map(int, deviations[0])
        is_own_derivative = abs(hessian[row, i, j] - central[row, i, j]) <= TOLERANCE
        return failed(
            "hessian",
            call_as_typed(subject, z[row], y[row], head, probe.precise),
            measured=float(hessian[row, i, j]),
            expected=float(reference[row, i, j]),
            threshold=tolerance,
            note=f"second derivative by logits {i} and {j}, against {name}",
            cause=""
            if is_own_derivative
            else "the gradient has no derivative, or another than its differences: stopped, or one's own",
            remedy=""
            if is_own_derivative
            else "Write the gradient in terms of its inputs, so that it has a derivative itself.",
        )
    definiteness = "positive semi-definite" if least_eigenvalue > -1e-6 else "not positive semi-definite"
    return passed(
        "hessian",
        f"against {name}; {definiteness} at these logits, least eigenvalue {least_eigenvalue:.3g}",
        measured=float(np.abs(hessian - reference).max()),
        threshold=tolerance,
    )


def textbook_hessian(kind: str, z: np.ndarray) -> np.ndarray:
    """diag(p) − ppᵀ of classes; p (1 − p) over the number of labels on the diagonal of labels."""
    p = probabilities(kind, z)
    if over(kind) == "labels":
        return np.einsum("ni,ij->nij", p * (1 - p), np.eye(p.shape[-1])) / p.shape[-1]
    return np.einsum("ni,ij->nij", p, np.eye(p.shape[-1])) - np.einsum("ni,nj->nij", p, p)


CHECKS = (
    LossCheck("hessian", "So is the second derivative; it is diag(p) − ppᵀ where theory says so.", curvature),
)
