"""A binary loss in expectation over labels that are 1 with probability q: its cost, excess and minimiser.

A loss is a function of labels [N, 1] and logits [N, 1] with a value per example, on any backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from suite import autodiff
from suite.lazy import optimize

Loss = Callable[[Any, Any], Any]
REACH = 30.0  # how far from 0 a minimiser is searched for


def expected(loss: Loss, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """q L(1, z) + (1 − q) L(0, z) in float64, for q and z [N]."""
    column = ops.convert_to_tensor(z[:, None], dtype="float64")
    one, zero = (autodiff.numbers(loss(y[:, None], column)) for y in (np.ones_like(z), np.zeros_like(z)))
    return q * one + (1 - q) * zero


def excess(loss: Loss, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """What the prediction σ(z) costs beyond predicting q, for q and z [N]."""
    return expected(loss, q, z) - expected(loss, q, np.log(q) - np.log1p(-q))


def minimiser(loss: Loss, q: float) -> float:
    """argmin_p of the expected loss, searched over the logits within ± `REACH`."""
    objective = lambda z: expected(loss, np.array([q]), np.array([z]))[0]  # noqa: E731
    best = optimize.minimize_scalar(
        objective, bounds=(-REACH, REACH), method="bounded", options={"xatol": 1e-8}
    )
    return float(1 / (1 + np.exp(-best.x)))
