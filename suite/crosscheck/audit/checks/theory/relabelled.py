"""A loss that has a proper theory's values for labels in another order: a mistake, or meant."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from crosscheck.audit.contract import Finding, Subject, could_not_look
from crosscheck.audit.judging import call_as_typed
from crosscheck.audit.probe import CLASSES, probe_of
from crosscheck.audit.recognition import (
    AGREEMENT,
    arguments_of,
    candidate_theories,
    numeric_arguments,
    trial_points,
    trial_values,
)
from crosscheck.audit.theories import THEORIES, evaluate, over

REMEDY = "number labels as logits; where another order is meant, say what the loss is with --theory"


def in_another_order(check: str, subject: Subject) -> Finding | None:
    """That none can tell whether the order of the labels is meant; None where no order makes it a theory."""
    values = trial_values(subject)
    if values is None or over(subject.kind) != "classes":
        return None
    z, y = trial_points(subject.kind)
    straight, *others = permutations(range(CLASSES[subject.kind]))
    for name, parameters in candidate_theories(subject, numeric_arguments(arguments_of(subject))):
        theory = THEORIES[name]
        for order in others if theory.proper else ():
            ratios = values / evaluate(theory, parameters, z, y[:, order]).value
            if ratios[0] > 0 and np.allclose(ratios, ratios[0], rtol=AGREEMENT):
                logits = ", ".join(str(order.index(label)) for label in straight)
                at = call_as_typed(subject, z[0], y[0], probe_of(subject).heads[0])
                labels = ", ".join(map(str, straight))
                why = (
                    f"cannot tell whether it is meant: {name}, but labels {labels} stand for logits {logits}"
                )
                return could_not_look(check, why, REMEDY, at)
    return None
