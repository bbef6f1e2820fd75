"""The negative log-likelihood of labels, from logits or from probabilities, without clipping."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crosscheck import losses
from crosscheck.metrics._base import Examples, MeanMetric, ProbabilityMetric


def negative_log_likelihood(labels: Any, probabilities: Any, logits: Any = None) -> Any:
    """−Σ_k y_k ln p_k in nats per example, with 0 ln 0 = 0.

    Args:
        labels: frequencies of the classes, [..., K].
        probabilities: [..., K]; not read where there are logits.
        logits: [..., K], or None.

    Returns:
        [...]. Probabilities are not clipped: a label of probability 0 gives ∞.
    """
    if logits is not None:
        return losses.categorical_crossentropy(labels, logits)
    happened = ops.where(labels == 0, ops.ones_like(labels), probabilities)
    return -ops.sum(labels * ops.log(happened), axis=-1)


@keras.saving.register_keras_serializable(package="crosscheck")
class NegativeLogLikelihood(ProbabilityMetric, MeanMetric):
    """The weighted mean of −ln p of the true class, in nats per example; of two classes for a single output.

    Unlike Keras' cross-entropies it clips nothing and takes every kind of label; see `crosscheck.metrics` for
    shapes.

    Args:
        from_logits: whether predictions are logits.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.
    """

    def __init__(self, from_logits: bool = False, name: str = "negative_log_likelihood", dtype: Any = None):
        super().__init__(from_logits=from_logits, name=name, dtype=dtype)

    def accumulate(self, batch: Examples) -> None:
        values = negative_log_likelihood(batch.labels, batch.probabilities, batch.logits)
        self.add(values, batch.weight)
