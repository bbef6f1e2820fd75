"""A predictor whose confidence is known, and how far its calibration error in bins lies from the truth.

The logit of the more probable of two classes is |z|, z ~ N(0, `SPREAD`²), and that class is right with
probability σ(|z|). A predictor is σ(s|z|): calibrated where s = 1, too sure where s > 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy import integrate, special, stats

SPREAD = 2.0
NODES = 400_001  # of the sums that stand for integrals over z


def sampled(seeds: Sequence[int], examples: int, sureness: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of two classes, [S, N, 2], and labels, [S, N]; class 0 is the one predicted."""
    rngs = [np.random.default_rng(seed) for seed in seeds]
    z = np.abs([rng.normal(0, SPREAD, examples) for rng in rngs])
    y = np.array([rng.random(examples) for rng in rngs]) > special.expit(z)
    confidence = special.expit(sureness * z)
    return np.stack([confidence, 1 - confidence], -1), y.astype(int)


def squared_error(sureness: float, bins: int) -> float:
    """Σ_b P_b (E[σ(|z|) − σ(s|z|) | b])², what a squared calibration error in bins estimates."""
    z = SPREAD * special.ndtri(0.5 + (np.arange(NODES) + 0.5) / (2 * NODES))  # |z| in equal shares
    confidence = special.expit(sureness * z)
    member = np.ceil(confidence * bins).astype(int) - 1
    share = np.bincount(member, minlength=bins) / NODES
    gap = np.bincount(member, special.expit(z) - confidence, bins) / NODES
    return float((gap**2 / np.where(share > 0, share, 1)).sum())


def squared_error_by_quadrature(sureness: float, bins: int) -> float:
    """The same, bin by bin with SciPy's quadrature over z."""
    density = lambda z: 2 * stats.norm.pdf(z, scale=SPREAD)
    gap = lambda z: (special.expit(z) - special.expit(sureness * z)) * density(z)
    edges = np.clip(special.logit(np.arange(bins + 1) / bins) / sureness, 0, 40)
    total = 0.0
    for lo, hi in itertools.pairwise(edges):
        share = 2 * (stats.norm.cdf(hi, scale=SPREAD) - stats.norm.cdf(lo, scale=SPREAD))
        total += integrate.quad(gap, lo, hi, epsabs=1e-13)[0] ** 2 / share if share > 0 else 0.0
    return float(total)


def squared_bias(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> np.ndarray:
    """Σ_b p_b (1 − p_b) / N: by how much chance raises the plug-in square, [S]."""
    _, _, confidence = by_bin(probabilities, labels, bins)
    return (confidence * (1 - confidence)).sum(0) / labels.shape[-1]


def plug_in_square(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> np.ndarray:
    """Σ_b (n_b / N) (accuracy_b − confidence_b)², with what chance adds: [S]."""
    count, accuracy, confidence = by_bin(probabilities, labels, bins)
    return (count * (accuracy - confidence) ** 2).sum(0) / labels.shape[-1]


def published_square(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> np.ndarray:
    """The same less accuracy_b (1 − accuracy_b) / (n_b − 1) in each bin (Kumar et al. 2019): [S]."""
    count, accuracy, confidence = by_bin(probabilities, labels, bins)
    square = (accuracy - confidence) ** 2 - accuracy * (1 - accuracy) / np.maximum(count - 1, 1)
    return (count * square * (count > 1)).sum(0) / labels.shape[-1]


def by_bin(p: np.ndarray, labels: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Examples, accuracy and mean confidence in each bin, [B, S] each; 0 where a bin is empty."""
    member = np.ceil(p[..., 0] * bins).astype(int) - 1
    inside = np.stack([member == b for b in range(bins)])  # [B, S, N]
    count = inside.sum(-1)
    mean = lambda values: (inside * values).sum(-1) / np.maximum(count, 1)
    return count, mean(labels == 0), mean(p[..., 0])


def error_by_scikit_learn(confidence: np.ndarray, correct: np.ndarray, bins: int) -> float:
    """The plug-in calibration error by scikit-learn's reliability diagram, of one sample [N]."""
    from sklearn.calibration import calibration_curve

    accuracy, mean = calibration_curve(correct, confidence, n_bins=bins, strategy="uniform")
    counts, _ = np.histogram(confidence, np.arange(bins + 1) / bins)
    return float(np.abs(accuracy - mean) @ counts[counts > 0] / len(confidence))
