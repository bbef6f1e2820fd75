"""TensorFlow: `vectorized_map`, `while_loop`, XLA; what each function is to do says `Backend`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from crosscheck._keras import (
    backend_variable,
    layers_of,
    places_by_id,
    set_backend_variable,
    tensorflow_id,
)
from crosscheck.replicates._machine import cores
from crosscheck.replicates._model import has_convolutions

Variables = Sequence[keras.Variable]


def vectorize(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda mapped: tf.vectorized_map(function, mapped)


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """The tape stays inside `vectorize`: differentiating *through* `vectorized_map` under XLA reads the
    variables as constants at compile time (TensorFlow 2.21), which recompiles at every call and loses
    updates.
    """

    def both(weights: list[Any], inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value, auxiliary = function(weights, inputs)
        gradients = tape.gradient(value, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(gradient) for gradient in gradients], auxiliary  # embeddings give slices

    return both


def repeat(count: int, body: Callable[[Any, Any], Any], carry: Any, variables: Variables) -> Any:
    """Written out, for AutoGraph does not see `for` loops on every Python that TensorFlow supports."""
    start = (tf.constant(0), carry)
    return tf.while_loop(lambda i, _: i < count, lambda i, carry: (i + 1, body(i, carry)), start)[1]


def hold(value: Any, dtype: str) -> tf.Variable:
    return tf.Variable(value, dtype=dtype, trainable=False)


def compiled(
    function: Callable[..., Any], variables: Variables, optimizer: Any, jit_compile: bool
) -> Callable[..., Any]:
    """The state is changed in place; every block of replicates hands in its own to the one program."""

    def program(state: list[tf.Variable], tensors: Any, fixed: Any) -> Any:
        with standing_in(state, variables, optimizer):
            return function(tensors, fixed)

    run = tf.function(program, jit_compile=jit_compile, autograph=False)
    return lambda state, tensors, fixed: (state, run(state, tensors, fixed))


@contextlib.contextmanager
def standing_in(state: list[tf.Variable], variables: Variables, optimizer: Any) -> Iterator[None]:
    """Puts the state in the place of `variables` while the program is traced; the optimiser goes by ids."""
    originals = [backend_variable(variable) for variable in variables]
    places = places_by_id(getattr(optimizer, "optimizer", optimizer))  # of the one that `Proximal` wraps
    places_before = dict(places)
    try:
        for variable, original, other in zip(variables, originals, state, strict=True):
            set_backend_variable(variable, other)
            if tensorflow_id(original) in places_before:
                places[tensorflow_id(other)] = places_before[tensorflow_id(original)]
        yield
    finally:
        for variable, original in zip(variables, originals, strict=True):
            set_backend_variable(variable, original)
        if places_before:
            places.clear()
            places.update(places_before)


def map_seeds(function: Callable[[Any], list[Any]], seeds: np.ndarray) -> list[np.ndarray]:
    @tf.function(autograph=False)
    def run(seeds: Any) -> list[Any]:
        specs = [tf.TensorSpec(value.shape, value.dtype) for value in function(seeds[0])]
        return tf.map_fn(function, seeds, fn_output_signature=specs)

    return [value.numpy() for value in run(tf.constant(seeds))]


def widest_float() -> str:
    return "float64"


def why_unstackable(layer: keras.Layer) -> str | None:
    if isinstance(layer, keras.layers.RNN):
        return "`tf.vectorized_map` cannot carry a recurrence that runs as a loop of its own under XLA"
    return None


def compiles(model: keras.Model) -> bool:
    """XLA does not pay for recurrences, nor for convolutions on a CPU, which are six times slower with it."""
    recurrent = any(isinstance(layer, keras.layers.RNN) for layer in layers_of(model))
    return not recurrent and not (device() == "cpu" and has_convolutions(model))


def device() -> str:
    return "gpu" if tf.config.list_logical_devices("GPU") else "cpu"


def free_memory() -> int | None:
    """TensorFlow tells it only where its own limit is set."""
    if device() == "cpu":
        return None
    limit = tf.config.get_logical_device_configuration(tf.config.list_physical_devices("GPU")[0])
    if limit and limit[0].memory_limit:
        return limit[0].memory_limit * 2**20
    return None


def workers() -> int:
    """The runtime fills one core with a program of small steps."""
    return cores() if device() == "cpu" else 1
