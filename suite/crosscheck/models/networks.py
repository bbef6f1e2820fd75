"""Small builders. Every model ends in logits: the loss, not the head, knows about probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


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


def radial(inputs: int, centres: int, outputs: int) -> Callable[[], keras.Model]:
    """A builder of networks of radial basis functions: far from all centres the logits are the biases."""

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
