"""Rows for trials: numbers of one output, few enough to train on, and their scale."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from crosscheck._keras import layers_of
from crosscheck.diagnose._program import Program
from crosscheck.errors import UsageError

FEWEST_ROWS = 24
POOL = 4096  # rows that every seed draws its own from
READS_SYMBOLS = (
    "Embedding",
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
    "Hashing",
    "CategoryEncoding",
    "Discretization",
)


def one_output(program: Program, arguments: dict[str, Any]) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Returns x, y and sample weights of at most `POOL` rows of numbers.

    Raises:
        UsageError: for several outputs or losses, text, or too few rows.
    """
    x, y, weight = program.training.x, program.training.y, program.training.sample_weight
    loss = arguments.get("loss")
    if loss is None or keras.tree.is_nested(loss) or keras.tree.is_nested(y) or y is None:
        raise UsageError("Trials are for one output with one loss.")
    arrays = [np.asarray(a) for a in (*keras.tree.flatten(x), y)]
    if any(a.dtype.kind not in "fiub" for a in arrays):
        raise UsageError("Trials are for numbers, and these are text or objects.")
    if len(arrays[-1]) < FEWEST_ROWS:
        raise UsageError(f"{len(arrays[-1])} rows are too few to train on some and judge on others.")
    if not all(np.isfinite(a).all() for a in arrays):
        raise UsageError("Inputs or labels are not finite.")
    kept: Any = slice(None)
    if len(arrays[-1]) > POOL:
        kept = np.sort(np.random.default_rng(0).choice(len(arrays[-1]), POOL, replace=False))
    x = keras.tree.map_structure(lambda a: np.asarray(a)[kept], x)
    return x, arrays[-1][kept], None if weight is None else np.asarray(weight)[kept]


def scalable(model: keras.Model, array: np.ndarray) -> bool:
    """Returns whether an input is a number that may be scaled, and no symbol that a layer looks up."""
    reads = any(kind.__name__ in READS_SYMBOLS for layer in layers_of(model) for kind in type(layer).__mro__)
    return not reads and array.dtype.kind in "fiub"


def standardised(plain: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Returns rows [S, n, …] with the mean and deviation of those trained on taken out.

    Columns of tables each by themselves; of images and sequences each channel.
    """
    axes = tuple(range(1, max(2, trained.ndim - 1)))
    mean, deviation = trained.mean(axes, keepdims=True), trained.std(axes, keepdims=True)
    return ((plain - mean) / np.where(deviation > 1e-12 * (1 + np.abs(mean)), deviation, 1)).astype("float32")
