"""The program under examination: a compiled model and what one call of `fit` gave it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import keras


@dataclass(frozen=True)
class Data:
    """What is trained or validated on, as NumPy arrays in the structure in which `fit` got them.

    Attributes:
        x, y, sample_weight: arrays, or lists or dictionaries of arrays; None where there are none.
        is_complete: False where these are the first rows of a longer, or endless, source.
        source: the type it came from: "arrays", "tf.data", "PyDataset", "generator", "DataFrame".
        is_reshuffled: whether the source, read again, gave another order; None where that was not tried.
        is_endless: whether an epoch of it has no end unless steps are counted; None where that is not known.
        refused: why Keras cannot cut `x` into batches as it was given, in Keras' words; "" where it can.
    """

    x: Any
    y: Any
    sample_weight: Any = None
    is_complete: bool = True
    source: str = "arrays"
    is_reshuffled: bool | None = None
    is_endless: bool | None = False
    refused: str = ""

    @property
    def rows(self) -> int:
        return len(keras.tree.flatten(self.x)[0])


@dataclass(frozen=True)
class Program:
    """A call of `fit`: the model as it was compiled, the data, and the arguments as Keras names them.

    Attributes:
        model: as it stands before the first step; nothing here changes it.
        training, validation: the data; `validation` is None where no `validation_data` were given.
        history: metrics by epoch as `History.history` has them, where the program has run already.
        place: file and line of the call, "train.py:41"; "" where it is not known.
        arguments: whatever else `fit` was given, by name.
        memory: what has been found out about it, for checks that ask again; see `remembered`.
    """

    model: keras.Model
    training: Data
    validation: Data | None = None
    batch_size: int = 32
    epochs: int | None = 1  # None where it is not known
    validation_split: float = 0.0
    shuffle: bool = True
    class_weight: Mapping[int, float] | None = None
    history: Mapping[str, list[float]] | None = None
    place: str = ""
    arguments: Mapping[str, Any] | None = None
    memory: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def steps(self) -> float:
        """Steps that `fit` takes in all; ∞ where no end of it is known."""
        arguments = self.arguments or {}
        known = self.training.is_complete or arguments.get("steps_per_epoch")
        rows = self.training.rows * (1 - self.validation_split)
        an_epoch = arguments.get("steps_per_epoch") or math.ceil(rows / self.batch_size)
        return float(an_epoch * self.epochs) if known and self.epochs is not None else math.inf


T = TypeVar("T")


def remembered(function: Callable[[Program], T]) -> Callable[[Program], T]:
    """Has a function of a program computed once for it; a copy with anything replaced remembers nothing."""

    @functools.wraps(function)
    def asked(program: Program) -> T:
        key = f"{function.__module__}.{function.__qualname__}"
        if key not in program.memory:
            program.memory[key] = function(program)
        return program.memory[key]

    return asked
