"""Where a model's logits are: the place before an output at which it can be cut, and what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import is_of_keras
from crosscheck.autodiff import numbers
from crosscheck.doctor._graph import (
    Activated,
    Step,
    concrete,
    describe,
    described,
    frontiers,
    is_symbolic,
    masked_as,
    name_of_activation,
    run_steps,
    step_behind,
)

LINE = (-2.0, -1.0, 0.0, 1.0, 2.0)  # where it is looked how an output follows from a logit
FAR = (10.0, 13.0)  # between these a logit must still count
WIDE = 5.0  # the bound from which on a soft cap of logits is taken for design: e^−5 is a confident error
DEAD = 0.05  # share of the slope in the middle below which it does not
ROUNDING = {"float64": 1e-4, "float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}
STRAIGHT = 0.15  # outputs are rounded by so much less than logits that are computed back from them
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

    def run(
        self, z: Any, skipped: frozenset[int] = frozenset(), until: Any = None, last: str | None = None
    ) -> Any:
        """The output, or another tensor on the way, for logits z [m], which may be cast to the last dtype."""
        values = {id(t): self.filled(t, z) for t in self.tensors}
        if last is not None:
            values = {key: ops.cast(value, last) for key, value in values.items()}
        output = self.output if until is None else until
        return run_steps(self.steps, values, skipped, self.batch)[id(output)]

    def filled(self, tensor: Any, z: Any) -> Any:
        """z everywhere in a tensor of logits; ones in any other, such as a gate's or a temperature's."""
        shape, dtype = concrete(tensor.shape, self.batch), keras.backend.standardize_dtype(tensor.dtype)
        if tuple(tensor.shape) != tuple(self.tensors[0].shape):
            return masked_as(tensor, ops.ones(shape, dtype), self.batch)
        axis = self.axis % len(shape)
        row = ops.reshape(ops.cast(z, dtype), [-1 if i == axis else 1 for i in range(len(shape))])
        return masked_as(tensor, ops.broadcast_to(row, shape), self.batch)

    def numbers(self, z: np.ndarray, until: Any = None) -> np.ndarray:
        """The output for logits z [m], computed at once and not in a training step, in float64."""
        z = ops.convert_to_tensor(z.astype("float32"))
        return np.asarray(numbers(self.run(z, until=until)), "float64")

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
        operation = self.steps[i].operation
        return (
            name_of_activation(operation.layer) if isinstance(operation, Activated) else described(operation)
        )

    def __str__(self) -> str:
        return describe((self.tensors, self.steps))


def cut_before(output: Any, batch: int, class_axis: int, wanted: int) -> Cut:
    """The cut furthest from the output after which the output is understood; "unknown" where none is.

    Args:
        output: symbolic.
        batch: examples at once.
        class_axis: of the output.
        wanted: the class whose logit is varied.
    """
    cuts = [
        Cut(tensors, steps, output, batch, class_axis)
        for tensors_of_any, steps in frontiers(output)
        for tensors in with_each_first(tensors_of_any, output, class_axis)
    ]
    deepest = [cut for cut in cuts if len(cut.steps) == len(cuts[-1].steps)]
    if all(is_constant(cut) for cut in deepest):
        return replace(deepest[0], kind="constant")
    from_deepest = sorted(cuts, key=lambda cut: -len(cut.steps))
    all_found = (found for cut in from_deepest if (found := understood(cut, wanted)))
    found = next((found for found in all_found if not holds_soft_cap(found)), None)
    if found is None:
        return deepest[0]
    deeper = [cut for cut in from_deepest if len(cut.steps) > len(found.steps)]
    alike = (cut for cut in deeper if cut.tensors[0].shape == found.tensors[0].shape)
    return behind_squash(found, next(alike, deeper[0])) if deeper else found


def with_each_first(tensors: Sequence[Any], output: Any, class_axis: int) -> Iterator[list[Any]]:
    """Yields the tensors with those of one shape first, which may be the logits; the likeliest shape first.

    Gates and temperatures are among them too. Logits have an entry for each class, more often than not.
    """
    shapes = dict.fromkeys(tuple(t.shape) for t in tensors if can_be_set(t))
    classes = output.shape[class_axis]
    for shape in sorted(shapes, key=lambda shape: shape[-1] != classes):
        alike = [t for t in tensors if tuple(t.shape) == shape]
        yield [*alike, *(t for t in tensors if tuple(t.shape) != shape)]


def holds_soft_cap(cut: Cut) -> bool:
    """Whether a step before the activation holds the logits within wide bounds, which it nears slowly."""
    end = cut.activation if cut.kind != "identity" else None
    return any(soft_cap(cut, step.outputs[0]) for step in cut.steps[:end])


def soft_cap(cut: Cut, tensor: Any) -> float:
    """c where a tensor, as a function of the varied logit, is like c tanh(t / c) with c ≥ `WIDE`; else 0.

    A clip is no such function: it is linear up to its bounds.
    """
    height = lambda t: cut.numbers(cut.at(t), tensor).ravel()
    middle = height(0)
    place = int(np.argmax(np.abs(height(1) - middle)))
    gain = abs(height(1)[place] - middle[place])
    far = [abs(height(t)[place] - middle[place]) / gain for t in (3000, -3000)] if gain else [0.0]
    if min(far) < WIDE or max(far) > 1000:
        return 0.0
    half = min(far) / 2
    return min(far) * gain if abs(height(half)[place] - middle[place]) < 0.98 * half * gain else 0.0


def can_be_set(tensor: Any) -> bool:
    """Whether a tensor holds numbers, at least one an example."""
    is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype))
    return is_float and len(tensor.shape) > 1


def is_constant(cut: Cut) -> bool:
    """Whether an output is the same whatever the logits are."""
    rng = np.random.default_rng(0)
    rows = [cut.numbers(rng.normal(0, 3, cut.width)) for _ in range(2)]
    return bool(cut.steps) and bool(np.abs(rows[0] - rows[1]).max() <= EXACT)


def understood(cut: Cut, wanted: int) -> Cut | None:
    """The cut with what its output is of a logit; None where that is none of the kinds."""
    rank = len(cut.tensors[0].shape)
    for axis in dict.fromkeys((-1, *(range(1, rank - 1) if rank > 2 else ()))):
        placed = replace(cut, axis=axis)
        varied = wanted if wanted < placed.width else 0
        placed = replace(placed, varied=varied)
        rows = np.array([placed.row(placed.at(t)) for t in LINE])
        for kind, logits in kinds_of(rows, varied):
            line = fitted(logits, placed, STRAIGHT if kind == "identity" else 1.0)
            if line is not None:
                if kind == "identity" and is_flat_activation(placed):
                    kind = "unknown"
                return replace(placed, kind=kind, offset=line[0], slope=line[1])
    return None


def is_flat_activation(cut: Cut) -> bool:
    """Whether an output that is linear in small logits stays within [0, 1], as a hard sigmoid does."""
    far = np.array([cut.row(cut.at(t)) for t in (-1000, 1000)])
    return bool(cut.steps) and looks_like_probabilities(far.reshape(-1, 1))


def kinds_of(rows: np.ndarray, varied: int) -> list[tuple[str, np.ndarray]]:
    """The kinds that outputs [5, K] may be of, with the logits that they then have."""
    if not np.isfinite(rows).all():
        return []
    k, kinds = rows.shape[-1], []
    rival = 0 if varied == k - 1 else k - 1
    inside = (rows > 0).all() and (rows < 1).all()
    with np.errstate(all="ignore"):
        if k > 1 and inside and np.allclose(rows.sum(-1), 1, atol=0.02):
            logs = np.log(rows)
            kinds.append(("softmax", logs - logs[:, [rival]]))
        if inside:
            kinds.append(("sigmoid", np.log(rows) - np.log1p(-rows)))
        if k > 1 and (rows < 0).all() and np.allclose(np.exp(rows).sum(-1), 1, atol=0.02):
            kinds.append(("log-softmax", rows - rows[:, [rival]]))
    return [*kinds, ("identity", rows)]


def fitted(logits: np.ndarray, cut: Cut, strictness: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Offset and slope of logits [5, K] that are linear along `LINE`, in whatever precision they came."""
    t = np.array(LINE)
    offset, slope = logits.mean(0), t @ logits / (t @ t)
    largest = np.abs(slope).max()
    precision = min(cut.dtype, keras.backend.standardize_dtype(cut.output.dtype), key=lambda d: -ROUNDING[d])
    if not np.isfinite(largest) or largest < 1e-3:
        return None
    off = np.abs(logits - offset - t[:, None] * slope).max()
    if off > strictness * ROUNDING[precision] * max(
        2 * largest, np.abs(logits).max() * (precision != "float32")
    ):
        return None
    if np.abs(offset).max() < 10 * ROUNDING[precision]:
        offset = np.zeros_like(offset)
    return offset, rounded(slope)


def rounded(slope: np.ndarray) -> np.ndarray:
    """Slopes that are, to rounding, −1, 0 or 1 become so."""
    whole = np.round(slope)
    return np.where(np.abs(slope - whole) < 5e-3, whole, slope)


def behind_squash(found: Cut, deepest: Cut) -> Cut:
    """The deepest cut where what stands between it and the one found squashes logits; else the one found.

    What treats logits together, as a normalisation does, makes them anew, and is no squash.
    """
    between = len(deepest.steps) - len(found.steps)
    deepest = replace(deepest, varied=found.varied if found.varied < deepest.width else 0)
    target = found.tensors[0]
    values, moves_others = varied_values(deepest, target)
    are_probabilities = looks_like_probabilities(values)
    if are_probabilities and target is deepest.output:
        return deepest  # an activation that is none of the kinds
    if values.shape[1:] != concrete(deepest.tensors[0].shape, deepest.batch):
        return found
    if moves_others and not are_probabilities:
        return found
    if not moves_others and (reach := soft_cap(deepest, target)):
        return replace(found, reach=reach)
    if not moves_others and not is_dead(deepest, target):
        return found
    slope = np.eye(len(found.slope))[found.main]
    return replace(deepest, kind=found.kind, slope=slope, offset=np.zeros_like(slope), squash=between)


def varied_values(cut: Cut, target: Any) -> tuple[np.ndarray, bool]:
    """A tensor's values for random logits, and whether one logit moves more than its own place."""
    base = np.random.default_rng(1).normal(0, 1, cut.width)
    bumped = base + 3 * np.eye(cut.width)[cut.varied]
    values = np.array([cut.numbers(z, target) for z in (base, bumped, -3 * base, 3 * base)])
    rows = values.reshape(len(values), -1, values.shape[-1])[:, 0]
    return values, bool((np.abs(rows[0] - rows[1]) > EXACT).sum() > 1)


def is_dead(cut: Cut, target: Any) -> bool:
    """Whether a tensor hardly moves with the varied logit where this is far out, on either side."""

    def height(t: float) -> float:
        values = cut.numbers(cut.at(t), target)
        return float(values.reshape(-1, values.shape[-1])[0][cut.varied])

    middle = abs(height(1) - height(-1)) / 2
    far = [abs(height(s * FAR[1]) - height(s * FAR[0])) / (FAR[1] - FAR[0]) for s in (-1, 1)]
    return min(far) <= DEAD * middle


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
