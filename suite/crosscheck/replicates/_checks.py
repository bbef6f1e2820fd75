"""Arguments that do not fit, refused by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np


def checked_seeds(seeds: Sequence[int], paired: bool) -> tuple[int, ...]:
    """Returns the seeds as integers.

    Raises:
        ValueError: if there is none, or one repeats and the replicates are not paired.
    """
    numbers = tuple(int(seed) for seed in seeds)
    if not numbers:
        raise ValueError("`seeds` must name at least one replicate.")
    repeated = sorted(seed for seed, count in Counter(numbers).items() if count > 1)
    if repeated and not paired:
        raise ValueError(
            f"`seeds` repeats {', '.join(map(str, repeated[:5]))}: equal seeds train equal replicates. Pass "
            "`paired=True` where they differ in their data or in their loss' arguments."
        )
    return numbers


def checked_vector(name: str, value: Any, count: int) -> np.ndarray:
    """Returns a vector of one number a replicate, [R], floats in Keras' float type.

    Raises:
        ValueError: for another shape; names the argument.
    """
    value = np.asarray(value)
    if value.shape != (count,):
        raise ValueError(f"`{name}` must be [{count}], one number a replicate, not {list(value.shape)}.")
    return value.astype(keras.config.floatx()) if value.dtype.kind == "f" else value


def require_labels(y: np.ndarray, loss: Callable[..., Any], outputs: int) -> None:
    """Raises a ValueError for labels outside what a cross-entropy takes; other losses take anything."""
    name = getattr(loss, "__name__", type(loss).__name__).lower().replace("_", "")
    low, high = (np.min(y), np.max(y)) if y.size else (0, 0)
    if name == "sparsecategoricalcrossentropy" and not (low >= 0 and high < outputs):
        raise ValueError(f"`y` must hold classes 0 … {outputs - 1}; it holds {low} … {high}.")
    zero_to_one = ("binarycrossentropy", "categoricalcrossentropy", "jointcrossentropy")
    if name in zero_to_one and not (low >= 0 and high <= 1):
        raise ValueError(f"`y` must lie in [0, 1]; it holds {low} … {high}.")
