"""Cross-entropy over a tree of classes, level by level, from the logits of the classes alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.losses._categorical import categorical_crossentropy
from crosscheck.losses._shared import LossOfLogits, class_rows, computed, constant, plain
from crosscheck.trees import as_levels


@keras.saving.register_keras_serializable(package="crosscheck")
def hierarchical_crossentropy(y_true: Any, logits: Any, tree: Any, weight: Any = 1.0) -> Any:
    """Cross-entropy of the class plus w times that of its node: −ln p_y − Σ_level w ln Σ_{k in y's node} p_k.

    A flat softmax is hierarchical already: the logit of a node is ln Σ_{k in node} e^(z_k). Each term is a
    proper score, so that the population optimum is p = η for every w ≥ 0: a weight can trade only what
    capacity or the number of examples deny. It scales the gradient by up to 1 + w: divide the learning rate
    accordingly, or compare at several.

    Args:
        y_true: one-hot or soft labels [..., K], or integers [...] or [..., 1].
        logits: [..., K], finite, K ≥ 2.
        tree: K integers, the node of each class; or a list of such levels, from the classes up, as in
            `crosscheck.trees`.
        weight: w ≥ 0: one number, or one for each level.

    Returns:
        Nats per example, [...]; both terms as exact as `categorical_crossentropy`.

    Raises:
        ValueError: if labels or the tree do not fit the logits, or weights the levels.
    """
    z = computed(logits)
    y, levels = class_rows(y_true, z), as_levels(tree)
    if len(levels[0]) != z.shape[-1]:
        raise ValueError(f"`tree` is of {len(levels[0])} classes, and the logits of {z.shape[-1]}.")
    loss = categorical_crossentropy(y, z)
    for level, own in zip(levels, as_level_weights(weight, len(levels)), strict=True):
        nodes = members_of(level)
        on_level = categorical_crossentropy(summed(y, nodes), node_logits(z, level))
        loss = loss + constant(own, z) * on_level
    return loss


def node_logits(logits: Any, level: Any) -> Any:
    """Returns ln Σ_{k in node} e^(z_k) of every node of one level: [..., K] to [..., nodes].

    Their softmax gives the nodes' probabilities, summed over their classes.

    Args:
        logits: [..., K], finite.
        level: K integers, the node of each class.

    Raises:
        ValueError: if the level is no list of K whole numbers.

    >>> nodes = node_logits(np.log([[0.3, 0.3, 0.4]]), [0, 0, 1])
    >>> ops.convert_to_numpy(ops.softmax(nodes)).round(4).tolist()
    [[0.6, 0.4]]
    """
    z, (level,) = computed(logits), as_levels(level)
    if len(level) != z.shape[-1]:
        raise ValueError(f"The level is of {len(level)} classes, and the logits of {z.shape[-1]}.")
    shifted = z - ops.stop_gradient(ops.max(z, axis=-1, keepdims=True))
    parts = [ops.logsumexp(ops.take(shifted, nodes, axis=-1), axis=-1) for nodes in members_of(level)]
    return ops.stack(parts, axis=-1)


def summed(y: Any, nodes: list[np.ndarray]) -> Any:
    """Returns what rows [..., K] sum to in every node, [..., nodes]."""
    return ops.stack([ops.sum(ops.take(y, members, axis=-1), axis=-1) for members in nodes], axis=-1)


def members_of(level: list[int]) -> list[np.ndarray]:
    """Returns the classes of each node, in order."""
    return [np.flatnonzero(np.equal(level, node)).astype("int32") for node in range(max(level) + 1)]


def as_level_weights(weight: Any, levels: int) -> list[Any]:
    """Returns one weight a level; raises a ValueError for a number of them that differs, or one below 0."""
    weights = list(weight) if isinstance(weight, (list, tuple, np.ndarray)) else [weight] * levels
    if len(weights) != levels:
        raise ValueError(f"There are {len(weights)} weights for {levels} levels of the tree.")
    if any(isinstance(own, (int, float)) and not own >= 0 for own in weights):
        raise ValueError(f"`weight` must not be negative, nor NaN; it is {weight!r}.")
    return weights


@keras.saving.register_keras_serializable(package="crosscheck")
class HierarchicalCrossentropy(LossOfLogits):
    """`hierarchical_crossentropy` for `model.compile`.

    Args:
        tree: K integers, the node of each class, or a list of such levels from the classes up.
        weight: w ≥ 0, one number or one for each level.
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for a tree that does not nest, or weights that do not fit it; when called, if it does not
            fit the logits.
    """

    function = staticmethod(hierarchical_crossentropy)
    arguments = ("tree", "weight")

    def __init__(self, tree: Any, weight: Any = 1.0, **options: Any):
        super().__init__(**options)
        self.tree, self.weight = as_levels(tree), plain(weight)
        as_level_weights(self.weight, len(self.tree))
