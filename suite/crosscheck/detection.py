"""Detecting outliers: scores of logits, and how well a score separates inliers from outliers.

Every score is larger the more an input looks out of distribution (OOD). Papers differ in which class is the
positive one, so that `aupr` and `fpr95` must be told: `positive` is "in" or "out".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from keras import ops

from crosscheck.losses import computed, energy

__all__ = [
    "aupr",
    "auroc",
    "energy_score",
    "entropy_score",
    "fpr95",
    "logit_score",
    "separation",
    "softmax_score",
]

RECALL = 0.95  # of FPR95

# --- scores of logits: [..., K] to [...], larger = more out of distribution ---------------------------


def softmax_score(logits: Any) -> Any:
    """ln(1 − max_k p_k), p = softmax(z): orders inputs as −max_k p_k does.

    In float32 the largest probability itself is 1 from a lead of some 17 nats on, and inputs tie that are not
    alike. Written ln Σ_(others) e^z − ln Σ_(all) e^z, nothing rounds to 1.

    Raises:
        ValueError: for a single class.

    Source: Hendrycks & Gimpel 2017.
    """
    z = computed(logits)
    if z.shape[-1] < 2:
        raise ValueError("One class has the probability 1 whatever its logit.")
    largest = ops.one_hot(ops.argmax(z, axis=-1), z.shape[-1], dtype="bool")
    others = ops.logsumexp(ops.where(largest, -ops.full_like(z, np.inf), z), axis=-1)
    return others - ops.logsumexp(z, axis=-1)


def logit_score(logits: Any) -> Any:
    """−max_k z_k.

    Source: Hendrycks et al. 2022.
    """
    return -ops.max(computed(logits), axis=-1)


def energy_score(logits: Any, temperature: float = 1.0) -> Any:
    """The energy −T ln Σ_k e^(z_k / T): `crosscheck.losses.energy`.

    Source: Liu et al. 2020.
    """
    return energy(logits, temperature)


def entropy_score(logits: Any) -> Any:
    """−Σ_k p_k ln p_k, nats: ln Σ_k e^(−d_k) + Σ_k p_k d_k with d = max z − z, two sums of positive terms.

    Down to the smallest normal number, the entropy of a sure prediction keeps its digits.
    """
    z = computed(logits)
    below = ops.max(z, axis=-1, keepdims=True) - z
    small = ops.exp(-below)
    total = ops.sum(small, axis=-1)
    largest = ops.one_hot(ops.argmax(z, axis=-1), z.shape[-1], dtype="bool")
    rest = ops.sum(ops.where(largest, ops.zeros_like(z), small), axis=-1)
    return ops.log1p(rest) + ops.sum(small * below, axis=-1) / total


SCORES: dict[str, Callable[[Any], Any]] = {
    "softmax": softmax_score,
    "logit": logit_score,
    "energy": energy_score,
    "entropy": entropy_score,
}


def scored(score: str, logits: np.ndarray) -> np.ndarray:
    """Returns the score of this name, computed in float64: logits [..., K] to [...]."""
    return ops.convert_to_numpy(SCORES[score](ops.convert_to_tensor(logits, dtype="float64")))


# --- how well a score separates: inside [..., N] and outside [..., M] to [...] ------------------------


def auroc(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Returns the probability that an outlier scores above an inlier, ties counting half.

    It is the same whichever class is called positive, as long as the score points to it. Constant scores give
    ½.

    Args:
        inside: scores of inliers, larger = more out of distribution, [..., N]; ±∞ will do.
        outside: scores of outliers, [..., M].

    Returns:
        [...], in [0, 1].

    Raises:
        ValueError: if a score is NaN, or there is none.

    >>> float(auroc(np.array([0, 1, 2, 3]), np.array([3, 4])))  # one tie in eight pairs
    0.9375
    """
    return over_last_axes(_auroc, inside, outside)


def aupr(inside: np.ndarray, outside: np.ndarray, positive: str) -> np.ndarray:
    """Returns the average precision Σ_t (R_t − R_(t−1)) P_t over distinct scores t, the surest first.

    Nothing is interpolated; equal scores enter together. Constant scores give the positive class' share.
    That share moves the whole curve, so that numbers compare only where it is the same.

    Args:
        inside, outside: as in `auroc`.
        positive: the class to be detected, "in" or "out".

    Returns:
        [...], in (0, 1].

    Raises:
        ValueError: for any other `positive`, and as `auroc`.
    """
    return over_last_axes(_average_precision, *towards(positive, inside, outside))


def fpr95(inside: np.ndarray, outside: np.ndarray, positive: str, recall: float = RECALL) -> np.ndarray:
    """Returns the false positive rate at the first threshold at which the recall is at least 95 %.

    positive="in": of the outliers, the share that is let in where 95 % of the inliers are (the convention of
    Liu et al. 2020). positive="out": of the inliers, the share that is turned away where 95 % of the outliers
    are. The two differ, and papers give either by the same name. Scores equal to the threshold are on its
    positive side; constant scores give 1.

    Args:
        inside, outside: as in `auroc`.
        positive: "in" or "out".
        recall: in (0, 1].

    Returns:
        [...], in [0, 1].

    Raises:
        ValueError: for any other `positive` or `recall`, and as `auroc`.

    >>> inside, outside = np.arange(20), np.arange(10, 30)  # larger: more out of distribution
    >>> float(fpr95(inside, outside, "in")), float(fpr95(inside, outside, "out"))
    (0.45, 0.45)
    """
    if not 0 < recall <= 1:
        raise ValueError(f"`recall` must lie in (0, 1], not {recall}.")
    negatives, positives = towards(positive, inside, outside)
    return over_last_axes(lambda n, p: _false_positive_rate(n, p, recall), negatives, positives)


def separation(inside: np.ndarray, outside: np.ndarray) -> dict[str, np.ndarray]:
    """Returns AUROC, AUPR and FPR95 by name, both positive classes where it matters: "AUPR in", [...] each.

    Args:
        inside, outside: as in `auroc`.

    Raises:
        ValueError: as `auroc`.
    """
    measures = {"AUROC": auroc(inside, outside)}
    for name, measure in (("AUPR", aupr), ("FPR95", fpr95)):
        measures |= {f"{name} {positive}": measure(inside, outside, positive) for positive in ("in", "out")}
    return measures


def separations(score: str, logits: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Returns `separation` by kind of outliers, for the score of this name.

    Args:
        score: a key of `SCORES`.
        logits: by kind, [..., N, K] each; those of the inliers are "in".
    """
    scores = {kind: scored(score, z) for kind, z in logits.items()}
    inside = scores.pop("in")
    return {kind: separation(inside, outside) for kind, outside in scores.items()}


def towards(positive: str, inside: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (negatives, positives), scored so that larger = more positive."""
    if positive not in ("in", "out"):
        raise ValueError(f"`positive` must be 'in' or 'out', not {positive!r}.")
    if positive == "out":
        return inside, outside
    return -np.asarray(outside), -np.asarray(inside)


def over_last_axes(
    function: Callable[[np.ndarray, np.ndarray], float], first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Returns `function` of the last axes for every index of the axes before, which broadcast: [...].

    Raises:
        ValueError: if a score is NaN, or there is none.
    """
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    if np.isnan(first).any() or np.isnan(second).any() or not (first.size and second.size):
        raise ValueError("Scores must be numbers, at least one of inliers and one of outliers.")
    shape = np.broadcast_shapes(first.shape[:-1], second.shape[:-1])
    pairs = (np.broadcast_to(a, (*shape, a.shape[-1])).reshape(-1, a.shape[-1]) for a in (first, second))
    return np.array([function(*pair) for pair in zip(*pairs, strict=True)]).reshape(shape)[()]


def _auroc(negatives: np.ndarray, positives: np.ndarray) -> float:
    ranked = np.sort(negatives)
    below, upto = (np.searchsorted(ranked, positives, side) for side in ("left", "right"))
    return float((below + upto).mean() / (2 * len(negatives)))


def _average_precision(negatives: np.ndarray, positives: np.ndarray) -> float:
    thresholds = np.unique(positives)  # elsewhere the recall does not move
    hits, alarms = (len(part) - np.searchsorted(np.sort(part), thresholds) for part in (positives, negatives))
    gained = -np.diff(hits, append=0)  # at each threshold
    return float(gained @ (hits / (hits + alarms)) / len(positives))


def _false_positive_rate(negatives: np.ndarray, positives: np.ndarray, recall: float) -> float:
    needed = int(np.ceil(recall * len(positives) - 1e-9))  # 0.95 × 20 is 19, however it is rounded
    threshold = np.sort(positives)[len(positives) - needed]
    return float((negatives >= threshold).mean())
