"""Point 13: the same numbers in every way to run a loss, behind every activation and on every backend."""

from __future__ import annotations

import keras
import numpy as np

from crosscheck.audit import points
from crosscheck.audit.checks.theory.accuracy import EPSILON, rounding_of_p
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed
from crosscheck.audit.judging import Deviation, call_as_typed, first_deviation
from crosscheck.audit.probe import Probe, probe_of
from crosscheck.audit.theories import ValueAndGradient, probabilities

TOLERANCE = 1e-5
MODES = {"tensorflow": ("eager", "xla"), "jax": ("eager",), "torch": ()}
UNASKED = "backends are compared by `crosscheck audit MODULE:LOSS`, which can make the loss elsewhere"


def agreement_points(subject: Subject) -> points.Rows:
    """Moderate logits, then confident mistakes."""
    moderate = points.moderate(subject.kind, soft=False)
    wrong = points.tail(subject.kind, right=False, ts=(15, 20, 50))
    z, y = (np.concatenate(arrays) for arrays in zip(moderate, wrong, strict=True))
    return z, y


def without_kinks(probe: Probe, measured: ValueAndGradient, z: np.ndarray, y: np.ndarray) -> ValueAndGradient:
    """The numbers with NaN for gradients at a kink of the theory, where any slope between is right."""
    exact = probe.expected(z, y)
    if exact is None:
        return measured
    return ValueAndGradient(measured.value, np.where(np.isnan(exact.gradient), np.nan, measured.gradient))


def slack(subject: Subject, z: np.ndarray) -> np.ndarray:
    """What the rounding of p may cost, [N]: of a loss that nobody knows it may cost what ln (1 − p) does."""
    if subject.theory or subject.from_logits:
        return rounding_of_p(subject, z)
    p = probabilities(subject.kind, z)
    with np.errstate(divide="ignore"):
        return np.asarray((4 * EPSILON * p / (1 - p)).max(-1))


def modes(subject: Subject) -> Finding:
    """Compares the graph with eager execution and, on TensorFlow, with XLA."""
    probe, backend = probe_of(subject), keras.backend.backend()
    if not MODES.get(backend):
        probe(*agreement_points(subject))
        return not_applicable("modes", f"{backend} runs it eagerly alone here")
    z, y = agreement_points(subject)
    graph = without_kinks(probe, probe(z, y), z, y)
    for mode in MODES[backend]:
        deviation = first_deviation(probe(z, y, mode=mode), graph, TOLERANCE, slack(subject, z))
        if deviation:
            return disagreement(
                "modes", probe, (z, y), deviation, probe.heads[0], f"{mode} differs from the graph"
            )
    return passed("modes", f"graph = {' = '.join(MODES[backend])} on {backend}", threshold=TOLERANCE)


def activation(subject: Subject) -> Finding:
    """Compares the loss behind an activation that Keras recognises with the loss behind a hidden one."""
    probe = probe_of(subject)
    if len(probe.heads) == 1:
        return not_applicable("activation", "it takes logits: there is no activation in front")
    z, y = agreement_points(subject)
    plain = without_kinks(probe, probe(z, y), z, y)
    for head in probe.heads[1:]:
        deviation = first_deviation(probe(z, y, head=head), plain, TOLERANCE, slack(subject, z))
        if deviation:
            reason = "Keras undoes an activation that it recognises, and not one behind a reshape"
            return disagreement("activation", probe, (z, y), deviation, head, reason)
    return passed("activation", "the same behind a softmax or sigmoid, reshaped or not", threshold=TOLERANCE)


def backends(subject: Subject) -> Finding:
    """Compares the numbers of this backend with those of the others, which run in their own processes."""
    if subject.other_backends is None:
        return not_applicable("backends", UNASKED)
    probe, notes, answered = probe_of(subject), [], 0
    z, y = agreement_points(subject)
    for backend, answer in subject.other_backends().items():
        if isinstance(answer, str):
            notes.append(f"{backend}: {answer}")
            continue
        answered += 1
        for head, numbers in answer.items():
            deviation = first_deviation(
                probe(z, y, head=head),
                without_kinks(probe, ValueAndGradient(*numbers), z, y),
                TOLERANCE,
                slack(subject, z),
            )
            if deviation:
                this_backend = keras.backend.backend()
                return disagreement(
                    "backends",
                    probe,
                    (z, y),
                    deviation,
                    head,
                    f"{this_backend} and {backend} differ: {both_numbers(deviation)}",
                )
        notes.append(f"{backend} agrees")
    note = "; ".join(notes)
    return passed("backends", note, threshold=TOLERANCE) if answered else not_applicable("backends", note)


def both_numbers(deviation: Deviation) -> str:
    return f"{deviation.measured:.6g} and {deviation.expected:.6g}"


def disagreement(
    check: str,
    probe: Probe,
    place: points.Rows,
    deviation: Deviation,
    head: str,
    cause: str,
) -> Finding:
    call = call_as_typed(probe.subject, place[0][deviation.row], place[1][deviation.row], head)
    numbers = {"measured": deviation.measured, "expected": deviation.expected, "threshold": TOLERANCE}
    remedy = "" if head == "logits" else "Pass logits with from_logits=True."
    return failed(check, call, note=deviation.quantity, cause=cause, remedy=remedy, **numbers)


CHECKS = (
    LossCheck("modes", "Eager, graph and XLA agree.", modes),
    LossCheck("activation", "So do the ways to write the activation in front.", activation),
    LossCheck("backends", "So do TensorFlow, JAX and PyTorch.", backends),
)
