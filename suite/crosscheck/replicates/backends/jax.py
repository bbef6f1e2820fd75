"""JAX: `vmap`, `fori_loop`, `jit`; what each function is to do says `Backend`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np

from crosscheck.replicates._machine import cores
from crosscheck.replicates._model import has_convolutions


def vectorize(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return jax.vmap(function)


def value_and_gradient(function: Callable[[Any], Any], alone: bool = False) -> Callable[[Any], Any]:
    return jax.grad(function, has_aux=True)


def repeat(first: Any, last: Any, body: Callable[[Any, Any], Any], values: Any) -> Any:
    return jax.lax.fori_loop(first, last, body, values)


def hold(value: Any, dtype: str) -> jax.Array:
    return jax.numpy.array(value, dtype)


def compiled(function: Callable[..., Any], jit_compile: bool) -> Callable[..., Any]:
    """The values handed in are used up: their memory goes to the next ones."""
    if not jit_compile:
        return function
    run = jax.jit(function, static_argnums=2, donate_argnums=0)
    return lambda values, *others: run(apart(values), *others)


def apart(values: Any) -> Any:
    """Returns arrays of which no two share memory, as those that a program has found equal do."""
    places: set[int] = set()

    def own(array: jax.Array) -> jax.Array:
        place = array.unsafe_buffer_pointer()
        if place in places:
            return jax.numpy.copy(array)
        places.add(place)
        return array

    return jax.tree.map(own, values)


def map_seeds(function: Callable[[Any], list[Any]], seeds: np.ndarray) -> list[np.ndarray]:
    run = jax.jit(lambda seeds: jax.lax.map(function, seeds))
    return [np.asarray(value) for value in run(jax.numpy.asarray(seeds))]


def why_unstackable(layer: keras.Layer) -> str | None:
    return None


def compiles(model: keras.Model) -> bool:
    return True


def loops(model: keras.Model) -> bool:
    """XLA runs convolutions on a CPU by one slow core inside a loop, and by a library outside."""
    return not (device() == "cpu" and has_convolutions(model))


def device() -> str:
    return jax.default_backend()


def free_memory() -> int | None:
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None


def workers() -> int:
    return cores() if device() == "cpu" else 1
