"""What a few steps of training move: weights, or logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from crosscheck import losses, models
from crosscheck.replicates import Replicates

REACH = 0.3  # of the weights at the start, about that of Keras' Dense layer


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
    return np.concatenate([w.ravel() for w in models.stepped(model, optimizer, loss, x, y, batch_size)])


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
