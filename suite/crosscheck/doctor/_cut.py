"""Where a model's logits are: the place before an output at which it can be cut, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import is_of_keras
from crosscheck.autodiff import numbers
from crosscheck.doctor._graph import (
    Step,
    concrete,
    is_symbolic,
    masked_as,
    run_steps,
    step_behind,
)
from crosscheck.doctor._words import describe, in_words

EXACT = 1e-5


@dataclass(frozen=True)
class Cut:
    """A model cut before an output.

    Attributes:
        tensors: the symbolic tensors that are set; those of the shape of the first get the logits.
        steps: from there to the output, in order.
        output: the symbolic output.
        batch: examples at once.
        class_axis: of the output.
        axis: along which the logits lie in these tensors.
        varied: the index of the logit that is varied.
        kind: what the output is of the logits: "identity", "softmax", "sigmoid", "log-softmax", "constant" or
            "unknown".
        slope, offset: the logits that this kind has are offset + slope · t, [K], where the one varied is t.
        squash: how many steps, first of all, squash the logits; 0 where none does.
        reach: how far the logits can get: to the bound of a soft cap before them.
        alone: whether the first tensor alone gets the logits, where others of its shape are gates.
        labels: the form of labels that a loss of no known theory was seen to take; "" where none was asked.
        mixes_examples: whether what follows goes over the examples of a batch.
        is_of_pairs: whether the output is a probability that comes of how far apart two calls of a layer are.
    """

    tensors: list[Any]
    steps: list[Step]
    output: Any
    batch: int
    class_axis: int
    axis: int = -1
    varied: int = 0
    kind: str = "unknown"
    slope: np.ndarray = field(default_factory=lambda: np.zeros(1))
    offset: np.ndarray = field(default_factory=lambda: np.zeros(1))
    squash: int = 0
    reach: float = np.inf
    alone: bool = False
    is_of_pairs: bool = False
    mixes_examples: bool = False
    labels: str = ""

    def run(
        self, z: Any, skipped: frozenset[int] = frozenset(), until: Any = None, last: str | None = None
    ) -> Any:
        """The output, or another tensor on the way, for logits z [m], which may be cast to the last dtype."""
        values = {id(t): self.filled(t, z) for t in self.tensors}
        if last is not None:
            values = {key: ops.cast(value, last) for key, value in values.items()}
        output = self.output if until is None else until
        return run_steps(self.steps, values, skipped, self.batch)[id(output)]

    def holds_logits(self, tensor: Any) -> bool:
        """Whether a tensor gets the logits."""
        first = self.tensors[0]
        is_given = step_behind(tensor) is None  # an input of the model, such as which actions are allowed
        alike = not self.alone and not is_given and tuple(tensor.shape) == tuple(first.shape)
        return tensor is first or alike

    def filled(self, tensor: Any, z: Any) -> Any:
        """z everywhere in a tensor of logits; ones in any other, such as a gate's or a temperature's."""
        shape, dtype = concrete(tensor.shape, self.batch), keras.backend.standardize_dtype(tensor.dtype)
        if not self.holds_logits(tensor):
            return masked_as(tensor, ops.ones(shape, dtype), self.batch)
        axis = self.axis % len(shape)
        row = ops.reshape(ops.cast(z, dtype), [-1 if i == axis else 1 for i in range(len(shape))])
        return masked_as(tensor, ops.broadcast_to(row, shape), self.batch)

    def numbers(self, z: np.ndarray, until: Any = None) -> np.ndarray:
        """The output for logits z [m], computed at once and not in a training step, in float64."""
        z = ops.convert_to_tensor(z.astype("float32"))
        return np.asarray(numbers(self.run(z, until=until)), "float64")

    def anywhere(self, rng: np.random.Generator, size: float) -> np.ndarray:
        """The output for numbers of this size, drawn for every place of all tensors that get logits."""
        return self.drawn(lambda shape: rng.normal(0, size, shape))

    def beside(self, seed: int) -> np.ndarray:
        """The first example's output; its logits are always the same, those of the others of this seed."""
        mine, others = np.random.default_rng(0), np.random.default_rng(seed)
        drawn = self.drawn(
            lambda shape: np.concatenate(
                [mine.normal(0, 3, (1, *shape[1:])), others.normal(0, 3, (shape[0] - 1, *shape[1:]))]
            )
        )
        return drawn[0]

    def drawn(self, draw: Callable[[tuple[int, ...]], np.ndarray]) -> np.ndarray:
        """The output where every tensor that gets logits is drawn, by its shape."""
        values = {}
        for tensor in self.tensors:
            value = self.filled(tensor, ops.zeros(self.width))
            if self.holds_logits(tensor):
                numbers_drawn = ops.convert_to_tensor(draw(tuple(value.shape)).astype("float32"))
                value = masked_as(tensor, ops.cast(numbers_drawn, value.dtype), self.batch)
            values[id(tensor)] = value
        output = run_steps(self.steps, values, frozenset(), self.batch)[id(self.output)]
        return np.asarray(numbers(output), "float64")

    def row(self, z: np.ndarray) -> np.ndarray:
        """The outputs of all classes at the first place: [K]."""
        out = np.moveaxis(self.numbers(z), self.class_axis, -1)
        return out.reshape(-1, out.shape[-1])[0]

    def at(self, t: float) -> np.ndarray:
        """Logits of which the varied one is t, all others being 0: [m]."""
        z = np.zeros(self.width)
        z[self.varied] = t
        return z

    @property
    def width(self) -> int:
        """How many logits are set."""
        return int(concrete(self.tensors[0].shape, self.batch)[self.axis])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output."""
        return concrete(self.output.shape, self.batch)

    @property
    def dtype(self) -> str:
        """Of the logits."""
        return keras.backend.standardize_dtype(self.tensors[0].dtype)

    @property
    def main(self) -> int:
        """The class whose logit follows the varied one most."""
        return int(np.argmax(np.abs(self.slope)))

    @property
    def maker(self) -> Any:
        """The layer, or operation, that holds the last weights; None where the logits are an input."""
        step = step_behind(self.tensors[0])
        return getattr(step.operation, "layer", step.operation) if step else None

    @property
    def closed(self) -> str:
        """A layer of one's own with the last weights that cannot be looked into; "" where there is none."""
        layer = self.maker
        own = isinstance(layer, keras.Layer) and not is_of_keras(type(layer)) and bool(layer.weights)
        return (
            type(layer).__name__
            if own and not leaves_unit_interval(layer, step_behind(self.tensors[0]))
            else ""
        )

    @property
    def activation(self) -> int | None:
        """The index of the first step after which nothing is linear in the logit any more; None if all is."""
        for i, step in enumerate(self.steps[self.squash :], self.squash):
            low, middle, high = (self.numbers(self.at(t), step.outputs[0]) for t in (0, 2, 4))
            if np.abs(low + high - 2 * middle).max() > 0.02 * np.abs(high - low).max():
                return i
        return None

    def logits(self, t: float) -> np.ndarray:
        """What the kind is of, where the varied logit is t."""
        return self.offset + self.slope * t

    def name_of(self, i: int) -> str:
        """What stands at a step, in words."""
        return in_words(self.steps[i].operation)

    def __str__(self) -> str:
        return describe((self.tensors, self.steps))


def leaves_unit_interval(layer: Any, step: Step | None) -> bool:
    """Whether a layer gives numbers outside of [0, 1], which no sigmoid and no softmax does."""
    rng = np.random.default_rng(0)
    fill = lambda t: ops.cast(rng.normal(0, 30, concrete(t.shape, 2)), t.dtype)
    try:
        args = keras.tree.map_structure(lambda t: fill(t) if is_symbolic(t) else t, step.args if step else ())
        values = np.asarray(numbers(keras.tree.flatten(layer(*args))[0]), "float64")
    except Exception:
        return False
    return bool((values < -EXACT).any() or (values > 1 + EXACT).any())


def looks_like_probabilities(values: np.ndarray) -> bool:
    """Whether values lie in [0, 1], and sum to 1 where there are several."""
    inside = (values >= -EXACT).all() and (values <= 1 + EXACT).all()
    return bool(inside and (values.shape[-1] == 1 or np.allclose(values.sum(-1), 1, atol=0.02)))
