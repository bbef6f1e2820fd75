"""Labels that no prediction learns from: the gradient by their own logit is 0, here or everywhere."""

from __future__ import annotations

import numpy as np

from crosscheck.audit import points
from crosscheck.audit.contract import Finding, Subject, described, failed
from crosscheck.audit.judging import call_as_typed
from crosscheck.audit.probe import hard_labels, probe_of
from crosscheck.audit.theories import over

CHECK = "dead gradient"


def never_learnt(subject: Subject) -> Finding | None:
    """The failure where the gradient by a label's own logit is 0 at every one of the logits within ±4.

    A margin loss rests where the margin is kept, and learns from the others. What the theory has at 0 there,
    too, is meant.
    """
    probe = probe_of(subject)
    logits = np.concatenate([points.generic(subject.kind, 32), points.generic(subject.kind, 16) / 16])
    z, y = points.paired(logits, hard_labels(subject.kind))
    exact = probe.expected(z, y)
    for head in probe.heads:
        gradient = probe(z, y, head=head).gradient
        for name, mask in places_of_labels(subject, y).items():
            is_meant = exact is not None and not np.nan_to_num(exact.gradient[mask], nan=1.0).any()
            if not gradient[mask].any() and not is_meant:
                row = int(np.flatnonzero(mask.any(-1))[0])
                call = call_as_typed(subject, z[row], y[row], head)
                return without_gradient(call, name, int(mask.sum()))
    return None


def without_gradient(call: str, name: str, places: int) -> Finding:
    return failed(
        CHECK,
        call,
        measured=0.0,
        expected="a gradient at some of the logits",
        note=f"the gradient by its own logit, at {places} logits within ±4",
        cause=f"{name} has no gradient at any of them: nothing is learnt from it",
        remedy="let every label have a term of its own, or name the formula with --theory",
    )


def places_of_labels(subject: Subject, y: np.ndarray) -> dict[str, np.ndarray]:
    """By the name of a label, where in [N, K] its own logits are."""
    columns = range(y.shape[-1])
    if over(subject.kind) == "classes":
        return {f"class {k}": (y == 1) & (np.arange(y.shape[-1]) == k) for k in columns}
    what = {"binary": "a label of", "ordinal": "level {k} at"}.get(subject.kind, "label {k} at")
    return {
        f"{what.format(k=k)} {value}": (y == value) & (np.arange(y.shape[-1]) == k)
        for k in columns
        for value in (0, 1)
    }


def at_rest(subject: Subject, place: points.Rows, sizes: np.ndarray, distances: int) -> Finding | None:
    """The description of a loss of no known theory that has no gradient at any distance, [N], from 5 on."""
    by_distance = sizes.reshape(distances, -1)
    rows = np.flatnonzero(~by_distance.any(0))
    if not len(rows):
        return None
    row = int(rows[0])
    return described(
        CHECK,
        call_as_typed(subject, place[0][row], place[1][row], probe_of(subject).heads[0]),
        measured=0.0,
        expected="a gradient, unless mistakes are to be left alone",
        note="wrong by 5 to 40 the gradient is 0 throughout, and within ±4 there is one: by design, for all "
        "that is known; what starts out so wrong stays so",
        remedy="say what it is meant to be with --theory, or let confident mistakes have a gradient",
    )
