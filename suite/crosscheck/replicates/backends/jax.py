"""JAX: `vmap`, `fori_loop`, `jit`; what each function is to do says `Backend`.

Variables pass through programs as values, for JAX programs are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np

from crosscheck.replicates._machine import cores

Variables = Sequence[keras.Variable]


def vectorize(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return jax.vmap(function)


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.grad(function, has_aux=True)


def repeat(count: int, body: Callable[[Any, Any], Any], carry: Any, variables: Variables) -> Any:
    def pure(i: Any, packed: Any) -> Any:
        values, carry = packed
        return with_values(variables, values, lambda: body(i, carry))

    values, carry = jax.lax.fori_loop(0, count, pure, ([v.value for v in variables], carry))
    assign(variables, values)
    return carry


def hold(value: Any, dtype: str) -> jax.Array:
    return jax.numpy.array(value, dtype)


def compiled(
    function: Callable[..., Any], variables: Variables, optimizer: Any, jit_compile: bool
) -> Callable[..., Any]:
    """The state handed in is used up: its memory goes to the next one."""

    def program(state: Any, tensors: Any, fixed: Any) -> Any:
        return with_values(variables, state, lambda: function(tensors, fixed))

    return jax.jit(program, static_argnums=2, donate_argnums=0) if jit_compile else program


def with_values(variables: Variables, values: Any, function: Callable[[], Any]) -> tuple[Any, Any]:
    """Returns the variables' values after `function`, and its result, when they start from `values`."""
    with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
        result = function()
    return [scope.get_current_value(variable) for variable in variables], result


def assign(variables: Variables, values: Any) -> None:
    """Assigns a value to each variable."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def map_seeds(function: Callable[[Any], list[Any]], seeds: np.ndarray) -> list[np.ndarray]:
    run = jax.jit(lambda seeds: jax.lax.map(function, seeds))
    return [np.asarray(value) for value in run(jax.numpy.asarray(seeds))]


def widest_float() -> str:
    """It is up to the user (`jax_enable_x64`)."""
    return "float64" if jax.config.read("jax_enable_x64") else "float32"


def why_unstackable(layer: keras.Layer) -> str | None:
    return None


def compiles(model: keras.Model) -> bool:
    return True


def device() -> str:
    return jax.default_backend()


def free_memory() -> int | None:
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats["bytes_limit"] - stats["bytes_in_use"] if "bytes_limit" in stats else None


def workers() -> int:
    return cores() if device() == "cpu" else 1
