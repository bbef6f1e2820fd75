"""Cross-entropy of two logits beside that of one: their values, slopes, and optima under a penalty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from crosscheck import autodiff, data, losses
from crosscheck.lab import posteriors

MIXTURE, POINTS = (
    data.GaussianMixture(2.0, 4),
    200,
)  # overlapping, so that an optimum is finite without penalty


def value_and_slope(loss: Callable[[Any, Any], Any], y: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
    """L and ∂L/∂z₁ at one-hot labels and logits [N, 2]: float64 [N] each."""
    value = autodiff.numbers(loss(*autodiff.tensors(y, z)))
    return [array.astype("float64") for array in (value, autodiff.logit_gradient(loss, y, z)[:, 1])]


def by_one_logit(y: Any, z: Any) -> Any:
    """Binary cross-entropy of the log-odds z₁ − z₀, for one-hot labels and logits [N, 2]."""
    return losses.binary_crossentropy(y[:, 1:], z[:, 1:] - z[:, :1])


def penalised_slopes(seeds: Sequence[int], l2: Sequence[float], two: bool) -> np.ndarray:
    """Slopes of the log-odds where the mean loss + λ‖W‖² of a linear model is least, by λ: [λ, S, D].

    Args:
        seeds: S, of the examples.
        l2: λ in Keras' sense.
        two: whether there are two logits, or one.
    """
    x, y = data.samples([MIXTURE], seeds, POINTS)
    loss = losses.sparse_categorical_crossentropy if two else losses.binary_crossentropy
    labels = y if two else y[..., None]
    each, of_each = (np.concatenate([array] * len(l2)) for array in (x, labels))
    kernel, _ = posteriors.trained(each, of_each, loss, np.repeat(l2, len(seeds)), outputs=1 + two)
    return (kernel[..., -1] - kernel[..., 0] * two).reshape(len(l2), len(seeds), -1)


def apart(slopes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """‖slopes − truth‖ / ‖truth‖, [S], for [S, D] each."""
    return np.array([posteriors.distance(*pair) for pair in zip(slopes, truth, strict=True)])
