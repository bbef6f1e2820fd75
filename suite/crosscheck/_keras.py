"""What Keras, or a backend, keeps private: every use of it is here, one function each, with its reason.

Written against Keras 3.15. A new version of Keras that moves one of these is mended in this file alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras import ops
from keras.src import backend
from keras.src.backend import random as backend_random
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask
from keras.src.models.functional import Functional
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.trainers import compile_utils
from keras.src.trainers.data_adapters import array_data_adapter, data_adapter_utils

# --- layers of a model ----------------------------------------------------------------------------------


def layers_of(model: keras.Model) -> list[keras.Layer]:
    """The model itself, and every layer in it at any depth; `model.layers` names the outermost alone."""
    return list(model._flatten_layers())


def layers_within(model: keras.Model) -> list[keras.Layer]:
    """Every layer in the model at any depth, without the model itself."""
    return list(model._flatten_layers(include_self=False))


def holds_layers(layer: keras.Layer) -> bool:
    """Whether a layer has others within it; public is only what is within a `keras.Model`."""
    return bool(getattr(layer, "_layers", None))


def is_of_keras(kind: Any) -> bool:
    """Whether a class or a function comes with Keras; `__module__` tells it by a name that is private."""
    return kind.__module__.startswith("keras.src.")


def layer_behind(tensor: Any) -> keras.Layer:
    """The layer that gave a symbolic tensor, such as one of `model.outputs`."""
    return tensor._keras_history.operation


def call_behind(tensor: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any], list[Any]] | None:
    """The operation that gave a symbolic tensor, what it was called with, and all that it gave.

    None for an input, which no operation gave.
    """
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    if node.is_input:
        return None
    return history.operation, node.arguments.args, node.arguments.kwargs, list(node.outputs)


@contextlib.contextmanager
def symbolic_calls(stand_in: Callable[..., Any]) -> Iterator[None]:
    """Within, `stand_in(original, operation, *args, **kwargs)` does what a symbolic call of anything does.

    So a call by symbolic tensors can be followed into layers and models, which record themselves as one node.
    """
    with contextlib.ExitStack() as stack:
        for kind in (keras.Operation, keras.Layer):  # each has its own
            call = lambda self, *args, own=kind.symbolic_call, **kwargs: stand_in(own, self, *args, **kwargs)
            stack.enter_context(mock.patch.object(kind, "symbolic_call", call))
        yield


@contextlib.contextmanager
def calls_forgotten(model: keras.Model) -> Iterator[None]:
    """Afterwards no layer of the model remembers symbolic calls made within: `layer.output` is as before."""
    within = operations_within(model)
    lists = [nodes for layer in within for nodes in (layer._inbound_nodes, layer._outbound_nodes)]
    lengths = [len(nodes) for nodes in lists]
    try:
        yield
    finally:
        for nodes, length in zip(lists, lengths, strict=True):
            del nodes[length:]


def operations_within(model: keras.Model) -> list[Any]:
    """The model, all layers in it, and the operations of its graphs that are no layers."""
    layers = layers_of(model)
    operations = [operation for layer in layers for operation in getattr(layer, "_operations", ())]
    return list({id(one): one for one in (*layers, *operations)}.values())


def autocast_to(dtype: str | None) -> Any:
    """A context in which variables are read in a dtype, as layers of a mixed policy read theirs."""
    return backend.AutocastScope(dtype)


def attributes_of(model: keras.Model) -> dict[str, Any]:
    """What a class of one's own has put on its model, by name: not Keras' attributes nor PyTorch's."""
    i = keras.Input((1,))
    plain, functional = keras.Model(), keras.Model(i, keras.layers.Dense(1)(i))
    functional.compile()
    theirs = {*names_on(plain), *names_on(functional), "_call_spec", "_build_shapes_dict"}
    theirs |= {"train_function", "test_function", "predict_function"}
    return {name: getattr(model, name) for name in names_on(model) if name not in theirs}


def names_on(model: keras.Model) -> list[str]:
    """The names of an object's attributes; PyTorch keeps those that are layers in a place of their own."""
    return [*vars(model), *vars(model).get("_modules", {})]


def takes_any_input() -> dict[str, Any]:
    """Methods of a class of models that check no input, as a functional one does."""
    return {"_assert_input_compatibility": lambda self, *arguments: None}


def put_aside(model: keras.Model, name: str, value: Any) -> None:
    """Sets an attribute without that Keras, or PyTorch, counts it as a part of the model."""
    model.__dict__[name] = value


def functional_models() -> type:
    """The class that `keras.Model(inputs, outputs)` makes; public is only its parent."""
    return Functional


def has_output(layer: keras.Layer) -> bool:
    """Whether the layer was called with symbolic tensors, so that `layer.output` does not raise."""
    return bool(getattr(layer, "_inbound_nodes", ()))


def input_specs(model: keras.Model) -> Any:
    """The symbolic inputs as the model takes them (`model.input` is flat); None of a subclassed model."""
    graph = getattr(model, "_functional", None) or model  # a `Sequential` keeps one
    return getattr(graph, "_inputs_struct", None)


def shapes_built_for(model: keras.Model) -> Any:
    """The shapes for which a subclassed model was built; None where it does not remember."""
    shapes = (model.get_build_config() or {}).get("input_shape") or vars(model).get("_build_shapes_dict")
    return next(iter(shapes.values())) if isinstance(shapes, dict) and len(shapes) == 1 else shapes


# --- variables ------------------------------------------------------------------------------------------


# --- optimisers and models in training --------------------------------------------------------------------


def keep_exclusions(copy: keras.Optimizer, optimizer: keras.Optimizer) -> None:
    """Has weight decay leave out in a copy what it leaves out in an optimiser: no configuration tells it."""
    told = {name: value for name, value in vars(optimizer).items() if name.startswith("_exclude_from_")}
    vars(copy).update({name: value for name, value in told.items() if not name.endswith("_cache")})


def trained_variables(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """The variables that the optimiser was built for."""
    return optimizer._trainable_variables


def share_iterations(optimizer: keras.Optimizer, other: keras.Optimizer) -> None:
    """Has an optimiser count its steps in the variable of another; Keras makes one for each."""
    optimizer._iterations = other._iterations


@contextlib.contextmanager
def optimizers_without_side_effects() -> Iterator[None]:
    """Within, every optimiser moves variables by `keras.Variable.assign` alone, and without branches.

    So a `keras.StatelessScope` holds all that it does, on every backend and under every map over replicates.
    Keras' own `stateless_apply` is refused on TensorFlow, whose optimisers go by `tf.distribute`; PyTorch's
    change tensors in place. What the backends put in the place of `BaseOptimizer`'s methods is taken out;
    three methods that branch, or read past a scope, are written anew.
    """
    replaced: list[tuple[type, str, Any]] = []
    for kind in backend_optimizers():
        for name in set(vars(kind)) & ON_VARIABLES:
            replaced.append((kind, name, vars(kind)[name]))
            delattr(kind, name)
        if "_var_key" in vars(kind):
            replaced.append((kind, "_var_key", vars(kind)["_var_key"]))
            setattr(kind, "_var_key", lambda self, variable: variable._value._unique_id)  # noqa: B010
    mine = (
        (BaseOptimizer, "_backend_apply_gradients", move),
        (BaseOptimizer, "_overwrite_model_variables_with_average_value", put_averages),
        (keras.optimizers.LossScaleOptimizer, "apply", move_if_finite),
    )
    for kind, name, method in mine:
        replaced.append((kind, name, vars(kind)[name]))
        setattr(kind, name, method)
    try:
        yield
    finally:
        for kind, name, method in reversed(replaced):
            setattr(kind, name, method)


ON_VARIABLES = {
    *("_apply_weight_decay", "_backend_apply_gradients", "_backend_increment_gradient_accumulators"),
    *("_backend_reset_gradient_accumulators", "_backend_update_step", "_clip_by_norm"),
    *("_overwrite_model_variables_with_average_value", "assign", "assign_add", "assign_sub"),
}


def backend_optimizers(kind: type = BaseOptimizer) -> list[type]:
    """The classes between `BaseOptimizer` and Keras' optimisers that a backend puts there."""
    below: list[type] = kind.__subclasses__()
    mine = [lower for lower in below if lower.__module__.startswith("keras.src.backend.")]
    return list(dict.fromkeys([*mine, *(deeper for lower in below for deeper in backend_optimizers(lower))]))


def move(self: Any, gradients: Any, variables: Any) -> None:
    """`BaseOptimizer._backend_apply_gradients` without branches."""
    steps = self.gradient_accumulation_steps
    if steps:
        complete = (self._iterations + 1) % steps == 0
        sums = [self._accumulated_gradients[self._get_variable_index(v)] for v in variables]
        totals = [ops.add(gradient, total) for gradient, total in zip(gradients, sums, strict=True)]
        gradients = [total / steps for total in totals]
        before = [(v, v.value) for v in (*variables, *self.variables)]
    gradients = self._clip_gradients(gradients)
    self._apply_weight_decay(variables)
    self._backend_update_step(gradients, variables, self.learning_rate)
    if steps:
        choose(complete, before)
        for variable, total in zip(sums, totals, strict=True):
            variable.assign(ops.where(complete, ops.zeros_like(total), total))
    if self.use_ema:
        self._update_model_variables_moving_average(self._trainable_variables)
        if self.ema_overwrite_frequency:
            due = (self.iterations + 1) % self.ema_overwrite_frequency == 0
            for variable, average in zip(self._trainable_variables, moving_averages(self), strict=True):
                if average is not None:
                    variable.assign(ops.where(due, average.value, variable.value))


def move_if_finite(self: Any, gradients: Any, variables: Any = None) -> None:
    """`LossScaleOptimizer.apply` without branches."""
    variables = list(variables or self._trainable_variables)
    scale, counter = self.dynamic_scale.value, self.step_counter.value
    finite, full = self.check_finite(gradients), ops.equal(counter, self.dynamic_growth_steps - 1)
    before = [(v, v.value) for v in (*variables, *self.inner_optimizer.variables)]
    self.inner_optimizer.apply([g if g is None else ops.divide(g, scale) for g in gradients], variables)
    choose(finite, before)
    self.dynamic_scale.assign(ops.where(finite, ops.where(full, scale * 2.0, scale), scale * 0.5))
    self.step_counter.assign(ops.where(ops.logical_and(finite, ops.logical_not(full)), counter + 1, 0))


def put_averages(self: Any, variables: Any) -> None:
    """`BaseOptimizer._overwrite_model_variables_with_average_value`, of the values that a scope holds."""
    for variable, average in zip(variables, moving_averages(self), strict=True):
        if average is not None:
            variable.assign(average.value)


def choose(keep: Any, before: Sequence[tuple[Any, Any]]) -> None:
    """Gives variables back the values that they had, unless `keep`."""
    for variable, value in before:
        variable.assign(ops.where(keep, variable.value, value))


def moving_averages(optimizer: Any) -> Sequence[Any]:
    """The averages that an optimiser with `use_ema` keeps, one a trained variable, or None."""
    return getattr(optimizer, "_model_variables_moving_average", ())


def compiled_with(model: keras.Model) -> dict[str, Any]:
    """What `compile` was called with; `get_compile_config` serialises it, which fails for a lambda."""
    return dict(getattr(getattr(model, "_compile_config", None), "config", None) or {})


def weights_of_classes(y: np.ndarray, class_weight: Any) -> np.ndarray:
    """The sample weights [N] that `fit` makes of labels and `class_weight`; raises whatever Keras raises."""
    return data_adapter_utils.class_weight_to_sample_weights(y, class_weight)


def build_for(model: keras.Model, predicted: Any, first: str, second: str) -> None:
    """Builds two arguments of `compile` for outputs as the first step does; raises whatever Keras raises."""
    kind: Any = compile_utils.CompileLoss if first == "loss" else compile_utils.CompileMetrics
    arguments, names = compiled_with(model), getattr(model, "output_names", None)
    kind(arguments.get(first), arguments.get(second), output_names=names).build(predicted, predicted)


def schedule_of(optimizer: keras.Optimizer) -> Any:
    """The schedule that sets the learning rate; None where it is one number."""
    rate = getattr(optimizer, "_learning_rate", None)
    return rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None


def first_batch(x: Any, y: Any) -> Any:
    """The first batch as `fit` cuts it out of arrays; raises whatever Keras raises."""
    return next(iter(array_data_adapter.ArrayDataAdapter(x, y).get_numpy_iterator()))


def metric_for(metric: Any, y: Any, predicted: Any) -> keras.metrics.Metric:
    """The metric that `compile` makes of a name, a function or a metric, for labels and output so shaped."""
    return compile_utils.get_metric(metric, y, predicted)


def build_metrics(model: keras.Model, batch: tuple[Any, Any, Any]) -> None:
    """Has loss and metrics of a compiled model make their variables for (x, y, sample_weight)."""
    model._symbolic_build(data_batch=batch)


def loss_tracker_of(model: keras.Model) -> keras.metrics.Metric:
    """The mean of the losses that a compiled model reports as "loss"."""
    return model._loss_tracker


def compute_loss(model: keras.Model, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
    """The loss as `train_step` asks for it, also of a `compute_loss` that knows no `training`."""
    return model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)


def scale_penalties(model: keras.Model, scale: Any) -> None:
    """Has what regularisers and `add_loss` give multiplied by `scale()`, wherever Keras adds it up."""
    aggregate = type(model)._aggregate_additional_loss
    model._aggregate_additional_loss = lambda loss: aggregate(model, loss) * ops.cast(scale(), loss.dtype)


def compiled_metrics(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """The metrics of a model of one output, as compiled: those without weights, and those with them."""
    names, compiled = ("_flat_metrics", "_flat_weighted_metrics"), model._compile_metrics
    kinds = [getattr(compiled, name) if compiled else () for name in names]
    unweighted, weighted = ([m for part in kind if part for m in part.metrics] for kind in kinds)
    return unweighted, weighted


def takes_training(model: keras.Model) -> bool:
    """Whether the model's `call` knows `training`, as Keras' own steps ask."""
    return bool(model._call_has_training_arg)


def assigned_in(scope: keras.StatelessScope) -> set[int]:
    """The ids of the variables for which a scope holds a value, those that it was given included."""
    return set(scope.state_mapping)


def set_jit_compile(model: keras.Model, jit_compile: bool) -> None:
    """Whether steps go through XLA, which `compile` leaves out where deterministic kernels are on."""
    model._jit_compile = jit_compile


def compute_in(loss: keras.losses.Loss, dtype: str) -> None:
    """Has a loss compute in a dtype; only its constructor could be told, and may not hand it on."""
    loss._dtype_policy, loss._dtype = keras.dtype_policies.get(dtype), dtype


# --- random numbers and masks -----------------------------------------------------------------------------


def seed_generators_of(layer: keras.Layer) -> Sequence[keras.random.SeedGenerator]:
    """The generators from which the layer draws, as a dropout does; none where it does not draw."""
    return getattr(layer, "_seed_generators", ())


@contextlib.contextmanager
def constant_draws() -> Iterator[None]:
    """Within, layers that draw real numbers get the same ones for the same shape; generators move on as ever.

    TensorFlow draws other numbers with XLA, and PyTorch's dropout by no seed: only so can steps be compared.
    """
    names = ("beta", "binomial", "dropout", "gamma", "normal", "truncated_normal", "uniform")
    drawn = {name: constant(getattr(backend_random, name), scales=name == "dropout") for name in names}
    with mock.patch.multiple(backend_random, **drawn):
        yield


def constant(draw: Any, scales: bool) -> Any:
    """Puts fixed numbers in the place of what `draw` returns, or of the factors by which it `scales`."""

    def drawn(*args: Any, **options: Any) -> Any:
        value = draw(*args, **options)
        fixed = np.random.default_rng(0).uniform(0.5, 1.5, tuple(value.shape))
        fixed = ops.cast(ops.convert_to_tensor(fixed, "float32"), value.dtype)
        inputs = args[0] if args else options.get("inputs")
        return inputs * fixed if scales else fixed

    return drawn


def versions_of(weights: Any) -> list[int]:
    """How often each of PyTorch's tensors was changed in place; none of another backend's."""
    return [tensor._version for tensor in keras.tree.flatten(weights) if hasattr(tensor, "_version")]


def mask_of(tensor: Any) -> Any:
    """Keras' mask on a tensor, or None; on JAX, whose arrays take no attribute, Keras keeps it aside."""
    return get_keras_mask(tensor)


def set_mask(tensor: Any, mask: Any) -> None:
    """Puts Keras' mask on a tensor, as a layer that makes one does."""
    set_keras_mask(tensor, mask)
