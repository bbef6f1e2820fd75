"""The landscape of cross-entropy: logits to look at it from, and how it bends there and in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy import optimize, special

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


def of_two_logits(y: Any, z: Any) -> Any:
    """Binary cross-entropy as a softmax of (0, z), for labels and logits [N, 1]."""
    return losses.categorical_crossentropy(
        ops.concatenate([1 - y, y], axis=-1), ops.concatenate([ops.zeros_like(z), z], axis=-1)
    )


def as_softplus(y: Any, z: Any) -> Any:
    """Binary cross-entropy of labels that are all 1, as most would write it: ln(1 + e^−z)."""
    return ops.softplus(-z)[:, 0]


def both_tails(z: np.ndarray, dtype: str) -> np.ndarray:
    """p (1 − p) at z [N] by NumPy in this dtype, without a difference: float64 [N]."""
    small = np.exp(-np.abs(z.astype(dtype)))
    return (small / (1 + small) ** 2).astype("float64")


def softmax_hessian(p: np.ndarray) -> np.ndarray:
    """diag(p) − ppᵀ of probabilities [..., K], with 1 − p taken as the sum of the others: [..., K, K]."""
    diagonal = np.eye(p.shape[-1], dtype=bool)
    others = (p[..., None, :] * ~diagonal).sum(-1)
    return np.where(diagonal, (p * others)[..., None], -p[..., None] * p[..., None, :])


def covariance(p: np.ndarray) -> np.ndarray:
    """Σ_k p_k (e_k − p)(e_k − p)ᵀ of probabilities [N, K], over the outcomes one by one: [N, K, K]."""
    away = np.eye(p.shape[-1]) - p[:, None]  # [N, outcome, K]
    return np.einsum("nl,nli,nlj->nij", p, away, away)


def drawn_covariance(seed: int, p: np.ndarray, draws: int) -> np.ndarray:
    """The sample covariance of so many one-hot draws from p [K]: [K, K]."""
    counts = np.random.default_rng(seed).multinomial(draws, p)
    return np.cov(np.eye(len(p)), fweights=counts, rowvar=False)


def fisher(
    loss: Callable[[Any, Any], Any], labels: np.ndarray, chance: np.ndarray, z: np.ndarray
) -> np.ndarray:
    """Σ_l c_l g_l g_lᵀ of the loss's slopes g_l by autodiff under each of L labels: [N, K, K].

    Args:
        loss: a value an example, of labels and logits [N, K].
        labels: L labels in the logits' shape, [L, N, K].
        chance: c, [L, N].
        z: [N, K].
    """
    slopes = np.stack([autodiff.logit_gradient(loss, y, z) for y in labels])
    return np.einsum("ln,lni,lnj->nij", chance, slopes, slopes)


def outcomes(bits: int) -> np.ndarray:
    """All 2^bits binary labels, [2^bits, bits]."""
    return (np.arange(2**bits)[:, None] >> np.arange(bits)) % 2.0


def curvature_along(
    loss: Callable[[Any, Any], Any], y: np.ndarray, z: np.ndarray, v: np.ndarray
) -> np.ndarray:
    """d²/dt² L(z + t v) at t = 0 by autodiff, for labels, logits and directions [N, K]: [N]."""
    labels, logits, direction = autodiff.tensors(y, z, v)
    moved = lambda _, t: loss(labels, logits + t * direction)
    return autodiff.logit_hessian(moved, y, np.zeros((len(z), 1), z.dtype))[:, 0, 0]


def greatest_curvature(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """λ_max of the Hessian at logits [N, K], and its unit eigenvector: [N] and [N, K]."""
    values, vectors = np.linalg.eigh(softmax_hessian(special.softmax(z, axis=-1)))
    return values[:, -1], vectors[..., -1]


def by_power_iteration(hessian: np.ndarray, steps: int = 20_000) -> np.ndarray:
    """The direction in which H^n x ends, unit vectors [N, K] of matrices [N, K, K]."""
    x = np.random.default_rng(0).normal(size=hessian.shape[:2])
    squared = hessian
    for _ in range(int(np.log2(steps))):  # H, H², H⁴, …
        squared = squared @ squared
        squared /= np.abs(squared).max((1, 2), keepdims=True)
    x = np.einsum("nij,nj->ni", squared, x)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def alike_in_size(z: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Logits along `others` [N, K] at which λ_max is what it is at z [N, K], below 1/K there."""

    def reach(goal: float, way: np.ndarray) -> float:
        away = lambda s: greatest_curvature(s * way[None])[0][0] - goal
        return float(optimize.brentq(away, 0.0, 60.0, xtol=1e-14))

    goals = greatest_curvature(z)[0]
    return np.array([reach(*pair) for pair in zip(goals, others, strict=True)])[:, None] * others


def curvature_in_training(
    seeds: Sequence[int],
    x: np.ndarray,
    y: np.ndarray,
    looks: Sequence[int],
    looked_at: np.ndarray,
    classes: int = 10,
) -> np.ndarray:
    """The mean largest eigenvalue of the logits' Hessian while perceptrons of 64 units are trained by Adam.

    Args:
        seeds: R, of the replicates.
        x, y: what they are trained on, [N, D] or [R, N, D], and classes, [N] or [R, N].
        looks: epochs after which the Hessians are looked at, the first of them 0.
        looked_at: the examples whose Hessians they are, [M, D].
        classes: how many there are.

    Returns:
        [looks, R].
    """
    replicas = Replicates(perceptron(x.shape[-1], [64], classes), seeds)
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


# --- in weights ---

HIDDEN, GAIN = 3, 1.0  # units, and the standard deviation of weights over that of a unit's sum


def bends_down(seeds: Sequence[int], x: np.ndarray, y: np.ndarray, kind: str) -> np.ndarray:
    """−λ_min / λ_max of the Hessian of mean cross-entropy in all weights of a model at random weights: [S].

    Args:
        seeds: S, of the weights.
        x, y: each seed's examples, [S, N, D], and classes of two, [S, N].
        kind: "network", "network without ReLU" or "linear".
    """
    widths = [x.shape[-1], 2] if kind == "linear" else [x.shape[-1], HIDDEN, 2]
    shapes = list(pairwise(widths))
    size = sum((n + 1) * m for n, m in shapes)
    weights = np.stack([np.random.default_rng(seed).normal(size=size) for seed in seeds])  # [S, P]
    features, classes = autodiff.tensors(x.astype("float64"), y.astype("int32"))

    def mean_loss(_: Any, flat: Any) -> Any:
        h, start = features, 0
        for layer, (n, m) in enumerate(shapes):
            kernel = ops.reshape(flat[:, start : start + n * m], (-1, n, m)) * (GAIN / np.sqrt(n))
            bias = flat[:, None, start + n * m : start + (n + 1) * m]
            h = ops.matmul(h if not layer or kind != "network" else ops.relu(h), kernel) + bias
            start += (n + 1) * m
        return losses.mean_over_labels(losses.sparse_categorical_crossentropy(classes, h))

    values = np.linalg.eigvalsh(autodiff.logit_hessian(mean_loss, weights, weights))
    return -values[:, 0] / values[:, -1]
