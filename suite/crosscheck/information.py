"""Information in labels: entropy and total correlation, of tables of probabilities and of labels themselves.

Everything is in nats, with 0 ln 0 = 0. The outcomes of L binary labels are counted in C order: y is number
Σ_l y_l 2^(L−1−l), so that label 0 is the highest bit. `losses.joint_crossentropy`, `models.ClassifierChain`
and `data.CommonCause` count them so.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "counts",
    "empirical_total_correlation",
    "entropy",
    "first_apart",
    "first_shuffled",
    "marginal",
    "outcome_of",
    "outcomes",
    "total_correlation",
]


def outcomes(labels: int) -> np.ndarray:
    """Returns all outcomes of L binary labels in order: [2^L, L], integers 0 and 1."""
    return (np.arange(2**labels)[:, None] >> np.arange(labels)[::-1]) & 1


def outcome_of(y: np.ndarray) -> np.ndarray:
    """Returns the place of each outcome y in the order of `outcomes`: [..., L] of 0 and 1 to [...].

    Raises:
        ValueError: for labels that are neither 0 nor 1.
    """
    y = np.asarray(y)
    if not np.isin(y, (0, 1)).all():
        raise ValueError("Labels must be 0 or 1.")
    return y.astype(int) @ 2 ** np.arange(y.shape[-1])[::-1]


def counts(y: np.ndarray) -> np.ndarray:
    """Returns how often each outcome occurs among N examples: y [..., N, L] to [..., 2^L].

    Raises:
        ValueError: for labels that are neither 0 nor 1.
    """
    place = outcome_of(y)  # [..., N]
    size = 2 ** np.shape(y)[-1]
    return np.apply_along_axis(np.bincount, -1, place, minlength=size)


def entropy(p: np.ndarray) -> float:
    """Returns H = −Σ p ln p of a table of probabilities that sum to 1, of any shape."""
    p = np.asarray(p, float)
    return float(-np.sum(p * np.log(np.where(p > 0, p, 1))))


def marginal(p: np.ndarray, axis: int) -> np.ndarray:
    """Returns the probabilities of one variable, from a joint table with one axis a variable."""
    return np.sum(p, axis=tuple(other for other in range(np.ndim(p)) if other != axis))


def total_correlation(p: np.ndarray) -> float:
    """Returns Σ_l H(Y_l) − H(Y_1 … Y_L) of a joint table with one axis a variable.

    Of two variables it is their mutual information.

    Source: Watanabe 1960.
    """
    return sum(entropy(marginal(p, axis)) for axis in range(np.ndim(p))) - entropy(p)


def empirical_total_correlation(y: np.ndarray) -> float:
    """Returns the total correlation of N examples' own frequencies, y [N, L] of 0 and 1.

    For N examples drawn from a law, it exceeds the law's by about (2^L − 1 − L)/(2N).

    Raises:
        ValueError: for labels that are neither 0 nor 1, or no examples.
    """
    if len(y) == 0:
        raise ValueError("There are no examples.")
    return total_correlation(counts(y).reshape(*[2] * np.shape(y)[-1]) / len(y))


def first_shuffled(rng: np.random.Generator, counts: np.ndarray) -> np.ndarray:
    """Returns counts of outcomes, [2^L], after the first label is shuffled among the examples."""
    table = counts.reshape(2, -1)
    on = rng.multivariate_hypergeometric(table.sum(0), table[1].sum())
    return np.concatenate([table.sum(0) - on, on])


def first_apart(p: np.ndarray, law: np.ndarray) -> np.ndarray:
    """Returns laws of outcomes with the first label made independent of the others.

    Args:
        p: laws, [..., 2^L], from which the law of the other labels is taken.
        law: [2^L], from which that of the first label is taken.

    Returns:
        [..., 2^L].
    """
    p = np.reshape(p, (*np.shape(p)[:-1], 2, -1))
    first = np.reshape(law, (2, -1)).sum(1)
    apart = first[:, None] * p.sum(-2, keepdims=True)
    return np.reshape(apart, (*p.shape[:-2], -1))
