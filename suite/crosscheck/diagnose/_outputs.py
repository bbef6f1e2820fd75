"""The outputs of a program that have a loss, each with its labels and weights as Keras hands them over."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from crosscheck._keras import compiled_with
from crosscheck.diagnose._program import Data, Program, remembered
from crosscheck.diagnose._words import first_line
from crosscheck.doctor import Anatomy, Diagnosis, anatomies, examine, loss_anatomy

FEW = 4  # rows that the model itself is run on, to see what it gives


@dataclass(frozen=True)
class Output:
    """An output with a loss, and what it is trained on.

    Attributes:
        anatomy: head and loss.
        labels: of the training data, as they are given; None where there are none.
        weights: the sample weights that are given; None where there are none.
        predictions: what the model gives for the first rows; None where it could not be run.
        only: whether the model has no other output.
    """

    anatomy: Anatomy
    labels: np.ndarray | None
    weights: np.ndarray | None
    predictions: np.ndarray | None
    only: bool

    @property
    def name(self) -> str:
        """For a `Finding`: empty where there is but one output."""
        return "" if self.only else self.anatomy.output

    @property
    def loss(self) -> str:
        loss = self.anatomy.loss
        return getattr(loss, "__name__", type(loss).__name__)

    @property
    def units(self) -> int:
        """How many units the output has."""
        if self.predictions is not None and self.predictions.ndim > 1:
            return self.predictions.shape[self.anatomy.class_axis]
        return (self.anatomy.classes or 1) if self.predictions is None else 1

    @property
    def rank(self) -> int:
        """Axes of the output, that of the batch included; [N] counts as [N, 1], as Keras compares it."""
        return max(2, self.predictions.ndim if self.predictions is not None else len(self.anatomy.shape))

    @property
    def is_classifier(self) -> bool:
        """Whether its loss is one of classes, and a cross-entropy."""
        return self.anatomy.is_crossentropy and bool(self.anatomy.labels)


@remembered
def outputs_of(program: Program) -> tuple[Output, ...]:
    """The outputs that have a loss, in order; none where the model has no loss, or cannot be looked at."""
    predicted = predictions_of(program)
    flat = keras.tree.flatten(predicted) if predicted is not None else []
    found = looked_at(program, flat)
    count = max(len(flat), max((a.index for a in found), default=0) + 1)
    data = program.training
    return tuple(
        Output(
            anatomy,
            as_array(part_of(data.y, anatomy)),
            as_array(part_of(data.sample_weight, anatomy)),
            flat[anatomy.index] if anatomy.index < len(flat) else None,
            count == 1,
        )
        for anatomy in found
    )


def looked_at(program: Program, flat: Sequence[np.ndarray]) -> list[Anatomy]:
    """The anatomies; where the doctor cannot look into the model, what the losses alone tell."""
    losses = resolved_losses(program) or compiled_with(program.model).get("loss")
    try:
        return anatomies(program.model, resolved_losses(program))
    except Exception as error:
        program.memory["unseen"] = f"The head: {error}"
    if losses is None or not flat:
        return []
    names = [str(path[-1]) if path else program.model.name for path, _ in paths_of(program)]
    return [plain(names[i], i, loss, flat[i]) for i, loss in losses_by_index(losses, names)]


def resolved_crossentropy(y: Any, predicted: np.ndarray) -> str:
    """The loss that Keras takes for "crossentropy", by the shapes of labels and output."""
    labels = as_array(y)
    if predicted.shape[-1] == 1:
        return "binary_crossentropy"
    is_sparse = labels is None or labels.ndim < predicted.ndim or labels.shape[-1] == 1
    return "sparse_categorical_crossentropy" if is_sparse else "categorical_crossentropy"


def paths_of(program: Program) -> list[tuple[Any, Any]]:
    return keras.tree.flatten_with_path(predictions_of(program))


def losses_by_index(losses: Any, names: Sequence[str]) -> list[tuple[int, Any]]:
    """Each output's loss, from one for all, a list, or a dictionary by name."""
    if isinstance(losses, dict):
        pairs = [(i, losses.get(name)) for i, name in enumerate(names)]
    elif isinstance(losses, list | tuple):
        pairs = list(enumerate(losses))[: len(names)]
    else:
        pairs = [(i, losses) for i in range(len(names))]
    return [(i, keras.losses.get(loss)) for i, loss in pairs if loss is not None]


def plain(name: str, index: int, loss: Any, predicted: np.ndarray) -> Anatomy:
    """An output of which only the loss and the shape are known."""
    shape = (None, *predicted.shape[1:])
    return Anatomy(name, index, (name,), loss, (), shape, **loss_anatomy(loss))


@remembered
def predictions_of(program: Program) -> Any:
    """What the model gives for the first rows, as arrays in its structure; None where it cannot be run."""
    sizes = [spec.shape[0] for spec in getattr(program.model, "inputs", None) or [] if spec.shape]
    rows = next((size for size in sizes if size), FEW)  # a model may take a fixed number of rows alone
    first = keras.tree.map_structure(lambda a: a[:rows], program.training.x)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with keras.StatelessScope(collect_losses=True) as scope:  # no layer's state moves on
                result = program.model(keras.tree.map_structure(as_tensor, first), training=False)
        program.memory["penalties"] = len(scope.losses)
        return keras.tree.map_structure(keras.ops.convert_to_numpy, result)
    except Exception as error:
        program.memory["refused"] = f"{type(error).__name__}: {first_line(error)}"
        return None


def as_tensor(array: np.ndarray) -> Any:
    """As `fit` hands it over: real numbers in Keras' float type, others as they are."""
    if array.dtype.kind == "f":
        array = array.astype(keras.config.floatx())
    return keras.ops.convert_to_tensor(array) if array.dtype.kind not in "OSU" else array


def part_of(given: Any, anatomy: Anatomy) -> Any:
    """An output's part of labels or weights, given for all, in a list, or in a dictionary by name."""
    if isinstance(given, dict):
        return next((given[key] for key in anatomy.keys if key in given), None)
    if isinstance(given, list | tuple):
        return given[anatomy.index] if anatomy.index < len(given) else None
    return given


def as_array(given: Any) -> np.ndarray | None:
    return None if given is None else np.asarray(given)


def replaced_labels(data: Data, output: Output, labels: np.ndarray) -> Data:
    """The data with other labels of an output, in the structure of their own."""
    y, anatomy = data.y, output.anatomy
    if isinstance(y, dict):
        key = next(key for key in anatomy.keys if key in y)
        return replace(data, y={**y, key: labels})
    if isinstance(y, list | tuple):
        return replace(data, y=[labels if i == anatomy.index else part for i, part in enumerate(y)])
    return replace(data, y=labels)


@remembered
def examined(program: Program) -> tuple[list[Diagnosis], str]:
    """The doctor's diagnoses, and why there are none; "" where there are."""
    losses = compiled_with(program.model).get("loss")
    if losses is None:
        return [], ""
    try:
        return examine(program.model, resolved_losses(program)), ""
    except Exception as error:
        return [], first_line(error)


def resolved_losses(program: Program) -> Any:
    """The losses as compiled, None for these; "crossentropy" by the labels' shape, which the doctor lacks."""
    losses, predicted = compiled_with(program.model).get("loss"), predictions_of(program)
    is_alias = isinstance(losses, str) and losses.lower() in ("crossentropy", "ce")
    if not is_alias or predicted is None or keras.tree.is_nested(predicted):
        return None
    return resolved_crossentropy(program.training.y, predicted)


def keep_what_is_known(program: Program, mended: Program) -> None:
    """Hands on what was found out about a model to a program that has the same one on the same inputs."""
    if mended.model is not program.model or mended.training.x is not program.training.x:
        return
    if resolved_losses(program) is not None:
        return
    names = {key for key in program.memory if key.endswith((".examined", ".predictions_of"))}
    mended.memory.update(
        {
            key: program.memory[key]
            for key in names | ({"unseen", "refused", "penalties"} & set(program.memory))
        }
    )
