"""The backends: TensorFlow, JAX and PyTorch, each a module of the same few functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

__all__ = ["Backend", "current"]


class Backend(Protocol):
    """The functions of a backend's module; all else is written once, in `keras.ops`."""

    def vectorize(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Returns `function` of one replicate's tensors as one of all replicates, along the leading axis."""

    def value_and_gradient(self, function: Callable[[Any], Any], alone: bool = False) -> Callable[[Any], Any]:
        """Returns (gradients, auxiliary value) for a function of weights, (scalar, auxiliary value).

        `alone` where it is neither mapped over replicates nor made a program: what takes least time will do.
        """

    def repeat(self, first: Any, last: Any, body: Callable[[Any, Any], Any], values: Any) -> Any:
        """Returns the last `values = body(i, values)` for i = first … last − 1, inside the program."""

    def hold(self, value: Any, dtype: str) -> Any:
        """Returns a value for a program to start from, and to overwrite."""

    def compiled(self, function: Callable[..., Any], jit_compile: bool) -> Callable[..., Any]:
        """Returns `function(values, tensors, fixed)` as one program; `fixed` is hashable and part of it."""

    def map_seeds(self, function: Callable[[Any], list[Any]], seeds: np.ndarray) -> list[np.ndarray]:
        """Returns the values of `function`, a list, for each row of seeds [R, V]: stacked, [R, …] each."""

    def why_unstackable(self, layer: keras.Layer) -> str | None:
        """Returns why replicates of this layer cannot run as one program; None where they can."""

    def compiles(self, model: keras.Model) -> bool:
        """Returns whether to compile the model's program where nobody has said so."""

    def loops(self, model: keras.Model) -> bool:
        """Returns whether a program had better go from batch to batch itself than be called for each."""

    def device(self) -> str:
        """Returns where tensors are, such as "cpu" or "gpu"."""

    def free_memory(self) -> int | None:
        """Returns the bytes left on the accelerator; None without one, or where the backend does not tell."""

    def workers(self) -> int:
        """Returns how many blocks run at once."""


def current() -> Backend:
    """Returns the module of this process' backend.

    Each is imported by name, for what is measured depends on it: `crosscheck.running.fingerprint` reads this.

    Raises:
        NotImplementedError: on a backend that has none.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from crosscheck.replicates.backends import tensorflow

        return tensorflow
    if backend == "jax":
        from crosscheck.replicates.backends import jax

        return jax
    if backend == "torch":
        from crosscheck.replicates.backends import torch

        return torch
    raise NotImplementedError(f"Replicates run on tensorflow, jax and torch, not on {backend}.")
