"""Small builders. Every model ends in logits: the loss, not the head, knows about probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras


def perceptron(inputs: int, hidden: Sequence[int], outputs: int) -> Callable[[], keras.Model]:
    """A builder of a multilayer perceptron with ReLU between its layers; no hidden layer gives a linear model."""

    def build() -> keras.Model:
        widths = [keras.layers.Dense(width, activation="relu") for width in hidden]
        return keras.Sequential([keras.Input((inputs,)), *widths, keras.layers.Dense(outputs)])

    return build
