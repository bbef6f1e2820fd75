"""L binary labels as one softmax over their 2^L joint outcomes: the loss, and how to read the outcomes back.

Outcomes are counted as in `crosscheck.information.outcomes`: for two labels the logits are those of (0, 0),
(0, 1), (1, 0), (1, 1).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crosscheck import information
from crosscheck.losses._categorical import categorical_crossentropy
from crosscheck.losses._shared import LogitLoss, computed

LIMIT = 12  # labels: 4096 outcomes


@keras.saving.register_keras_serializable(package="crosscheck")
def joint_crossentropy(y_true: Any, logits: Any, label_smoothing: Any = 0.0) -> Any:
    """−ln P(y) with P = softmax(z) over all outcomes of the labels together.

    Independent labels, each with its own binary loss, can express no dependence among them. The joint loss is
    lower at the optimum by their total correlation given the features, the mean of Σ_l H(Y_l | x) − H(Y | x).
    What it compares with is L times `binary_crossentropy`, which averages over labels.

    Smoothing mixes in the uniform over outcomes, so that each label's own target is y (1 − α) + α/2, as in
    `binary_crossentropy`. Labels between 0 and 1 stand for labels drawn independently with these
    probabilities; a target in which labels depend on each other is a table over outcomes, and goes to
    `categorical_crossentropy`.

    Args:
        y_true: labels in [0, 1], [..., L].
        logits: [..., 2^L], finite.
        label_smoothing: α in [0, 1], one number or a tensor that broadcasts against the examples.

    Returns:
        Nats per example, [...], as exact as `categorical_crossentropy`.

    Raises:
        ValueError: for more than 12 labels, or if there are not 2^L logits to L labels.
    """
    z = computed(logits)
    y = ops.convert_to_tensor(y_true, dtype=z.dtype)
    if not (len(y.shape) and len(z.shape)) or z.shape[-1] != 2 ** within_limit(y.shape[-1]):
        raise ValueError(
            f"Labels {tuple(y.shape)} and logits {tuple(z.shape)} do not fit: L labels [..., L] go with one "
            "logit for each of their joint outcomes, [..., 2^L]."
        )
    return categorical_crossentropy(outcome_probabilities(y), z, label_smoothing)


@keras.saving.register_keras_serializable(package="crosscheck")
class JointCrossentropy(LogitLoss):
    """`joint_crossentropy` for `model.compile`: labels [..., L] and logits [..., 2^L]."""

    function = staticmethod(joint_crossentropy)


def outcome_probabilities(y: Any) -> Any:
    """Returns Π_l P(y_l) for every outcome, where label l is 1 with probability y_l by itself.

    Args:
        y: in [0, 1], [..., L].

    Returns:
        [..., 2^L]; one-hot where all labels are 0 or 1.
    """
    y = ops.convert_to_tensor(y)
    table = ops.ones_like(y[..., :1])
    for label in reversed(range(y.shape[-1])):  # the label put in last is the highest bit
        one = y[..., label : label + 1]
        table = ops.concatenate([table * (1 - one), table * one], axis=-1)
    return table


def joint_probabilities(logits: Any) -> Any:
    """Returns P(y) for every outcome, softmax(z): [..., 2^L] to [..., 2^L]."""
    return ops.softmax(computed(logits), axis=-1)


def marginal_logits(logits: Any) -> Any:
    """Returns ln P(Y_l = 1) − ln P(Y_l = 0) of each label, summed over the others: [..., 2^L] to [..., L].

    These are logits for metrics and thresholds of independent labels. Neither tail is rounded against 1.

    Raises:
        ValueError: if the number of logits is no power of 2 from 2 to 2^12.
    """
    z, by_label = computed(logits), []
    for _ in range(labels_of(z)):
        off, on = ops.split(z, 2, axis=-1)
        by_label.append(ops.logsumexp(on, axis=-1) - ops.logsumexp(off, axis=-1))
        # Summed over this label, the next one is the highest bit. (`ops.logaddexp` of Keras 3.15 rounds
        # float64 to float32 on JAX and PyTorch.)
        z = ops.logsumexp(ops.stack([off, on]), axis=0)
    return ops.stack(by_label, axis=-1)


def marginals(logits: Any) -> Any:
    """Returns P(Y_l = 1) of each label, summed over the others: [..., 2^L] to [..., L].

    Raises:
        ValueError: as `marginal_logits`.
    """
    return ops.sigmoid(marginal_logits(logits))


def most_likely(logits: Any) -> Any:
    """Returns the labels of the most probable outcome, [..., 2^L] to int32 [..., L]; of equals the first.

    No other prediction gets all labels right more often. For labels that are judged one by one,
    `marginals` > ½ is best, although it may give an outcome that never occurs.

    Raises:
        ValueError: as `marginal_logits`.

    >>> logits = np.log([[0.4, 0.0001, 0.0999, 0.5]])  # of the outcomes 00, 01, 10, 11
    >>> most_likely(logits).numpy().tolist(), marginals(logits).numpy().round(2).tolist()
    ([[1, 1]], [[0.6, 0.5]])
    """
    z = computed(logits)
    table = information.outcomes(labels_of(z)).astype("int32")
    return ops.take(ops.convert_to_tensor(table), ops.argmax(z, axis=-1), axis=0)


def labels_of(z: Any) -> int:
    """Returns L for logits [..., 2^L].

    Raises:
        ValueError: if their number is no power of 2 from 2 to 2^12.
    """
    size = int(z.shape[-1])
    labels = within_limit(size.bit_length() - 1)
    if labels < 1 or size != 2**labels:
        raise ValueError(f"There are {size} logits; outcomes of L labels have 2^L, a power of 2 from 2 on.")
    return labels


def within_limit(labels: int) -> int:
    """Returns the number of labels.

    Raises:
        ValueError: for more than `LIMIT`; the message names the alternative.
    """
    if labels > LIMIT:
        raise ValueError(
            f"{labels} labels have 2^{labels} joint outcomes; one softmax takes at most {LIMIT} labels. "
            "A classifier chain needs one output a label: crosscheck.models.ClassifierChain."
        )
    return labels
