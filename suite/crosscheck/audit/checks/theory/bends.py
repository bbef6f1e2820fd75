"""Bends in the tails of a loss of no known theory: its gradient jumps where it had come to rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.contract import Subject
from crosscheck.audit.probe import probe_of

FROM, TO = 8, 60  # of |z|: nearer, margins have their kinks; both tails are of 1000 where a theory is known
TIMES = 10  # the steps before: what is made of exponentials and powers changes by no such factor
JUMP = 1e-4  # of the steepest slope


class Bend(NamedTuple):
    """A row of logits and labels, the gradient there by the logit that moves, and that one step nearer."""

    z: np.ndarray
    y: np.ndarray
    measured: float
    nearer: float


def first_bend(subject: Subject, right: bool) -> Bend | None:
    """The nearest place at which a step of the gradient is many times the two before it; None where none is.

    Of a loss of probabilities nothing is asked: p is rounded to 1 on the way.
    """
    if not subject.from_logits:
        return None
    ts = tuple(float(t) for t in range(FROM, TO + 1))
    z, y = points.tail(subject.kind, right, ts)
    probe = probe_of(subject)
    own = points.own_logit(subject.kind, y)
    gradient = probe(z, y, probe.precise).gradient[np.arange(len(z)), own].reshape(len(ts), -1)  # [T, rows]
    steps = np.abs(np.diff(gradient, axis=0))
    before = np.maximum(steps[1:-1], steps[:-2])
    with np.errstate(invalid="ignore"):
        is_bent = steps[2:] > TIMES * before + JUMP * max(1.0, float(np.nanmax(np.abs(gradient))))
    if not is_bent.any():
        return None
    step, row = (int(index) for index in np.argwhere(is_bent)[0])
    place = (step + 3) * gradient.shape[1] + row
    return Bend(z[place], y[place], float(gradient[step + 3, row]), float(gradient[step + 2, row]))
