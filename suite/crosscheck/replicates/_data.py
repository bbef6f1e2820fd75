"""The data of a training: what all replicates share, and what each has of its own."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from crosscheck.replicates._model import input_shape


class Data:
    """`x`, `y` and `sample_weight`, sorted into `shared`, [N, …], and `own`, [R, N, …].

    Each may be an array or, for a model of several inputs or outputs, a list or dictionary of arrays, of
    which all are shared or all are [R, N, …].

    Args:
        count: R.
        model: tells the rank of what replicates share.
        x, y, sample_weight: as in `Replicates.fit`.

    Raises:
        ValueError: for a shape that does not fit, or for text; names the argument.
    """

    def __init__(self, count: int, model: keras.Model, x: Any, y: Any = None, sample_weight: Any = None):
        arguments = {"x": x, "y": y, "sample_weight": sample_weight}
        parts = {name: standard(name, value) for name, value in arguments.items() if value is not None}
        own_x = has_own_x(parts["x"], count, model)
        self.n = keras.tree.flatten(parts["x"])[0].shape[int(own_x)]
        if self.n == 0:
            raise ValueError("`x` holds no example.")
        self.shared: dict[str, Any] = {}
        self.own: dict[str, Any] = {}
        for name, part in parts.items():
            own = own_x if name == "x" else all(self.fits_each(a, count, own_x) for a in leaves(part))
            for array in leaves(part):
                if array.shape[int(own) : int(own) + 1] != (self.n,):
                    raise ValueError(
                        f"`{name}` must be [{self.n}, …] like `x`, or [{count}, {self.n}, …] with one each a "
                        f"replicate; its shape is {list(array.shape)}."
                    )
            (self.own if own else self.shared)[name] = part

    def fits_each(self, array: np.ndarray, count: int, own_x: bool) -> bool:
        """Returns whether an array is [R, N, …] rather than [N, …]; where R = N, the examples come first."""
        return array.shape[:2] == (count, self.n) and (count != self.n or own_x)

    @property
    def shapes(self) -> tuple[Any, ...]:
        """What a compiled program depends on."""
        parts = (("shared", self.shared), ("own", self.own))
        return tuple(
            (kind, name, array.shape, array.dtype.str)
            for kind, part in parts
            for name, value in part.items()
            for array in leaves(value)
        )

    def cut(self, start: int, stop: int, r: int | None = None) -> tuple[Any, Any, Any]:
        """Returns (x, y, sample_weight) of the examples `start` … `stop` − 1, of all replicates or of one."""
        which = slice(None) if r is None else r
        mine = keras.tree.map_structure(lambda array: array[which, start:stop], self.own)
        shared = keras.tree.map_structure(lambda array: array[start:stop], self.shared)
        parts = {**shared, **mine}
        return parts["x"], parts.get("y"), parts.get("sample_weight")

    @functools.cached_property
    def tensors(self) -> dict[str, Any]:
        """What all replicates share, on the device."""
        return keras.tree.map_structure(keras.ops.convert_to_tensor, self.shared)

    def examples(self, which: np.ndarray, r: int) -> tuple[Any, Any, Any]:
        """Returns (x, y, sample_weight) as replicate r sees them, of these examples."""
        mine = keras.tree.map_structure(lambda array: array[r][which], self.own)
        shared = keras.tree.map_structure(lambda array: array[which], self.shared)
        parts = {**shared, **mine}
        return parts["x"], parts.get("y"), parts.get("sample_weight")


def weights_of_classes(y: Any, class_weight: Mapping[int, float], own: bool) -> np.ndarray:
    """Returns each example's weight by its class, [N] or, where each replicate has its own y, [R, N].

    Classes are read off as Keras does: the place of the largest along the last axis, where that is longer
    than 1, whatever the numbers are.

    Raises:
        ValueError: if there is more than one output, or more than one class for an example.
    """
    if keras.tree.is_nested(y):
        raise ValueError("`class_weight` is for a model of one output; give `sample_weight` for each.")
    classes, rank = np.asarray(y), 1 + own
    if classes.ndim > rank:
        classes = classes.argmax(-1) if classes.shape[-1] != 1 else classes[..., 0]
    if classes.ndim != rank:
        raise ValueError(
            f"`class_weight` is for one class an example; `y` has the shape {list(np.shape(y))}. "
            "Give `sample_weight`."
        )
    classes = np.round(classes).astype("int64")
    weights = np.ones(classes.shape, keras.config.floatx())
    for number, weight in class_weight.items():
        weights[classes == number] = weight
    return weights


def leaves(part: Any) -> list[np.ndarray]:
    """Returns the arrays in an argument."""
    return keras.tree.flatten(part)


def has_own_x(x: Any, count: int, model: keras.Model) -> bool:
    """Returns whether `x` is [R, N, …] rather than [N, …].

    Raises:
        ValueError: if it is neither.
    """
    shapes = input_shapes(model)
    arrays = leaves(x)
    if len(arrays) != len(shapes):
        raise ValueError(
            f"`x` must hold {len(shapes)} arrays, one an input of the model; it holds {len(arrays)}."
        )
    ranks = [len(shape) for shape in shapes]
    more = {array.ndim - rank for array, rank in zip(arrays, ranks, strict=True)}
    if more == {-1} and all(rank == 2 and shape[-1] == 1 for rank, shape in zip(ranks, shapes, strict=True)):
        return False  # [N] for an input of [N, 1], which Keras expands
    if more not in ({0}, {1}):
        rank, array = next((r, a) for r, a in zip(ranks, arrays, strict=True) if a.ndim - r != 0)
        raise ValueError(
            f"`x` must have rank {rank}, [N, …], or {rank + 1}, [R, N, …]; its shape is {list(array.shape)}."
        )
    if more == {1} and len(arrays[0]) != count:
        raise ValueError(f"`x` has {len(arrays[0])} replicates along its first axis, and there are {count}.")
    return more == {1}


def input_shapes(model: keras.Model) -> list[tuple[int | None, ...]]:
    """Returns (None, …) of each input of the model, in the order in which `keras.tree` puts them."""
    shape = input_shape(model)
    inputs = keras.tree.map_shape_structure(lambda shape: [tuple(shape)], shape)
    return flat(inputs)


def flat(shapes: Any) -> list[Any]:
    """Returns the tuples in a structure whose leaves are lists of one tuple."""
    if isinstance(shapes, dict):
        return [shape for key in sorted(shapes) for shape in flat(shapes[key])]
    if isinstance(shapes, list) and len(shapes) == 1 and isinstance(shapes[0], tuple):
        return [shapes[0]]
    return [shape for part in shapes for shape in flat(part)]


def standard(name: str, value: Any) -> Any:
    """Returns an argument as `keras.Model.fit` takes it: floats in Keras' float type, integers in 32 bits.

    Raises:
        ValueError: for text, which has to become numbers first.
    """

    def array(value: Any) -> np.ndarray:
        array = np.asarray(value)
        if array.dtype.kind in "USO":
            raise ValueError(
                f"`{name}` holds text or objects, not numbers ({array.ravel()[:1].tolist()} …): turn classes "
                "into 0 … K − 1 first, such as by `np.unique(y, return_inverse=True)[1]`."
            )
        kinds = {"f": keras.config.floatx(), "i": "int32", "u": array.dtype}
        return array.astype(kinds.get(array.dtype.kind, array.dtype), copy=False)

    if isinstance(value, (dict, list, tuple)) and any(is_array(leaf) for leaf in keras.tree.flatten(value)):
        return keras.tree.map_structure(array, value)
    return array(value)


def is_array(value: Any) -> bool:
    """Returns whether a value is an array, or something that becomes one, rather than a number in a list."""
    return getattr(value, "ndim", 0) > 0 or hasattr(value, "columns")
