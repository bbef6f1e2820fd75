"""Point 5: the gradient is the derivative of the value, whatever labels come."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed
from crosscheck.audit.judging import call_as_typed
from crosscheck.audit.probe import Probe, hard_labels, probe_of

STEPS = {"float64": 1e-2, "float32": 6.25e-2}  # values' rounding over the step stays below the tolerance
TOLERANCE = 1e-3
BREAK = 0.1  # between neighbouring slopes at a kink; elsewhere they change evenly
WEIGHTS = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
Numbers = Callable[[np.ndarray], np.ndarray]


class Differences(NamedTuple):
    """∂/∂z_k of a function [N, K] → [N, …], k first, [K, N, …].

    Attributes:
        central: of fourth order.
        low, high: the least and the largest slope between neighbouring points.
        kinked: whether one of those slopes breaks away from the next as no smooth function's does.
    """

    central: np.ndarray
    low: np.ndarray
    high: np.ndarray
    kinked: np.ndarray


def differences(function: Numbers, z: np.ndarray, step: float) -> Differences:
    eye = np.eye(z.shape[-1])
    shifted_by = {m: [z + m * step * unit for unit in eye] for m in (-2, -1, 1, 2)}
    points_needed = np.concatenate([z, *(rows for shifted in shifted_by.values() for rows in shifted)])
    values = np.split(function(points_needed), len(points_needed) // len(z))
    at_centre, at_multiple = values[0], {}
    for i, m in enumerate(shifted_by):
        at_multiple[m] = np.stack(values[1 + i * len(eye) : 1 + (i + 1) * len(eye)])
    central = np.sum([weight * at_multiple[m] for m, weight in WEIGHTS], axis=0) / step
    slopes = (
        np.diff(
            np.stack(
                [
                    at_multiple[-2],
                    at_multiple[-1],
                    at_centre + 0 * at_multiple[1],
                    at_multiple[1],
                    at_multiple[2],
                ]
            ),
            axis=0,
        )
        / step
    )
    breaks = np.abs(np.diff(slopes, axis=0))
    kinked = (breaks.max(0) > BREAK) & (breaks.min(0) < breaks.max(0) / 4)
    return Differences(central, slopes.min(0), slopes.max(0), kinked)


def label_sets(subject: Subject) -> dict[str, np.ndarray]:
    """Hard and soft labels, called apart: a soft label may change how Keras reads its neighbours."""
    hard = hard_labels(subject.kind)
    if subject.kind in ("sparse", "ordinal"):
        return {"hard": hard}
    soft = np.array(points.SOFT[hard.shape[-1]])
    return {"hard": hard, "soft": soft}


def is_derivative(subject: Subject) -> Finding:
    """Compares the gradient with finite differences of the value, at generic logits and at ties."""
    return compare_with_differences("derivative", subject, label_sets(subject))


def unnormalised(subject: Subject) -> Finding:
    """The same for rows of labels that sum to ½ and to 2, as example weights folded into labels do."""
    if subject.kind != "categorical":
        return not_applicable("unnormalised", f"labels of a {subject.kind} loss have no sum")
    hard, soft = hard_labels(subject.kind), np.array(points.SOFT[3])
    return compare_with_differences(
        "unnormalised", subject, {"unnormalised": np.concatenate([0.5 * hard, 2 * soft])}
    )


def compare_with_differences(check: str, subject: Subject, labels_by_name: dict[str, np.ndarray]) -> Finding:
    probe, errors = probe_of(subject), [0.0]
    step = STEPS[probe.precise]
    for name, labels in labels_by_name.items():
        logits = np.concatenate([points.generic(subject.kind), points.ties(subject.kind)])
        z, y = points.paired(logits, labels)
        for head in probe.heads:
            measured = probe(z, y, probe.precise, head)
            values_at = partial(tiled_values, probe, y, head)
            central, low, high, kinked = (array.T for array in differences(values_at, z, step))
            errors_here = excess(measured.gradient, Differences(central, low, high, kinked))
            errors.append(float(np.nanmax(errors_here)))
            if not (errors_here <= TOLERANCE).all():
                row, logit = map(int, np.argwhere(~(errors_here <= TOLERANCE))[0])
                return failed(
                    check,
                    call_as_typed(subject, z[row], y[row], head, probe.precise),
                    measured=float(measured.gradient[row, logit]),
                    expected=float(central[row, logit]),
                    threshold=TOLERANCE,
                    note=f"gradient by logit {logit}, {name} labels, against differences of the value",
                    cause=cause_of(measured.gradient[row, logit], central[row, logit]),
                    remedy="Give no gradient of your own, or that of the very value that is returned.",
                )
    note = f"{', '.join(labels_by_name)} labels and ties, differences in {probe.precise}"
    return passed(check, note, measured=max(errors), threshold=TOLERANCE)


def tiled_values(probe: Probe, y: np.ndarray, head: str, rows: np.ndarray) -> np.ndarray:
    """Values at rows of logits, for which the labels are repeated."""
    return probe(rows, np.tile(y, (len(rows) // len(y), 1)), probe.precise, head).value


def excess(slope: np.ndarray, differences: Differences) -> np.ndarray:
    """By how much the gradient is off, relative; at a kink all between the slopes beside it are right."""
    outside = np.maximum(np.maximum(differences.low - slope, slope - differences.high), 0)
    distance = np.where(differences.kinked, outside, np.abs(slope - differences.central))
    return distance / np.maximum(1, np.abs(differences.central))


def cause_of(measured: float, expected: float) -> str:
    if measured == 0:
        return "the gradient is exactly zero although the value changes: a stopped or rounded quantity"
    if np.isclose(measured, -expected, rtol=1e-2):
        return "the gradient's sign is the wrong way round"
    return (
        "the value changes otherwise than the gradient says: a gradient of its own, or one stopped on a part"
    )


CHECKS = (
    LossCheck("derivative", "The gradient is the derivative of the value.", is_derivative),
    LossCheck("unnormalised", "So it is for rows of labels that do not sum to 1.", unnormalised, "misuse"),
)
