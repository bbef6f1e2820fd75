"""Bad input, refused by the name of the argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np


def seeds_of(seeds: Sequence[int], paired: bool) -> tuple[int, ...]:
    known = tuple(int(seed) for seed in seeds)
    if not known:
        raise ValueError("`seeds` must name at least one replicate.")
    twice = sorted({seed for seed in known if known.count(seed) > 1}) if len(set(known)) < len(known) else []
    if twice and not paired:
        raise ValueError(
            f"`seeds` repeats {', '.join(map(str, twice[:5]))}: equal seeds train equal replicates. Pass "
            "`paired=True` where they differ in their data or in their loss' arguments."
        )
    return known


def built(model: Any) -> keras.Model:
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            f"`build` must return a built Keras model, not {type(model).__name__}: give it an input shape."
        )
    shapes = (input_shape(model), output_shape(model))
    if not all(isinstance(shape, tuple) and not isinstance(shape[-1], tuple) for shape in shapes):
        raise ValueError("`build` must return a model of one input and one output.")
    return model


def input_shape(model: keras.Model) -> Any:
    """(None, …); a subclassed model knows only what it was built with."""
    if hasattr(model, "input_shape"):
        return model.input_shape
    return next(iter(model.get_build_config().values()))


def output_shape(model: keras.Model) -> Any:
    if hasattr(model, "output_shape"):
        return model.output_shape
    spec = model.compute_output_spec(keras.KerasTensor(input_shape(model)))
    return getattr(spec, "shape", [spec])


def vector(name: str, value: Any, count: int) -> np.ndarray:
    value = np.asarray(value)
    if value.shape != (count,):
        raise ValueError(f"`{name}` must be [{count}], one number a replicate, not {list(value.shape)}.")
    return value.astype(keras.config.floatx()) if value.dtype.kind == "f" else value


class Data:
    """`x`, `y`, `sample_weight`, sorted into what replicates share, [N, …], and have of their own, [R, N, …].

    Raises:
        ValueError: naming the argument whose shape or range is wrong.
    """

    def __init__(self, count: int, rank: int, x: Any, y: Any = None, sample_weight: Any = None):
        given = {"x": x, "y": y, "sample_weight": sample_weight}
        arrays = {name: standard(value) for name, value in given.items() if value is not None}
        x = arrays["x"]
        if x.ndim not in (rank, rank + 1):
            raise ValueError(
                f"`x` must have rank {rank}, [N, …], or {rank + 1}, [R, N, …]; its shape is {list(x.shape)}."
            )
        own_x = x.ndim == rank + 1
        if own_x and len(x) != count:
            raise ValueError(f"`x` has {len(x)} replicates along its first axis, and there are {count}.")
        self.n = x.shape[1] if own_x else x.shape[0]
        if self.n == 0:
            raise ValueError("`x` holds no example.")
        self.shared: dict[str, np.ndarray] = {}
        self.own: dict[str, np.ndarray] = {}
        for name, array in arrays.items():
            own = own_x if name == "x" else self.is_own(array, count)
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

    def is_own(self, array: np.ndarray, count: int) -> bool:
        """[R, N, …] rather than [N, …]; where R = N both fit, and the examples come first."""
        return array.shape[:2] == (count, self.n) and (count != self.n or "x" in self.own)

    def example(self, name: str) -> np.ndarray:
        return self.own[name][0] if name in self.own else self.shared[name]

    def block(self, members: np.ndarray) -> dict[str, np.ndarray]:
        return {name: array[members] for name, array in self.own.items()}


def standard(value: Any) -> np.ndarray:
    """As `keras.Model.fit` takes arrays: floats in Keras' float type; integers in 32 bits."""
    array = np.asarray(value)
    kinds = {"f": keras.config.floatx(), "i": "int32", "u": array.dtype}
    return array.astype(kinds.get(array.dtype.kind, array.dtype), copy=False)


def labels(y: np.ndarray, loss: Callable[..., Any], outputs: int) -> None:
    """Labels that the known cross-entropies have no meaning for.

    Raises:
        ValueError: naming `y` and what it holds.
    """
    name = getattr(loss, "__name__", type(loss).__name__).lower().replace("_", "")
    low, high = (np.min(y), np.max(y)) if y.size else (0, 0)
    if name == "sparsecategoricalcrossentropy" and not (low >= 0 and high < outputs):
        raise ValueError(f"`y` must hold classes 0 … {outputs - 1}; it holds {low} … {high}.")
    zero_to_one = ("binarycrossentropy", "categoricalcrossentropy", "jointcrossentropy")
    if name in zero_to_one and not (low >= 0 and high <= 1):
        raise ValueError(f"`y` must lie in [0, 1]; it holds {low} … {high}.")
