"""A sigmoid or softmax that is applied twice: inside of the loss, and inside of the cross-entropy that it calls."""

from __future__ import annotations

from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, passed
from crosscheck.audit.judging import call_as_typed
from crosscheck.audit.points import moderate
from crosscheck.audit.probe import probe_of
from crosscheck.audit.recognition import is_squashed
from crosscheck.audit.theories import over


def once(subject: Subject) -> Finding:
    """Asks whether the values are a theory's at logits that are probabilities already."""
    if subject.theory and not subject.told:
        return passed("activated once", f"its values are those of {subject.theory}")
    name = is_squashed(subject)
    if not name:
        return passed("activated once", "its values are no theory's at logits that went through an activation")
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


CHECKS = (LossCheck("activated once", "A sigmoid or softmax is applied once.", once),)
