"""PyTorch: `torch.func`, a loop in Python, `torch.compile` where it is asked for.

What each function is to do says `Backend`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import numpy as np
import torch

from crosscheck._keras import seed_generators_of

# Layers of Keras whose only draws are a dropout's, which PyTorch makes without a generator.
DROPPING = (
    "Dropout",
    "GRU",
    "GRUCell",
    "GroupedQueryAttention",
    "LSTM",
    "LSTMCell",
    "MultiHeadAttention",
    "SimpleRNN",
    "SimpleRNNCell",
)


def vectorize(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    mapped = torch.func.vmap(function, randomness="different")

    def call(tensors: Any) -> Any:
        # Keras' sparse losses and metrics go through `one_hot`, whose range check `vmap` cannot trace.
        with mock.patch.object(torch.nn.functional, "one_hot", one_hot):
            return mapped(tensors)

    return call


def one_hot(tensor: Any, num_classes: int) -> Any:
    """Returns what `torch.nn.functional.one_hot` does, without its check of the range."""
    return (tensor[..., None] == torch.arange(num_classes, device=tensor.device)).to(torch.int64)


def value_and_gradient(function: Callable[[Any], Any], alone: bool = False) -> Callable[[Any], Any]:
    return by_autograd(function) if alone else torch.func.grad(function, has_aux=True)


def by_autograd(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As `fit` differentiates: `torch.func` passes every operation through a second dispatcher.

    A weight on which the loss does not depend has no gradient.
    """

    def both(weights: list[Any]) -> Any:
        leaves = [weight.detach().requires_grad_() for weight in weights]
        with torch.enable_grad():
            value, auxiliary = function(leaves)
            gradients = torch.autograd.grad(value, leaves, allow_unused=True) if value.requires_grad else ()
        plain = lambda tensor: tensor.detach() if isinstance(tensor, torch.Tensor) else tensor
        return list(gradients) or [None] * len(leaves), keras.tree.map_structure(plain, auxiliary)

    return both


def repeat(first: Any, last: Any, body: Callable[[Any, Any], Any], values: Any) -> Any:
    for i in range(int(first), int(last)):
        values = body(i, values)
    return values


def hold(value: Any, dtype: str) -> torch.Tensor:
    return keras.ops.convert_to_tensor(value, dtype).clone()


def compiled(function: Callable[..., Any], jit_compile: bool) -> Callable[..., Any]:
    """Gradients come from `torch.func`, so autograd stays off."""
    return torch.no_grad()(torch.compile(function) if jit_compile else function)


def map_seeds(function: Callable[[Any], list[Any]], seeds: np.ndarray) -> list[np.ndarray]:
    rows = (function(row) for row in torch.as_tensor(seeds))
    return [
        np.stack(values) for values in zip(*([v.cpu().numpy() for v in row] for row in rows), strict=True)
    ]


def why_unstackable(layer: keras.Layer) -> str | None:
    if any(generator.get_config()["seed"] is not None for generator in seed_generators_of(layer)):
        return "`torch.func.vmap` cannot seed a generator for each replicate: leave out the layer's `seed`"
    if seed_generators_of(layer) and type(layer).__name__ not in DROPPING:
        return "`torch.func.vmap` cannot draw its noise for each replicate"
    if "Conv" in type(layer).__name__ and getattr(layer, "data_format", "") == "channels_last":
        return "`torch.func.vmap` cannot lay channels last, as Keras' convolutions do; channels first will do"
    return None


def compiles(model: keras.Model) -> bool:
    """Never unasked: `torch.compile` needs a C++ compiler at run time and half a minute."""
    return False


def loops(model: keras.Model) -> bool:
    return True


def device() -> str:
    return "gpu" if keras.ops.zeros(()).device.type == "cuda" else "cpu"


def free_memory() -> int | None:
    return torch.cuda.mem_get_info()[0] if device() == "gpu" else None


def workers() -> int:
    """One, for the loop over batches holds Python's lock."""
    return 1
