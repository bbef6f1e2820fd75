"""Linear models of two classes, trained to their optimum on each replicate's own examples: their log-odds.

All take x [R, N, D] and labels, classes [R, N], and give slopes [R, D] and offset [R] of the log-odds z₁ − z₀
in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from sklearn import linear_model

from crosscheck import data, losses
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

RATE, MOMENTUM, STEPS = 2.0, 0.8, 80  # the whole set at once, to the optimum of a convex problem
HINGE_RATE, HINGE_STEPS = 0.1, 300  # hinge has kinks: Adam at a falling rate


def by_cross_entropy(seeds: Sequence[int], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and offset, by Nesterov's momentum."""
    optimizer = keras.optimizers.SGD(RATE, MOMENTUM, nesterov=True)
    return trained(seeds, x, y, losses.sparse_categorical_crossentropy, optimizer, STEPS)


def by_hinge(seeds: Sequence[int], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and offset of Keras' categorical hinge loss, by Adam."""
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(HINGE_RATE, HINGE_STEPS))
    one_hot = np.eye(2, dtype="float32")[y]
    return trained(seeds, x, one_hot, keras.losses.categorical_hinge, optimizer, HINGE_STEPS)


def by_scikit(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and offset of scikit-learn's logistic regression without penalty, one set after the other."""
    model = linear_model.LogisticRegression(C=np.inf, solver="newton-cholesky")
    fits = [
        (fit.coef_[0], fit.intercept_[0]) for fit in (model.fit(*pair) for pair in zip(x, y, strict=True))
    ]
    slopes, offset = zip(*fits, strict=True)
    return np.stack(slopes).astype("float64"), np.array(offset, "float64")


def trained(
    seeds: Sequence[int], x: np.ndarray, y: np.ndarray, loss: Any, optimizer: Any, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and offset after full-batch steps; the labels are what the loss takes, [R, N, …]."""
    replicas = Replicates(perceptron(x.shape[-1], [], 2), seeds, paired=True)
    replicas.compile(optimizer, loss)
    replicas.fit(x, y, batch_size=x.shape[1], epochs=steps, shuffle=False)
    kernel, bias = (weights.astype("float64") for weights in replicas.get_weights())  # [R, D, 2], [R, 2]
    return kernel[..., 1] - kernel[..., 0], bias[:, 1] - bias[:, 0]


def off_chance(
    mixture: data.GaussianMixture, slopes: np.ndarray, offset: np.ndarray, chances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean distance of predictions from the chances [C] that they stand for, [R], and they, [R, C]."""
    predicted, often = data.reliability(mixture, slopes, offset, chances)
    return (np.abs(predicted - chances) * often).sum(1) / often.sum(1), predicted
