"""Our losses by name: their functions, their Keras classes, and labels and logits for each."""

from __future__ import annotations

import numpy as np

from crosscheck import losses

DTYPES = ("float32", "float64")
BINARY = {
    "binary": losses.binary_crossentropy,
    "brier": losses.brier,
}
CLASSES = {
    "binary": losses.BinaryCrossentropy,
    "categorical": losses.CategoricalCrossentropy,
    "sparse": losses.SparseCategoricalCrossentropy,
    "brier": losses.Brier,
    "categorical_brier": losses.CategoricalBrier,
}
FUNCTIONS = {
    "binary": losses.binary_crossentropy,
    "categorical": losses.categorical_crossentropy,
    "sparse": losses.sparse_categorical_crossentropy,
    "brier": losses.brier,
    "categorical_brier": losses.categorical_brier,
}


def example(name: str, n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits for a loss by name."""
    rng = np.random.default_rng(0)
    if name in BINARY:
        return rng.integers(0, 2, (n, 3)).astype("float32"), rng.normal(size=(n, 3)).astype("float32")
    y, z = rng.integers(0, 5, n), rng.normal(size=(n, 5)).astype("float32")
    return (y if name == "sparse" else np.eye(5, dtype="float32")[y]), z
