"""Small builders. Every model ends in logits: the loss, not the head, knows about probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras


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


def side_by_side(inputs: int, hidden: Sequence[int], outputs: Sequence[int]) -> Callable[[], keras.Model]:
    """A builder of perceptrons that share nothing but the input; their outputs stand one after the other.

    With a loss that adds up theirs, and an optimiser that acts element by element, each trains as if alone.
    """

    def build() -> keras.Model:
        x = keras.Input((inputs,))
        parts = [perceptron(inputs, hidden, width)()(x) for width in outputs]
        return keras.Model(x, keras.layers.Concatenate()(parts))

    return build
