"""Scores of held-out predictions, given as logits: what a study reports of a trained model.

Plain NumPy in float64, apart from any loss that a model was trained on. Every score is a mean over the N
examples: logits are [R, N, K], or [N, K], and the score is one number a replicate, [R], or a scalar.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from crosscheck.metrics import expected_calibration_error


def probabilities(logits: np.ndarray) -> np.ndarray:
    """softmax(z), [..., K]."""
    return special.softmax(np.asarray(logits, np.float64), axis=-1)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Integer labels [...] as distributions [..., K]."""
    return np.eye(classes)[labels]


def accuracy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The share of the labels [..., N] that have the largest logit."""
    return (np.argmax(logits, -1) == labels).mean(-1)


def nll(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """−ln softmax(z)_y, the negative log-likelihood of the labels [..., N], in nats."""
    return cross_entropy(logits, one_hot(labels, np.shape(logits)[-1]))


def brier(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Σ_k (softmax(z)_k − [y = k])² of the labels [..., N]: the Brier score on the scale 0…2."""
    return squared_distance(logits, one_hot(labels, np.shape(logits)[-1]))


def cross_entropy(logits: np.ndarray, q: np.ndarray) -> np.ndarray:
    """−Σ_k q_k ln softmax(z)_k for distributions q [..., N, K], in nats."""
    log_p = special.log_softmax(np.asarray(logits, np.float64), axis=-1)
    return -(q * log_p).sum(-1).mean(-1)


def entropy(q: np.ndarray) -> np.ndarray:
    """−Σ_k q_k ln q_k of distributions q [..., N, K], in nats, with 0 ln 0 = 0."""
    return special.entr(np.asarray(q, np.float64)).sum(-1).mean(-1)


def kl(logits: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(q‖softmax(z)) in nats: what `cross_entropy` exceeds its least value by."""
    return cross_entropy(logits, q) - entropy(q)


def squared_distance(logits: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Σ_k (softmax(z)_k − q_k)², what the Brier score of labels drawn from q exceeds its least value by."""
    return np.square(probabilities(logits) - q).sum(-1).mean(-1)


def held_out(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, NLL, Brier score and expected calibration error (15 bins) of the labels, [R, N]: [R] each."""
    pairs = zip(probabilities(logits), labels, strict=True)
    return {
        "accuracy": accuracy(logits, labels),
        "NLL": nll(logits, labels),
        "Brier score": brier(logits, labels),
        "ECE": np.array([expected_calibration_error(p, y) for p, y in pairs]),
    }


def from_people(logits: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
    """How far the predictions are from people's shares q, [R, N, K]: either loss' own excess, [R] each."""
    return {"KL": kl(logits, q), "(p − q)²": squared_distance(logits, q)}
