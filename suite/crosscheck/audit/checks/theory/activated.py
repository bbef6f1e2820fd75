"""A sigmoid or softmax that is applied twice: by the loss, and within the cross-entropy that it calls."""

from __future__ import annotations

import warnings

from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, passed
from crosscheck.audit.judging import call_as_typed
from crosscheck.audit.points import moderate
from crosscheck.audit.probe import probe_of
from crosscheck.audit.recognition import is_squashed, trial_points
from crosscheck.audit.theories import over


def once(subject: Subject) -> Finding:
    """Asks whether the values are a theory's at logits that are probabilities already.

    On TensorFlow Keras undoes the first activation where it sees it, and warns: that is a failure too, for it
    does not see it everywhere.
    """
    warned = warning_of_keras(subject)
    name = "" if warned or (subject.theory and not subject.told) else is_squashed(subject)
    if warned:
        return undone_by_keras(subject, warned)
    if not name:
        return passed(
            "activated once", "its values are no theory's at logits that went through an activation"
        )
    probe = probe_of(subject)
    z, y = (rows[:1] for rows in moderate(subject.kind, soft=False))
    activation = "sigmoid" if over(subject.kind) == "labels" else "softmax"
    inside = subject.from_logits
    return failed(
        "activated once",
        call_as_typed(subject, z[0], y[0], probe.heads[0]),
        measured=f"{name} at logits that are {activation}(logits)",
        expected=f"{name} at the logits",
        note="the loss cannot come near 0, for such logits lie in [0, 1]",
        cause=f"a {activation} is taken of the predictions, and another within {name}"
        if inside
        else f"the predictions are probabilities, and a {activation} is taken of them as if they were logits",
        remedy=f"leave the {activation} out" if inside else "give it logits, or say from_logits=False inside",
    )


def warning_of_keras(subject: Subject) -> str:
    """What Keras says of predictions that the loss itself sent through an activation; "" where nothing."""
    probe = probe_of(subject)
    z, y = trial_points(subject.kind)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        probe.values_alone(z[:1], y[:1], head=probe.heads[-1])
    said = [str(warning.message).strip('"') for warning in caught]
    return next((words for words in said if "does not represent logits" in words), "")


def undone_by_keras(subject: Subject, warned: str) -> Finding:
    probe = probe_of(subject)
    z, y = (rows[:1] for rows in moderate(subject.kind, soft=False))
    return failed(
        "activated once",
        call_as_typed(subject, z[0], y[0], probe.heads[-1]),
        measured=f"Keras warns: {warned[:200]}",
        expected="no warning",
        note="on TensorFlow Keras undoes an activation that it recognises; JAX and PyTorch apply both",
        cause="an activation is taken of the predictions, and another within the loss that is called",
        remedy="leave the activation out, or say from_logits=False inside",
    )


CHECKS = (LossCheck("activated once", "A sigmoid or softmax is applied once.", once),)
