"""Mended copies of a program: a clone of the model with another loss or head, or other labels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from crosscheck._keras import compiled_with, functional_models, layer_behind
from crosscheck.diagnose._copies import cloned_bare, fresh_optimizer, same_layer
from crosscheck.diagnose._outputs import Output, as_array, as_tensor, part_of, replaced_labels
from crosscheck.diagnose._program import Program

LayerFor = Callable[[keras.Layer], keras.Layer]


def can_be_cloned(model: keras.Model) -> bool:
    """Whether Keras clones the model layer by layer, so that one of them can be changed."""
    return type(model) in (keras.Sequential, functional_models()) and bool(getattr(model, "outputs", None))


def cloned(model: keras.Model, layer_for: LayerFor | None = None, **compiling: Any) -> keras.Model:
    """A copy of a functional or sequential model with its weights, compiled as it is.

    Args:
        model: it is not changed.
        layer_for: gives the layer in place of one of the model's.
        compiling: arguments of `compile` that differ.
    """
    copy = cloned_bare(model, layer_for or same_layer)
    for mine, theirs in zip(copy.layers, model.layers, strict=True):
        if [w.shape for w in mine.weights] == [w.shape for w in theirs.weights]:
            mine.set_weights(theirs.get_weights())
    compile_as(copy, model, **compiling)
    return copy


def compile_as(copy: keras.Model, model: keras.Model, **compiling: Any) -> None:
    """Compiles a copy as the model is compiled, with an optimiser and metrics of its own."""
    arguments = compiled_with(model)
    arguments["optimizer"] = fresh_optimizer(model.optimizer)
    for key in ("metrics", "weighted_metrics"):
        arguments[key] = keras.tree.map_structure(fresh_metric, arguments.get(key), none_is_leaf=False)
    copy.compile(**{**arguments, **compiling})


def fresh_metric(metric: Any) -> Any:
    return (
        type(metric).from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric
    )


def with_loss(program: Program, output: Output, loss: Any, bare: bool = False, units: int = 0) -> Program:
    """The program with another loss, and perhaps another head, at an output.

    Args:
        program: it is not changed.
        output: of its model.
        loss: in place of its loss; None leaves it.
        bare: whether the head's activation is taken away.
        units: of the head, where they differ; its weights are then drawn anew.
    """
    model, compiling = program.model, {}
    if loss is not None:
        compiling["loss"] = replaced_loss(compiled_with(model).get("loss"), output, loss)
    head = head_layer(model, output) if bare or units else None

    def layer_for(layer: keras.Layer) -> keras.Layer:
        return changed_head(layer, bare, units) if layer is head else same_layer(layer)

    return replace(program, model=cloned(model, layer_for, **compiling))


def replaced_loss(losses: Any, output: Output, loss: Any) -> Any:
    """The losses as `compile` takes them, with another one for an output."""
    anatomy = output.anatomy
    if isinstance(losses, dict):
        return {key: loss if key in anatomy.keys else other for key, other in losses.items()}
    if isinstance(losses, list | tuple) and len(losses) > 1:
        return [loss if i == anatomy.index else other for i, other in enumerate(losses)]
    return loss


def head_layer(model: keras.Model, output: Output) -> keras.Layer | None:
    """The last layer before an output, whose activation or units can be changed; None where it is no such."""
    if not can_be_cloned(model):
        return None
    layer = layer_behind(model.outputs[output.anatomy.index])
    known = layer in model.layers and not isinstance(layer, keras.Model)
    return layer if known and (hasattr(layer, "activation") or is_activation(layer)) else None


def is_activation(layer: keras.Layer) -> bool:
    """Whether a layer is nothing but an activation."""
    return isinstance(layer, keras.layers.Activation | keras.layers.Softmax | keras.layers.ReLU)


def changed_head(layer: keras.Layer, bare: bool, units: int) -> keras.Layer:
    """The head without its activation, or with other units."""
    if is_activation(layer):
        return keras.layers.Activation("linear", name=layer.name, dtype=layer.dtype_policy)
    config = layer.get_config()
    if bare:
        config["activation"] = "linear"
    if units:
        config["units" if "units" in config else "filters"] = units
    return type(layer).from_config(config)


def mapped_labels(program: Program, output: Output, mapping: Callable[[np.ndarray], np.ndarray]) -> Program:
    """The program with the labels of an output mapped, those of validation too."""
    return replace(
        program,
        training=mapped(program.training, output, mapping),
        validation=program.validation and mapped(program.validation, output, mapping),
    )


def mapped(data: Any, output: Output, mapping: Callable[[np.ndarray], np.ndarray]) -> Any:
    labels = as_array(part_of(data.y, output.anatomy))
    return data if labels is None else replaced_labels(data, output, mapping(labels))


def built_copy(program: Program) -> keras.Model | None:
    """A copy of a `Sequential` that has no shapes yet, built on a row; None of another model, built in place.

    What the model does not take is left to the check of the inputs.
    """
    model, copy = program.model, None
    if type(model) is keras.Sequential:
        copy = keras.Sequential.from_config(model.get_config())
        compile_as(copy, model)
    first = keras.tree.map_structure(lambda a: as_tensor(a[:1]), program.training.x)
    with contextlib.suppress(Exception):
        (copy or model)(first, training=False)
    return copy
