"""What steps of training move: weights, and how far two trainings end apart, or logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck import losses, models
from crosscheck.replicates import Replicates

REACH = 0.3  # of the weights at the start, about that of Keras' Dense layer


def distance(
    one: Sequence[np.ndarray], other: Sequence[np.ndarray], start: Sequence[np.ndarray]
) -> np.ndarray:
    """Returns how far apart two trainings of the same replicates end, relative to how far the second moved.

    Args:
        one, other, start: stacked weights as `Replicates.get_weights` gives them, [R, …] each.

    Returns:
        ‖one − other‖ / ‖other − start‖ over all weights of a replicate, [R], without unit.
    """
    apart, moved = (
        np.sqrt(sum(((a - b) ** 2).reshape(len(a), -1).sum(1) for a, b in zip(*pair, strict=True)))
        for pair in ((one, other), (other, start))
    )
    return apart / moved


def stepped(
    model: keras.Model, optimizer: keras.Optimizer, loss: Any, x: np.ndarray, y: np.ndarray, batch_size: int
) -> list[np.ndarray]:
    """Returns how far each weight moves in one epoch of Keras' own steps over the examples as they stand.

    The steps run eagerly, because tracing would take longer than a few of them. The model is left trained.

    Args:
        model: a built model; `compile` is called on it.
        optimizer, loss: as in `keras.Model.compile`.
        x, y: N examples and labels, in the order in which they are taken.
        batch_size: examples a step.

    Returns:
        A move for each weight, in the order and the shapes of `model.get_weights()`.
    """
    start = model.get_weights()
    model.compile(optimizer, loss, run_eagerly=True)
    for first in range(0, len(x), batch_size):
        model.train_on_batch(x[first : first + batch_size], y[first : first + batch_size])
    return [after - before for after, before in zip(model.get_weights(), start, strict=True)]


def weight_moves(
    optimizer: keras.Optimizer, loss: Any, x: np.ndarray, y: np.ndarray, batch_size: int
) -> np.ndarray:
    """How far each weight of a linear model of ten classes goes in one pass over x [N, D] and y [N]: [W].

    It always sets out from the same weights, on any backend. Linear, for where a dark pixel meets a dead unit
    Adafactor (Keras 3.15) divides 0 by 0. A plain model: some optimisers look at a whole layer, which
    replicates in one stack would share.
    """
    keras.utils.set_random_seed(0)
    model, start = models.perceptron(x.shape[1], [], 10)(), np.random.default_rng(0)
    model.set_weights([start.uniform(-REACH, REACH, w.shape) for w in model.get_weights()])
    return np.concatenate([w.ravel() for w in stepped(model, optimizer, loss, x, y, batch_size)])


def raised_logits(
    build: Callable[[], keras.Model], weights: list[np.ndarray], x: np.ndarray, y: np.ndarray, rate: float
) -> np.ndarray:
    """Which logits of its batch a step of gradient descent on sparse cross-entropy raises, in each replicate.

    Args:
        build: makes the model.
        weights: of the R replicates, with a leading axis R.
        x, y: a batch each, [R, B, D], and its labels, [R, B].
        rate: of the step.

    Returns:
        bool [R, B, K].
    """
    replicas = Replicates(build, range(len(x)))
    replicas.set_weights(weights)
    replicas.compile(keras.optimizers.SGD(rate), losses.sparse_categorical_crossentropy)
    before = replicas.predict(x)
    replicas.fit(x, y, batch_size=x.shape[1])
    return replicas.predict(x) > before
