"""How much surprise labels lose when they are modelled jointly in place of one by one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crosscheck import losses
from crosscheck.metrics._base import MeanMetric, replaced, weights


def mutual_information_gap(y_true: Any, binary_logits: Any, joint_logits: Any) -> Any:
    """Σ_l BCE(y_l, z_l) − CCE(y, joint): surprise under independent labels less that under joint ones.

    Args:
        y_true: 0 or 1, [..., L]; anything else gives NaN.
        binary_logits: of each label alone, [..., L].
        joint_logits: of the 2^L outcomes in the order of `losses.joint_crossentropy`, [..., 2^L].

    Returns:
        Nats per example, [...], of either sign. In expectation it is the labels' total correlation given the
        features (of two labels, their conditional mutual information) where both predictions are the true
        ones, and that much plus the independent excess loss less the joint one where they are not.
    """
    labels = binary_logits.shape[-1]
    y = ops.cast(y_true, binary_logits.dtype)
    hard = ops.all(ops.logical_or(y == 0, y == 1), axis=-1)
    independent = labels * losses.binary_crossentropy(y, binary_logits)
    gap = independent - losses.joint_crossentropy(y, joint_logits)
    return ops.where(hard, gap, ops.full_like(gap, float("nan")))


@keras.saving.register_keras_serializable(package="crosscheck")
class MutualInformationGap(MeanMetric):
    """The weighted mean of `mutual_information_gap`, in nats per example.

    Keras hands a metric one output. So the two heads, both logits, arrive side by side, as
    `keras.layers.Concatenate()([keras.layers.Dense(L)(h), keras.layers.Dense(2**L)(h)])` makes them: labels
    [..., L], predictions [..., L + 2^L]. The loss must train both parts, each on its own.

    Args:
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    Raises:
        ValueError: at the first batch, if labels and predictions have other widths.
    """

    def __init__(self, name: str = "mutual_information_gap", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels, outputs = y_true.shape[-1], y_pred.shape[-1]
        if outputs != labels + 2**labels:
            raise ValueError(
                f"{labels} labels take {labels} binary and {2**labels} joint logits side by side, "
                f"[..., {labels + 2**labels}]; the predictions are {tuple(y_pred.shape)}."
            )
        weight = weights(y_pred, sample_weight, self.dtype)
        counted = ops.expand_dims(weight != 0, -1)
        logits = replaced(ops.cast(y_pred, self.dtype), counted)
        y = ops.cast(y_true, self.dtype)
        y = ops.where(counted, y, ops.zeros_like(y))
        self.add(mutual_information_gap(y, logits[..., :labels], logits[..., labels:]), weight)
