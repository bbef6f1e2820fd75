"""Heads that hold their logits within bounds that no weight can move: no prediction can be confident."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.autodiff import differentiated, numbers
from crosscheck.doctor._cut import Cut
from crosscheck.doctor._graph import (
    Linear,
    Step,
    concrete,
    frontiers,
    is_symbolic,
    masked_as,
    run_steps,
    step_behind,
)
from crosscheck.doctor._search import can_be_set
from crosscheck.doctor._theory import ACTIVATIONS, Theory
from crosscheck.doctor._words import in_words

NEAR_ONE = 0.95  # a largest probability below this is told as a fault
CERTAIN = 0.999  # and one below this, as something to know
NEAR, FAR = 100.0, 10000.0  # sizes of what is put in; what is bounded is the same for both
GROWTH = 1.05  # by which a bounded head's logits may yet spread
STEPS = (*[1.0] * 8, *(2.0**-i for i in range(1, 9)))  # of the way up, by the size of where it starts
STARTS = 2  # from where it is gone uphill: the highest of so many places
DRAWN = 32


@dataclass(frozen=True)
class Bound:
    """What a bounded head can reach.

    Attributes:
        low, high: of a logit.
        p: the largest probability.
        by: the operation behind which the logits are bounded, in words.
        classes: that compete; 1 for a sigmoid.
    """

    low: float
    high: float
    p: float
    by: str
    classes: int

    @property
    def text(self) -> str:
        among = f", with {self.classes} classes," if self.classes > 1 else ""
        return (
            f"behind {self.by} the logits stay within [{self.low:.3g}, {self.high:.3g}], whatever is learnt: "
            f"p{among} is at most {self.p:.2g}, and the loss at least {-np.log(self.p):.2g}"
        )

    @property
    def remedy(self) -> str:
        needed = np.log(99.0 * max(self.classes - 1, 1)) / np.log(
            self.p / (1 - self.p) * max(self.classes - 1, 1)
        )
        return f"a factor on the logits behind it, learnt or a constant, of {max(needed, 1.0):.2g} or more"


@dataclass(frozen=True)
class Source:
    """Numbers that are put in at the last weights, all in one vector, and a tensor that follows from them."""

    tensors: Sequence[Any]
    steps: Sequence[Step]
    target: Any
    batch: int

    @classmethod
    def of(cls, output: Any, target: Any, batch: int) -> Source:
        tensors, steps = frontiers(output, with_tables=True)[-1]
        return cls(tensors, steps, target, batch)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [concrete(t.shape, self.batch) for t in self.tensors]

    @property
    def size(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def run(self, vector: Any) -> Any:
        """The target where this is put in, [size]."""
        values, start = {}, 0
        for tensor, shape in zip(self.tensors, self.shapes, strict=True):
            n = int(np.prod(shape))
            value = ops.cast(ops.reshape(vector[start : start + n], shape), tensor.dtype)
            values[id(tensor)] = masked_as(tensor, value, self.batch)
            start += n
        return run_steps(self.steps, values, frozenset(), self.batch)[id(self.target)]

    def drawn(self, seed: int, size: float) -> np.ndarray:
        return np.random.default_rng(seed).normal(0, size, self.size).astype("float32")

    @property
    def holds_constants(self) -> bool:
        """Whether numbers that are no input, such as a weight made a unit vector, stand among its steps."""
        arguments = [x for step in self.steps for x in keras.tree.flatten((step.args, step.unmasked))]
        arrays = [x for x in arguments if hasattr(x, "shape") and not is_symbolic(x)]
        return any(int(np.prod(tuple(x.shape))) > 1 for x in arrays)


def bound_of(cut: Cut, theory: Theory | None) -> Bound | None:
    """What the head can reach where no weight moves its bounds and that is short of certainty; else None.

    Raises:
        Exception: of whatever kind, where steps behind the last weights cannot be run or differentiated.
    """
    kind = cut.kind if cut.kind != "identity" else theory.activation if theory else ""
    if kind not in ("softmax", "sigmoid", "log-softmax") or cut.squash:
        return None
    target = logits_tensor(cut)
    source = Source.of(cut.output, target, cut.batch)
    row = row_along(cut, target)
    if not source.steps or not all(map(can_be_set, source.tensors)):
        return constrained(cut, target, kind)
    return bound_from(source, row, kind) if is_bounded(source, row) else None


def logits_tensor(cut: Cut) -> Any:
    """What the last activation gets; the output where there is none."""
    first = None if cut.kind == "identity" else cut.activation
    return cut.output if first is None else cut.steps[first].inputs[0]


def row_along(cut: Cut, target: Any) -> Callable[[Any], Any]:
    """The logits of all classes at the first place: [K], of the tensor that holds them."""
    axis = cut.class_axis % len(cut.output.shape) if len(target.shape) == len(cut.output.shape) else -1

    def row(values: Any) -> Any:
        moved = ops.moveaxis(values, axis, -1)
        return ops.reshape(ops.cast(moved, "float32"), (-1, moved.shape[-1]))[0]

    return row


def is_bounded(source: Source, row: Callable[[Any], Any]) -> bool:
    """Whether the logits spread no further for numbers a hundred times as large, and do move."""
    near, far = (
        np.array([spreads(source, row, seed, size).max() for seed in range(3)]) for size in (NEAR, FAR)
    )
    return bool(np.isfinite(far).all() and near.min() > 0 and (far <= GROWTH * near).all())


def spreads(source: Source, row: Callable[[Any], Any], seed: int, size: float) -> np.ndarray:
    """How far each logit moves, [K], between a few numbers of this size; one that is masked does not."""
    places = [source.drawn(seed, size), -source.drawn(seed, size), source.drawn(seed + 3, size)]
    return np.ptp([row_at(source, row, place) for place in places], axis=0)


def row_at(source: Source, row: Callable[[Any], Any], vector: np.ndarray) -> np.ndarray:
    return np.asarray(numbers(row(source.run(ops.convert_to_tensor(vector)))), "float64")


def bound_from(source: Source, row: Callable[[Any], Any], kind: str) -> Bound | None:
    """The bounds of logits that are known to have some, by going uphill from a few places."""
    moved = spreads(source, row, 0, NEAR)
    i, k = int(moved.argmax()), len(moved)
    logit = lambda values: row(values)[i]
    high, low = best(source, logit), -best(source, lambda values: -logit(values))
    if kind == "sigmoid":
        p = ACTIVATIONS["sigmoid"](np.array([high])).p[0]
    elif source.holds_constants:  # which are weights, and may move apart as far as the bounds
        p = 1 / (1 + (k - 1) * np.exp(low - high))
    else:
        p = np.exp(best(source, lambda values: ops.log_softmax(row(values))[i]))
    return as_bound(low, high, float(p), named(source, row), 1 if kind == "sigmoid" else k)


def as_bound(low: float, high: float, p: float, by: str, classes: int) -> Bound | None:
    if not (np.isfinite([low, high, p]).all() and high > low and p > 0):
        raise ValueError("they stay within bounds that were not found")
    return Bound(low, high, p, by, classes) if p < CERTAIN else None


def best(source: Source, objective: Callable[[Any], Any]) -> float:
    """The largest value that is found by going uphill, in steps as large as the vector and then smaller."""
    climb = differentiated(lambda vector: (objective(source.run(vector)),))
    found = []
    for vector in highest(source, objective):
        for size in STEPS:
            slope, value = (np.asarray(numbers(x), "float64") for x in climb(ops.convert_to_tensor(vector)))
            found.append(float(value))
            length = np.linalg.norm(slope)
            if not np.isfinite(length) or length == 0:
                break
            vector = (vector + size * np.linalg.norm(vector) * slope / length).astype("float32")
            vector /= max(1.0, float(np.abs(vector).max()) / NEAR)
    return max(value for value in found if np.isfinite(value))


def highest(source: Source, objective: Callable[[Any], Any]) -> list[np.ndarray]:
    """The best of many places, small and large: at most of them a head such as a sparsemax is flat."""
    places = [source.drawn(seed, size) for size in (1.0, NEAR) for seed in range(DRAWN)]
    heights = [float(numbers(objective(source.run(ops.convert_to_tensor(place))))) for place in places]
    order = np.argsort(np.nan_to_num(heights, nan=-np.inf), kind="stable")[::-1]
    return [places[i] for i in order[:STARTS]]


def named(source: Source, row: Callable[[Any], Any]) -> str:
    """The first operation behind which numbers stay as they are for a hundred times as large ones."""
    flat = lambda values: ops.reshape(ops.cast(values, "float32"), (-1,))
    for step in source.steps:
        at = Source(source.tensors, source.steps, step.outputs[0], source.batch)
        if is_bounded(at, flat):
            return in_words(step.operation)
    return in_words(source.steps[-1].operation)


def constrained(cut: Cut, target: Any, kind: str) -> Bound | None:
    """The bound of a layer without bias whose kernel is held to a length, on numbers of a bounded length."""
    step = step_behind(target)
    layer = getattr(step.operation, "layer", step.operation) if step else None
    constraint = getattr(layer, "kernel_constraint", None)
    if not isinstance(layer, keras.layers.Dense) or constraint is None or layer.use_bias or step is None:
        return None
    if not isinstance(step.operation, Linear | keras.layers.Dense):
        return None
    shape = tuple(layer.kernel.shape)
    lengths = [constrained_length(constraint, shape, size) for size in (NEAR, FAR)]
    before = Source.of(step.inputs[0], step.inputs[0], cut.batch)
    reaches = [longest(before, size) for size in (NEAR, FAR)]
    if lengths[1] > GROWTH * lengths[0] or reaches[1] > GROWTH * reaches[0]:
        return None
    high = lengths[1] * reaches[1]
    k = 1 if kind == "sigmoid" else shape[-1]
    p = 1 / (1 + np.exp(-high)) if k == 1 else 1 / (1 + (k - 1) * np.exp(-2 * high))
    return as_bound(-high, high, float(p), f"{layer.__class__.__name__} and its constraint", k)


def constrained_length(constraint: Any, shape: tuple[int, ...], size: float) -> float:
    """The length of the longest column that a constraint leaves of a kernel of such numbers."""
    kernel = np.random.default_rng(0).normal(0, size, shape).astype("float32")
    left = np.asarray(numbers(constraint(ops.convert_to_tensor(kernel))), "float64")
    return float(np.linalg.norm(left, axis=0).max())


def longest(source: Source, size: float) -> float:
    """The length of the longest row that comes of such numbers."""
    values = [numbers(source.run(ops.convert_to_tensor(source.drawn(seed, size)))) for seed in range(3)]
    return max(float(np.linalg.norm(np.asarray(value, "float64"), axis=-1).max()) for value in values)
