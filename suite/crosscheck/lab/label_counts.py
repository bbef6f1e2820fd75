"""Labels as tables of counts: sampled, with something shuffled, or split at random and learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosscheck import data, information
from crosscheck.lab import independence


def sampled(cause: data.CommonCause, examples: int, seed: int, shuffle: str) -> np.ndarray:
    """Counts of the outcomes at each feature, [3, 2^L], of labels with a common cause.

    With `shuffle`, "label" or "features", the first label or the features are shuffled among the examples.
    """
    rng = np.random.default_rng(seed)
    x, y = cause.sample(rng, examples)
    if shuffle == "label":
        y[:, 0] = rng.permutation(y[:, 0])
    if shuffle == "features":
        x = rng.permutation(x)
    return np.stack([information.counts(y[seen == 1]) for seen in x.T])


def population(cause: data.CommonCause, shuffle: str) -> np.ndarray:
    """P(y | feature), [3, 2^L], of what `sampled` samples."""
    table = cause.joint_given_feature()
    if shuffle == "features":
        return np.broadcast_to(cause.joint().ravel(), table.shape)
    return information.first_apart(table, cause.joint().ravel()) if shuffle else table


def exclusive_or(wrong: float) -> np.ndarray:
    """P(x, y), [2, 4]: fair, independent labels, and a feature that is y₁ ⊕ y₂ but for a share of the examples."""
    odd = information.outcomes(2).sum(1) % 2 == 1
    return np.stack([np.where(odd, wrong, 1 - wrong), np.where(odd, 1 - wrong, wrong)]) / 4


def of_probabilities(chances: Sequence[float], alike: bool) -> np.ndarray:
    """P(x, y), [F, 4]: equally likely features, each with a chance of either label; both alike, or independent."""
    p = np.array(chances)[:, None]
    on = information.outcomes(2)
    apart = np.prod(np.where(on, p[..., None], 1 - p[..., None]), axis=-1)
    same = np.where((on[:, 0] == on[:, 1])[None], np.where(on[:, 0], p, 1 - p), 0)
    return (same if alike else apart) / len(chances)


def flipped(law: np.ndarray, share: float) -> np.ndarray:
    """The law after each label is flipped, by itself, in a share of the examples."""
    change = np.array([[1 - share, share], [share, 1 - share]])
    return law @ np.kron(change, change)


def given_feature(law: np.ndarray) -> np.ndarray:
    """P(y | x) of P(x, y)."""
    return law / law.sum(-1, keepdims=True)


def drawn(law: np.ndarray, examples: int, seed: int) -> np.ndarray:
    """Counts of a sample of P(x, y), in its shape."""
    return np.random.default_rng(seed).multinomial(examples, law.ravel()).reshape(law.shape)


def conditional_information(law: np.ndarray) -> float:
    """Σ_x P(x) I(Y₁;Y₂ | X = x) of P(x, y), from the table."""
    tables = given_feature(law).reshape(-1, 2, 2)
    return float(law.sum(1) @ [information.total_correlation(table) for table in tables])


def held_out_gaps(
    seeds: Sequence[int], y: np.ndarray, batch_size: int, rate: float, steps: int
) -> np.ndarray:
    """Gaps on the held-out third of random splits of labels [N, L], learned from without features.

    `batch_size` only says how many examples are trained on, as in `independence.examples_to_train`; the
    training itself is `independence.trained_on_counts`.

    Returns:
        In nats, of the labels as they are, and with the first one shuffled: [2, S].
    """
    whole, first = information.counts(y), independence.examples_to_train(len(y), batch_size)
    tables, kept = [], []
    for shuffle in (False, True):
        for rng in map(np.random.default_rng, seeds):
            tables.append(information.first_shuffled(rng, whole) if shuffle else whole)
            kept.append(rng.multivariate_hypergeometric(tables[-1], first))
    logits = independence.trained_on_counts(seeds, np.stack(kept)[:, None], rate, steps)[:, 0]
    held_out = (np.stack(tables) - kept) / (len(y) - first)
    return independence.gap(logits, held_out).reshape(2, -1)
