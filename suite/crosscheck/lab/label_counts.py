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
