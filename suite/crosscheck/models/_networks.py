"""Builders of small models. Every model ends in logits; it is the loss that turns them into probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops


def perceptron(
    inputs: int, hidden: Sequence[int], outputs: int, use_bias: bool = True
) -> Callable[[], keras.Model]:
    """Returns a builder of a multilayer perceptron with ReLU between its layers.

    Args:
        inputs: D, the number of features.
        hidden: widths of the hidden layers; a linear model where there are none.
        outputs: K, the number of logits.
        use_bias: whether the last layer has biases.
    """

    def build() -> keras.Model:
        widths = [keras.layers.Dense(width, activation="relu") for width in hidden]
        head = keras.layers.Dense(outputs, use_bias=use_bias)
        return keras.Sequential([keras.Input((inputs,)), *widths, head])

    return build


def side_by_side(inputs: int, hidden: Sequence[int], outputs: Sequence[int]) -> Callable[[], keras.Model]:
    """Returns a builder of one model of several perceptrons that share nothing but the input.

    Their outputs are concatenated. With a loss that is the sum of a loss of each, and an optimiser that acts
    element by element, each trains as if alone.

    Args:
        inputs, hidden: as in `perceptron`, the same for all.
        outputs: the number of logits of each.
    """

    def build() -> keras.Model:
        x = keras.Input((inputs,))
        parts = [perceptron(inputs, hidden, width)()(x) for width in outputs]
        return keras.Model(x, keras.layers.Concatenate()(parts))

    return build


def radial(inputs: int, centres: int, outputs: int) -> Callable[[], keras.Model]:
    """Returns a builder of a network of radial basis functions.

    Far from all centres its logits are its biases.

    Args:
        inputs: D, the number of features.
        centres: J, as in `RadialBasis`.
        outputs: K, the number of logits.
    """

    def build() -> keras.Model:
        layers = [RadialBasis(centres), keras.layers.Dense(outputs)]
        return keras.Sequential([keras.Input((inputs,)), *layers])

    return build


@keras.saving.register_keras_serializable(package="crosscheck")
class RadialBasis(keras.layers.Layer):
    """e^(−‖x − c_j‖² / (2 s²)) for J centres c_j that are trained, from [B, D] to [B, J].

    Centres start uniform on [0, 1], where pixels are; s² = D / 16, about the distance between images.

    Args:
        centres: J.
        options: as in `keras.layers.Layer`.
    """

    def __init__(self, centres: int, **options: Any):
        super().__init__(**options)
        self.centres = centres

    def build(self, shape: Sequence[int]) -> None:
        start = keras.initializers.RandomUniform(0, 1)
        self.points = self.add_weight(shape=(self.centres, shape[-1]), initializer=start, name="points")

    def call(self, x: Any) -> Any:
        squares = ops.sum(ops.square(x), axis=-1, keepdims=True) + ops.sum(ops.square(self.points), axis=-1)
        distance = ops.relu(squares - 2 * ops.matmul(x, ops.transpose(self.points)))  # [B, J], squared
        return ops.exp(-8 * distance / x.shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "centres": self.centres}
