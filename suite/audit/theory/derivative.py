"""Point 5: the gradient is the derivative of the value, whatever labels come."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from suite.audit import points
from suite.audit.contract import Check, Finding, Subject, failed, not_applicable, passed
from suite.audit.judging import typed
from suite.audit.probe import Probe, hot, probe_of

STEPS = {"float64": 1e-2, "float32": 6.25e-2}  # values' rounding over the step stays below the tolerance
TOLERANCE = 1e-3
WEIGHTS = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
Numbers = Callable[[np.ndarray], np.ndarray]


def differences(function: Numbers, z: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """∂/∂z_k of function [N, K] → [N, …]: fourth order, from below and from above; k first, [K, N, …]."""
    eye = np.eye(z.shape[-1])
    moved = {m: [z + m * step * unit for unit in eye] for m in (-2, -1, 1, 2)}
    asked = np.concatenate([z, *(rows for each in moved.values() for rows in each)])
    found = np.split(function(asked), len(asked) // len(z))
    here, at = found[0], {}
    for i, m in enumerate(moved):
        at[m] = np.stack(found[1 + i * len(eye) : 1 + (i + 1) * len(eye)])
    central = np.sum([weight * at[m] for m, weight in WEIGHTS], axis=0) / step
    return central, (here - at[-1]) / step, (at[1] - here) / step


def label_sets(subject: Subject) -> dict[str, np.ndarray]:
    """Each kind of label that people pass, asked apart: they change how Keras reads their neighbours."""
    hard = hot(subject.kind)
    if subject.kind == "sparse":
        return {"hard": hard}
    soft = np.array(points.SOFT[hard.shape[-1]])
    return {"hard": hard, "soft": soft}


def is_derivative(subject: Subject) -> Finding:
    """The gradient against finite differences of the value, at generic logits and at ties."""
    return differenced("derivative", subject, label_sets(subject))


def unnormalised(subject: Subject) -> Finding:
    """The same for rows of labels that sum to ½ and to 2, as example weights folded into labels do."""
    if subject.kind != "categorical":
        return not_applicable("unnormalised", f"labels of a {subject.kind} loss have no sum")
    hard, soft = hot(subject.kind), np.array(points.SOFT[3])
    return differenced("unnormalised", subject, {"unnormalised": np.concatenate([0.5 * hard, 2 * soft])})


def differenced(check: str, subject: Subject, sets: dict[str, np.ndarray]) -> Finding:
    probe, errors = probe_of(subject), [0.0]
    step = STEPS[probe.precise]
    for name, labels in sets.items():
        places = np.concatenate([points.generic(subject.kind), points.ties(subject.kind)])
        z, y = points.paired(places, labels)
        for head in probe.heads:
            told = probe(z, y, probe.precise, head)
            tiled = partial(tiled_values, probe, y, head)
            central, below, above = (each.T for each in differences(tiled, z, step))
            off = excess(told.gradient, central, below, above)
            errors.append(float(np.nanmax(off)))
            if not (off <= TOLERANCE).all():
                row, logit = map(int, np.argwhere(~(off <= TOLERANCE))[0])
                return failed(
                    check,
                    typed(subject, z[row], y[row], head, probe.precise),
                    measured=float(told.gradient[row, logit]),
                    expected=float(central[row, logit]),
                    threshold=TOLERANCE,
                    note=f"gradient by logit {logit}, {name} labels, against differences of the value",
                    cause=strange(told.gradient[row, logit], central[row, logit]),
                    remedy="Give no gradient of your own, or that of the very value that is returned.",
                )
    said = f"{', '.join(sets)} labels and ties, differences in {probe.precise}"
    return passed(check, said, measured=max(errors), threshold=TOLERANCE)


def tiled_values(probe: Probe, y: np.ndarray, head: str, rows: np.ndarray) -> np.ndarray:
    """Values at rows of logits, for which the labels are repeated."""
    return probe(rows, np.tile(y, (len(rows) // len(y), 1)), probe.precise, head).value


def excess(slope: np.ndarray, central: np.ndarray, below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """By how much the gradient misses; at a kink every number between the two one-sided slopes will do."""
    low, high = np.minimum(below, above), np.maximum(below, above)
    outside = np.maximum(np.maximum(low - slope, slope - high), 0)
    off = np.where(high - low > 0.1, outside, np.abs(slope - central))
    return off / np.maximum(1, np.abs(central))


def strange(measured: float, expected: float) -> str:
    if measured == 0:
        return "the gradient is exactly zero although the value changes: a stopped or rounded quantity"
    if np.isclose(measured, -expected, rtol=1e-2):
        return "the gradient's sign is the wrong way round"
    return "a custom gradient, or a gradient stopped on part of the formula"


CHECKS = (
    Check("derivative", "The gradient is the derivative of the value.", is_derivative),
    Check("unnormalised", "So it is for rows of labels that do not sum to 1.", unnormalised, "misuse"),
)
