"""Whether class weights that the user told are those of the loss: by its theory, else at symmetric logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crosscheck.audit.contract import Finding, Subject, could_not_look, failed, passed
from crosscheck.audit.judging import call_as_typed
from crosscheck.audit.probe import CLASSES
from crosscheck.audit.recognition import fitted_weights, trial_points, trial_values, values_at
from crosscheck.audit.theories import over

CHECK = "symmetry"
CLOSE = 1e-3  # relative, of weights
TS = (0.0, -1.0, -2.0)  # of the label's own logit: at rest with the others, and on the wrong side
LOSSES = "losses of the classes, where all logits are 0, of"
REMEDY = "multiply each example's loss by the weight of its class, or tell the weights that it has"


def judge_told_weights(subject: Subject) -> Finding:
    """Holds the weights that were told against those that the loss has.

    Where its theory is known they are fitted. Else the losses of the classes are compared where all logits
    are alike, and where each class is equally wrong: they are in the proportion of the weights.
    """
    found = weights_by_theory(subject)
    if not found:
        return at_symmetric_logits(subject)
    told = np.array(subject.told_weights)
    factor = in_proportion(np.array(found), told)
    if factor:
        times = "" if abs(factor - 1) <= CLOSE else f", times {factor:.6g}"
        return passed(CHECK, f"the class weights {told.tolist()} that were told were found{times}")
    if subject.values != "one each":
        return cannot_tell("an example alone shows no weights of a loss that takes the examples together")
    return not_those_told(subject, np.array(found), "class weights", f"fitted as those of {subject.theory}")


def weights_by_theory(subject: Subject) -> tuple[float, ...]:
    """The class weights that make the values those of its theory, (1, …) for none; () where none do."""
    values, theory = trial_values(subject), subject.claimed
    if values is None or theory is None or theory.over == "rows" or subject.kind == "ordinal":
        return ()
    return fitted_weights(theory, subject.parameters, *trial_points(subject.kind), values)


def in_proportion(found: np.ndarray, told: np.ndarray) -> float:
    """How many times the weights told those found are; 0 where they are in another proportion."""
    factor = float(found @ told / (told @ told)) if told.any() else 0.0
    return factor if np.allclose(found, factor * told, rtol=CLOSE, atol=CLOSE * np.abs(found).max()) else 0.0


def symmetric_rows(subject: Subject, t: float) -> tuple[np.ndarray, np.ndarray]:
    """A row for each class, or for 0 and for 1 as all labels: its own logit at t, the others at rest."""
    k = CLASSES[subject.kind]
    if over(subject.kind) == "classes":
        return t * np.eye(k), np.eye(k)
    y = np.array([[0.0] * k, [1.0] * k])
    return t * (2 * y - 1), y


def at_symmetric_logits(subject: Subject) -> Finding:
    """Compares the losses of the classes with the weights, at three rows each."""
    by_distance = [values_at(subject, *symmetric_rows(subject, t)) for t in TS]
    if subject.kind == "ordinal" or any(losses is None or not losses.any() for losses in by_distance):
        return cannot_tell("the loss of some class is no finite number, or that of all is 0")
    losses, told = np.array(by_distance), np.array(subject.told_weights)  # [T, C], [C]
    if all(in_proportion(row, told) > 0 for row in losses):
        return passed(CHECK, f"at symmetric logits the losses of the classes are as {told.tolist()}")
    if subject.values != "one each":
        return cannot_tell("an example alone shows no weights of a loss that takes the examples together")
    if all(is_part_weighted(row, told) for row in losses):
        return weighted_in_part(subject, losses[0])
    undecided = over(subject.kind) == "labels" and not are_alike(losses[0])
    if undecided and not all(in_proportion(row, losses[0]) for row in losses):
        return cannot_tell("its losses of 0 and of 1 differ by more than weights: no theory that is known")
    return not_those_told(subject, losses[0], LOSSES)


def is_part_weighted(losses: np.ndarray, told: np.ndarray) -> bool:
    """Whether the losses are A + B · weight with a B above 0; of two weights nothing would contradict it."""
    if len(told) < 3 or are_alike(told) or are_alike(losses):
        return False
    slope, offset = np.polyfit(told, losses, 1)
    return bool(slope > 0 and np.allclose(slope * told + offset, losses, rtol=CLOSE))


def are_alike(numbers: np.ndarray) -> bool:
    return bool(np.allclose(numbers, numbers[0], rtol=CLOSE))


def weighted_in_part(subject: Subject, losses: np.ndarray) -> Finding:
    return replace(
        not_those_told(subject, losses, LOSSES),
        verdict="described",
        note="by design, for all that is known: the weights multiply a part of the loss, and the rest is "
        "alike for all classes, as with smoothed labels or a penalty",
        cause="",
        remedy="name the formula with --theory",
    )


def not_those_told(subject: Subject, found: np.ndarray, what: str, how: str = "") -> Finding:
    """The failure that names both; a cause where the weights found are alike, or the told ones reordered."""
    told = np.array(subject.told_weights)
    shown = [float(f"{number:.5g}") for number in found]
    reordered = in_proportion(np.sort(found), np.sort(told)) > 0
    cause = "the weights of the classes are in another order" if reordered else ""
    cause = (
        "every class has the same weight: those told do not multiply its loss" if are_alike(found) else cause
    )
    z, y = symmetric_rows(subject, 0.0)
    return failed(
        CHECK,
        call_as_typed(subject, z[-1], y[-1], "logits" if subject.from_logits else "plain"),
        measured=f"{what} {shown}",
        expected=f"the class weights {told.tolist()} that were told{', or a multiple' * (what == LOSSES)}",
        threshold=CLOSE,
        note=how,
        cause=cause,
        remedy=REMEDY,
    )


def cannot_tell(why: str) -> Finding:
    return could_not_look(CHECK, f"cannot tell whether it has the class weights that were told: {why}")
