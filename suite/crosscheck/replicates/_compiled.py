"""The model of a `Task`: built under a seed, and compiled as `Replicates.compile` was told."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from crosscheck._keras import build_metrics, keep_exclusions, scale_penalties
from crosscheck.optimizers import Proximal
from crosscheck.replicates._block import copied
from crosscheck.replicates._plan import own_steps
from crosscheck.replicates._task import Task

RATE = "learning_rate"
KNOWN_ENDS = {
    keras.Optimizer.finalize_variable_values,
    keras.optimizers.LossScaleOptimizer.finalize_variable_values,
    Proximal.finalize_variable_values,
}


@dataclass(frozen=True)
class Compiled:
    """The arguments of `Replicates.compile`, as it documents them.

    Attributes:
        vectors: of the replicates' own numbers, [R] each, by `NUMBERS`: a vector, or several by name.
    """

    optimizer: keras.Optimizer
    loss: Any
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None
    auto_scale_loss: bool = True
    jit_compile: bool | str = "auto"
    vectors: Mapping[str, Any] = field(default_factory=dict)
    check: bool = True

    def own_numbers(self, members: np.ndarray) -> dict[str, Any]:
        """Returns the vectors of these replicates; optimisers keep learning rates themselves."""
        vectors = dict(self.vectors)
        others = {name: v for name, v in vectors.pop("optimizer_arguments", {}).items() if name != RATE}
        if others:
            vectors["optimizer_arguments"] = others
        return keras.tree.map_structure(lambda vector: vector[members], vectors)

    def task(self, model: keras.Model, example: tuple[Any, Any, Any]) -> Task:
        """Returns the task of a model, which is compiled here; `example` is a batch (x, y, sample_weight)."""
        numbers = keras.tree.map_structure(lambda vector: vector[0], dict(self.vectors))
        eagerly = keras.backend.backend() != "jax"  # whose operations are compiled one by one where eager
        model.compile(
            self.optimizer,
            with_arguments(self.loss, numbers) if "loss_arguments" in self.vectors else self.loss,
            loss_weights=self.loss_weights,
            metrics=self.metrics,
            weighted_metrics=self.weighted_metrics,
            run_eagerly=eagerly,
            jit_compile=not eagerly,
            auto_scale_loss=self.auto_scale_loss,
        )
        if "penalty_scale" in self.vectors:
            scale_penalties(model, lambda: numbers["penalty_scale"])
        if model.trainable_variables:
            model.optimizer.build(model.trainable_variables)
        build_metrics(model, example)
        return Task(model, numbers)

    def compile_own(self, model: keras.Model, r: int) -> None:
        """Compiles the model of replicate r for Keras' own `fit`; optimiser and metrics are its own."""
        numbers = keras.tree.map_structure(lambda vector: vector[r], dict(self.vectors))
        optimizer = again(self.optimizer)
        for name, value in numbers.get("optimizer_arguments", {}).items():
            setattr(optimizer, name, float(value))
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if isinstance(inner, Proximal) and "penalty_scale" in numbers:
            inner.l1 *= float(numbers["penalty_scale"])
        model.compile(
            optimizer,
            with_arguments(self.loss, numbers) if "loss_arguments" in numbers else self.loss,
            loss_weights=self.loss_weights,
            metrics=keras.tree.map_structure(again, self.metrics),
            weighted_metrics=keras.tree.map_structure(again, self.weighted_metrics),
            auto_scale_loss=self.auto_scale_loss,
            jit_compile=self.jit_compile,
        )
        if "penalty_scale" in numbers:
            scale_penalties(model, lambda: numbers["penalty_scale"])

    def start(
        self, task: Task, stored: Sequence[np.ndarray] | None, weights: Sequence[np.ndarray], count: int
    ) -> list[np.ndarray]:
        """Returns the optimiser's state before the first step, [R, …] each: what was stored, if anything was.

        Files of the first format hold no learning rates.

        Args:
            task: whose optimiser is built.
            stored: its state of all replicates; None or empty before the first training.
            weights: the trainable ones of all replicates, [R, …] each, with which some optimisers begin.
            count: R.
        """
        variables = task.variables["optimizer"]
        fresh = [copied(variable.value) for variable in variables]
        values = [np.repeat(value[None], count, axis=0) for value in fresh]
        begun = any(value.any() for v, value in zip(variables, fresh, strict=True) if v.name != RATE)
        if not stored and begun and not alike(self.begins_with(task, weights, count - 1), fresh):
            members = [self.begins_with(task, weights, r) for r in range(count)]
            values = [np.stack(value) for value in zip(*members, strict=True)]
        rates = [i for i, variable in enumerate(variables) if variable.name == RATE]
        own = self.vectors.get("optimizer_arguments", {}).get(RATE)
        for i in rates if own is not None else ():
            values[i] = np.asarray(own, fresh[i].dtype)
        if stored and len(stored) == len(values):
            values = list(stored)
        elif stored:
            others = iter(stored)
            values = [value if i in rates else next(others) for i, value in enumerate(values)]
        return values

    def begins_with(self, task: Task, weights: Sequence[np.ndarray], r: int) -> list[np.ndarray]:
        """Returns the state of an optimiser that is built on the trainable weights of replicate r.

        Raises:
            NotImplementedError: for one that cannot be made again.
        """
        try:
            optimizer = again(task.optimizer)  # which Keras has wrapped in a loss scale where the policy asks
        except Exception as error:
            name = type(task.optimizer).__name__
            raise NotImplementedError(
                f"{name} begins with numbers other than 0, which may be the weights that it is built on, and "
                f"it cannot be made again for each replicate ({error}): give it a `get_config` that its "
                "`from_config` takes."
            ) from error
        variables = task.variables["trainable"]
        placeholders = [copied(variable.value) for variable in variables]
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value[r])
        if variables:
            optimizer.build(variables)
        for variable, value in zip(variables, placeholders, strict=True):
            variable.assign(value)
        return [copied(variable.value) for variable in optimizer.variables]


def alike(values: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    """Returns whether two states of an optimiser are the same."""
    return [value.tobytes() for value in values] == [other.tobytes() for other in others]


class Rates:
    """The learning rates of the replicates, and what callbacks make of them.

    Args:
        task: whose optimiser holds the rate that callbacks of all replicates set.
        values: the optimiser's state, [R, …] each.
    """

    def __init__(self, task: Task, values: Sequence[np.ndarray]):
        variables = task.variables["optimizer"]
        self.variables = {i: variable for i, variable in enumerate(variables) if variable.name == RATE}
        self.vectors = {i: np.array(values[i]) for i in self.variables}
        self.seen = {i: float(variable.value) for i, variable in self.variables.items()}
        self.touched: set[Any] = set()
        # Optimisers that wrap others have a rate of their own as well, of which Keras makes nothing.
        rate = getattr(task.optimizer, RATE) if has_rate(task.optimizer) else None
        self.place = next((i for i, variable in self.variables.items() if variable is rate), None)

    def vector(self) -> np.ndarray:
        """Returns the rates of all replicates.

        Raises:
            NotImplementedError: for an optimiser that has no single rate that could be set.
        """
        if self.place is None:
            raise NotImplementedError("The optimiser holds no learning rate that callbacks could set.")
        return self.vectors[self.place]

    def one(self, r: int) -> np.ndarray:
        """Returns the rate of replicate r."""
        return self.vector()[r]

    def differ(self) -> bool:
        """Returns whether replicates have different rates."""
        return any((vector != vector[0]).any() for vector in self.vectors.values())

    def set_one(self, r: int, rate: Any) -> None:
        """Sets the rate of replicate r."""
        self.vector()[r] = float(rate)
        self.touched.add(self.place)

    def changed(self) -> list[tuple[int, np.ndarray]]:
        """Returns place and vector of each rate that has been set since the last call."""
        for place, variable in self.variables.items():
            rate = float(variable.value)
            if rate != self.seen[place]:
                self.vectors[place][:], self.seen[place] = rate, rate
                self.touched.add(place)
        changed = [(place, self.vectors[place]) for place in sorted(self.touched)]
        self.touched.clear()
        return changed


def has_rate(optimizer: Any) -> bool:
    """Returns whether the optimiser has a single learning rate; one that joins others has none."""
    return not isinstance(optimizer, keras.optimizers.MultiOptimizer)


def averages(optimizer: Any) -> bool:
    """Returns whether the optimiser ends a training by moving weights, as one that averages them does."""
    parts = parts_of(optimizer)
    own = {type(part).finalize_variable_values for part in parts} - KNOWN_ENDS
    return bool(own) or any(getattr(part, "use_ema", False) for part in parts)


def parts_of(optimizer: Any) -> list[Any]:
    """Returns an optimiser and those that it joins or wraps."""
    inner = [getattr(optimizer, name, None) for name in ("inner_optimizer", "optimizer")]
    inner += getattr(optimizer, "optimizers", ())
    return [optimizer, *(part for one in inner if one is not None for part in parts_of(one))]


def again(part: Any) -> Any:
    """Returns an optimiser or metric like this one, without its state; names and functions as they are."""
    if isinstance(part, keras.metrics.Metric):
        return type(part).from_config(part.get_config())
    return unused(part) if isinstance(part, keras.Optimizer) else part


def unused(optimizer: keras.Optimizer) -> keras.Optimizer:
    """Returns an optimiser like this one that has taken no step."""
    copy = type(optimizer).from_config(optimizer.get_config())
    for mine, theirs in zip(parts_of(copy), parts_of(optimizer), strict=True):
        keep_exclusions(mine, theirs)
    return copy


def with_arguments(loss: Callable[..., Any], numbers: Mapping[str, Any]) -> Callable[[Any, Any], Any]:
    """Returns a loss of (y_true, y_pred) that takes its other arguments from `numbers`."""

    @functools.wraps(loss)
    def loss_with_arguments(y_true: Any, y_pred: Any) -> Any:
        return loss(y_true, y_pred, **numbers["loss_arguments"])

    return loss_with_arguments


def refuse_optimizer(optimizer: Any) -> None:
    """Raises a NotImplementedError for an optimiser that does not train alike in all of Keras' own ways.

    Keras 3.15's ScheduleFreeAdamW goes on from "the old momentum" by a tensor that it changes meanwhile on
    TensorFlow and PyTorch; within TensorFlow's programs it begins anew with every step.
    """
    if isinstance(optimizer, keras.optimizers.ScheduleFreeAdamW) and keras.backend.backend() != "jax":
        raise NotImplementedError(
            f"ScheduleFreeAdamW of Keras {keras.__version__} trains in one way step by step and in another "
            f"by `fit` on {keras.backend.backend()}. "
            'Replicates(…, mode="fit") trains the replicates by `fit`, one after the other.'
        )


def refuse_own_steps(model: keras.Model) -> None:
    """Raises a NotImplementedError for a model that trains or evaluates in a way of its own."""
    own = own_steps(model)
    if own:
        raise NotImplementedError(
            f"{type(model).__name__} has a `{own[0]}` of its own, which replicates of Keras' own step would "
            'pass over. Replicates(…, mode="fit") trains the replicates by `fit`, one after the other.'
        )
