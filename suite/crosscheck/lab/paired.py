"""Two networks on the same test examples: how far chance in the examples alone could set them apart."""

from __future__ import annotations

import numpy as np


def error(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Standard error of the difference of two accuracies over the same examples, bool [S, M] each: [S]."""
    return (one.astype(int) - other).std(1) / np.sqrt(one.shape[1])
