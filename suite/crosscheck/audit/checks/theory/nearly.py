"""A loss of no known theory that is nearly one, with an ε of its own, say: that is described."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.contract import Finding, Subject, described
from crosscheck.audit.judging import call_as_typed
from crosscheck.audit.probe import CLASSES, probe_of
from crosscheck.audit.recognition import (
    arguments_of,
    candidate_theories,
    numeric_arguments,
    trial_points,
    trial_values,
)
from crosscheck.audit.theories import THEORIES, evaluate, over

WITHIN = 0.05  # of the theory, in the root mean square over the trial points


class Neighbour(NamedTuple):
    """A theory, by how much the loss is off it there, and how many times it is meant."""

    off: float
    name: str
    parameters: dict[str, float]
    times: float


def nearly_a_theory(check: str, subject: Subject) -> Finding | None:
    """The description of a loss within 5 % of a theory at the trial points; None where none is near."""
    near = nearest_theory(subject)
    if near is None or near.off > WITHIN:
        return None
    probe = probe_of(subject)
    z, y = points.moderate(subject.kind, soft=False)
    exact = near.times * evaluate(THEORIES[near.name], near.parameters, z, y).value
    values = probe(z, y).value
    off = np.abs(values - exact)
    row = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
    return described(
        check,
        call_as_typed(subject, z[row], y[row], probe.heads[0]),
        measured=float(values[row]),
        expected=float(exact[row]),
        threshold=WITHIN,
        note=f"nearly {in_words(near)}, off by at most {off[row]:.3g} for |z| ≤ 10, and by "
        f"{100 * near.off:.2g} % of it at moderate logits: by design, for all that is known",
        remedy="say that it is meant to be that with --theory, and every check holds it to it",
    )


def nearest_theory(subject: Subject) -> Neighbour | None:
    """The theory, in its usual parameters or those of the arguments, that the values are nearest to."""
    values = trial_values(subject)
    if values is None:
        return None
    configured = numeric_arguments(arguments_of(subject))
    conventions = {1.0, float(CLASSES[subject.kind]) if over(subject.kind) == "labels" else 1.0}
    neighbours = []
    for name, parameters in candidate_theories(subject, configured):
        exact = evaluate(THEORIES[name], parameters, *trial_points(subject.kind)).value
        for times in conventions:
            off = float(np.linalg.norm(values - times * exact) / np.linalg.norm(times * exact))
            neighbours.append(Neighbour(off, name, parameters, times))
    return min(neighbours, key=lambda near: near.off, default=None)


def in_words(near: Neighbour) -> str:
    defaults = THEORIES[near.name].parameters
    own = "".join(f", {k} = {v:.4g}" for k, v in near.parameters.items() if v or k not in defaults)
    return (f"{near.times:g} times " if near.times != 1 else "") + near.name + own
