"""Features made comparable: one scale for all, and few instead of many."""

from __future__ import annotations

import numpy as np


def standardised(x: np.ndarray) -> np.ndarray:
    """Each feature with mean 0 and variance 1, float32 [N, D]; one that never varies is 0.

    Mean and variance are those of all N examples: they give no label away, but whoever must not see held-out
    inputs wants those of the others.
    """
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit_transform(np.asarray(x, np.float64)).astype(np.float32)


def principal_components(x: np.ndarray, count: int) -> np.ndarray:
    """Standardised features along the directions in which they vary most, each of variance 1: float32 [N, C].

    Directions come in falling order, each up to its sign, from all N examples as in `standardised`.

    Raises:
        ValueError: if the features vary in fewer than `count` directions.
    """
    # scikit-learn's PCA turns some directions round and differs in the last bit, which would move every
    # number that has been measured on these components.
    z = standardised(x).astype(np.float64)
    variances, directions = np.linalg.eigh(z.T @ z / len(z))  # in rising order
    if not 0 < count <= np.sum(variances > 1e-9):
        raise ValueError(f"{x.shape} features do not vary in {count} directions.")
    leading = slice(-1, -count - 1, -1)
    return (z @ directions[:, leading] / np.sqrt(variances[leading])).astype(np.float32)
