"""The law of label noise: a transition matrix estimated from pairs of labels, with an interval.

T_ij is the chance that an example of class i carries label j, as the forward-corrected losses take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["TransitionEstimate", "noisy_threshold", "transition_matrix"]


@dataclass(frozen=True)
class TransitionEstimate:
    """A transition matrix as far as pairs of labels tell it, [K, K] each.

    Attributes:
        estimate: shares of the labels of each class; NaN in the row of a class that was not seen.
        low, high: between which all entries lie together, at the level asked for.
        counts: pairs by clean class and label.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray


def transition_matrix(clean: Any, noisy: Any, classes: int, level: float = 0.95) -> TransitionEstimate:
    """Returns the transition matrix of pairs of labels of the same examples, with a simultaneous interval.

    Each entry has the exact binomial interval of Clopper and Pearson at 1 − (1 − level)/m, with m the number
    of entries, K², or 2 for two classes, whose rows have one free entry each: so the chance that any of them
    misses is at most 1 − level, whatever T is. It takes pairs to be drawn independently; clean labels that
    are wrong themselves make T̂ wrong in a way that no interval covers.

    Args:
        clean, noisy: integers 0…K−1, [N] each.
        classes: K ≥ 2.
        level: in (0, 1).

    Raises:
        ValueError: for labels that are no classes or not in pairs, K < 2, or a level outside (0, 1).

    Source: Clopper & Pearson 1934; Bonferroni's inequality.

    >>> found = transition_matrix([0] * 10 + [1] * 10, [0] * 8 + [1] * 12, 2)
    >>> found.estimate.tolist(), found.low.round(3).tolist()
    ([[0.8, 0.2], [0.0, 1.0]], [[0.401, 0.017], [0.0, 0.645]])
    """
    pairs = counted_pairs(np.asarray(clean), np.asarray(noisy), classes)
    if not 0 < level < 1:
        raise ValueError(f"`level` must lie between 0 and 1, not {level}.")
    tail = (1 - level) / (2 if classes == 2 else classes**2) / 2
    seen = pairs.sum(1, keepdims=True)
    low = stats.beta.ppf(tail, np.maximum(pairs, 1), seen - pairs + 1)
    high = stats.beta.ppf(1 - tail, pairs + 1, np.maximum(seen - pairs, 1))
    with np.errstate(invalid="ignore"):
        estimate = pairs / seen
    return TransitionEstimate(estimate, np.where(pairs > 0, low, 0), np.where(pairs < seen, high, 1), pairs)


def counted_pairs(clean: np.ndarray, noisy: np.ndarray, classes: int) -> np.ndarray:
    """Returns how often each pair of labels occurs, [K, K].

    Raises:
        ValueError: for labels that are no classes 0…K−1 or not in pairs, and K < 2.
    """
    if classes < 2 or clean.ndim != 1 or clean.shape != noisy.shape:
        raise ValueError(
            f"Labels {list(clean.shape)} and {list(noisy.shape)} must be pairs [N] of {classes} ≥ 2 classes."
        )
    for labels in (clean, noisy):
        if not np.isin(labels, np.arange(classes)).all():
            raise ValueError(f"Labels must be whole numbers 0…{classes - 1}.")
    places = clean.astype(int) * classes + noisy.astype(int)
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def noisy_threshold(missed: float, false_alarms: float) -> float:
    """Returns the chance of a noisy 1 at which a clean 1 has the chance ½: (1 − ρ₊ + ρ₋) / 2.

    A model trained on noisy labels predicts η̃ = (1 − ρ₊ − ρ₋) η + ρ₋; its decisions are best at this
    threshold, not at ½.

    Args:
        missed: ρ₊, the chance that a true 1 is given as 0.
        false_alarms: ρ₋, the chance that a true 0 is given as 1.

    Raises:
        ValueError: unless both are ≥ 0 and their sum is below 1.

    Source: Natarajan et al. 2013, theorem 9.

    >>> round(noisy_threshold(0.3, 0.1), 4)
    0.4
    """
    if not (missed >= 0 and false_alarms >= 0 and missed + false_alarms < 1):
        raise ValueError(f"Flips of {missed} and {false_alarms} must not be negative, nor sum to 1 or more.")
    return (1 - missed + false_alarms) / 2
