"""From probabilities to decisions: thresholds that maximise F1, and classes of least expected cost."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crosscheck.trees import tree_distances

__all__ = ["Threshold", "best_f1_threshold", "calibrated_f1_threshold", "least_cost", "nearest_in_tree"]


class Threshold(NamedTuple):
    """Above which probability a label is predicted, and the F1 that comes of it.

    Attributes:
        threshold: a label is predicted where p > threshold; one number, or [L].
        f1: 2 TP / (2 TP + FP + FN): of the examples given, or expected.
    """

    threshold: Any
    f1: Any


def best_f1_threshold(probabilities: Any, labels: Any, average: str = "macro") -> Threshold:
    """Returns the threshold that maximises F1 on labelled examples: choose it on others than you report on.

    It lies halfway between the last probability that is predicted and the next one; of equals the highest.
    Where no label is present, F1 is 0 at any threshold: it is then 1, which predicts nothing.

    Args:
        probabilities: of each label, in [0, 1], [N, L] or [N].
        labels: 0 or 1, in the same shape.
        average: "macro", one threshold for each label, which maximises their mean F1; or "micro", one for all
            labels, which maximises the F1 of all decisions together.

    Returns:
        [L] each; numbers for "micro" and for [N].

    Raises:
        ValueError: if shapes differ or are empty, labels are not 0 or 1, probabilities none, or for another
            average.

    >>> best_f1_threshold([0.1, 0.4, 0.5, 0.9], [0, 1, 0, 1])
    Threshold(threshold=0.25, f1=0.8)
    """
    p, y = checked(probabilities, labels)
    if one_for_all(average, p):
        return empirical_optimum(p.ravel(), y.ravel())
    return stacked([empirical_optimum(*column) for column in zip(p.T, y.T, strict=True)])


def calibrated_f1_threshold(probabilities: Any, average: str = "macro") -> Threshold:
    """Returns the threshold that maximises F1 in expectation, where probabilities are calibrated: F*/2.

    No label is needed. Over a large set F1 at t is 2 Σ_{p > t} p / (#{p > t} + Σ p), which is greatest at
    t = F*/2: half of that maximum, so never above ½ and below it unless F* = 1. It is the ratio of expected
    counts; for few examples the expected ratio differs.

    Args:
        probabilities: of each label, in [0, 1], [N, L] or [N].
        average: as in `best_f1_threshold`.

    Returns:
        [L] each; numbers for "micro" and for [N]. F* is 0 where all probabilities are.

    Raises:
        ValueError: if there are none, or they are no probabilities, or for another average.

    Source: Lipton, Elkan & Naryanaswamy 2014, theorem 1.

    >>> uniform = np.linspace(0, 1, 200_001)
    >>> found = calibrated_f1_threshold(uniform)  # F(t) = (1 − t²) / (1.5 − t) = 2t: t² − 3t + 1 = 0
    >>> round(found.threshold, 3), round(found.f1 / 2, 3)
    (0.382, 0.382)
    """
    p, _ = checked(probabilities, np.zeros(np.shape(probabilities)))
    if one_for_all(average, p):
        return expected_optimum(p.ravel())
    return stacked([expected_optimum(column) for column in p.T])


def empirical_optimum(p: np.ndarray, y: np.ndarray) -> Threshold:
    """Returns the best threshold of one label's probabilities and labels, [N] each."""
    score, label = np.sort(p)[::-1], y[np.argsort(-p, kind="stable")]
    size = np.arange(1, len(p) + 1)
    f1 = 2 * np.cumsum(label) / (size + label.sum())
    apart = np.append(score[1:] < score[:-1], True)  # no threshold lies between equals
    best = int(np.argmax(np.where(apart, f1, -1)))
    if f1[best] == 0:
        return Threshold(1.0, 0.0)
    lowest = 0.0 if score[best] > 0 else -1.0  # where p = 0 is predicted, too
    below = score[best + 1] if best + 1 < len(p) else lowest
    return Threshold(float(score[best] + below) / 2, float(f1[best]))


def expected_optimum(p: np.ndarray) -> Threshold:
    """Returns F*/2 and F* of one label's calibrated probabilities, [N]."""
    score = np.sort(p)[::-1]
    expected = score.sum()
    if expected == 0:
        return Threshold(0.0, 0.0)
    f1 = float((2 * np.cumsum(score) / (np.arange(1, len(p) + 1) + expected)).max())
    return Threshold(f1 / 2, f1)


def stacked(thresholds: list[Threshold]) -> Threshold:
    return Threshold(*(np.array(values) for values in zip(*thresholds, strict=True)))


def one_for_all(average: str, p: np.ndarray) -> bool:
    """Returns whether there is one threshold; raises a ValueError for an average of another name."""
    if average not in ("macro", "micro"):
        raise ValueError(f'`average` must be "macro" or "micro", not {average!r}.')
    return average == "micro" or p.ndim == 1


def checked(probabilities: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns probabilities and labels as arrays, or raises a ValueError that says what they are not."""
    p, y = np.asarray(probabilities, "float64"), np.asarray(labels, "float64")
    if p.shape != y.shape or p.ndim not in (1, 2) or not p.size:
        raise ValueError(f"Probabilities {list(p.shape)} and labels {list(y.shape)} must be [N, L] or [N].")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("`probabilities` must lie in [0, 1]; of logits take the sigmoid.")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("`labels` must be 0 or 1.")
    return p, y


def least_cost(probabilities: Any, costs: Any) -> np.ndarray:
    """Returns argmin_k Σ_j p_j C_jk, the decision of least expected cost: [..., K] to integers [...].

    Args:
        probabilities: [..., K].
        costs: C_jk of deciding for k where j is true, [K, decisions].

    Raises:
        ValueError: if they do not fit.

    Source: Duda, Hart & Stork 2001, section 2.2.
    """
    p, table = np.asarray(probabilities, "float64"), np.asarray(costs, "float64")
    if table.ndim != 2 or p.shape[-1:] != table.shape[:1]:
        raise ValueError(f"Probabilities {list(p.shape)} and costs {list(table.shape)} do not fit.")
    return (p @ table).argmin(-1)


def nearest_in_tree(probabilities: Any, tree: Any) -> np.ndarray:
    """Returns the class of least expected distance in a tree of classes: [..., K] to integers [...].

    With one level it is argmax_k p_k + p_{k's node}. It often differs from the most probable class, whose
    node may be unlikely. Of equals it is the first.

    Args:
        probabilities: [..., K].
        tree: K integers, the node of each class, or a list of such levels, as in `crosscheck.trees`.

    Raises:
        ValueError: for a tree that does not nest or does not fit.

    >>> nearest_in_tree([0.3, 0.3, 0.4], [0, 0, 1])  # the most probable is class 2
    np.int64(0)
    """
    return least_cost(probabilities, tree_distances(tree))
