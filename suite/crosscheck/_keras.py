"""What Keras, or a backend, keeps private: every use of it is here, one function each, with its reason.

Written against Keras 3.15. A new version of Keras that moves one of these is mended in this file alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras.src.backend import get_keras_mask, set_keras_mask

# --- layers of a model ----------------------------------------------------------------------------------


def layers_of(model: keras.Model) -> list[keras.Layer]:
    """The model itself, and every layer in it at any depth.

    `model.layers` names the outermost alone: a layer within a layer, or a model within a model, stays hidden.
    """
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


def inputs_behind(tensor: Any) -> list[Any]:
    """The symbolic tensors from which `layer_behind(tensor)` made this one.

    `layer.input` is refused for a layer that was called more than once; the tensor knows the call.
    """
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index].input_tensors


def has_output(layer: keras.Layer) -> bool:
    """Whether the layer was called with symbolic tensors, so that `layer.output` does not raise."""
    return bool(getattr(layer, "_inbound_nodes", ()))


def input_specs(model: keras.Model) -> Any:
    """The symbolic inputs in the structure in which the model takes them; None of a subclassed model.

    `model.input` is one tensor or a flat list, whatever the structure.
    """
    return getattr(model, "_inputs_struct", None)


# --- variables ------------------------------------------------------------------------------------------


def variables_of(layer: keras.Layer) -> list[keras.Variable]:
    """The layer's own variables, trainable ones first; those of layers within it, and its seeds, are not.

    `layer.variables` holds them all, so that a variable of a layer within a layer would be listed twice.
    """
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def backend_variable(variable: keras.Variable) -> Any:
    """What the backend keeps for a variable; `variable.value` may be a cast of it."""
    return variable._value


def set_backend_variable(variable: keras.Variable, value: Any) -> None:
    """Puts another of the backend's variables, or tensors, in the place of a variable's own.

    `variable.assign` copies the values; here one variable stands for many, and nothing may be copied.
    """
    variable._value = value


def set_path(variable: keras.Variable, path: str) -> None:
    """Gives a variable the path of another: optimisers may go by it, and Keras lets no one choose it."""
    variable._path = path


def tensorflow_id(variable: Any) -> str:
    """The name under which a Keras optimiser on TensorFlow knows a `tf.Variable`."""
    return variable._unique_id


# --- optimisers and models in training --------------------------------------------------------------------


def places_by_id(optimizer: Any) -> dict[Any, int]:
    """An optimiser's own table: the place of each variable it was built for, by the backend variable's id."""
    return getattr(optimizer, "_trainable_variables_indices", {})


def trained_variables(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """The variables that the optimiser was built for."""
    return optimizer._trainable_variables


def share_iterations(optimizer: keras.Optimizer, other: keras.Optimizer) -> None:
    """Has an optimiser count its steps in the variable of another; Keras makes one for each."""
    optimizer._iterations = other._iterations


def set_jit_compile(model: keras.Model, jit_compile: bool) -> None:
    """Whether the steps of a compiled model go through XLA.

    `compile(jit_compile=True)` leaves XLA out where deterministic kernels are switched on.
    """
    model._jit_compile = jit_compile


def compute_in(loss: keras.losses.Loss, dtype: str) -> None:
    """Has a loss compute in a dtype; only its constructor could be told, and may not hand it on."""
    loss._dtype_policy, loss._dtype = keras.dtype_policies.get(dtype), dtype


# --- random numbers and masks -----------------------------------------------------------------------------


def seed_generators_of(layer: keras.Layer) -> Sequence[keras.random.SeedGenerator]:
    """The generators from which the layer draws, as a dropout does; none where it does not draw."""
    return getattr(layer, "_seed_generators", ())


def mask_of(tensor: Any) -> Any:
    """Keras' mask on a tensor, or None; on JAX, whose arrays take no attribute, Keras keeps it aside."""
    return get_keras_mask(tensor)


def set_mask(tensor: Any, mask: Any) -> None:
    """Puts Keras' mask on a tensor, as a layer that makes one does."""
    set_keras_mask(tensor, mask)
