"""Information in labels: entropy and total correlation, of tables of probabilities and of labels themselves.

Everything is in nats, with 0 ln 0 = 0. Outcomes of L binary labels are counted in C order, label 0 the
highest bit, as in `data.CommonCause` and in `losses.joint_crossentropy`.
"""

from __future__ import annotations

import numpy as np


def outcomes(labels: int) -> np.ndarray:
    """All outcomes of L binary labels in order: [2^L, L], integers 0 and 1."""
    return (np.arange(2**labels)[:, None] >> np.arange(labels)[::-1]) & 1


def outcome_of(y: np.ndarray) -> np.ndarray:
    """The place of each outcome y, [..., L] of 0 and 1, in the order of `outcomes`: [...].

    Raises:
        ValueError: for labels that are neither 0 nor 1.
    """
    y = np.asarray(y)
    if not np.isin(y, (0, 1)).all():
        raise ValueError("Labels must be 0 or 1.")
    return y.astype(int) @ 2 ** np.arange(y.shape[-1])[::-1]


def counts(y: np.ndarray) -> np.ndarray:
    """How often each outcome occurs among N examples: y [..., N, L] to [..., 2^L]."""
    place = outcome_of(y)  # [..., N]
    size = 2 ** np.shape(y)[-1]
    return np.apply_along_axis(np.bincount, -1, place, minlength=size)


def entropy(p: np.ndarray) -> float:
    """H = −Σ p ln p of a table of probabilities, whatever its shape; it must sum to 1."""
    p = np.asarray(p, float)
    return float(-np.sum(p * np.log(np.where(p > 0, p, 1))))


def marginal(p: np.ndarray, axis: int) -> np.ndarray:
    """The probabilities of one variable, from a joint table with one axis a variable."""
    return np.sum(p, axis=tuple(other for other in range(np.ndim(p)) if other != axis))


def total_correlation(p: np.ndarray) -> float:
    """Σ_l H(Y_l) − H(Y_1 … Y_L) of a joint table with one axis a variable; of two, their mutual information.

    Source: Watanabe 1960.
    """
    return sum(entropy(marginal(p, axis)) for axis in range(np.ndim(p))) - entropy(p)


def empirical_total_correlation(y: np.ndarray) -> float:
    """The total correlation of N examples' own frequencies, y [N, L] of 0 and 1.

    Of N examples drawn from a law it overstates the law's by about (2^L − 1 − L)/(2N).

    Raises:
        ValueError: for labels that are neither 0 nor 1, or no examples.
    """
    if len(y) == 0:
        raise ValueError("There are no examples.")
    return total_correlation(counts(y).reshape(*[2] * np.shape(y)[-1]) / len(y))


def first_shuffled(rng: np.random.Generator, counts: np.ndarray) -> np.ndarray:
    """Counts of outcomes, [2^L], after the first label is shuffled among the examples."""
    table = counts.reshape(2, -1)
    on = rng.multivariate_hypergeometric(table.sum(0), table[1].sum())
    return np.concatenate([table.sum(0) - on, on])


def first_apart(p: np.ndarray, law: np.ndarray) -> np.ndarray:
    """Laws of outcomes, [..., 2^L], with the first label independent of all else, as `law`, [2^L], has it."""
    p = np.reshape(p, (*np.shape(p)[:-1], 2, -1))
    first = np.reshape(law, (2, -1)).sum(1)
    apart = first[:, None] * p.sum(-2, keepdims=True)
    return np.reshape(apart, (*p.shape[:-2], -1))
