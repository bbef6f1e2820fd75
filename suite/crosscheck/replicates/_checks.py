"""Arguments that do not fit, refused by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck.replicates._data import Data


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


def checked_vectors(
    count: int,
    optimizer: keras.Optimizer,
    loss: Any,
    loss_arguments: Mapping[str, Any] | None,
    optimizer_arguments: Mapping[str, Any] | None,
    penalty_scale: Any,
) -> dict[str, Any]:
    """Returns the replicates' own numbers, [R] each, by the argument of `Replicates.compile`.

    Raises:
        ValueError: for another shape, for arguments of a loss that is no function, or for a number that the
            optimiser does not have; names the argument.
    """
    named = {"loss_arguments": loss_arguments, "optimizer_arguments": optimizer_arguments}
    vectors: dict[str, Any] = {
        kind: {name: checked_vector(f"{kind}[{name!r}]", value, count) for name, value in arguments.items()}
        for kind, arguments in named.items()
        if arguments
    }
    if penalty_scale is not None:
        vectors["penalty_scale"] = checked_vector("penalty_scale", penalty_scale, count)
    if loss_arguments and (isinstance(loss, (str, keras.losses.Loss)) or not callable(loss)):
        raise ValueError("`loss_arguments` go to a loss function; a loss object holds its own.")
    for name in optimizer_arguments or ():
        scheduled = name == "learning_rate" and not any(v.name == name for v in optimizer.variables)
        if scheduled or not isinstance(getattr(optimizer, name, None), (float, keras.Variable)):
            raise ValueError(
                f"`optimizer_arguments[{name!r}]`: {type(optimizer).__name__} holds no such number"
                + (" but a schedule." if scheduled else " that replicates could have of their own.")
            )
    return vectors


def require_labels(data: Data, loss: Any, shape: Any) -> None:
    """Raises a ValueError for labels outside what a cross-entropy takes; other losses take anything."""
    y = {**data.shared, **data.own}.get("y")
    if not isinstance(y, np.ndarray) or not isinstance(shape, tuple) or not isinstance(shape[-1], int):
        return
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    name, outputs = name.lower().replace("_", ""), shape[-1]
    low, high = (np.min(y), np.max(y)) if y.size else (0, 0)
    ignored = getattr(loss, "ignore_class", None)
    if name == "sparsecategoricalcrossentropy" and ignored is None and not (low >= 0 and high < outputs):
        raise ValueError(f"`y` must hold classes 0 … {outputs - 1}; it holds {low} … {high}.")
    zero_to_one = ("binarycrossentropy", "categoricalcrossentropy", "jointcrossentropy")
    if name in zero_to_one and not (low >= 0 and high <= 1):
        raise ValueError(f"`y` must lie in [0, 1]; it holds {low} … {high}.")


def refuse_part_of_an_epoch(steps: int | None, n: int, batch_size: int) -> None:
    """Raises a ValueError for fewer batches an epoch than arrays hold.

    Keras' next epoch would go on where this one ended, through an order that replicates do not share.
    """
    if steps is not None and steps != -(-n // batch_size):
        raise ValueError(
            f"`steps_per_epoch` of {steps} is not what the arrays hold, {-(-n // batch_size)}: hand out "
            "batches (a generator, a `tf.data.Dataset`), or cut the arrays."
        )
