"""What is examined: a model, its outputs that have a loss, and what `compile` was told of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from crosscheck._keras import attributes_of, compiled_with
from crosscheck.doctor._cut import Cut
from crosscheck.doctor._patient import Patient, is_of_own_training
from crosscheck.doctor._remedies import Remedy
from crosscheck.doctor._theory import theory_by_name


@dataclass(frozen=True)
class Output:
    """An output of a model that has a loss.

    Attributes:
        name: of it; `keys`, all names by which `compile` may call it.
        index: among all outputs.
        tensor: symbolic.
        loss: as an object or a function.
    """

    name: str
    keys: tuple[Any, ...]
    index: int
    tensor: Any
    loss: Any


@dataclass(frozen=True)
class Subject:
    """A model under examination, its symbolic outputs, and its losses as `compile` takes them."""

    model: keras.Model
    outputs: Any
    losses: Any
    batch: int

    def patient(self, cut: Cut, remedy: Remedy | None = None, own: bool = True) -> Patient:
        """The model cut at an output's logits, with a remedy."""
        losses = self.losses
        if remedy and remedy.loss is not None:
            losses = self.with_loss(cut, remedy.loss)
        skipped, last = (remedy.skipped, remedy.last) if remedy else (frozenset(), None)
        return Patient(self.model, self.outputs, cut, losses, skipped, last, own, self.numbered)

    @property
    def numbered(self) -> frozenset[int]:
        """The outputs, by their id, whose loss takes class numbers."""
        theories = {id(o.tensor): theory_by_name(o.loss) for o in outputs_with_loss(self)}
        return frozenset(key for key, theory in theories.items() if theory and theory.labels == "classes")

    def with_loss(self, cut: Cut, loss: Any) -> Any:
        """The losses, with another one for the output of a cut."""
        if not keras.tree.is_nested(self.outputs):
            return loss
        return keras.tree.map_structure(lambda t: loss if t is cut.output else self.loss_at(t), self.outputs)

    def loss_at(self, tensor: Any) -> Any:
        return next((o.loss for o in outputs_with_loss(self) if o.tensor is tensor), None)


def losses_of(model: keras.Model) -> Any:
    """The losses as compiled; of a model that keeps its loss to itself, the one among its attributes."""
    losses = model.loss
    if losses is None and is_of_own_training(model):
        own = [v for v in attributes_of(model).values() if isinstance(v, keras.losses.Loss)]
        return own[0] if len(own) == 1 else None
    return losses


def outputs_with_loss(subject: Subject) -> list[Output]:
    """The outputs that have a loss, in order."""
    flat = keras.tree.flatten_with_path(subject.outputs)
    names = list(getattr(subject.model, "output_names", None) or [])
    found = []
    for i, (path, tensor) in enumerate(flat):
        given = names[i] if len(names) == len(flat) else None
        keys = tuple(key for key in (*path[-1:], given) if key is not None)
        name = next((key for key in keys if isinstance(key, str)), subject.model.name)
        loss = loss_of(subject.losses, i, keys, len(flat))
        if loss is not None:
            found.append(Output(name, keys, i, tensor, keras.losses.get(resolved_name(loss, tensor))))
    return found


def loss_of(losses: Any, i: int, keys: tuple[Any, ...], count: int) -> Any:
    """The loss of an output, from one for all, a list, or a dictionary by any of its names."""
    if isinstance(losses, dict):
        return next((losses[key] for key in keys if key in losses), None)
    if isinstance(losses, list | tuple):
        flat = keras.tree.flatten(losses)
        return flat[i] if len(flat) == count else flat[0]
    return losses


def resolved_name(loss: Any, tensor: Any) -> Any:
    """Keras' loss for "crossentropy", which goes by the shapes; any other as it is."""
    if str(loss).lower() not in ("crossentropy", "ce"):
        return loss
    return "binary_crossentropy" if tensor.shape[-1] == 1 else "sparse_categorical_crossentropy"


def count(subject: Subject) -> int:
    return len(keras.tree.flatten(subject.outputs))


def is_turned(subject: Subject, output: Output) -> bool:
    """Whether `compile` was told a negative weight for the output's loss, as adversaries have it."""
    return weight_of(subject, output) < 0


def weight_of(subject: Subject, output: Output) -> float:
    """The weight of the output's loss, as `compile` was told; 1 where it was told none."""
    weights = compiled_with(subject.model).get("loss_weights")
    weight = loss_of(weights, output.index, output.keys, count(subject))
    return 1.0 if weight is None else float(weight)
