"""How far training moves weights: in one epoch of Keras' own steps, and apart from another training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


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
