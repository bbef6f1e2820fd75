"""L binary labels as one softmax over their 2^L joint outcomes: the loss, and how to read the outcomes back.

Outcomes are counted in C order, Σ_l y_l 2^(L−1−l): label 0 is the highest bit, as in `data.CommonCause`. For
two labels the logits are those of (0, 0), (0, 1), (1, 0), (1, 1).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crosscheck.losses.categorical import categorical_crossentropy
from crosscheck.losses.shared import LogitLoss, computed

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
    """Π_l P(y_l) of every outcome, each label 1 with probability y_l on its own: [..., L] to [..., 2^L].

    One-hot where all labels are 0 or 1.
    """
    y = ops.convert_to_tensor(y)
    table = ops.ones_like(y[..., :1])
    for label in reversed(range(y.shape[-1])):  # the label put in last is the highest bit
        one = y[..., label : label + 1]
        table = ops.concatenate([table * (1 - one), table * one], axis=-1)
    return table


def joint_probabilities(logits: Any) -> Any:
    """P(y) for every outcome, softmax(z): [..., 2^L]."""
    return ops.softmax(computed(logits), axis=-1)


def marginal_logits(logits: Any) -> Any:
    """ln P(Y_l = 1) − ln P(Y_l = 0) of each label, whatever the others are: [..., 2^L] to [..., L].

    What a metric or a threshold for independent logits takes; neither tail is rounded against 1.

    Raises:
        ValueError: if the number of logits is no power of 2 from 2 to 2^12.
    """
    z, found = computed(logits), []
    for _ in range(labels_of(z)):
        off, on = ops.split(z, 2, axis=-1)
        found.append(ops.logsumexp(on, axis=-1) - ops.logsumexp(off, axis=-1))
        # The label is summed out, and the next one is the highest bit. (`ops.logaddexp` of Keras 3.15 rounds
        # float64 to float32 on JAX and PyTorch.)
        z = ops.logsumexp(ops.stack([off, on]), axis=0)
    return ops.stack(found, axis=-1)


def marginals(logits: Any) -> Any:
    """P(Y_l = 1) of each label, whatever the others are: [..., 2^L] to [..., L].

    Raises:
        ValueError: as `marginal_logits`.
    """
    return ops.sigmoid(marginal_logits(logits))


def most_likely(logits: Any) -> Any:
    """The most probable outcome's labels, [..., 2^L] to int32 [..., L]; of equals the first.

    It gets all labels right most often. Labels judged one by one want `marginals` > ½, which may even make
    an outcome that never occurs.

    Raises:
        ValueError: as `marginal_logits`.

    >>> logits = np.log([[0.4, 0.0001, 0.0999, 0.5]])  # of the outcomes 00, 01, 10, 11
    >>> most_likely(logits).numpy().tolist(), marginals(logits).numpy().round(2).tolist()
    ([[1, 1]], [[0.6, 0.5]])
    """
    z = computed(logits)
    places = ops.arange(labels_of(z) - 1, -1, -1, dtype="int32")
    outcome = ops.cast(ops.argmax(z, axis=-1), "int32")
    return ops.bitwise_and(ops.right_shift(ops.expand_dims(outcome, -1), places), 1)


def labels_of(z: Any) -> int:
    """L of 2^L logits."""
    size = int(z.shape[-1])
    labels = within_limit(size.bit_length() - 1)
    if labels < 1 or size != 2**labels:
        raise ValueError(f"There are {size} logits; outcomes of L labels have 2^L, a power of 2 from 2 on.")
    return labels


def within_limit(labels: int) -> int:
    """The number of labels, where that many are reasonable.

    Raises:
        ValueError: for more than `LIMIT`; it names the alternative.
    """
    if labels > LIMIT:
        raise ValueError(
            f"{labels} labels have 2^{labels} joint outcomes; one softmax takes at most {LIMIT} labels. "
            "A classifier chain needs one output a label: crosscheck.models.chain.ClassifierChain."
        )
    return labels
