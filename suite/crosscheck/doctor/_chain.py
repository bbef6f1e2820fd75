"""A model as a chain of what is called one after the other, where it is one; and all that it calls."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import keras

from crosscheck._keras import calls_forgotten
from crosscheck.doctor._graph import Activated, Linear, outputs_of, step_behind
from crosscheck.errors import UsageError


def chain(model: keras.Model) -> list[Any] | None:
    """What the model calls, from its one input to its one output, each on what the one before gave, alone.

    Layers come without their activations, which follow them as functions; what is not a layer is an operation
    of Keras. Models, and layers of one's own that can be opened, are their parts. The model is not changed.

    Returns:
        None where the model branches, has several inputs or outputs, or cannot be followed.
    """
    with warnings.catch_warnings(), calls_forgotten(model):
        warnings.simplefilter("ignore")  # Keras warns of what is looked at here
        try:
            outputs = keras.tree.flatten(outputs_of(model))
        except UsageError:
            return None
        return links_before(outputs[0]) if len(outputs) == 1 else None


def links_before(tensor: Any) -> list[Any] | None:
    links: list[Any] = []
    while step := step_behind(tensor):
        if len({id(t) for t in step.inputs}) != 1:
            return None
        links.append(parted(step.operation))
        tensor = step.inputs[0]
    return links[::-1]


@dataclass(frozen=True)
class Call:
    """Something that a model calls.

    Attributes:
        link: as in a `chain`: a layer without its activation, that as a function, or an operation.
        takes: the symbolic tensors that it is called with.
        gives: those that come of it; each is the same object where another call takes it.
        is_random: whether it draws, as a dropout does.
    """

    link: Any
    takes: tuple[Any, ...]
    gives: tuple[Any, ...]
    is_random: bool


def calls(model: keras.Model) -> tuple[list[Call], list[Any]] | None:
    """All that a model calls, in no order, and its outputs; None where it cannot be followed."""
    with warnings.catch_warnings(), calls_forgotten(model):
        warnings.simplefilter("ignore")
        try:
            outputs = keras.tree.flatten(outputs_of(model))
        except UsageError:
            return None
        found: dict[int, Call] = {}
        stack = list(outputs)
        while stack:
            tensor = stack.pop()
            step = step_behind(tensor) if id(tensor) not in found else None
            if step:
                gives = tuple(step.outputs)
                call = Call(parted(step.operation), tuple(step.inputs), gives, step.is_random)
                found |= {id(given): call for given in (*gives, tensor)}
                stack += step.inputs
        return list({id(call): call for call in found.values()}.values()), outputs


def last_link(tensor: Any) -> Any:
    """What a symbolic output comes out of; None where it is an input."""
    step = step_behind(tensor)
    return parted(step.operation) if step else None


def parted(operation: Any) -> Any:
    """The layer, or its activation, that an operation stands for; itself where it stands for nothing else."""
    if isinstance(operation, Linear):
        return operation.layer
    return operation.layer.activation if isinstance(operation, Activated) else operation
