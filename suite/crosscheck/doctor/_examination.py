"""The examination: cuts a copy of the model at its logits and reads dL/dz off steps of its own training."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from crosscheck._keras import calls_forgotten
from crosscheck.doctor._bounds import NEAR_ONE, Bound, bound_of
from crosscheck.doctor._cut import Cut
from crosscheck.doctor._diagnosis import BENIGN, Diagnosis, Reading, judge_fading, judge_readings, only_grows
from crosscheck.doctor._graph import batch_of, first_line, outputs_of
from crosscheck.doctor._metrics import metrics_of, misreadings
from crosscheck.doctor._patient import is_of_own_training
from crosscheck.doctor._readings import FEW, SIZES, others_lost, readings
from crosscheck.doctor._remedies import Case, Remedy, cause, mismatch_of, remedies
from crosscheck.doctor._search import cut_before
from crosscheck.doctor._subject import (
    Output,
    Subject,
    count,
    is_turned,
    losses_of,
    outputs_with_loss,
    weight_of,
)
from crosscheck.doctor._theory import (
    Theory,
    absolute,
    function_name,
    is_known_by_name,
    labels_taken,
    loss_name,
    one_hot,
    recognised,
    squared,
    theory_by_name,
)
from crosscheck.errors import UsageError

HINGES = ("hinge", "squared_hinge", "categorical_hinge")
BY_NATURE = "The loss is no cross-entropy: that its gradient fades is its nature."

OF_ITS_OWN = (
    "The class' own `train_step` or `compute_loss` trains something else than the loss it was compiled with: "
    "its gradients are not judged, but that they are there."
)
OF_PAIRS = (
    "The output is a probability made of how far apart two calls of one layer are: there is no logit that "
    "could be set."
)
UNWEIGHTED = "`compile` was told the weight 0 for this output's loss: nothing is trained on it."
TURNED = (
    "`compile` was told the weight {:g} for the only loss: training goes uphill on it. An adversary may want "
    "that, a classifier does not."
)
AWAY = (
    "Every step moves the output away from its label, where that is 0 or where it is 1: if it is not meant, "
    "the loss' sign is turned, or its arguments have changed places. `crosscheck audit` checks a loss "
    "against a theory that you name."
)
GROWS = "From |z| = {:g} on its gradient is larger than cross-entropy's, as a penalty on large logits has it."
BOUND_UNTOLD = (
    "Gradients survive, but whether the head bounds its logits, so that no prediction can be confident, is "
    "not known: {}: {}."
)
OF_A_BATCH = (
    "What follows the logits goes over the examples of a batch, and the doctor looks at one alone: it cannot "
    "tell. Of Keras' `BatchNormalization` it can."
)
NOT_JUDGED = "The loss is none of classes: its gradients are not judged, but that they are there."


def examine(model: keras.Model, loss: Any = None) -> list[Diagnosis]:
    """Whether the gradients of confident errors survive in the model's training: one diagnosis an output.

    A copy is cut at its logits, wherever they are: they become its one weight, and behind them stand the
    model's own tail, loss, loss weights, masks, dtype policy and train step. `train_on_batch` then shows
    dL/dz, which is compared with what the mathematics of the same loss say. The model is not changed, and its
    layers before the logits are not run.

    Args:
        model: built and compiled.
        loss: in place of the one it was compiled with.

    Returns:
        For each output that has a loss, in order, a `Diagnosis`; `print` it, or ask `.sound`.

    Raises:
        UsageError: for a model that is not built or compiled, or has no loss; and where its only output
            cannot be looked at. Of several outputs, the diagnosis of that one says so.
    """
    if loss is None and not model.compiled:
        raise UsageError("The model is not compiled: compile it, or name its loss (`loss=`, `--loss`).")
    if not model.built:
        raise UsageError("The model is not built: call it once, or give it an `Input`.")
    with warnings.catch_warnings(), calls_forgotten(model):
        warnings.simplefilter("ignore")  # Keras warns of what is diagnosed here
        losses = loss if loss is not None else losses_of(model)
        subject = Subject(model, outputs_of(model), losses, batch_of(model))
        outputs = outputs_with_loss(subject)
        if not outputs:
            raise UsageError("No output of the model has a loss: there is nothing to examine.")
        return [examined(subject, output, alone=len(outputs) == 1) for output in outputs]


def examined(subject: Subject, output: Output, alone: bool) -> Diagnosis:
    """The diagnosis of an output; of one among several also where it cannot be looked at."""
    try:
        return examine_output(subject, output)
    except UsageError as error:
        if alone:
            raise
        return undecided(subject, output, "", str(error))
    except Exception as error:
        reason = f"The doctor could not look at it: {type(error).__name__}: {first_line(error)}"
        if alone:
            raise UsageError(reason) from error
        return undecided(subject, output, "", reason)


def undecided(subject: Subject, output: Output, head: str, reason: str) -> Diagnosis:
    policy = subject.model.dtype_policy.name
    backend = keras.backend.backend()
    return Diagnosis(
        output.name,
        loss_name(output.loss),
        head,
        policy,
        backend,
        False,
        1,
        1.0,
        (),
        np.inf,
        undecided=reason,
    )


def examine_output(subject: Subject, output: Output) -> Diagnosis:
    """The diagnosis of an output."""
    if weight_of(subject, output) == 0:
        return undecided(subject, output, "", UNWEIGHTED)
    if is_turned(subject, output) and count(subject) == 1:
        return undecided(subject, output, "", TURNED.format(weight_of(subject, output)))
    theory = theory_by_name(output.loss)
    axis = theory.axis if theory else -1
    wanted = 1 if theory and theory.ignored == 0 else 0
    cut = cut_before(output.tensor, subject.batch, axis, wanted)
    if theory is None and not is_known_by_name(output.loss):
        theory = recognised(output.loss, cut.shape[axis], cut.shape)
        if theory and theory.ignored == 0:
            cut = cut_before(output.tensor, subject.batch, axis, 1)
    if theory and theory.value in (squared, absolute) and cut.kind == "identity" and not theory.takes_logits:
        theory = None  # a regression
    if cut.closed:
        reason = (
            f"{cut.closed} cannot be looked into, and what it gives may be probabilities. Write its `call` "
            "with `keras.ops` and layers of Keras, or put the activation into a layer behind it."
        )
        return undecided(subject, output, str(cut), reason)
    if cut.mixes_examples:
        return undecided(subject, output, str(cut), OF_A_BATCH)
    if cut.is_of_pairs:
        return undecided(subject, output, str(cut), OF_PAIRS)
    if theory is None and not is_known_by_name(output.loss):
        cut = replace(cut, labels=labels_taken(output.loss, cut.shape[axis], cut.shape))
    return diagnosis(subject, output, Case(cut, output.loss, theory))


def diagnosis(subject: Subject, output: Output, case: Case) -> Diagnosis:
    """Takes the readings, judges them, and looks for cause and remedy where a gradient is lost."""
    cut, theory = case.cut, case.theory
    known = cut.kind == "constant" or (theory is not None and not (theory.fades and cut.kind == "unknown"))
    taken, judgement = judged(subject, case)
    if judgement["scale"] < 0 and not is_turned(subject, output):
        judgement |= {"limit": 0.0, "symptom": f"it points uphill, times {judgement['scale']:.3g}"}
    found = Diagnosis(
        output=output.name,
        loss=loss_name(output.loss),
        head=str(cut),
        policy=policy_of(subject.model, cut),
        backend=keras.backend.backend(),
        known=known,
        rivals=rivals_in(cut, theory),
        readings=taken,
        metrics=tuple(
            misreadings(metrics_of(subject.model, (output.index, output.keys), count(subject)), cut, theory)
        ),
        **judgement,
    )
    if np.isinf(found.limit) and theory and theory.fades:
        return replace(found, known=False, remarks=(BY_NATURE,), **judge_fading(taken))
    if theory is None and cut.kind != "constant" and goes_away(subject, output, taken):
        return replace(found, undecided=AWAY)
    if np.isinf(found.limit):
        return replace(found, remarks=tuple(remarks(case, found.bound)))
    if known and theory and not is_known_by_name(output.loss) and only_grows(found):
        return replace(found, known=False, remarks=(GROWS.format(found.limit),), **judge_fading(taken))
    if not known and function_name(output.loss) in HINGES and is_known_by_name(output.loss):
        return flattened(subject, found, case)
    if not known:
        return faded(found, case)
    return with_advice(subject, found, case)


def rivals_in(cut: Cut, theory: Theory | None) -> int:
    """Logits that the first one competes with; 0 where it is not known how."""
    if cut.kind == "unknown":
        return 0
    return cut.shape[cut.class_axis] - 1 if theory and theory.activation == "softmax" else 1


def goes_away(subject: Subject, output: Output, taken: Sequence[Reading]) -> bool:
    """Whether a loss that is not known moves the output up from 0, or down from 1, at every reading."""
    pushes = {label: [r.gradient for r in taken if r.label == label] for label in (0, 1)}
    turned = all(pushes.values()) and (max(pushes[0]) < 0 or min(pushes[1]) > 0)
    return turned and not is_turned(subject, output) and not is_known_by_name(output.loss)


def policy_of(model: keras.Model, cut: Cut) -> str:
    """The dtype policy of the layer that makes the logits; the model's where that is none."""
    return (cut.maker if isinstance(cut.maker, keras.Layer) else model).dtype_policy.name


def judged(subject: Subject, case: Case) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The readings of an output and what they show, after what they cannot show."""
    cut = case.cut
    if cut.kind == "constant":
        return (), {
            "scale": 1.0,
            "limit": 0.0,
            "symptom": "the model's output is the same whatever the logit"
            + (" of a class, raised at all places" if cut.shape[cut.class_axis] > 1 else ""),
        }
    patient = subject.patient(cut)
    taken = readings(patient, cut, case.theory, SIZES)
    if patient.moved and not patient.applied:
        raise UsageError(
            f"{type(subject.model).__name__}'s own train step moves the weights without an optimiser: "
            "what it makes of a gradient cannot be read off. `optimizer.apply` can be followed."
        )
    if not patient.applied and goes_past_the_model(subject, case, taken):
        symptom = f"{type(subject.model).__name__}'s own train step never applies a gradient"
        return taken, {"scale": 1.0, "limit": 0.0, "symptom": symptom}
    if goes_past_the_model(subject, case, taken):
        raise UsageError(
            f"The logits have no part in what {type(subject.model).__name__} trains: its train step calls "
            "layers by themselves, and not the model (`self(x)`), which alone the doctor can cut."
        )
    judgement = judge_readings(taken)
    if maker := bounded_maker(cut):
        text = f"{maker} gives numbers within [−1, 1], and no confident logit"
        return taken, {**judgement, "limit": 0.0, "symptom": text}
    if mismatch := mismatch_of(case):
        judgement |= {"limit": 0.0, "symptom": mismatch}
    if judgement["limit"] == 0:
        return taken, judgement
    if np.isinf(judgement["limit"]) and (lost := others_lost(patient, cut, case.theory)):
        return taken, {**judgement, "limit": 0.0, "symptom": lost}
    try:
        bound = bound_of(cut, case.theory)
    except Exception as error:
        reason = BOUND_UNTOLD.format(type(error).__name__, first_line(error))
        return taken, judgement | ({"undecided": reason} if np.isinf(judgement["limit"]) else {})
    if bound and bound.p < NEAR_ONE:
        judgement |= {"bound": bound, "limit": 0.0, "symptom": bound.text}
    elif bound and np.isinf(judgement["limit"]):
        judgement |= {"bound": bound}
    return taken, judgement


def goes_past_the_model(subject: Subject, case: Case, taken: Sequence[Reading]) -> bool:
    """Whether a train step of the class' own finds no gradient at all, where Keras' own finds one."""
    if not is_of_own_training(subject.model) or any(reading.gradient != 0 for reading in taken):
        return False
    plainly = readings(subject.patient(case.cut, own=False), case.cut, case.theory, FEW)
    return any(reading.gradient != 0 for reading in plainly)


def bounded_maker(cut: Cut) -> str:
    """The recurrent layer whose state is taken for logits, by name; "" where there is none."""
    layer, activation = cut.maker, getattr(cut.maker, "activation", None)
    bounded = (keras.activations.tanh, keras.activations.sigmoid, keras.activations.softsign)
    recurrent = isinstance(layer, keras.layers.RNN) and activation in bounded
    # Behind a product with another table, such as an embedding's, states are no logits.
    are_logits = np.count_nonzero(cut.slope) < 2 and cut.kind in ("identity", "softmax", "sigmoid")
    return type(layer).__name__ if recurrent and are_logits else ""


def remarks(case: Case, bound: Bound | None) -> Iterator[str]:
    """Yields what is to be known of an output that is sound."""
    cut, theory = case.cut, case.theory
    if bound:
        yield f"{bound.text[0].upper()}{bound.text[1:]}."
    if theory and case.from_probabilities and theory.takes_logits and cut.kind != "log-softmax":
        yield (
            f"The loss is told `from_logits=True` and gets a {cut.kind}'s output; Keras finds the logits "
            "behind it on TensorFlow alone."
        )


def faded(found: Diagnosis, case: Case) -> Diagnosis:
    """The diagnosis of a gradient that fades where no theory says what it should be."""
    if is_known_by_name(case.loss) and case.cut.kind == "identity":
        return replace(found, limit=np.inf, symptom="", remarks=(NOT_JUDGED,))
    if is_known_by_name(case.loss):
        return replace(found, remarks=(BY_NATURE,))
    if "NaN" in found.symptom or "infinite" in found.symptom:
        return replace(found, known=True, cause="the loss is not finite at finite logits")
    reason = (
        f"Its gradient fades from |z| = {found.limit:g} on, and the doctor does not know the loss: this may "
        "be its nature. `crosscheck audit` checks a loss against a theory that you name."
    )
    return replace(found, undecided=reason)


def flattened(subject: Subject, found: Diagnosis, case: Case) -> Diagnosis:
    """The diagnosis of a hinge behind what flattens its scores: of itself it pulls every mistake alike."""
    everything = Remedy("no activation in the head: a hinge takes scores", case.without(0))
    tried = survives(subject, case, everything)
    why = f"{case.flattens} flattens the scores, which a hinge wants as they are"
    text = everything.text if tried else ""
    return replace(found, known=True, rivals=0, cause=why, remedy=text, tried=tried)


def with_advice(subject: Subject, found: Diagnosis, case: Case) -> Diagnosis:
    """The diagnosis with its cause, and the first remedy that was tried and found sound."""
    if found.bound:
        why = "nothing behind it can be trained to scale what it gives"
        return replace(found, cause=why, remedy=found.bound.remedy)
    if maker := bounded_maker(case.cut):
        return replace(
            found, cause=f"{maker}'s own activation bounds what it gives", remedy="a Dense layer behind it"
        )
    if is_of_own_training(subject.model) and survives(subject, case, Remedy(""), own=False):
        fading = judge_fading(found.readings)
        if np.isinf(fading["limit"]) and pulls_back(found.readings):
            return replace(found, known=False, remarks=(OF_ITS_OWN,), **fading)
        does = "loses it" if pulls_back(found.readings) else "loses or turns it"
        why = f"the class' own `train_step` or `compute_loss` {does}: with Keras' own it survives"
        return replace(found, cause=why, remedy="train with Keras' own", tried=True)
    options = list(remedies(case))
    for remedy in options:
        if survives(subject, case, remedy):
            return replace(found, cause=cause(case), remedy=remedy.text, tried=True)
    text = f"none that was tried helps, such as {options[0].text}" if options else ""
    return replace(found, cause=cause(case), remedy=text)


def pulls_back(taken: Sequence[Reading]) -> bool:
    """Whether every confident error is pulled the way that it should be, however hard."""
    far = [reading for reading in taken if abs(reading.z) > BENIGN and reading.expected]
    return all(reading.gradient * reading.expected >= 0 for reading in far)


def survives(subject: Subject, case: Case, remedy: Remedy, own: bool = True) -> bool:
    """Whether the doctor finds the model sound with a remedy."""
    try:
        cut = cured(case.cut, remedy)
        theory = theory_by_name(remedy.loss) if remedy.loss is not None else case.theory
        kind = Case(cut, remedy.loss or case.loss, theory)
        patient = subject.patient(cut, remedy, own)
        taken = readings(patient, cut, theory, FEW)
        if (
            np.isfinite(judge_readings(taken)["limit"])
            or mismatch_of(kind)
            or others_lost(patient, cut, theory)
        ):
            return False
        bound = None if remedy.skipped else bound_of(cut, theory)  # which sees what is skipped
        return bound is None or bound.p >= NEAR_ONE
    except Exception:  # a remedy that does not run is none
        return False


def cured(cut: Cut, remedy: Remedy) -> Cut:
    """The cut as it is with a remedy: what it skips is gone from it."""
    if not remedy.skipped:
        return cut
    if cut.kind in ("constant", "unknown"):
        k = cut.shape[cut.class_axis]
        slope = one_hot(k, min(cut.varied, k - 1)) if cut.width == k else np.ones(k)
        return replace(cut, kind="identity", slope=slope, offset=np.zeros(k))
    first = cut.activation
    bare = first is not None and id(cut.steps[first].operation) in remedy.skipped and not cut.squash
    whole = cut.squash and all(id(step.operation) in remedy.skipped for step in cut.steps)
    kind = "identity" if bare or whole else cut.kind
    return replace(cut, kind=kind, offset=np.zeros_like(cut.slope) if kind != cut.kind else cut.offset)
