"""Point 13: the same numbers in every way to run a loss, behind every activation and on every backend."""

from __future__ import annotations

import keras
import numpy as np

from crosscheck.audit import points
from crosscheck.audit.checks.theory.accuracy import slack
from crosscheck.audit.contract import Check, Finding, Subject, failed, not_applicable, passed
from crosscheck.audit.judging import Off, first_off, typed
from crosscheck.audit.probe import Probe, probe_of
from crosscheck.audit.theories import Told

TOLERANCE = 1e-5
MODES = {"tensorflow": ("eager", "xla"), "jax": ("eager",), "torch": ()}
UNASKED = "backends are compared by `crosscheck audit MODULE:LOSS`, which can make the loss elsewhere"


def places(subject: Subject) -> points.Rows:
    """Moderate logits, then confident mistakes."""
    moderate = points.moderate(subject.kind, soft=False)
    wrong = points.tail(subject.kind, right=False, ts=(15, 20, 50))
    z, y = (np.concatenate(each) for each in zip(moderate, wrong, strict=True))
    return z, y


def smooth(probe: Probe, told: Told, z: np.ndarray, y: np.ndarray) -> Told:
    """The numbers with NaN for a gradient where the theory has a kink: any slope between will do there."""
    theory = probe.expected(z, y)
    if theory is None:
        return told
    return Told(told.value, np.where(np.isnan(theory.gradient), np.nan, told.gradient))


def modes(subject: Subject) -> Finding:
    """Graph against eager and, on TensorFlow, XLA."""
    probe, backend = probe_of(subject), keras.backend.backend()
    if not MODES.get(backend):
        probe(*places(subject))
        return not_applicable("modes", f"{backend} runs it eagerly alone here")
    z, y = places(subject)
    first = smooth(probe, probe(z, y), z, y)
    for mode in MODES[backend]:
        off = first_off(probe(z, y, mode=mode), first, TOLERANCE, slack(subject, z))
        if off:
            return differs("modes", probe, (z, y), off, probe.heads[0], f"{mode} differs from the graph")
    return passed("modes", f"graph = {' = '.join(MODES[backend])} on {backend}", threshold=TOLERANCE)


def activation(subject: Subject) -> Finding:
    """The same behind an activation that Keras recognises and undoes, and behind one that it does not."""
    probe = probe_of(subject)
    if len(probe.heads) == 1:
        return not_applicable("activation", "it takes logits: there is no activation in front")
    z, y = places(subject)
    first = smooth(probe, probe(z, y), z, y)
    for head in probe.heads[1:]:
        off = first_off(probe(z, y, head=head), first, TOLERANCE, slack(subject, z))
        if off:
            why = "Keras undoes an activation that it recognises, and not one behind a reshape"
            return differs("activation", probe, (z, y), off, head, why)
    return passed("activation", "the same behind a softmax or sigmoid, reshaped or not", threshold=TOLERANCE)


def backends(subject: Subject) -> Finding:
    """The numbers that this backend gives against those of the others, asked in processes of their own."""
    if subject.elsewhere is None:
        return not_applicable("backends", UNASKED)
    probe, said, asked = probe_of(subject), [], 0
    z, y = places(subject)
    for name, told in subject.elsewhere().items():
        if isinstance(told, str):
            said.append(f"{name}: {told}")
            continue
        asked += 1
        for head, numbers in told.items():
            off = first_off(
                probe(z, y, head=head), smooth(probe, Told(*numbers), z, y), TOLERANCE, slack(subject, z)
            )
            if off:
                here = keras.backend.backend()
                return differs(
                    "backends", probe, (z, y), off, head, f"{here} and {name} differ: {said_of(off)}"
                )
        said.append(f"{name} agrees")
    note = "; ".join(said)
    return passed("backends", note, threshold=TOLERANCE) if asked else not_applicable("backends", note)


def said_of(off: Off) -> str:
    return f"{off.measured:.6g} and {off.expected:.6g}"


def differs(check: str, probe: Probe, place: points.Rows, off: Off, head: str, cause: str) -> Finding:
    at = typed(probe.subject, place[0][off.row], place[1][off.row], head)
    numbers = {"measured": off.measured, "expected": off.expected, "threshold": TOLERANCE}
    remedy = "" if head == "logits" else "Pass logits with from_logits=True."
    return failed(check, at, note=off.quantity, cause=cause, remedy=remedy, **numbers)


CHECKS = (
    Check("modes", "Eager, graph and XLA agree.", modes),
    Check("activation", "So do the ways to write the activation in front.", activation),
    Check("backends", "So do TensorFlow, JAX and PyTorch.", backends),
)
