"""Quick ways to train where nothing of compiling is tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

# XLA would decide nothing here, and takes longer than a few hundred steps; JAX has no other way to compile.
PLAINLY: dict[str, Any] = {"jit_compile": "auto" if keras.backend.backend() == "jax" else False}
# For a dozen steps even tracing takes longer than the steps do.
EAGERLY: dict[str, Any] = {"run_eagerly": True} if keras.backend.backend() == "tensorflow" else PLAINLY


def repeated(steps: int, *arrays: np.ndarray) -> list[np.ndarray]:
    """Examples so many times over: as many steps on the whole set within one epoch, for epochs are slow."""
    return [np.concatenate([array] * steps) for array in arrays]


class Beside(keras.optimizers.Optimizer):
    """Moves each variable by an optimiser of its own: one program for all of them."""

    def __init__(self, optimizers: Sequence[Any]):
        super().__init__(learning_rate=0.0)
        self.optimizers, self.moved = optimizers, []

    def build(self, variables):
        super().build(variables)
        self.moved = list(variables)
        for optimizer, variable in zip(self.optimizers, variables, strict=True):
            optimizer.build([variable])

    def apply(self, grads, trainable_variables=None):
        variables = self.moved if trainable_variables is None else trainable_variables
        for optimizer, gradient, variable in zip(self.optimizers, grads, variables, strict=True):
            optimizer.apply([gradient], [variable])

    @property
    def variables(self):
        return [variable for optimizer in self.optimizers for variable in optimizer.variables]


def fitted_beside(
    optimizers: Mapping[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    loss: Callable[[Any, Any], Any],
    steps: int,
    start: np.ndarray,
) -> dict[str, np.ndarray]:
    """The kernels [D] of linear models without bias that share nothing, by the optimisers' names.

    The loss [N] is of all outputs, and must be a sum of one of each.
    """
    inputs = keras.Input(x.shape[1:])
    outputs = [keras.layers.Dense(1, use_bias=False)(inputs) for _ in optimizers]
    model = keras.Model(inputs, keras.layers.Concatenate()(outputs))
    model.set_weights([start[:, None]] * len(optimizers))
    model.compile(Beside(list(optimizers.values())), loss, **PLAINLY)
    model.fit(*repeated(steps, x, y), batch_size=len(x), shuffle=False, verbose=0)
    return {name: weight[:, 0] for name, weight in zip(optimizers, model.get_weights(), strict=True)}
