"""Head and loss: the doctor's own examination, as findings with a fix that is tried."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._mending import head_layer, with_loss
from crosscheck.diagnose._outputs import Output, examined, outputs_of
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import Repair, fault, fine, note, undecided
from crosscheck.diagnose.checks._label_facts import LabelFacts
from crosscheck.doctor import Diagnosis

HEAD = "head-fits-loss"
FAR = 20.0  # errors that training comes to, if rarely: p = 2e-9
NEAR = (
    12.0  # half precision loses errors nearer than this; float32 keeps them to 16, and trains well with that
)


def head(program: Program) -> Iterator[Finding]:
    """What the doctor says of each output: whether confident errors keep their gradient, and how soon not."""
    outputs = {output.anatomy.output: output for output in outputs_of(program)}
    diagnoses, reason = examined(program)
    if reason:
        yield undecided(HEAD, reason, "The doctor could not look at the head.")
    for diagnosis in diagnoses:
        output = outputs.get(diagnosis.output)
        if output is not None:
            yield finding_of(diagnosis, output)


def finding_of(diagnosis: Diagnosis, output: Output) -> Finding:
    """A diagnosis as a finding: ✗ where the gradient is lost at logits that are common, or not finite.

    Scores of a hinge that an activation flattens are a note: of two classes people often have tanh there.
    """
    title = f"{diagnosis.loss} on {diagnosis.head}"
    if diagnosis.exit_code == 2:
        return undecided(HEAD, title, diagnosis.undecided, output)
    if output.anatomy.random and output.is_classifier:
        return drawn(diagnosis, output)
    if diagnosis.exit_code == 0 and diagnosis.known and diagnosis.remarks:
        return note(HEAD, title, " ".join(diagnosis.remarks), "from_logits=False, or no activation", output)
    if diagnosis.exit_code == 0:
        far = math.isinf(diagnosis.limit) and diagnosis.known
        return fine(HEAD, f"{title}: {'gradients survive' if far else 'nothing of classes to judge'}", output)
    measured = f"{title}. {diagnosis.verdict.removeprefix('✗ ')}"
    why, fix = sentence(diagnosis.cause), fix_of(diagnosis, output)
    bursts = not_finite(diagnosis)
    if bursts:
        why = f"{why} There, at |z| = {bursts:g}, one example makes every weight NaN.".strip()
    elif diagnosis.limit > NEAR or (diagnosis.limit > 0 and "hinge" in output.loss.lower()):
        return note(HEAD, measured, f"{why} A program may train well without.".strip(), fix, output)
    tried = "on the doctor's copy the gradient survives" if diagnosis.tried else ""
    return fault(HEAD, measured, why, fix, output, repair_of(diagnosis, output), tried=tried)


def not_finite(diagnosis: Diagnosis) -> float:
    """The least |z|, as far as training comes, at which the gradient is NaN or infinite; 0 where none is.

    Where a `LossScaleOptimizer` leaves such steps out, the doctor reads a gradient of 0.
    """
    sizes = [abs(reading.z) for reading in diagnosis.readings if not math.isfinite(reading.gradient)]
    return min((size for size in sizes if size <= FAR), default=0.0)


def drawn(diagnosis: Diagnosis, output: Output) -> Finding:
    """Dropout behind the logits: what is trained is not what is predicted, and a right class may be 0."""
    names = ", ".join(output.anatomy.random)
    return fault(
        HEAD,
        f"{diagnosis.loss} on {diagnosis.head}: {names} stands behind the logits.",
        "In training it sets classes to 0 at random, the right one too: no loss can reach 0.",
        f"{names} before the last layer with weights",
        output,
    )


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def fix_of(diagnosis: Diagnosis, output: Output) -> str:
    """The doctor's remedy; where a softmax meets several labels at once, sigmoids."""
    if output.anatomy.head == "softmax" and has_several_labels(output):
        return "no activation in the head, and BinaryCrossentropy(from_logits=True)"
    return diagnosis.remedy


def has_several_labels(output: Output) -> bool:
    """Whether rows of labels hold several 1s, so that no softmax can meet them."""
    if output.labels is None or output.labels.dtype.kind not in "biuf":
        return False
    facts = LabelFacts(output.labels, output)
    is_wide = output.units > 1 and facts.form == "wide"
    return is_wide and facts.is_binary and bool((facts.sums > 1).any())


def repair_of(diagnosis: Diagnosis, output: Output) -> Repair | None:
    """The head without activation and cross-entropy from logits; None where another layer is in the way."""
    loss = logit_loss(output)
    if loss is None or "between the logits" in diagnosis.cause or "holds the logits" in diagnosis.cause:
        return None

    def repair(program: Program) -> Program:
        is_bare = output.anatomy.head == "identity"
        if not is_bare and head_layer(program.model, output) is None:
            raise ValueError("the head cannot be rebuilt here")
        return with_loss(program, output, loss, bare=not is_bare)

    return repair


def logit_loss(output: Output) -> Any:
    """Cross-entropy from logits for the labels that the output's loss takes; None where that is not known."""
    anatomy, losses = output.anatomy, keras.losses
    config = anatomy.loss.get_config() if hasattr(anatomy.loss, "get_config") else {}
    if output.units == 1 and anatomy.labels:
        return losses.BinaryCrossentropy(from_logits=True)
    if anatomy.labels == "classes":
        return losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=anatomy.ignored)
    smoothing = float(config.get("label_smoothing") or 0.0)
    if anatomy.labels == "one-hot":
        return losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    if anatomy.labels != "labels":
        return None
    if anatomy.head == "softmax" and not has_several_labels(output):
        return losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    return losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
