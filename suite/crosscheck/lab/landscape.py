"""The landscape of cross-entropy: logits to look at it from, and how it bends there and in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy import special

from crosscheck import autodiff, losses
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates


def scattered_logits(examples: int, classes: int, largest: float) -> np.ndarray:
    """Normal logits [N, K] whose scale grows from 0.1 in the first example to `largest` in the last."""
    normal = np.random.default_rng(classes).normal(size=(examples, classes))
    return normal * np.geomspace(0.1, largest, examples)[:, None]


def every_label(examples: int, classes: int) -> np.ndarray:
    """One-hot labels [N, K], the classes in turn."""
    return np.eye(classes)[np.arange(examples) % classes]


def narrowed(z: np.ndarray) -> np.ndarray:
    """Logits rounded to the next narrower dtype and back: what a cast on the way would do to them."""
    return z.astype({"float64": "float32", "float32": "float16"}[z.dtype.name]).astype(z.dtype)


def written_out(y: Any, z: Any) -> Any:
    """Cross-entropy as ln Σ e^z − yᵀz, for labels and logits [N, K]: another way to write the same loss."""
    return ops.logsumexp(z, axis=-1) - ops.sum(y * z, axis=-1)


def second_derivative(loss: Callable[[Any, Any], Any], z: np.ndarray, dtype: str) -> np.ndarray:
    """d²L/dz² of a loss of one binary logit with y = 1, taken in `dtype` at each of z [N]: float64 [N]."""
    y, logits = np.ones((len(z), 1), dtype), z[:, None].astype(dtype)
    return autodiff.logit_hessian(loss, y, logits)[:, 0, 0].astype("float64")


def softmax_hessian(p: np.ndarray) -> np.ndarray:
    """diag(p) − ppᵀ of probabilities [..., K], with 1 − p taken as the sum of the others: [..., K, K]."""
    diagonal = np.eye(p.shape[-1], dtype=bool)
    others = (p[..., None, :] * ~diagonal).sum(-1)
    return np.where(diagonal, (p * others)[..., None], -p[..., None] * p[..., None, :])


def curvature_in_training(
    seeds: Sequence[int], x: np.ndarray, y: np.ndarray, looks: Sequence[int], looked_at: np.ndarray
) -> np.ndarray:
    """The mean largest eigenvalue of the logits' Hessian while perceptrons of 64 units are trained by Adam.

    Args:
        seeds: R, of the replicates.
        x, y: what they are trained on, [N, D] or [R, N, D], and labels of ten classes, [N] or [R, N].
        looks: epochs after which the Hessians are looked at, the first of them 0.
        looked_at: the examples whose Hessians they are, [M, D].

    Returns:
        [looks, R].
    """
    replicas = Replicates(perceptron(x.shape[-1], [64], 10), seeds)
    replicas.compile(keras.optimizers.Adam(1e-3), losses.sparse_categorical_crossentropy)
    seen = [largest_eigenvalue(replicas.predict(looked_at))]
    for epochs in np.diff(looks):
        replicas.fit(x, y, batch_size=64, epochs=int(epochs))
        seen.append(largest_eigenvalue(replicas.predict(looked_at)))
    return np.array(seen)


def largest_eigenvalue(logits: np.ndarray) -> np.ndarray:
    """λ_max of the Hessian, the mean over the examples of logits [R, N, K]: [R], float64."""
    hessians = softmax_hessian(special.softmax(logits.astype("float64"), axis=-1))  # [R, N, K, K]
    return np.linalg.eigvalsh(hessians)[..., -1].mean(1)
