"""What `fit` takes as data, in all its forms, as NumPy arrays: arrays whole, of all else the first rows."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from crosscheck._keras import first_batch
from crosscheck.diagnose._program import Data
from crosscheck.diagnose._words import first_line
from crosscheck.errors import UsageError

MOST_BATCHES = 20
MOST_ROWS = 4096

Batch = tuple[Any, Any, Any]  # x, y, sample_weight


@dataclass(frozen=True)
class Stream:
    """A source that is read batch by batch.

    Attributes:
        name: what it is called in `Data.source`.
        open: gives its batches, from the first on where it can be read again.
        is_rereadable: whether reading it takes nothing from it.
        is_endless: whether it says itself that it has no end; None where it does not say.
    """

    name: str
    open: Callable[[], Iterable[Any]]
    is_rereadable: bool = False
    is_endless: bool | None = None


def data_of(x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Data, int | None]:
    """The data that `fit` was given, whatever their form, and the rows of a stream's first batch.

    Raises:
        UsageError: they are no data that Keras takes, or a stream without a batch.
    """
    stream = stream_of(x)
    return data_of_stream(stream) if stream else (data_of_arrays(x, y, sample_weight), None)


# --- arrays ----------------------------------------------------------------------------------------------


def data_of_arrays(x: Any, y: Any, sample_weight: Any) -> Data:
    frames = any(hasattr(leaf, "to_numpy") for leaf in keras.tree.flatten([x, y]))
    given = x, y
    x, y, sample_weight = (arrays_of(part) for part in (x, y, sample_weight))
    if x is None:
        raise UsageError("fit was given no x.")
    source = "DataFrame" if frames else "arrays"
    return Data(x, y, sample_weight, source=source, refused=refusal_of(*given, x))


def refusal_of(x: Any, y: Any, arrays: Any) -> str:
    """Why Keras cuts no batches out of texts as they were given; "" where it does, and of numbers.

    Texts in a NumPy array are refused in most forms, and those in a tensor are not.
    """
    if not any(array.dtype.kind in "OSU" for array in keras.tree.flatten(arrays) if array is not None):
        return ""
    try:
        first_batch(x, y)
    except Exception as error:
        return f"{type(error).__name__}: {first_line(error)}"
    return ""


def arrays_of(structure: Any) -> Any:
    """The same structure with NumPy arrays in it; None stays None.

    Raises:
        UsageError: a leaf is no array: Keras reads a list of numbers as a list of inputs.
    """
    if structure is None:
        return None
    return keras.tree.map_structure(array_of, structure)


def array_of(leaf: Any) -> np.ndarray | None:
    """One array as Keras reads it: a `Series` becomes a column, what is sparse or ragged is filled."""
    if leaf is None:
        return None
    if hasattr(leaf, "to_numpy"):  # pandas
        return leaf.to_numpy() if leaf.ndim > 1 else np.expand_dims(leaf.to_numpy(), -1)
    if hasattr(leaf, "toarray"):  # scipy
        return leaf.toarray()
    if hasattr(leaf, "detach"):  # PyTorch
        return leaf.detach().cpu().numpy()
    if hasattr(leaf, "to_tensor"):  # TensorFlow, ragged
        return leaf.to_tensor().numpy()
    if hasattr(leaf, "dense_shape"):  # TensorFlow, sparse
        return dense(leaf)
    if not hasattr(leaf, "__array__"):
        raise UsageError(
            f"Keras takes arrays, and found {leaf!r:.40} of type {type(leaf).__name__} among them."
        )
    return np.asarray(leaf)


def dense(sparse: Any) -> np.ndarray:
    array = np.zeros(sparse.dense_shape.numpy(), sparse.values.numpy().dtype)
    array[tuple(sparse.indices.numpy().T)] = sparse.values.numpy()
    return array


# --- streams ---------------------------------------------------------------------------------------------


def stream_of(x: Any) -> Stream | None:
    """A source of batches, for what is none of arrays; None for arrays."""
    if is_of(x, "DatasetV2", "tensorflow") or is_of(x, "DistributedDataset", "tensorflow"):
        return Stream("tf.data", lambda: x, is_rereadable=True, is_endless=has_no_end(x))
    if isinstance(x, keras.utils.PyDataset):
        return Stream("PyDataset", lambda: batches_by_index(x), is_endless=x.num_batches is None)
    if is_of(x, "DataLoader", "torch"):
        by_index = hasattr(x.dataset, "__getitem__")
        ends = False if by_index else None
        return Stream("DataLoader", lambda: map(tuple, x), is_rereadable=by_index, is_endless=ends)
    if any(is_of(x, name, "grain") for name in ("MapDataset", "IterDataset", "DataLoader")):
        return Stream("grain", lambda: x)
    if isinstance(x, types.GeneratorType) or (hasattr(x, "__next__") and not hasattr(x, "__array__")):
        return Stream("generator", lambda: x)
    return None


def is_of(x: Any, name: str, library: str) -> bool:
    """Whether an object's class, or a parent of it, has this name in a library, which is not imported."""
    return any(kind.__name__ == name and kind.__module__.startswith(library) for kind in type(x).__mro__)


def has_no_end(dataset: Any) -> bool | None:
    """Whether a `tf.data.Dataset` knows that it has no end; None where it cannot know."""
    try:
        count = int(dataset.cardinality())
    except Exception:  # a distributed one does not count
        return None
    return {-1: True, -2: None}.get(count, False)  # tf.data.INFINITE_CARDINALITY, UNKNOWN_CARDINALITY


def batches_by_index(source: keras.utils.PyDataset) -> Iterator[Any]:
    """As Keras asks for them; a `PyDataset` may go on without an end."""
    indices = itertools.count() if source.num_batches is None else range(source.num_batches)
    return (source[index] for index in indices)


def data_of_stream(stream: Stream) -> tuple[Data, int]:
    """The first rows of a stream; where it can be read again, whether they come in the same order."""
    data, batch_size = first_rows(stream)
    if stream.is_rereadable:
        again, _ = first_rows(stream)
        data = replace(data, is_reshuffled=is_reshuffled(data, again))
    return data, batch_size


def first_rows(stream: Stream) -> tuple[Data, int]:
    """The rows of at most `MOST_BATCHES` batches, `MOST_ROWS` of them, and how many the first has.

    Raises:
        UsageError: there is no batch in it.
    """
    batches, is_complete = first_batches(stream)
    if not batches:
        raise UsageError(f"the {stream.name} that fit was given has no batch.")
    alike = [batch for batch in batches if shapes_of(batch) == shapes_of(batches[0])]
    x, y, sample_weight = (joined(parts) for parts in zip(*alike, strict=True))
    is_whole = is_complete and len(alike) == len(batches)
    is_endless = False if is_complete else stream.is_endless
    data = Data(x, y, sample_weight, is_whole, stream.name, is_endless=is_endless)
    return cut(data), rows_of(batches[0])


def first_batches(stream: Stream) -> tuple[list[Batch], bool]:
    """Batches as arrays, and whether they are all that there are.

    Raises:
        UsageError: they are single rows.
    """
    batches: list[Batch] = []
    rows = 0
    for given in stream.open():
        if len(batches) == MOST_BATCHES or rows >= MOST_ROWS:
            return batches, False
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(given)
        batch = arrays_of(x), arrays_of(y), arrays_of(sample_weight)
        if any(np.ndim(array) == 0 for array in keras.tree.flatten(batch) if array is not None):
            raise UsageError(f"the {stream.name} that fit was given hands out rows, not batches: .batch(32).")
        batches.append(batch)
        rows += rows_of(batches[-1])
    return batches, True


def rows_of(batch: Batch) -> int:
    return len(keras.tree.flatten(batch[0])[0])


def shapes_of(batch: Batch) -> list[tuple[int, ...]]:
    """Shapes of a batch's arrays without their rows: sequences are as long as the longest of their batch."""
    return [array.shape[1:] for array in keras.tree.flatten(batch) if array is not None]


def joined(parts: tuple[Any, ...]) -> Any:
    if parts[0] is None:
        return None
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def cut(data: Data) -> Data:
    """At most `MOST_ROWS` rows."""
    if data.rows <= MOST_ROWS:
        return data
    x, y, sample_weight = (
        None if part is None else keras.tree.map_structure(lambda array: array[:MOST_ROWS], part)
        for part in (data.x, data.y, data.sample_weight)
    )
    return replace(data, x=x, y=y, sample_weight=sample_weight, is_complete=False)


def is_reshuffled(first: Data, second: Data) -> bool | None:
    """Whether two readings differ in their order; None where they differ, but not by that alone.

    Inputs that are augmented differ in any reading. Labels that differ tell of another order, and equal ones
    beside unequal inputs tell nothing.
    """
    if are_equal(first.x, second.x) and are_equal(first.y, second.y):
        return False
    return None if first.y is None or are_equal(first.y, second.y) else True


def are_equal(first: Any, second: Any) -> bool:
    pairs = zip(keras.tree.flatten(first), keras.tree.flatten(second), strict=True)
    return all(a is b or np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for a, b in pairs)
