"""The program that trains and evaluates a block of replicates; written once for every backend."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.optimizers import Proximal
from crosscheck.replicates.additive import fills_up
from crosscheck.replicates.task import Task

DATA = ("x", "y", "sample_weight")
FIRST_SCALE, GROWTH_STEPS = 2.0**15, 2000  # of keras.optimizers.LossScaleOptimizer


def seam() -> Any:
    """The module that speaks this process' backend; imported by name, for what is measured depends on it.

    Raises:
        NotImplementedError: on a backend that has none.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from crosscheck.replicates.backends import tensorflow

        return tensorflow
    if backend == "jax":
        from crosscheck.replicates.backends import jax

        return jax
    if backend == "torch":
        from crosscheck.replicates.backends import torch

        return torch
    raise NotImplementedError(f"Replicates run on tensorflow, jax and torch, not on {backend}.")


class Program:
    """`size` replicates behind one leading axis; with `stacked` false a single one, without the axis.

    Its variables only stand for those of the block that runs it: see `crosscheck.replicates.block`.

    Args:
        task: what each replicate computes.
        optimizer: moves all replicates at once; None where nothing is trained.
        size: replicates in the block.
        stacked: whether the weights carry the replicate axis.
        jit_compile: whether the backend compiles the whole program.
    """

    def __init__(
        self, task: Task, optimizer: keras.Optimizer | None, size: int, stacked: bool, jit_compile: bool
    ):
        self.task, self.optimizer, self.size, self.stacked = task, optimizer, size, stacked
        self.seam = seam()
        axis = (size,) if stacked else ()
        self.variables = [stacked_like(v, axis) for v in task.model.variables]
        self.trainable = [v for v in self.variables if v.trainable]
        self.state = [v for v in self.variables if not v.trainable]
        self.scales = loss_scales(axis) if optimizer and computes_in_float16(task.model) else []
        if optimizer and self.trainable:
            optimizer.build(self.trainable)
        settings = optimizer.variables if optimizer else []
        # The learning rate is everyone's; the rest belongs to the block, and counts or carries the axis.
        own = [v for v in settings if v.name != "learning_rate"]
        self.learning_rate = [v for v in settings if v.name == "learning_rate"]
        self.others = [*self.scales, *own]
        self.frozen = [*self.variables, *(v for v in own if v.shape[: len(axis)] == axis)]
        self.everything = [*self.variables, *self.others, *self.learning_rate]
        how = (self.everything, optimizer, jit_compile)
        self.run_pass = self.seam.compiled(self.all_batches, *how)
        self.run_predict = self.seam.compiled(self.outputs, *how)

    def all_batches(self, given: Mapping[str, Any], fixed: tuple[int, bool]) -> Any:
        """The mean loss and the metrics over all batches; the last takes what is left."""
        batch_size, training = fixed
        order, wide = given["order"], self.seam.widest()
        n = order.shape[-1]
        padded = n % batch_size and fills_up(self.task)
        if padded:
            order = ops.concatenate([order, order[..., : batch_size - n % batch_size]], -1)

        def one(start: Any, length: int, carry: Any) -> Any:
            total, metrics = carry
            real = ops.minimum(length, n - start) if padded else length
            batch = self.examples(order, start, length)
            loss, metrics = self.step(given, batch, real if padded else None, metrics, training)
            return total + ops.cast(real, wide) * ops.cast(loss, wide), metrics

        axis = (self.size,) if self.stacked else ()
        carry = (ops.zeros(axis, wide), self.fresh_metrics(axis))
        whole, rest = divmod(order.shape[-1], batch_size)
        carry = self.seam.repeat(
            whole, lambda i, carry: one(i * batch_size, batch_size, carry), carry, self.everything
        )
        if rest:
            carry = one(whole * batch_size, rest, carry)
        total, metrics = carry
        return total / n, self.metric_results(metrics)

    def examples(self, order: Any, start: Any, count: int) -> Any:
        if self.stacked:
            return ops.slice(order, (0, start), (self.size, count))
        return ops.slice(order, (start,), (count,))

    def step(self, given: Mapping[str, Any], batch: Any, real: Any, metrics: Any, training: bool) -> Any:
        """One batch [size, B] of example numbers: each replicate's loss, [size], and its metrics.

        Of a batch that is filled up, only the first `real` examples count; all where None.
        """
        mapped = {
            "own": given["own"],
            "batch": batch,
            "metrics": metrics,
            "weights": read(self.trainable),
            "state": read(self.state),
        }
        if self.scales:
            mapped["loss_scale"] = read(self.scales)[0]
        done = self.vectorized(lambda one: self.replicate_step(one, given["shared"], real, training))(mapped)
        if training:
            scale = given["own"].get("penalty_scale")
            self.advance(done["gradients"], done["state"], given.get("active"), scale)
        return done["loss"], done["metrics"]

    def vectorized(self, function: Any) -> Any:
        return self.seam.vectorize(function) if self.stacked else function

    def replicate_step(
        self, mapped: Mapping[str, Any], shared: Mapping[str, Any], real: Any, training: bool
    ) -> Any:
        """Gradients, loss, next state and metrics of a single replicate."""
        source = {**shared, **mapped["own"]}
        data = {name: ops.take(source[name], mapped["batch"], axis=0) for name in DATA if name in source}
        if real is not None:
            length = mapped["batch"].shape[0]
            counts = ops.cast(ops.arange(length, dtype="int32") < real, keras.config.floatx())
            data["sample_weight"] = counts * data.get("sample_weight", 1.0)
            data["fill"] = length / ops.cast(real, keras.config.floatx())
        arguments = {name: source[name] for name in self.task.arguments}
        given = {**mapped, **source, **data, "arguments": arguments}
        if training:
            gradient = self.seam.value_and_gradient(self.task.objective)
            gradients, (loss, state, output) = gradient(mapped["weights"], given)
        else:
            _, (loss, state, output) = self.task.objective(mapped["weights"], given, training=False)
            gradients = []
        metrics = self.task.updated_metrics(mapped["metrics"], given, output)
        return {"gradients": gradients, "loss": loss, "state": state, "metrics": metrics}

    def advance(self, gradients: Any, state: Any, active: Any, penalty_scale: Any = None) -> None:
        """Moves weights and state; those of replicates that are stopped, or overflowed, stay."""
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
        """Gradients free of the loss scale, and who may move: each replicate has a dynamic scale."""
        scale, streak = read(self.scales)
        inner = [tuple(range(len(scale.shape), len(each.shape))) for each in gradients]
        finite = [ops.all(ops.isfinite(each), axis) for each, axis in zip(gradients, inner, strict=True)]
        fine = functools.reduce(ops.logical_and, finite)
        gradients = [
            each * ops.cast(ops.reshape(1 / scale, (*scale.shape, *[1] * len(axis))), each.dtype)
            for each, axis in zip(gradients, inner, strict=True)
        ]
        longer = ops.where(fine, streak + 1, 0)
        grown = longer >= GROWTH_STEPS
        self.scales[0].assign(ops.where(fine, ops.where(grown, scale * 2, scale), scale / 2))
        self.scales[1].assign(ops.where(grown, 0, longer))
        return gradients, fine if active is None else ops.logical_and(fine, active)

    def outputs(self, x: Any, own: bool) -> Any:
        """The model's outputs for one batch, off training."""

        def output(given: Mapping[str, Any]) -> Any:
            seen = given["x"] if own else x
            return self.task.called(given["weights"], given["state"], seen, training=False)[0]

        mapped = {
            "weights": read(self.trainable),
            "state": read(self.state),
            **({"x": x} if own else {}),
        }
        return self.vectorized(output)(mapped)

    def fresh_metrics(self, axis: tuple[int, ...]) -> list[list[Any]]:
        return [
            [ops.zeros((*axis, *v.shape), v.dtype) + ops.convert_to_tensor(v) for v in metric.variables]
            for metric in self.task.metrics
        ]

    def metric_results(self, metrics: list[list[Any]]) -> list[Any]:
        def results(values: Any) -> Any:
            pairs = zip(self.task.metrics, values["metrics"], strict=True)
            return {"results": [metric.stateless_result(list(each)) for metric, each in pairs]}

        return self.vectorized(results)({"metrics": metrics})["results"] if metrics else []


def stacked_like(variable: keras.Variable, axis: tuple[int, ...]) -> keras.Variable:
    """A variable of the model with the replicate axis before its own; an optimiser may go by its path."""
    value = np.zeros((*axis, *variable.shape), variable.dtype)
    stacked = keras.Variable(value, trainable=variable.trainable, dtype=variable.dtype, name=variable.name)
    stacked._path = variable.path
    return stacked


def read(variables: Sequence[keras.Variable]) -> list[Any]:
    """Their values now, whatever is assigned later."""
    return [ops.copy(variable.value) for variable in variables]


def loss_scales(axis: tuple[int, ...]) -> list[keras.Variable]:
    """Scale of the loss and steps since its last overflow, one each a replicate."""
    scale = keras.Variable(np.full(axis, FIRST_SCALE, "float32"), trainable=False, dtype="float32")
    return [scale, keras.Variable(np.zeros(axis, "int32"), trainable=False, dtype="int32")]


def computes_in_float16(model: keras.Model) -> bool:
    return any(layer.compute_dtype == "float16" for layer in model._flatten_layers())
