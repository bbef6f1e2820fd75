"""How the last features of a classifier lie: the spread within classes, and the angles between them.

Of N examples with features h [R, N, D] and classes y [N], μ_k are the means of the classes and μ their mean.
Neural collapse (Papyan et al. 2020): trained far beyond the last error, h comes to μ_k, and the angles
between μ_k − μ come to be equal and as wide as those of K directions can be: their cosines are −1/(K − 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

HIDDEN, RATE, BATCH = (64, 64), 2e-3, 64  # of perceptrons, under Adam
FREE, DECAY, FREE_RATE = 32, 2e-3, 0.5  # features an example where they are free, their penalty, of SGD


def spread(features: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Σ_k E‖h − μ_k‖² / Σ_k ‖μ_k − μ‖², without unit: [R]."""
    means = class_means(features, classes)
    within = np.mean(
        [
            np.square(features[:, classes == k] - means[:, k : k + 1]).sum(-1).mean(1)
            for k in range(means.shape[1])
        ],
        axis=0,
    )
    return within / np.square(centred(means)).sum(-1).mean(1)


def unequal_angles(features: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Root mean square, over pairs of classes, of cos(μ_j − μ, μ_k − μ) + 1/(K − 1): [R]."""
    cosines = cosines_of(class_means(features, classes))
    return np.sqrt(np.square(cosines + 1 / (number_of(classes) - 1)).mean(-1))


def cosines_of(means: np.ndarray) -> np.ndarray:
    """Cosines between centred means [R, K, D], pair by pair: [R, K (K − 1)/2]."""
    away = centred(means)
    unit = away / np.linalg.norm(away, axis=-1, keepdims=True)
    first, second = np.triu_indices(means.shape[1], 1)
    return np.einsum("rpd,rpd->rp", unit[:, first], unit[:, second])


def class_means(features: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """μ_k of features [R, N, D]: [R, K, D]."""
    return np.stack([features[:, classes == k].mean(1) for k in range(number_of(classes))], axis=1)


def centred(means: np.ndarray) -> np.ndarray:
    return means - means.mean(1, keepdims=True)


def number_of(classes: np.ndarray) -> int:
    return int(classes.max()) + 1


def last_features(weights: Sequence[np.ndarray], x: np.ndarray) -> np.ndarray:
    """What the last layer of perceptrons is given for x [N, D]: [R, N, width]; weights as `get_weights`."""
    h = np.broadcast_to(x, (len(weights[0]), *x.shape))
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        h = np.maximum(h @ kernel + bias[:, None], 0)
    return h


def of_perceptrons(
    seeds: Sequence[int],
    x: np.ndarray,
    y: np.ndarray,
    loss: Callable[[Any, Any], Any],
    epochs: int,
    looked_at: np.ndarray,
) -> list[np.ndarray]:
    """Last features [R, M, D] of images `looked_at` before training on x [N, D], and after it.

    Labels y are as the loss takes them, [N, …] or [R, N, …].
    """
    outputs = 10
    replicas = Replicates(perceptron(x.shape[-1], HIDDEN, outputs), seeds)
    replicas.compile(keras.optimizers.Adam(RATE), loss)
    before = last_features(replicas.get_weights(), looked_at)
    replicas.fit(x, y, batch_size=BATCH, epochs=epochs)
    return [before, last_features(replicas.get_weights(), looked_at)]


def that_are_free(seeds: Sequence[int], classes: np.ndarray, loss: Any, epochs: int) -> np.ndarray:
    """Features [R, N, D] that belong to one example each and are trained beside the last layer.

    Penalised alike, they collapse where the loss is least (Zhu et al. 2021): the theory's own case.
    """

    def build() -> keras.Model:
        penalty = keras.regularizers.L2(DECAY / len(classes))
        features = keras.layers.Dense(FREE, use_bias=False, kernel_regularizer=penalty)
        head = keras.layers.Dense(number_of(classes), kernel_regularizer=keras.regularizers.L2(DECAY))
        return keras.Sequential([keras.Input((len(classes),)), features, head])

    replicas = Replicates(build, seeds)
    replicas.compile(keras.optimizers.SGD(FREE_RATE, 0.9), loss)
    replicas.fit(np.eye(len(classes), dtype="float32"), classes, batch_size=len(classes), epochs=epochs)
    return replicas.get_weights()[0]
