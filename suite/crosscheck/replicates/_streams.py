"""Data that come in batches: `tf.data.Dataset`, `PyDataset`, PyTorch's `DataLoader`, generators."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

Batch = tuple[Any, Any, Any]


def is_stream(x: Any) -> bool:
    """Returns whether `x` hands out batches, rather than being an array or a structure of arrays."""
    if isinstance(x, keras.utils.PyDataset) or hasattr(x, "element_spec"):
        return True
    return hasattr(x, "__next__") or (hasattr(x, "__iter__") and hasattr(x, "dataset"))


class Stream:
    """Batches (x, y, sample_weight), an epoch at a time.

    All replicates see the same batches, in the order in which they come, as a `fit` of each would on data
    that come alike every time.

    Args:
        source: what hands out (x,), (x, y) or (x, y, sample_weight).
        steps: batches an epoch; until the source ends where None.

    Raises:
        ValueError: at an epoch, for a source without batches, or with a shorter one that is not the last.
    """

    def __init__(self, source: Any, steps: int | None):
        self.source, self.steps = source, steps
        self.running: Iterator[Any] | None = source if hasattr(source, "__next__") else None

    def epoch(self) -> tuple[Batch, int]:
        """Returns (x, y, sample_weight) of the next epoch's examples, and the size of a batch."""
        batches = [unpacked(batch) for batch in itertools.islice(self.batches(), self.steps)]
        if not batches:
            raise ValueError("`x` has no more batches: a generator must yield `steps_per_epoch` an epoch.")
        sizes = [len(keras.tree.flatten(batch[0])[0]) for batch in batches]
        if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
            raise ValueError(f"`x` must come in batches of one size, but for the last; it has {sizes[:8]} ….")
        x, y, sample_weight = (joined(parts) for parts in zip(*batches, strict=True))
        return (x, y, sample_weight), sizes[0]

    def batches(self) -> Iterator[Any]:
        """Yields the batches of an epoch, which may go on for ever."""
        if isinstance(self.source, keras.utils.PyDataset):
            return self.of_python()
        if self.steps is not None and self.running is None:
            self.running = iter(self.source)
        return self.running if self.running is not None else iter(self.source)

    def of_python(self) -> Iterator[Any]:
        """Yields the batches of a `PyDataset`, which is told of the epoch."""
        self.source.on_epoch_begin()
        for i in itertools.count() if self.source.num_batches is None else range(self.source.num_batches):
            yield self.source[i]
        self.source.on_epoch_end()


def joined(parts: tuple[Any, ...]) -> Any:
    """Returns the examples of all batches behind each other; None where there is nothing."""
    if parts[0] is None:
        return None
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def unpacked(batch: Any) -> Batch:
    """Returns a batch as (x, y, sample_weight) of arrays; None for what is not there."""
    parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    x, y, sample_weight = (*parts, None, None)[:3]
    arrays = lambda part: None if part is None else keras.tree.map_structure(np.asarray, part)
    return arrays(x), arrays(y), arrays(sample_weight)
