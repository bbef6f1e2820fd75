"""Small builders. Every model ends in logits: the loss, not the head, knows about probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
