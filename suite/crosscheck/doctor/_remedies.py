"""Why a gradient is lost, and what would keep it: each remedy is tried before it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from crosscheck.doctor._cut import Cut
from crosscheck.doctor._graph import Activated
from crosscheck.doctor._search import never_moves
from crosscheck.doctor._theory import (
    NUMBERED,
    Theory,
    absolute,
    binary_focal,
    config_of,
    divergence,
    focal,
    function_name,
    is_known_by_name,
    loss_name,
    squared,
)
from crosscheck.losses import LogitLoss

CLASSES = {
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "binary_focal_crossentropy": keras.losses.BinaryFocalCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "categorical_focal_crossentropy": keras.losses.CategoricalFocalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
}
PLAIN = {
    "labels": keras.losses.BinaryCrossentropy,
    "one-hot": keras.losses.CategoricalCrossentropy,
    "classes": keras.losses.SparseCategoricalCrossentropy,
    "column": keras.losses.SparseCategoricalCrossentropy,
}


@dataclass(frozen=True)
class Remedy:
    """A change of the model, in words and in deed.

    Attributes:
        text: what to do.
        skipped: the operations, by id, that are taken out behind the logits.
        loss: in place of the model's own; None for that.
        last: a dtype for the last activation; None for its own.
    """

    text: str
    skipped: frozenset[int] = frozenset()
    loss: Any = None
    last: str | None = None


@dataclass(frozen=True)
class Case:
    """An output whose gradient is lost: its cut, loss and theory."""

    cut: Cut
    loss: Any
    theory: Theory | None

    @property
    def from_probabilities(self) -> bool:
        return self.cut.kind in ("softmax", "sigmoid", "log-softmax", "unknown") and bool(self.cut.steps)

    @property
    def activation(self) -> str:
        """The name of what makes probabilities of the logits."""
        first = self.cut.activation
        if self.cut.kind == "unknown" and first is not None:
            return self.cut.name_of(first)
        return self.cut.kind

    @property
    def clips(self) -> list[int]:
        """The steps before the activation behind which a far logit no longer counts."""
        end = self.cut.activation
        if self.cut.kind == "unknown":
            return []
        found = []
        for i, step in enumerate(self.cut.steps[:end] if self.from_probabilities else self.cut.steps):
            sides = [
                [self.cut.numbers(self.cut.at(s * t), step.outputs[0]) for t in (1000, 3000)] for s in (1, -1)
            ]
            if any(np.abs(low - high).max() == 0 for low, high in sides):
                found.append(i)
        return found[:1]

    @property
    def flattens(self) -> str:
        """What stands between scores and a loss that wants them bare, in words."""
        first = self.cut.activation
        if self.cut.squash:
            return f"the {squash_name(self.cut)}"
        if self.from_probabilities:
            return f"the {self.activation}"
        return f"the {self.cut.name_of(first)}" if first is not None else "what makes the output"

    def without(self, first: int) -> frozenset[int]:
        """The operations from a step on that keep the shape of what they get, by id."""
        return frozenset(
            id(step.operation)
            for step in self.cut.steps[first:]
            if len(step.inputs) == 1 and step.inputs[0].shape == step.outputs[0].shape
        )


def mismatch_of(case: Case) -> str:
    """How head and loss contradict each other whatever the gradients; "" where they do not.

    On TensorFlow Keras may find the logits behind any activation, so that gradients alone do not show it. On
    other backends binary cross-entropy of a softmax's columns is what it says; of two, it is cross-entropy.
    """
    cut, theory = case.cut, case.theory
    if theory and is_smoothed_away(theory):
        return "the loss is the same whatever the label"
    if theory is None or cut.kind not in ("softmax", "sigmoid", "log-softmax"):
        return ""
    predicted = "softmax" if cut.kind == "log-softmax" else cut.kind
    if predicted == theory.activation or theory.fades:
        return ""
    if theory.activation == "sigmoid" and keras.backend.backend() != "tensorflow" and not theory.takes_logits:
        return ""
    return f"what is trained is a {theory.activation}, if anything, and what is predicted a {predicted}"


def is_smoothed_away(theory: Theory) -> bool:
    """Whether label smoothing leaves nothing of the labels."""
    return float(theory.parameters.get("label_smoothing") or 0) >= 1


def is_of_one_class(case: Case) -> bool:
    """Whether a single logit is to be told from no other."""
    cut, theory = case.cut, case.theory
    is_alone = cut.kind == "identity" and cut.shape[cut.class_axis] == 1
    return is_alone and theory is not None and theory.activation == "softmax"


def cause(case: Case) -> str:
    """Why the gradient is lost, in words that are true of this model on this backend; "" where unknown."""
    cut, theory = case.cut, case.theory
    if cut.kind == "constant" and cut.shape[cut.class_axis] > 1 and never_moves(cut):
        return f"the {constant_activation(cut)} leaves nothing of the logits"
    if is_of_one_class(case):
        return "the loss takes a softmax over a single logit, which is 1 whatever the logit"
    if cut.kind == "constant" and cut.shape[cut.class_axis] > 1:
        return f"the {constant_activation(cut)} goes over another axis than that of the classes"
    if cut.kind == "constant":
        return f"a {constant_activation(cut)} over one output is the same whatever its logit"
    if theory and is_smoothed_away(theory):
        return "label_smoothing=1 puts the same number in the place of every label"
    if cut.squash:
        return f"{squash_name(cut)} between the logits and the {behind_squash(case)} flattens them"
    if clips := case.clips:
        return f"{cut.name_of(clips[0])} holds the logits within bounds, and beyond them the gradient is 0"
    if theory is None:
        return ""
    if cut.kind == "unknown":
        return f"far out, {case.activation} is flat, or rounds to 0 and 1"
    if cut.kind == "identity" and not theory.takes_logits:
        return "the loss takes the logit for a probability and clips it to [1e-7, 1 − 1e-7]"
    if case.from_probabilities and theory.takes_logits:
        return f"the loss takes the {cut.kind}'s output for a logit, and adds another {theory.activation}"
    if cut.kind == "identity":
        return focal_cause(case) if theory.value in (focal, binary_focal) else ""
    if mismatch_of(case):
        return f"{loss_name(case.loss)} wants a {theory.activation}'s output, and gets a {cut.kind}'s"
    return cause_behind_activation(case)


def cause_behind_activation(case: Case) -> str:
    """Why a loss of probabilities loses what stands before the activation."""
    theory, name = case.theory, function_name(case.loss)
    assert theory is not None
    if theory.value is focal and is_known_by_name(case.loss):
        return focal_cause(case)
    if theory.value is divergence:
        source = "(keras/src/losses/losses.py, kl_divergence)"
        return f"it clips p to [1e-7, 1] and never asks for the logits {source}"
    if not is_known_by_name(case.loss):
        return "the loss is computed from probabilities, which round to 0 and 1 or are clipped"
    backend = keras.backend.backend()
    if backend != "tensorflow":
        source = f"(keras/src/backend/{backend}/nn.py, {name.replace('_focal', '')})"
        return f"clips p to [1e-7, 1 − 1e-7] and never asks for the logits {source}"
    return cause_on_tensorflow(case)


def cause_on_tensorflow(case: Case) -> str:
    """Why Keras does not find the logits behind an activation on TensorFlow."""
    cut, source = case.cut, "(keras/src/backend/tensorflow/nn.py, _get_logits)"
    attached = "without the logits that the activation attached"
    first = cut.activation
    behind = cut.steps[first + 1 :] if first is not None else []
    if first is not None and not applies_directly(cut.steps[first].operation):
        return f"to what {cut.name_of(first)} gives no logits are attached {source}"
    behind = [step for step in behind if not isinstance(step.operation, Activated) and not step.is_random]
    if behind:
        return f"{cut.name_of(cut.steps.index(behind[0]))} makes a new tensor, {attached} {source}"
    if config_of(case.loss).get("ignore_class") is not None:
        return (
            f"with `ignore_class` Keras puts the predictions into a new tensor, {attached} "
            "(keras/src/losses/losses.py, sparse_categorical_crossentropy)"
        )
    if keras.backend.standardize_dtype(cut.output.dtype) != "float32":
        return f"the cast to float32 makes a new tensor, {attached} (keras/src/losses/loss.py, Loss.__call__)"
    return f"Keras finds logits behind its own sigmoid and softmax alone, and not behind this one {source}"


def applies_directly(operation: Any) -> bool:
    """Whether it is an activation that Keras may attach logits to, and not one within a wrapper."""
    return isinstance(
        operation, Activated | keras.layers.Activation | keras.layers.Softmax
    ) or not isinstance(operation, keras.Layer)


def focal_cause(case: Case) -> str:
    theory = case.theory
    assert theory is not None
    conversion = "turns logits into probabilities and " if theory.takes_logits else ""
    function = function_name(case.loss)
    return f"the focal loss {conversion}clips p to [1e-7, 1 − 1e-7] (keras/src/losses/losses.py, {function})"


def constant_activation(cut: Cut) -> str:
    step = cut.steps[-1]
    layer = step.operation.layer if isinstance(step.operation, Activated) else step.operation
    return getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__.lower())


def squash_name(cut: Cut) -> str:
    """The names of the steps that squash logits."""
    names = []
    for i in range(cut.squash):
        operation = cut.steps[i].operation
        layer = operation.layer if isinstance(operation, Activated) else operation
        names.append(getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__))
    return ", ".join(names)


def behind_squash(case: Case) -> str:
    return case.activation if case.from_probabilities else "loss"


def remedies(case: Case) -> Iterator[Remedy]:
    """What may keep the gradient, the nearest first."""
    cut, theory = case.cut, case.theory
    if cut.kind == "constant":
        everything = case.without(0)
        for words, loss in logit_losses(case) if cut.shape[cut.class_axis] > 1 else ():
            yield Remedy(f"no activation in the head, and {words}", everything, loss)
        yield Remedy(
            "one output without activation and BinaryCrossentropy(from_logits=True)",
            everything,
            keras.losses.BinaryCrossentropy(from_logits=True),
        )
        return
    if is_of_one_class(case):
        binary = keras.losses.BinaryCrossentropy(from_logits=True)
        yield Remedy("BinaryCrossentropy(from_logits=True), or an output for each class", loss=binary)
        return
    if theory and is_smoothed_away(theory):
        if hasattr(case.loss, "get_config"):
            yield Remedy("label_smoothing=0.1", frozenset(), changed(case.loss, label_smoothing=0.1))
        return
    if cut.squash:
        squash = frozenset(id(step.operation) for step in cut.steps[: cut.squash])
        yield Remedy(f"no {squash_name(cut)} there", squash)
        for words, loss in logit_losses(case):
            if case.from_probabilities:
                yield Remedy(
                    f"no {squash_name(cut)}, no {case.activation}, and {words}", case.without(0), loss
                )
            else:
                yield Remedy(f"no {squash_name(cut)} there, and {words}", squash, loss)
        return
    clips = case.clips
    if clips:
        clip = frozenset(id(cut.steps[i].operation) for i in clips)
        yield Remedy(f"no {cut.name_of(clips[0])} there", clip)
    if theory is None:
        return
    first = cut.activation
    bare = (
        case.without(clips[0] if clips else first)
        if case.from_probabilities and first is not None
        else frozenset()
    )
    if cut.kind == "identity":
        for words, loss in logit_losses(case):
            if not (theory.takes_logits and type(loss) is type(case.loss)):  # it has them already
                yield Remedy(words, frozenset(id(cut.steps[i].operation) for i in clips), loss)
        return
    if cut.kind == "softmax" and theory.labels == "labels":
        yield Remedy(
            "no activation in the head, and CategoricalCrossentropy(from_logits=True)",
            bare,
            keras.losses.CategoricalCrossentropy(from_logits=True),
        )
    if theory.takes_logits and cut.kind != "log-softmax":
        yield Remedy(f"drop the {case.activation} from the head", bare)
        if (
            is_known_by_name(case.loss)
            and hasattr(case.loss, "from_config")
            and "from_logits" in config_of(case.loss)
        ):
            yield Remedy("from_logits=False", frozenset(), changed(case.loss, from_logits=False))
    for words, loss in logit_losses(case):
        yield Remedy(f"no activation in the head, and {words}{merged_otherwise(case)}", bare, loss)
    if casts(case):
        yield Remedy('Activation(…, dtype="float32") last', last="float32")


def merged_otherwise(case: Case) -> str:
    """What becomes of a layer that merges probabilities, such as an average, once it gets logits; else ""."""
    cut, first = case.cut, case.cut.activation
    merges = [
        i for i, step in enumerate(cut.steps) if first is not None and i > first and len(step.inputs) > 1
    ]
    if not merges:
        return ""
    return f"; the {cut.name_of(merges[0])} is then one of logits, which is another model"


def casts(case: Case) -> bool:
    """Whether probabilities in half precision are what hides the logits."""
    return keras.backend.backend() == "tensorflow" and keras.backend.standardize_dtype(
        case.cut.output.dtype
    ) in ("float16", "bfloat16")


def logit_losses(case: Case) -> Iterator[tuple[str, Any]]:
    """The loss told to take logits, and after it plain cross-entropy from logits for the same labels."""
    theory, name = case.theory, function_name(case.loss)
    if theory is None:
        return
    if name in CLASSES and is_known_by_name(case.loss) and not isinstance(case.loss, LogitLoss):
        loss = changed(case.loss, from_logits=True) if hasattr(case.loss, "get_config") else None
        yield "from_logits=True", loss or CLASSES[name](from_logits=True)
    plain = PLAIN.get(theory.labels)
    if plain is None or theory.value in (squared, absolute):
        return
    options: dict[str, Any] = {"from_logits": True}
    if theory.parameters.get("label_smoothing") and theory.labels not in NUMBERED:
        options["label_smoothing"] = theory.parameters["label_smoothing"]
    words = ", ".join(f"{key}={value}" for key, value in options.items())
    yield f"{plain.__name__}({words}){other_loss(theory)}", plain(**options)


def other_loss(theory: Theory) -> str:
    """What a plain cross-entropy is in place of another loss."""
    if theory.value is divergence:
        return ", which has the same gradient"
    return (
        ", without the focal weight, which Keras computes from clipped p"
        if theory.value in (focal, binary_focal)
        else ""
    )


def changed(loss: Any, **arguments: Any) -> Any:
    """The loss of Keras' with other arguments."""
    config = {key: value for key, value in loss.get_config().items() if key != "fn"}
    return type(loss)(**{**config, **arguments})
