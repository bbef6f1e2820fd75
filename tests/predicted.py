"""Random predictions with labels, a metric's value on them, and the calibration error by its definition."""

from __future__ import annotations

import keras
import numpy as np


def plainly(p: np.ndarray, y: np.ndarray, bins: int) -> float:
    return plain_gap(p.max(1), p.argmax(1) == y, bins)


def plain_gap(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def predictions(seed: int, n: int = 48, k: int = 5):
    """Alike in shape wherever that will do: JAX compiles every operation anew for every shape."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(k), size=n), rng.integers(0, k, n)


def binary_predictions(seed: int, n: int = 48):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 0.5, n)
    return p, (rng.random(n) < p**2).astype(int)


def value(metric: keras.Metric, y, p, *weight, batch: int | None = None) -> float:
    batch = batch or len(p)
    for start in range(0, len(p), batch):
        part = slice(start, start + batch)
        metric.update_state(y[part], p[part], *(w[part] for w in weight))
    return float(keras.ops.convert_to_numpy(metric.result()))
