"""The TensorFlow seam: `vectorized_map`, `while_loop`, XLA."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from crosscheck.replicates.plan import has_convolutions

Variables = Sequence[keras.Variable]


def vectorize(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`function` of one replicate's tensors, for all replicates along the leading axis."""
    return lambda given: tf.vectorized_map(function, given)


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """(gradients with respect to the first argument, auxiliary value) of (scalar, auxiliary value).

    The tape stays inside `vectorize`: differentiating *through* `vectorized_map` under XLA reads the
    variables as constants at compile time (TensorFlow 2.21), which recompiles at every call and loses
    updates.
    """

    def both(weights: list[Any], given: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value, auxiliary = function(weights, given)
        gradients = tape.gradient(value, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(each) for each in gradients], auxiliary  # embeddings give slices

    return both


def repeat(count: int, body: Callable[[Any, Any], Any], carry: Any, variables: Variables) -> Any:
    """`carry = body(i, carry)` for i = 0 … count − 1, inside the program.

    Written out, for AutoGraph does not see `for` loops on every Python that TensorFlow supports.
    """
    start = (tf.constant(0), carry)
    return tf.while_loop(lambda i, _: i < count, lambda i, carry: (i + 1, body(i, carry)), start)[1]


def hold(value: Any, dtype: str) -> tf.Variable:
    """A value that programs may change in place."""
    return tf.Variable(value, dtype=dtype, trainable=False)


def compiled(
    function: Callable[..., Any], variables: Variables, optimizer: Any, jit_compile: bool
) -> Callable[..., Any]:
    """`function(tensors, fixed)` as one program of (state, tensors, fixed), which gives (next state, result).

    `state` holds what stands in for `variables`; `fixed` is hashable and part of the program. Every block
    of replicates hands in its own state, and all share the one program.
    """

    def program(state: list[tf.Variable], tensors: Any, fixed: Any) -> Any:
        with standing_in(state, variables, optimizer):
            return function(tensors, fixed)

    run = tf.function(program, jit_compile=jit_compile, autograph=False)
    return lambda state, tensors, fixed: (state, run(state, tensors, fixed))


@contextlib.contextmanager
def standing_in(state: list[tf.Variable], variables: Variables, optimizer: Any) -> Iterator[None]:
    """While the program is traced, `variables` are those handed in; the optimiser knows them by their ids."""
    own = [variable._value for variable in variables]
    moves = getattr(optimizer, "optimizer", optimizer)  # the one that `Proximal` wraps
    places = getattr(moves, "_trainable_variables_indices", {})
    known = dict(places)
    try:
        for variable, mine, other in zip(variables, own, state, strict=True):
            variable._value = other
            if mine._unique_id in known:
                places[other._unique_id] = known[mine._unique_id]
        yield
    finally:
        for variable, mine in zip(variables, own, strict=True):
            variable._value = mine
        if known:
            places.clear()
            places.update(known)


def each_draw(function: Callable[[Any], list[Any]], seeds: np.ndarray) -> list[np.ndarray]:
    """`function` of each row of seeds [R, V], which gives a list of values: the values stacked, [R, …]."""

    @tf.function(autograph=False)
    def run(seeds: Any) -> list[Any]:
        specs = [tf.TensorSpec(value.shape, value.dtype) for value in function(seeds[0])]
        return tf.map_fn(function, seeds, fn_output_signature=specs)

    return [value.numpy() for value in run(tf.constant(seeds))]


def widest() -> str:
    """The widest float the backend computes in."""
    return "float64"


def unstackable(layer: keras.Layer) -> str | None:
    """Why replicates of this layer cannot run as one program; None where they can."""
    if isinstance(layer, keras.layers.RNN):
        return "`tf.vectorized_map` cannot carry a recurrence that runs as a loop of its own under XLA"
    return None


def compiles(model: keras.Model) -> bool:
    """Whether XLA pays: not for recurrences, nor for convolutions on a CPU, six times slower."""
    recurrent = any(isinstance(layer, keras.layers.RNN) for layer in model._flatten_layers())
    return not recurrent and not (device() == "cpu" and has_convolutions(model))


def device() -> str:
    return "gpu" if tf.config.list_logical_devices("GPU") else "cpu"


def free_memory() -> int | None:
    """Bytes left on the GPU that TensorFlow would use; None without one."""
    if device() == "cpu":
        return None
    limit = tf.config.get_logical_device_configuration(tf.config.list_physical_devices("GPU")[0])
    if limit and limit[0].memory_limit:
        return limit[0].memory_limit * 2**20
    return None


def workers() -> int:
    """Blocks that run at once: the runtime works on a core's worth of a program of small steps."""
    return len(os.sched_getaffinity(0)) if device() == "cpu" else 1
