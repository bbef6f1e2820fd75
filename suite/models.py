"""Small builders. Every model ends in logits: the loss, not the head, knows about probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np


def perceptron(
    inputs: int, hidden: Sequence[int], outputs: int, use_bias: bool = True
) -> Callable[[], keras.Model]:
    """A builder of a multilayer perceptron with ReLU between layers; linear where nothing is hidden.

    `use_bias` concerns the last layer.
    """

    def build() -> keras.Model:
        widths = [keras.layers.Dense(width, activation="relu") for width in hidden]
        head = keras.layers.Dense(outputs, use_bias=use_bias)
        return keras.Sequential([keras.Input((inputs,)), *widths, head])

    return build


def distance(
    one: Sequence[np.ndarray], other: Sequence[np.ndarray], start: Sequence[np.ndarray]
) -> np.ndarray:
    """How far apart two trainings of the same replicates end, relative to the way the second went.

    Args:
        one, other, start: stacked weights as `Replicates.get_weights` gives them, [R, …] each.

    Returns:
        ‖one − other‖ / ‖other − start‖ over all weights of a replicate, [R], without unit.
    """
    apart, went = (
        np.sqrt(sum(((a - b) ** 2).reshape(len(a), -1).sum(1) for a, b in zip(*pair, strict=True)))
        for pair in ((one, other), (other, start))
    )
    return apart / went


def stepped(
    model: keras.Model, optimizer: keras.Optimizer, loss: Any, x: np.ndarray, y: np.ndarray, batch_size: int
) -> list[np.ndarray]:
    """How far each weight moves in one epoch of Keras' own steps, in the order given: in the weights' shapes.

    Eagerly: for a few steps, tracing would take longer. The model is left trained.
    """
    start = model.get_weights()
    model.compile(optimizer, loss, run_eagerly=True)
    for first in range(0, len(x), batch_size):
        model.train_on_batch(x[first : first + batch_size], y[first : first + batch_size])
    return [after - before for after, before in zip(model.get_weights(), start, strict=True)]


def side_by_side(inputs: int, hidden: Sequence[int], outputs: Sequence[int]) -> Callable[[], keras.Model]:
    """A builder of perceptrons that share nothing but the input; their outputs stand one after the other.

    With a loss that adds up theirs, and an optimiser that acts element by element, each trains as if alone.
    """

    def build() -> keras.Model:
        x = keras.Input((inputs,))
        parts = [perceptron(inputs, hidden, width)()(x) for width in outputs]
        return keras.Model(x, keras.layers.Concatenate()(parts))

    return build
