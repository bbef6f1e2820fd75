"""TensorFlow: `vectorized_map`, `while_loop`, XLA; what each function is to do says `Backend`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from crosscheck._keras import layers_of
from crosscheck.replicates._machine import cores
from crosscheck.replicates._model import has_convolutions


def vectorize(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda mapped: tf.vectorized_map(function, mapped)


def value_and_gradient(function: Callable[[Any], Any], alone: bool = False) -> Callable[[Any], Any]:
    """The tape stays inside `vectorize`: differentiating *through* `vectorized_map` under XLA reads the
    variables as constants at compile time (TensorFlow 2.21), which recompiles at every call and loses
    updates. A weight on which the loss does not depend has no gradient, and an embedding slices of one.
    """

    def both(weights: list[Any]) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value, auxiliary = function(weights)
        return tape.gradient(value, weights), auxiliary

    return both


def repeat(first: Any, last: Any, body: Callable[[Any, Any], Any], values: Any) -> Any:
    """Written out, for AutoGraph does not see `for` loops on every Python that TensorFlow supports."""
    return tf.while_loop(lambda i, _: i < last, lambda i, values: (i + 1, body(i, values)), (first, values))[
        1
    ]


def hold(value: Any, dtype: str) -> tf.Tensor:
    return tf.convert_to_tensor(value, dtype)


def compiled(function: Callable[..., Any], jit_compile: bool) -> Callable[..., Any]:
    """A call finds its program by shapes and dtypes alone: `tf.function` takes a millisecond to do so."""
    traced = tf.function(unnamed(function), jit_compile=jit_compile, autograph=False)
    programs: dict[Any, Any] = {}

    def call(*arguments: Any) -> Any:
        key = outline(arguments)
        if key not in programs:
            programs[key] = traced.get_concrete_function(*arguments)
        return programs[key](*arguments)

    return call


def outline(value: Any) -> Any:
    """Returns what a program depends on of its arguments: keys, and each tensor's shape and dtype."""
    if isinstance(value, tf.Tensor):
        return value.shape, value.dtype
    if isinstance(value, dict):
        return tuple((name, outline(part)) for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return type(value), *map(outline, value)
    return value


def unnamed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function without a line of code by which TensorFlow would count its traces.

    It warns of the fifth of one line, though every model has programs of its own.
    """
    return functools.partial(function)


def map_seeds(function: Callable[[Any], list[Any]], seeds: np.ndarray) -> list[np.ndarray]:
    def run(seeds: Any) -> list[Any]:
        specs = [tf.TensorSpec(value.shape, value.dtype) for value in function(seeds[0])]
        return tf.map_fn(function, seeds, fn_output_signature=specs)

    traced = tf.function(unnamed(run), autograph=False)
    return [value.numpy() for value in traced(tf.constant(seeds))]


def why_unstackable(layer: keras.Layer) -> str | None:
    if isinstance(layer, keras.layers.RNN):
        return "`tf.vectorized_map` cannot carry a recurrence that runs as a loop of its own under XLA"
    return None


def compiles(model: keras.Model) -> bool:
    """XLA does not pay for recurrences, nor for convolutions on a CPU, which are six times slower with it."""
    recurrent = any(isinstance(layer, keras.layers.RNN) for layer in layers_of(model))
    return not recurrent and not (device() == "cpu" and has_convolutions(model))


def loops(model: keras.Model) -> bool:
    return True


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
