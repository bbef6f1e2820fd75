"""Scores of held-out predictions, given as logits: what a study reports of a trained model.

Plain NumPy in float64, apart from any loss that a model was trained on. Every score is a mean over the N
examples: logits are [R, N, K], or [N, K], and the score is one number a replicate, [R], or a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy import special

from crosscheck.calibration import fit_temperature
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
    """Accuracy, NLL, Brier score and expected calibration error (15 bins) of the labels, [R, N]: [R] each.

    Beside the error its floor, what a model without any would show.
    """
    pairs = zip(probabilities(logits), labels, strict=True)
    return {
        "accuracy": accuracy(logits, labels),
        "NLL": nll(logits, labels),
        "Brier score": brier(logits, labels),
        "ECE": np.array([expected_calibration_error(p, y) for p, y in pairs]),
        "ECE's floor": calibration_floor(probabilities(logits).max(-1)),
    }


def calibration_floor(confidence: np.ndarray, bins: int = 15) -> np.ndarray:
    """What the binned error of confidences [R, N] shows where there is none, for it is biased upwards: [R].

    Σ_b (n_b / N) √(2 p_b (1 − p_b) / (π n_b)), with p_b the mean confidence of the n_b examples in a bin.
    """
    member = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.stack([(member == b).sum(-1) for b in range(bins)], axis=-1)  # [R, bins]
    total = np.stack([np.where(member == b, confidence, 0).sum(-1) for b in range(bins)], axis=-1)
    mean = total / np.maximum(count, 1)
    return (np.sqrt(2 * mean * (1 - mean) * count / np.pi)).sum(-1) / confidence.shape[-1]


def overconfidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """ln T of the temperature that fits labels [R, N] best: 0 of a model as confident as it should be, [R].

    Unlike a binned error it needs no bins, and has no bias that grows as examples become few.
    """
    return np.log([fit_temperature(z, y) for z, y in zip(logits, labels, strict=True)])


def with_overconfidence(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """`held_out` and ln T, [R] each."""
    return {**held_out(logits, labels), "ln T": overconfidence(logits, labels)}


def of_changed(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    score: Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]],
) -> dict[str, dict[str, np.ndarray]]:
    """Scores by subject: of its logits [R, N, K], and of what `comparisons.CHANGES` makes of them.

    Labels are classes, [R, N], or distributions [R, N, K], which are left as they are.
    """
    replaced = some_replaced(labels, 10) if labels.dtype.kind in "iu" else labels
    made = lambda z: {
        "": (z, labels),
        ", flat": (z / 4, labels),
        ", wrong": (z, replaced),
        ", rounded": (z.astype("float16"), labels),
    }
    return {name + change: score(*pair) for name, z in logits.items() for change, pair in made(z).items()}


def some_replaced(labels: np.ndarray, classes: int, share: float = 0.1) -> np.ndarray:
    """Labels [R, N] of which so large a share is another class."""
    rng = np.random.default_rng(0)
    other = (labels + rng.integers(1, classes, labels.shape)) % classes
    return np.where(rng.random(labels.shape) < share, other, labels)


def from_people(logits: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
    """How far the predictions are from people's shares q, [R, N, K]: either loss' own excess, [R] each."""
    return {"KL": kl(logits, q), "(p − q)²": squared_distance(logits, q)}
