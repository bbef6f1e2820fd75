"""The data of a training: what all replicates share, and what each has of its own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class Data:
    """`x`, `y` and `sample_weight`, sorted into `shared`, [N, …], and `own`, [R, N, …].

    Args:
        count: R.
        rank: of `x` where replicates share it.
        x, y, sample_weight: as in `Replicates.fit`.

    Raises:
        ValueError: for a shape that does not fit; names the argument.
    """

    def __init__(self, count: int, rank: int, x: Any, y: Any = None, sample_weight: Any = None):
        arguments = {"x": x, "y": y, "sample_weight": sample_weight}
        arrays = {name: standard(value) for name, value in arguments.items() if value is not None}
        own_x = has_own_x(arrays["x"], count, rank)
        self.n = arrays["x"].shape[int(own_x)]
        if self.n == 0:
            raise ValueError("`x` holds no example.")
        self.shared: dict[str, np.ndarray] = {}
        self.own: dict[str, np.ndarray] = {}
        for name, array in arrays.items():
            # [R, N, …] rather than [N, …]; where R = N both fit, and the examples come first.
            fits = array.shape[:2] == (count, self.n) and (count != self.n or own_x)
            own = own_x if name == "x" else fits
            if not own and array.shape[:1] != (self.n,):
                raise ValueError(
                    f"`{name}` must be [{self.n}, …] like `x`, or [{count}, {self.n}, …] with one each a "
                    f"replicate; its shape is {list(array.shape)}."
                )
            (self.own if own else self.shared)[name] = array

    @property
    def shapes(self) -> tuple[Any, ...]:
        """What a compiled program depends on."""
        parts = (("shared", self.shared), ("own", self.own))
        return tuple((kind, k, v.shape, v.dtype.str) for kind, part in parts for k, v in part.items())

    def example(self, name: str) -> np.ndarray:
        """Returns the argument `name` as one replicate sees it, [N, …]."""
        return self.own[name][0] if name in self.own else self.shared[name]


def has_own_x(x: np.ndarray, count: int, rank: int) -> bool:
    """Returns whether `x` is [R, N, …] rather than [N, …].

    Raises:
        ValueError: if it is neither.
    """
    if x.ndim not in (rank, rank + 1):
        raise ValueError(
            f"`x` must have rank {rank}, [N, …], or {rank + 1}, [R, N, …]; its shape is {list(x.shape)}."
        )
    if x.ndim == rank + 1 and len(x) != count:
        raise ValueError(f"`x` has {len(x)} replicates along its first axis, and there are {count}.")
    return x.ndim == rank + 1


def standard(value: Any) -> np.ndarray:
    """Returns an array as `keras.Model.fit` takes it: floats in Keras' float type, integers in 32 bits."""
    array = np.asarray(value)
    kinds = {"f": keras.config.floatx(), "i": "int32", "u": array.dtype}
    return array.astype(kinds.get(array.dtype.kind, array.dtype), copy=False)
