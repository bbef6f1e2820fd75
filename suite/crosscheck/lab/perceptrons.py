"""Trained ReLU perceptrons in NumPy and float64: far along rays, and with a posterior over the last layer.

Weights are those of R networks, layer by layer: kernels [R, D, H] and biases [R, H] in turn. Inputs are
[N, D].

Source: Hein et al. 2019, for the rays; Kristiadi, Hein & Hennig 2020, for the last layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

Weights = Sequence[np.ndarray]
TAUS = 10.0 ** np.arange(-2, 2.1, 0.25)  # standard deviations of the prior that are tried
DRAWS = 256  # of the last layer, a network


def logits(weights: Weights, x: np.ndarray, biases: bool = True) -> np.ndarray:
    """[R, N, K]."""
    return onwards(weights[-2:], hidden(weights, x, biases), biases)


def hidden(weights: Weights, x: np.ndarray, biases: bool = True) -> np.ndarray:
    """The last hidden layer, [R, N, H]."""
    h = np.asarray(x, "float64")
    for layer in range(0, len(weights) - 2, 2):
        h = np.maximum(onwards(weights[layer : layer + 2], h, biases), 0)
    return h


def onwards(layer: Weights, h: np.ndarray, biases: bool) -> np.ndarray:
    kernel, bias = (part.astype("float64") for part in layer)
    return h @ kernel + (biases * bias)[:, None]


def slope_of_piece(weights: Weights, x: np.ndarray) -> np.ndarray:
    """The logits' slope towards x at x itself: the product of the layers of the piece that x lies in."""
    h = slope = np.asarray(x, "float64")
    for layer in range(0, len(weights), 2):
        pair = weights[layer : layer + 2]
        h, slope = onwards(pair, h, True), onwards(pair, slope, False)
        if layer < len(weights) - 2:
            h, slope = np.maximum(h, 0), slope * (h > 0)
    return slope


# --- a Laplace approximation of the last layer's posterior, kernel and biases --------------------------


def drawn_layers(weights: Weights, x: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Draws of the last layer, biases in its last row: [R, DRAWS, H + 1, K].

    From N(w, (G + I/τ²)⁻¹), w what was trained, G the loss' Hessian in the last layer, summed over the
    training inputs, and τ the standard deviation of `TAUS` that has the most evidence. Nothing is tuned.
    """
    h = with_one(hidden(weights, x))
    w = np.concatenate([weights[-2], weights[-1][:, None]], axis=1).astype("float64")
    return np.stack([draws(*case) for case in zip(h, w, seeds, strict=True)])


def draws(h: np.ndarray, w: np.ndarray, seed: int) -> np.ndarray:
    """Of one network, with hidden units [N, H + 1]: [DRAWS, H + 1, K]."""
    values, vectors = np.linalg.eigh(hessian(h, w))
    values = np.maximum(values, 0)
    precision = values + 1 / best_tau(values, float((w**2).sum())) ** 2
    noise = np.random.default_rng(seed).normal(size=(DRAWS, w.size)) / np.sqrt(precision)
    return w + (noise @ vectors.T).reshape(DRAWS, *w.shape)


def hessian(h: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Σ_n h_n h_nᵀ ⊗ (diag p_n − p_n p_nᵀ), of rows h ⊗ (√p_k e_k − √p_k p) whose products it is."""
    p = special.softmax(h @ w, axis=-1)  # [N, K]
    root = np.sqrt(p)[:, :, None] * (np.eye(w.shape[1]) - p[:, None, :])  # [N, K, K]
    rows = (root[:, :, None, :] * h[:, None, :, None]).reshape(-1, w.size)
    return rows.T @ rows


def best_tau(values: np.ndarray, square: float) -> float:
    """The τ with the most evidence, −‖w‖²/(2τ²) − ½ Σ ln(1 + τ² λ), λ the Hessian's eigenvalues."""
    evidence = [-square / (2 * t**2) - np.log1p(t**2 * values).sum() / 2 for t in TAUS]
    return float(TAUS[int(np.argmax(evidence))])


def averaged(weights: Weights, layers: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Probabilities, averaged over the draws of the last layer: [R, N, K]."""
    h = with_one(hidden(weights, x))
    return np.stack([average(*pair) for pair in zip(h, layers, strict=True)])


def average(h: np.ndarray, layers: np.ndarray) -> np.ndarray:
    return special.softmax(h @ layers, axis=-1).mean(0)  # over [DRAWS, N, K]


def with_one(h: np.ndarray) -> np.ndarray:
    return np.concatenate([h, np.ones((*h.shape[:-1], 1))], axis=-1)
