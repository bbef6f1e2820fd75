"""What independence costs: independent and joint outputs trained side by side, and the gap in their losses.

One model has all L + 2^L logits: the first L are of single labels, the others of their joint outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from scipy import special

from suite import information
from suite.losses import binary_crossentropy, joint_crossentropy
from suite.models import side_by_side
from suite.replicates import Replicates


def both_losses(y_true: Any, logits: Any) -> Any:
    """The loss of independent labels plus the joint one, nats per example, [...].

    The labels are [..., L], the logits [..., L + 2^L]. With outputs that share no weight, and an optimiser
    that acts element by element, either part trains as if alone.
    """
    labels = y_true.shape[-1]
    alone = binary_crossentropy(y_true, logits[..., :labels])
    return labels * alone + joint_crossentropy(y_true, logits[..., labels:])


def both_outputs(inputs: int, hidden: Sequence[int], labels: int) -> Callable[[], keras.Model]:
    """A builder of two perceptrons that share the input alone, their L + 2^L logits one after the other."""
    return side_by_side(inputs, hidden, (labels, 2**labels))


def trained_on_counts(seeds: Sequence[int], counts: np.ndarray, rate: float, steps: int) -> np.ndarray:
    """Logits of linear models of a one-hot feature, trained by Adam on whole tables of counts.

    N examples of one feature and one outcome are one example of weight N, so that thousands of tables are
    affordable.

    Args:
        seeds: of the initial weights; the tables take them in turn.
        counts: how often each of F features occurs with each outcome, [R, F, 2^L].
        rate, steps: of Adam.

    Returns:
        At each feature, float64 [R, F, L + 2^L].
    """
    runs, features, outcomes = counts.shape
    y = information.outcomes(outcomes.bit_length() - 1)
    build = both_outputs(features, [], y.shape[1])
    replicas = Replicates(build, tuple(seeds) * (runs // len(seeds)), paired=True)
    replicas.compile(keras.optimizers.Adam(rate), both_losses)
    known = np.eye(features, dtype="float32")
    x, y = np.repeat(known, outcomes, axis=0), np.tile(y, (features, 1))
    weights = counts.reshape(runs, -1) / counts.mean((1, 2))[:, None]
    replicas.fit(x, y, batch_size=len(x), epochs=steps, shuffle=False, sample_weight=weights)
    return replicas.predict(known).astype("float64")


def log_likelihoods(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ln P of every outcome by the independent and by the joint outputs: [..., 2^L] each."""
    labels = (logits.shape[-1] - 1).bit_length() - 1
    outcomes = information.outcomes(labels)
    alone = special.log_expit(logits[..., None, :labels] * (2 * outcomes - 1)).sum(-1)
    return alone, special.log_softmax(logits[..., labels:], axis=-1)


def gap(logits: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Mean loss of the independent outputs minus that of the joint ones, outcomes having the law p: [...]."""
    alone, joint = log_likelihoods(logits)
    return ((joint - alone) * p).sum(-1)
