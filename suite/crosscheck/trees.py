"""Trees of classes: the node of each of K classes, level by level, and how far apart two classes are.

A tree over K classes is told by its levels, from the one just above the classes up: each is a list of K
integers, the number of the node that a class belongs to. Six classes in two groups are [0, 0, 0, 1, 1, 1].
The root, which holds all of them, is left out.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

__all__ = ["as_levels", "tree_distances"]


def as_levels(tree: Any) -> list[list[int]]:
    """Returns the levels of a tree over K classes, each with nodes that are counted from 0.

    Args:
        tree: one level, K integers, or a list of levels from the one just above the classes up.

    Raises:
        ValueError: if levels differ in length, hold something else than whole numbers, or do not nest: two
            classes of one node must share the nodes above.
    """
    levels = np.atleast_2d(np.asarray(tree))
    if levels.ndim != 2 or not levels.size or not np.array_equal(levels, np.floor(levels)):
        raise ValueError(f"`tree` is a list of K whole numbers, or several such lists, not {tree!r}.")
    counted = [np.unique(level, return_inverse=True)[1] for level in levels]
    for low, high in itertools.pairwise(counted):
        if len(set(zip(low.tolist(), high.tolist(), strict=True))) > low.max() + 1:
            raise ValueError("`tree` does not nest: a node of one level lies in several nodes of the next.")
    return [level.tolist() for level in counted]


def tree_distances(tree: Any) -> np.ndarray:
    """Returns how far apart any two of K classes are, [K, K]: the height of their lowest common node.

    0 for a class and itself, 1 for two classes of one node just above, one more for every level at which they
    lie in different nodes.

    Args:
        tree: as in `as_levels`.

    Raises:
        ValueError: as `as_levels`.

    >>> tree_distances([0, 0, 1]).tolist()
    [[0, 1, 2], [1, 0, 2], [2, 2, 0]]
    """
    levels = np.array(as_levels(tree))
    apart = (levels[:, :, None] != levels[:, None, :]).sum(0)
    return apart + 1 - np.eye(levels.shape[1], dtype=int)
