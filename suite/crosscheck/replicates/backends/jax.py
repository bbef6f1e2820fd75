"""The JAX seam: `vmap`, `fori_loop`, `jit`. Variables pass through as values, for JAX programs are pure."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np

Variables = Sequence[keras.Variable]


def vectorize(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`function` of one replicate's tensors, for all replicates along the leading axis."""
    return jax.vmap(function)


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """(gradients with respect to the first argument, auxiliary value) of (scalar, auxiliary value)."""
    return jax.grad(function, has_aux=True)


def repeat(count: int, body: Callable[[Any, Any], Any], carry: Any, variables: Variables) -> Any:
    """`carry = body(i, carry)` for i = 0 … count − 1, inside the program."""

    def pure(i: Any, packed: Any) -> Any:
        values, carry = packed
        return with_values(variables, values, lambda: body(i, carry))

    values, carry = jax.lax.fori_loop(0, count, pure, ([v.value for v in variables], carry))
    assign(variables, values)
    return carry


def hold(value: Any, dtype: str) -> jax.Array:
    """A value for a program to start from."""
    return jax.numpy.array(value, dtype)


def compiled(
    function: Callable[..., Any], variables: Variables, optimizer: Any, jit_compile: bool
) -> Callable[..., Any]:
    """`function(tensors, fixed)` as one program of (state, tensors, fixed), which gives (next state, result).

    `state` holds what stands in for `variables`; `fixed` is hashable and part of the program. The state
    handed in is used up.
    """

    def program(state: Any, tensors: Any, fixed: Any) -> Any:
        return with_values(variables, state, lambda: function(tensors, fixed))

    return jax.jit(program, static_argnums=2, donate_argnums=0) if jit_compile else program


def with_values(variables: Variables, values: Any, function: Callable[[], Any]) -> tuple[Any, Any]:
    """The variables' values after `function`, and its result, when they start from `values`."""
    with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
        result = function()
    return [scope.get_current_value(variable) for variable in variables], result


def assign(variables: Variables, values: Any) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def each_draw(function: Callable[[Any], list[Any]], seeds: np.ndarray) -> list[np.ndarray]:
    """`function` of each row of seeds [R, V], which gives a list of values: the values stacked, [R, …]."""
    run = jax.jit(lambda seeds: jax.lax.map(function, seeds))
    return [np.asarray(value) for value in run(jax.numpy.asarray(seeds))]


def widest() -> str:
    """The widest float the backend computes in, which is up to the user (`jax_enable_x64`)."""
    return "float64" if jax.config.read("jax_enable_x64") else "float32"


def unstackable(layer: keras.Layer) -> str | None:
    """Why replicates of this layer cannot run as one program; None where they can."""
    return None


def compiles(model: keras.Model) -> bool:
    """Whether the program can be compiled."""
    return True


def device() -> str:
    return jax.default_backend()


def free_memory() -> int | None:
    """Bytes left on the accelerator; None without one."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None


def workers() -> int:
    """Blocks that run at once."""
    return len(os.sched_getaffinity(0)) if device() == "cpu" else 1
