"""Labels of real examples: tags derived from the digits, and the most frequent labels of multi-label sets."""

from __future__ import annotations

import numpy as np

from crosscheck import data

TAGS = {"even": (0, 2, 4, 6, 8), "closed loop": (0, 6, 8, 9), "five or more": (5, 6, 7, 8, 9)}
# So many of the most frequent labels, at most five, that their outcomes cost less than a third of the margin.
FREQUENT = {"emotions": 3, "yeast": 4, "goemotions": 5}
MOST = 6_000  # examples to learn from features with, at most


def examples_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features of the first `MOST`, and all labels [N, L]: tags of digits, or the set's most frequent."""
    whole = data.load(name)
    x = np.concatenate([whole.x_train[:MOST], whole.x_test[:MOST]])[:MOST]
    y = np.concatenate([whole.y_train, whole.y_test])
    if name == "digits":
        return x, np.stack([np.isin(y, members) for members in TAGS.values()], axis=1).astype("int32")
    return x, y[:, np.argsort(-y.sum(0), kind="stable")[: FREQUENT[name]]]
