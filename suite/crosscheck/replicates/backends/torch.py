"""The PyTorch seam: `torch.func`, a loop in Python, `torch.compile` where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import keras
import numpy as np
import torch

Variables = Sequence[keras.Variable]


def vectorize(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`function` of one replicate's tensors, for all replicates along the leading axis."""
    mapped = torch.func.vmap(function, randomness="different")

    def call(given: Any) -> Any:
        # Keras' sparse losses and metrics go through `one_hot`, whose range check `vmap` cannot trace.
        with mock.patch.object(torch.nn.functional, "one_hot", one_hot):
            return mapped(given)

    return call


def one_hot(tensor: Any, num_classes: int) -> Any:
    """`torch.nn.functional.one_hot` without the check that labels are in range, made before training."""
    return (tensor[..., None] == torch.arange(num_classes, device=tensor.device)).to(torch.int64)


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """(gradients with respect to the first argument, auxiliary value) of (scalar, auxiliary value)."""
    return torch.func.grad(function, has_aux=True)


def repeat(count: int, body: Callable[[Any, Any], Any], carry: Any, variables: Variables) -> Any:
    """`carry = body(i, carry)` for i = 0 … count − 1."""
    for i in range(count):
        carry = body(i, carry)
    return carry


def hold(value: Any, dtype: str) -> torch.Tensor:
    """A value that programs change in place."""
    return keras.ops.convert_to_tensor(value, dtype).clone()


def compiled(
    function: Callable[..., Any], variables: Variables, optimizer: Any, jit_compile: bool
) -> Callable[..., Any]:
    """`function(tensors, fixed)` as a program of (state, tensors, fixed), which gives (next state, result).

    `state` holds what stands in for `variables`. Gradients come from `torch.func`, so autograd stays off.
    """
    run = torch.compile(function) if jit_compile else function

    def program(state: Any, tensors: Any, fixed: Any) -> Any:
        for variable, value in zip(variables, state, strict=True):
            variable._value = value
        with torch.no_grad():
            result = run(tensors, fixed)
        return [variable._value for variable in variables], result

    return program


def each_draw(function: Callable[[Any], list[Any]], seeds: np.ndarray) -> list[np.ndarray]:
    """`function` of each row of seeds [R, V], which gives a list of values: the values stacked, [R, …]."""
    rows = (function(row) for row in torch.as_tensor(seeds))
    return [
        np.stack(values) for values in zip(*([v.cpu().numpy() for v in row] for row in rows), strict=True)
    ]


def widest() -> str:
    """The widest float the backend computes in."""
    return "float64"


def unstackable(layer: keras.Layer) -> str | None:
    """Why replicates of this layer cannot run as one program; None where they can."""
    seeds = getattr(layer, "_seed_generators", ())
    if any(generator._initial_seed is not None for generator in seeds):
        return "`torch.func.vmap` cannot seed a generator for each replicate: leave out the layer's `seed`"
    if "Conv" in type(layer).__name__ and getattr(layer, "data_format", "") == "channels_last":
        return "`torch.func.vmap` cannot lay channels last, as Keras' convolutions do; channels first will do"
    return None


def compiles(model: keras.Model) -> bool:
    """Never unasked: `torch.compile` wants a C++ compiler at run time and half a minute."""
    return False


def device() -> str:
    return "gpu" if keras.ops.zeros(()).device.type == "cuda" else "cpu"


def free_memory() -> int | None:
    """Bytes left on the GPU; None without one."""
    return torch.cuda.mem_get_info()[0] if device() == "gpu" else None


def workers() -> int:
    """Blocks that run at once: one, for the loop over batches holds Python's lock."""
    return 1
