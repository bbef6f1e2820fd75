"""Whether a loss takes logits or probabilities, by how it behaves where nothing else tells."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from crosscheck.audit.contract import Finding, Subject, could_not_look
from crosscheck.audit.probe import CLASSES, Probe, hard_labels
from crosscheck.audit.recognition import silenced
from crosscheck.audit.theories import over

CHECK = "input"
FADED = {"float64": 1e-5, "float32": 5e-5}  # of the fourth derivative near [0, 1]: less than a fraction keeps
NEAR, FAR = ((2.2, 3.0, 4.0), 0.5), ((20.0, 24.0), 2.0)  # distances, and the step of the differences
FOURTH = {-2: 1, -1: -4, 0: 6, 1: -4, 2: 1}
TOLERANCE = 1e-5
TOLD = "as it was told"


def input_of(subject: Subject) -> tuple[bool | None, str]:
    """Whether it takes logits, by its behaviour, and why; None where nothing tells.

    Probabilities: no number beyond [0, 1], or the same number however far beyond, or rows that are
    normalised. Logits: a shift of all changes nothing, or a curve that straightens out as a sigmoid's does.
    """
    raw = replace(subject, from_logits=True)
    inside = rows_inside(subject)
    at_inside, at_logits = values_at(raw, *inside), values_at(raw, *rows_at(subject, (-3.0, -0.5, 4.0)))
    if at_inside is None or not np.isfinite(at_inside).all() or np.ptp(at_inside) == 0:
        return None, "it gives no different, finite numbers for probabilities"
    if at_logits is None or not np.isfinite(at_logits).all():
        return False, "it gives no finite number for predictions outside of [0, 1]"
    if is_normalised(raw, *inside):
        return False, "it divides each row by its sum"
    if over(subject.kind) == "classes" and is_shift_free(raw, *rows_at(subject, (-1.0, 0.5, 2.0))):
        return True, "a number added to all predictions changes nothing"
    if is_clipped(raw):
        return False, "all predictions beyond [0, 1] are the same to it"
    if straightens(raw):
        return True, "far out it is straight, as behind a sigmoid or softmax"
    return None, "it gives different numbers within [0, 1] and outside"


def values_at(subject: Subject, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    try:
        with silenced():
            return Probe(subject).values_alone(x, y, Probe(subject).precise)
    except Exception:
        return None


def rows_at(subject: Subject, numbers: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of these numbers in every order, with every label."""
    k, labels = CLASSES[subject.kind], hard_labels(subject.kind)
    rows = np.array(list(itertools.permutations(numbers, k)))
    return np.repeat(rows, len(labels), axis=0), np.tile(labels, (len(rows), 1))


def rows_inside(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, with every label."""
    return rows_at(subject, (0.2, 0.3, 0.5))


def is_normalised(raw: Subject, x: np.ndarray, y: np.ndarray) -> bool:
    if over(raw.kind) != "classes":
        return False
    plain, negative = values_at(raw, x, y), values_at(raw, -x / 2, y)
    return plain is not None and negative is not None and np.allclose(plain, negative, rtol=TOLERANCE)


def is_shift_free(raw: Subject, x: np.ndarray, y: np.ndarray) -> bool:
    plain, moved = values_at(raw, x, y), values_at(raw, x + 1.5, y)
    return plain is not None and moved is not None and np.allclose(plain, moved, rtol=TOLERANCE)


def is_clipped(raw: Subject) -> bool:
    """Whether numbers of any size beyond [0, 1] give the same, while those within do not."""
    near = values_at(raw, *rows_at(raw, (-2.0, 3.0, -1.0)))
    far = values_at(raw, *rows_at(raw, (-5.0, 7.0, -4.0)))
    return near is not None and far is not None and np.allclose(near, far, rtol=1e-7, atol=0)


def straightens(raw: Subject) -> bool:
    """Whether it is curved beyond [0, 1] and a polynomial far out, along every logit and either way.

    Of a sigmoid or softmax only e^(−20) is left there. A fraction keeps far more of its fourth derivative; a
    polynomial of low degree has none to begin with.
    """
    near, far = fourth_derivatives(raw, *NEAR), fourth_derivatives(raw, *FAR)
    if near is None or far is None or not (np.isfinite(near).all() and np.isfinite(far).all()):
        return False
    return bool(near.max() > 1e-3 and far.max() < FADED[Probe(raw).precise] * near.max())


def fourth_derivatives(raw: Subject, distances: tuple[float, ...], step: float) -> np.ndarray | None:
    """Their sizes along each logit with the others at rest, for every label."""
    k, labels = CLASSES[raw.kind], hard_labels(raw.kind)
    units = [np.eye(k)[i] * sign for i in range(k) for sign in (1, -1) for _ in distances]
    rows = np.array([t * unit for unit, t in zip(units, distances * (2 * k), strict=True)])
    total = np.zeros(len(rows) * len(labels))
    for m, weight in FOURTH.items():
        moved = rows + m * step * np.array(units)
        values = values_at(raw, np.repeat(moved, len(labels), axis=0), np.tile(labels, (len(rows), 1)))
        if values is None:
            return None
        total += weight * values
    return np.asarray(np.abs(total) / step**4)


def cannot_tell(subject: Subject, why: str) -> Finding:
    """The finding about a loss of which nothing tells what predictions it takes."""
    return could_not_look(
        CHECK,
        f"cannot tell whether it takes logits or probabilities: {why}",
        "say --logits or --probabilities (from_logits=True or False in Python), or what it is meant to be "
        "with --theory",
    )
