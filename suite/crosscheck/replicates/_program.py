"""The program that trains and evaluates a block of replicates, written once for every backend."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import set_path
from crosscheck.optimizers import Proximal
from crosscheck.replicates._additive import fills_up
from crosscheck.replicates._model import computes_in_float16
from crosscheck.replicates._task import Task
from crosscheck.replicates.backends import current

DATA = ("x", "y", "sample_weight")
FIRST_SCALE, GROWTH_STEPS = 2.0**15, 2000  # of keras.optimizers.LossScaleOptimizer


class Program:
    """`size` replicates behind one leading axis, or a single one without the axis where `stacked` is false.

    Its variables are placeholders: each `Block` that runs it hands in the state that stands for them.

    Args:
        task: what each replicate computes.
        optimizer: moves all replicates at once; None where nothing is trained.
        size: replicates in the block.
        stacked: whether the weights have the axis of replicates.
        jit_compile: whether the backend compiles the whole program.
    """

    def __init__(
        self, task: Task, optimizer: keras.Optimizer | None, size: int, stacked: bool, jit_compile: bool
    ):
        self.task, self.optimizer, self.size, self.stacked = task, optimizer, size, stacked
        self.backend = current()
        axis = (size,) if stacked else ()
        self.variables = [stacked_like(v, axis) for v in task.model.variables]
        self.trainable = [v for v in self.variables if v.trainable]
        self.state = [v for v in self.variables if not v.trainable]
        self.scales = loss_scales(axis) if optimizer and computes_in_float16(task.model) else []
        if optimizer and self.trainable:
            optimizer.build(self.trainable)
        settings = optimizer.variables if optimizer else []
        # All blocks share the learning rate. The rest is a block's own: a counter, or one for each replicate.
        own = [v for v in settings if v.name != "learning_rate"]
        self.learning_rate = [v for v in settings if v.name == "learning_rate"]
        self.others = [*self.scales, *own]
        self.frozen = [*self.variables, *(v for v in own if v.shape[: len(axis)] == axis)]
        self.everything = [*self.variables, *self.others, *self.learning_rate]
        options = (self.everything, optimizer, jit_compile)
        self.run_pass = self.backend.compiled(self.all_batches, *options)
        self.run_predict = self.backend.compiled(self.outputs, *options)

    def all_batches(self, tensors: Mapping[str, Any], fixed: tuple[int, bool]) -> Any:
        """Returns the mean loss and the metrics over all batches, of which the last may be shorter.

        Args:
            tensors: "shared" and "own" data, the "order" of the examples, and which replicates are "active".
            fixed: (batch_size, training), which are part of the program.
        """
        batch_size, training = fixed
        order, wide = tensors["order"], self.backend.widest_float()
        n = order.shape[-1]
        padded = n % batch_size and fills_up(self.task)
        if padded:
            order = ops.concatenate([order, order[..., : batch_size - n % batch_size]], -1)

        def one(start: Any, length: int, carry: Any) -> Any:
            total, metrics = carry
            real = ops.minimum(length, n - start) if padded else length
            batch = self.examples(order, start, length)
            loss, metrics = self.step(tensors, batch, real if padded else None, metrics, training)
            return total + ops.cast(real, wide) * ops.cast(loss, wide), metrics

        axis = (self.size,) if self.stacked else ()
        carry = (ops.zeros(axis, wide), self.fresh_metrics(axis))
        whole, rest = divmod(order.shape[-1], batch_size)
        carry = self.backend.repeat(
            whole, lambda i, carry: one(i * batch_size, batch_size, carry), carry, self.everything
        )
        if rest:
            carry = one(whole * batch_size, rest, carry)
        total, metrics = carry
        return total / n, self.metric_results(metrics)

    def examples(self, order: Any, start: Any, count: int) -> Any:
        """Returns the numbers of a batch's examples, [size, count] of `order` [size, N]."""
        if self.stacked:
            return ops.slice(order, (0, start), (self.size, count))
        return ops.slice(order, (start,), (count,))

    def step(self, tensors: Mapping[str, Any], batch: Any, real: Any, metrics: Any, training: bool) -> Any:
        """Goes through one batch, and returns each replicate's loss, [size], and its metrics.

        Args:
            tensors: as in `all_batches`.
            batch: the numbers of the examples, [size, B].
            real: how many of them count, the others having been filled in; all where None.
            metrics: the metrics' variables, [size, …] each.
            training: whether the optimiser moves the weights.
        """
        mapped = {
            "own": tensors["own"],
            "batch": batch,
            "metrics": metrics,
            "weights": read(self.trainable),
            "state": read(self.state),
        }
        if self.scales:
            mapped["loss_scale"] = read(self.scales)[0]
        run = self.vectorized(lambda one: self.replicate_step(one, tensors["shared"], real, training))
        results = run(mapped)
        if training:
            scale = tensors["own"].get("penalty_scale")
            self.advance(results["gradients"], results["state"], tensors.get("active"), scale)
        return results["loss"], results["metrics"]

    def vectorized(self, function: Any) -> Any:
        """Returns a function of one replicate as one of all `size`."""
        return self.backend.vectorize(function) if self.stacked else function

    def replicate_step(
        self, mapped: Mapping[str, Any], shared: Mapping[str, Any], real: Any, training: bool
    ) -> Any:
        """Returns gradients, loss, next state and metrics of a single replicate; arguments as in `step`."""
        source = {**shared, **mapped["own"]}
        data = {name: ops.take(source[name], mapped["batch"], axis=0) for name in DATA if name in source}
        if real is not None:
            length = mapped["batch"].shape[0]
            counts = ops.cast(ops.arange(length, dtype="int32") < real, keras.config.floatx())
            data["sample_weight"] = counts * data.get("sample_weight", 1.0)
            data["fill"] = length / ops.cast(real, keras.config.floatx())
        arguments = {name: source[name] for name in self.task.arguments}
        inputs = {**mapped, **source, **data, "arguments": arguments}
        if training:
            gradient = self.backend.value_and_gradient(self.task.objective)
            gradients, (loss, state, output) = gradient(mapped["weights"], inputs)
        else:
            _, (loss, state, output) = self.task.objective(mapped["weights"], inputs, training=False)
            gradients = []
        metrics = self.task.updated_metrics(mapped["metrics"], inputs, output)
        return {"gradients": gradients, "loss": loss, "state": state, "metrics": metrics}

    def advance(self, gradients: Any, state: Any, active: Any, penalty_scale: Any = None) -> None:
        """Moves weights and state, but not those of replicates that have stopped or overflowed."""
        assert self.optimizer is not None
        if self.scales:
            gradients, active = self.unscaled(gradients, active)
        moving = self.frozen if active is not None else []
        before = read(moving)
        if self.trainable:
            proximal = isinstance(self.optimizer, Proximal)
            with self.optimizer.scaled(penalty_scale) if proximal else contextlib.nullcontext():
                self.optimizer.apply(gradients, self.trainable)
        for variable, value in zip(self.state, state, strict=True):
            variable.assign(value)
        for variable, old in zip(moving, before, strict=True):
            keep = ops.reshape(active, (*active.shape, *[1] * (len(variable.shape) - len(active.shape))))
            variable.assign(ops.where(keep, variable.value, old))

    def unscaled(self, gradients: Any, active: Any) -> tuple[Any, Any]:
        """Returns gradients without the loss scale, and who may move, [size]; updates the scales.

        As in `keras.optimizers.LossScaleOptimizer`, with a scale for each replicate.
        """
        scale, streak = read(self.scales)
        axes = [tuple(range(len(scale.shape), len(gradient.shape))) for gradient in gradients]
        pairs = list(zip(gradients, axes, strict=True))
        finite = [ops.all(ops.isfinite(gradient), axis) for gradient, axis in pairs]
        valid = functools.reduce(ops.logical_and, finite)
        gradients = [
            gradient * ops.cast(ops.reshape(1 / scale, (*scale.shape, *[1] * len(axis))), gradient.dtype)
            for gradient, axis in pairs
        ]
        longer = ops.where(valid, streak + 1, 0)
        grown = longer >= GROWTH_STEPS
        self.scales[0].assign(ops.where(valid, ops.where(grown, scale * 2, scale), scale / 2))
        self.scales[1].assign(ops.where(grown, 0, longer))
        return gradients, valid if active is None else ops.logical_and(valid, active)

    def outputs(self, x: Any, own: bool) -> Any:
        """Returns the model's outputs outside training, for one batch or each replicate's own."""

        def output(one: Mapping[str, Any]) -> Any:
            inputs = one["x"] if own else x
            return self.task.called(one["weights"], one["state"], inputs, training=False)[0]

        mapped = {
            "weights": read(self.trainable),
            "state": read(self.state),
            **({"x": x} if own else {}),
        }
        return self.vectorized(output)(mapped)

    def fresh_metrics(self, axis: tuple[int, ...]) -> list[list[Any]]:
        """Returns the metrics' variables before the first batch, with the axis of replicates."""
        return [
            [ops.zeros((*axis, *v.shape), v.dtype) + ops.convert_to_tensor(v) for v in metric.variables]
            for metric in self.task.metrics
        ]

    def metric_results(self, metrics: list[list[Any]]) -> list[Any]:
        """Returns the metrics' results, [size] each, from their variables."""

        def results(values: Any) -> Any:
            pairs = zip(self.task.metrics, values["metrics"], strict=True)
            return {"results": [metric.stateless_result(list(variables)) for metric, variables in pairs]}

        return self.vectorized(results)({"metrics": metrics})["results"] if metrics else []


def stacked_like(variable: keras.Variable, axis: tuple[int, ...]) -> keras.Variable:
    """Returns a variable like one of the model, with the axis of replicates before its own, and its path."""
    value = np.zeros((*axis, *variable.shape), variable.dtype)
    stacked = keras.Variable(value, trainable=variable.trainable, dtype=variable.dtype, name=variable.name)
    set_path(stacked, variable.path)
    return stacked


def read(variables: Sequence[keras.Variable]) -> list[Any]:
    """Returns copies of the values: whatever is assigned later does not change them."""
    return [ops.copy(variable.value) for variable in variables]


def loss_scales(axis: tuple[int, ...]) -> list[keras.Variable]:
    """Returns the scale of the loss, and the steps since its last overflow, one each a replicate."""
    scale = keras.Variable(np.full(axis, FIRST_SCALE, "float32"), trainable=False, dtype="float32")
    return [scale, keras.Variable(np.zeros(axis, "int32"), trainable=False, dtype="int32")]
