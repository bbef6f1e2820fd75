"""Follows a model into its layers, symbolically, and finds what stands between the logits and an output."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import (
    autocast_to,
    call_behind,
    holds_layers,
    input_specs,
    is_of_keras,
    mask_of,
    seed_generators_of,
    set_mask,
    shapes_built_for,
    symbolic_calls,
    takes_training,
)
from crosscheck.errors import UsageError

SIZE = 4  # what a dimension of any size gets
L = keras.layers
CONTRACTIONS = ("Matmul", "Einsum", "Dot", "Tensordot", "Inner")
WITH_ACTIVATION = (  # layers that apply an activation last; what comes before it is linear
    L.Dense,
    L.EinsumDense,
    *(getattr(L, f"Conv{n}D{transposed}") for n in (1, 2, 3) for transposed in ("", "Transpose")),
    *(getattr(L, f"{kind}Conv{n}D") for kind in ("Depthwise", "Separable") for n in (1, 2)),
)


class Linear(keras.Operation):
    """What a layer computes before its activation; it is never run."""

    def __init__(self, layer: Any):
        super().__init__()
        self.layer = layer

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        spec = self.layer.compute_output_spec(*args, **kwargs)
        return keras.KerasTensor(spec.shape, spec.dtype)


class Activated(keras.Operation):
    """The activation of a layer, called as the layer calls it."""

    def __init__(self, layer: Any):
        super().__init__()
        self.layer = layer

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, x: Any) -> Any:
        return self.layer.activation(x)


@dataclass(frozen=True)
class Step:
    """One operation between logits and output, and what it was called with."""

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Any]

    @property
    def inputs(self) -> list[Any]:
        """The symbolic tensors that it was called with, masks left out: Keras finds them by itself."""
        return [innermost(x) for x in keras.tree.flatten((self.args, self.unmasked)) if is_symbolic(x)]

    @property
    def unmasked(self) -> dict[str, Any]:
        layer = isinstance(self.operation, keras.Layer)
        return {k: v for k, v in self.kwargs.items() if not (layer and k in ("mask", "training"))}

    @property
    def is_random(self) -> bool:
        """Whether it draws, as a dropout does."""
        layer = self.operation
        return isinstance(layer, keras.Layer) and bool(seed_generators_of(layer))

    @property
    def can_be_run(self) -> bool:
        """Whether it mixes nothing by weights: what it gets is as near to the logits as what it gives."""
        arguments = keras.tree.flatten((self.args, self.kwargs))
        contracts = type(self.operation).__name__ in CONTRACTIONS
        return self.needs_no_variable and not (contracts and any(map(mixes, arguments)))

    @property
    def needs_no_variable(self) -> bool:
        """Whether it can be run without a weight; a table that was made of one it may hold."""
        if isinstance(self.operation, Linear):
            return False
        if isinstance(self.operation, keras.Layer):
            return self.is_random or not self.operation.weights
        return not any(isinstance(a, keras.Variable) for a in keras.tree.flatten((self.args, self.kwargs)))


def mixes(argument: Any) -> bool:
    """Whether it is a table that weights may have made: none of −1, 0 and 1, as a tree's, or of chances."""
    if is_symbolic(argument) or not ops.is_tensor(argument) or len(argument.shape) < 2:
        return False
    table = ops.convert_to_numpy(ops.stop_gradient(argument)).astype("float64")
    are_chances = bool((table >= 0).all()) and np.allclose(table.sum(-1), 1, atol=1e-3)
    return not (are_chances or bool(np.isin(table, (-1.0, 0.0, 1.0)).all()))


def is_symbolic(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor)


def outputs_of(model: keras.Model) -> Any:
    """The model's outputs, symbolic, in its own structure, traced through all layers that can be opened.

    Raises:
        UsageError: where the model cannot be called with symbolic tensors.
    """
    inputs = keras.tree.map_structure(
        lambda spec: keras.Input(batch_shape=spec.shape, dtype=spec.dtype), inputs_of(model)
    )
    options = {"training": True} if takes_training(model) else {}
    try:
        with symbolic_calls(opened):
            return keras.tree.map_structure(innermost, model(inputs, **options))
    except Exception as error:
        raise UsageError(
            f"{type(model).__name__} cannot be called with symbolic tensors: {first_line(error)} "
            "Write its `call` with `keras.ops` and layers of Keras."
        ) from error


def inputs_of(model: keras.Model) -> Any:
    """What the model takes, in its structure: shapes and dtypes."""
    specs = input_specs(model)
    if specs is not None:
        return specs
    shapes = shapes_built_for(model)
    if not shapes:
        raise UsageError("The doctor does not know what the model takes: call it once on data.")
    return shapes_to_specs(shapes)


def shapes_to_specs(shapes: Any) -> Any:
    """Specs of float32 from shapes; the batch may be of any size."""
    if isinstance(shapes, dict):
        return {name: shapes_to_specs(shape) for name, shape in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return keras.KerasTensor((None, *shapes[1:]), "float32")
    return type(shapes)(shapes_to_specs(shape) for shape in shapes)


def opened(original: Callable[..., Any], layer: Any, *args: Any, **kwargs: Any) -> Any:
    """A symbolic call that goes into models and layers of one's own, and parts activations from layers."""
    if is_openable(layer):
        try:
            with autocast_to(layer.compute_dtype):
                return keras.tree.map_structure(Within.of, layer.call(*args, **kwargs))
        except Exception:  # it wants numbers, as TensorFlow's functions do: it stays closed
            return original(layer, *args, **kwargs)
    if has_activation(layer):
        return Within.of(Activated(layer)(Linear(layer)(*args, **kwargs)))
    if isinstance(layer, L.TimeDistributed) and has_activation(layer.layer):
        behind = L.TimeDistributed(
            L.Activation(layer.layer.activation, dtype=layer.layer.dtype_policy), dtype=layer.dtype_policy
        )
        return Within.of(behind(Linear(layer)(*args, **kwargs)))
    return original(layer, *args, **kwargs)


class Within(keras.KerasTensor):
    """What an opened layer gives. Keras takes it for the layer's own; `inner` was given by a layer within."""

    inner: Any

    @classmethod
    def of(cls, inner: Any) -> Any:
        if not is_symbolic(inner):
            return inner
        outer = cls(inner.shape, inner.dtype)
        outer.inner = inner
        return outer


def innermost(tensor: Any) -> Any:
    """The tensor itself, not what stands for it outside of opened layers; masks set outside are kept."""
    while isinstance(tensor, Within):
        if mask_of(tensor) is not None and mask_of(tensor.inner) is None:
            set_mask(tensor.inner, mask_of(tensor))
        tensor = tensor.inner
    return tensor


def is_openable(layer: Any) -> bool:
    """Whether it is a model, or a layer of one's own with weights: what is within may be looked at."""
    if isinstance(layer, keras.Model):
        return True
    own = isinstance(layer, keras.Layer) and type(layer).call not in {
        vars(k).get("call") for k in kinds(layer)
    }
    return own and (holds_layers(layer) or bool(layer.weights))


def kinds(layer: Any) -> list[type]:
    """The classes of Keras that a layer is of."""
    return [
        kind for kind in type(layer).__mro__ if kind.__module__.startswith("keras.") and is_of_keras(kind)
    ]


def has_activation(layer: Any) -> bool:
    """Whether it is one of Keras' layers that apply an activation last, and has one."""
    of_kind = isinstance(layer, WITH_ACTIVATION) and not is_openable(layer)
    return of_kind and layer.activation is not keras.activations.linear


def frontiers(output: Any, with_tables: bool = False) -> list[tuple[list[Any], list[Step]]]:
    """Where a model can be cut before an output, from the output itself back to the last weights.

    Each cut is the tensors at which it is cut, and the steps from these to the output, in order.

    Args:
        output: symbolic.
        with_tables: whether to go on through products with tables that were made of weights.
    """
    passes = lambda step: step.needs_no_variable if with_tables else step.can_be_run
    order = {id(tensor): i for i, tensor in enumerate(ancestors(output, passes))}
    tensors: list[Any] = [output]
    steps: list[Step] = []
    cuts = [(tensors, steps)]
    while True:
        passable = [(t, step) for t in tensors if (step := step_behind(t)) and passes(step) and step.inputs]
        if not passable:
            return cuts
        _, step = max(passable, key=lambda pair: order[id(pair[0])])
        given = {id(t) for t in step.outputs}
        remaining = [t for t in tensors if id(t) not in given]
        present = {id(t) for t in remaining}
        new = {id(t): t for t in step.inputs if id(t) not in present}
        tensors, steps = [*remaining, *new.values()], [step, *steps]
        cuts.append((tensors, steps))


def ancestors(output: Any, passes: Callable[[Step], bool]) -> list[Any]:
    """All tensors that lead to an output from the last weights on, each after those it is made from."""
    found: dict[int, Any] = {}
    stack: list[tuple[Any, bool]] = [(output, False)]
    while stack:
        tensor, is_done = stack.pop()
        if id(tensor) in found:
            continue
        step = step_behind(tensor)
        inputs = step.inputs if step and passes(step) else []
        if is_done or not inputs:
            found[id(tensor)] = tensor
            continue
        stack.append((tensor, True))
        stack += [(t, False) for t in inputs if id(t) not in found]
    return list(found.values())


def step_behind(tensor: Any) -> Step | None:
    """The step that gave a symbolic tensor; None for an input."""
    call = call_behind(tensor)
    return Step(*call) if call else None


def renewed(value: Any) -> Any:
    """The same numbers in another tensor, as a dropout gives: Keras finds no logits behind it."""
    again = value * 1
    mask = mask_of(value)
    if mask is not None:
        set_mask(again, mask)
    return again


def run_steps(
    steps: Sequence[Step], values: dict[int, Any], skipped: frozenset[int], batch: int
) -> dict[int, Any]:
    """Runs steps on the values of symbolic tensors, by id, and adds what they give; skips those by id.

    What is skipped, or draws, gives what it got.
    """
    for step in steps:
        args, kwargs = keras.tree.map_structure(
            lambda x: values[id(innermost(x))] if is_symbolic(x) else as_constant(x),
            (step.args, step.unmasked),
        )
        first = values[id(step.inputs[0])]
        if id(step.operation) in skipped:
            results = [first]
        elif step.is_random:
            results = [renewed(first)]
        elif isinstance(step.operation, keras.Layer):
            results = keras.tree.flatten(step.operation(*args, **kwargs))
        else:
            with autocast_to(float_type(args, kwargs)):
                results = keras.tree.flatten(callable_anew(step.operation)(*args, **kwargs))
        for symbol, value in zip(step.outputs, results, strict=True):
            values[id(symbol)] = masked_as(symbol, value, batch)
    return values


def callable_anew(operation: Any) -> Any:
    """The operation; a copy of Keras' `Norm`, which keeps its axis in a list, which JAX cannot hash."""
    if type(operation).__name__ != "Norm" or not isinstance(operation.axis, list):
        return operation
    again = copy.copy(operation)
    again.axis = tuple(operation.axis)
    return again


def float_type(*arguments: Any) -> str | None:
    """The dtype of the first tensor of real numbers among the arguments; None for none."""
    types = [
        keras.backend.standardize_dtype(x.dtype) for x in keras.tree.flatten(arguments) if ops.is_tensor(x)
    ]
    return next(filter(keras.backend.is_float_dtype, types), None)


def as_constant(argument: Any) -> Any:
    """A number made of a weight while the model was followed, without PyTorch's memory of how."""
    return ops.stop_gradient(argument) if ops.is_tensor(argument) else argument


def masked_as(symbol: Any, value: Any, batch: int) -> Any:
    """The value with a mask if the symbolic tensor has one: the last step does not count."""
    symbolic_mask = mask_of(symbol)
    if symbolic_mask is not None and mask_of(value) is None:
        shape = concrete(symbolic_mask.shape, batch)
        counted = [True] * (shape[1] - 1) + [shape[1] == 1] if len(shape) > 1 else [True]
        mask = ops.convert_to_tensor([counted] * shape[0], dtype="bool") if len(shape) == 2 else None
        if mask is not None:
            set_mask(value, mask)
    return value


def concrete(shape: Sequence[int | None], batch: int) -> tuple[int, ...]:
    """The shape with sizes in place of those that may be any."""
    return tuple((batch if i == 0 else SIZE) if size is None else size for i, size in enumerate(shape))


def batch_of(model: keras.Model) -> int:
    """How many examples the model takes at once: 1 where any number will do."""
    shapes = [spec.shape for spec in keras.tree.flatten(inputs_of(model))]
    return next((shape[0] for shape in shapes if shape and shape[0]), 1)


def first_line(error: BaseException) -> str:
    """The first line of an error, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
