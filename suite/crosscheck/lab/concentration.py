"""How the gradient of binary cross-entropy comes to concentrate on few examples in the course of training."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from crosscheck import losses
from crosscheck.lab.descent import hardest_share
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates


def epoch_by_epoch(seeds: Sequence[int], x: np.ndarray, y: np.ndarray, epochs: int) -> np.ndarray:
    """Train a small network with Adam, and look at |p − y| on its training set before and after each epoch.

    Args:
        seeds: one a replicate.
        x: inputs, [N, D].
        y: labels in {0, 1}, [N], or [R, N] where each replicate has its own.
        epochs: of 64 examples a step.

    Returns:
        The share of Σ|p − y| that its largest tenth carries, and the fraction of examples below 1e−3:
        [2, epochs + 1, R].
    """
    replicas = Replicates(perceptron(x.shape[-1], [64], 1), seeds)
    replicas.compile(keras.optimizers.Adam(1e-3), losses.binary_crossentropy)
    history = [hardest_share(replicas.predict(x)[..., 0], y)]
    for _ in range(epochs):
        replicas.fit(x, y[..., None].astype("float32"), batch_size=64)
        history.append(hardest_share(replicas.predict(x)[..., 0], y))
    return np.stack(history, axis=1)
