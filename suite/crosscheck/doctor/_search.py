"""Looks for where a model's logits are: the cut furthest from the output that is understood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from crosscheck.doctor._cut import EXACT, Cut, looks_like_probabilities
from crosscheck.doctor._graph import concrete, frontiers, step_behind
from crosscheck.doctor._theory import one_hot

LINE = (-2.0, -1.0, -0.25, 0.0, 0.25, 1.0, 2.0)  # where it is looked how an output follows from a logit
FAR = (10.0, 13.0)  # between these a logit must still count
NEAR = 0.1  # and within this of 0
DRAWN = (3.0, 0.03)  # sizes of logits: a sharp softmax is the same for most that are large
TRIED = 8  # classes among which one is sought whose logit counts
WIDE = 5.0  # the bound from which on a soft cap of logits is taken for design: e^−5 is a confident error
DEAD = 0.05  # share of the slope in the middle below which it does not
ROUNDING = {"float64": 1e-4, "float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}
STRAIGHT = 0.15  # outputs are rounded by so much less than logits that are computed back from them


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
    if mixes_examples(deepest[0]):
        return replace(deepest[0], mixes_examples=True)
    if all(never_moves(cut) or goes_over_another_axis(cut) for cut in deepest):
        return replace(deepest[0], kind="constant")
    wanted = one_that_moves(deepest[0], wanted)
    from_deepest = sorted((cut for cut in cuts if not is_constant(cut)), key=lambda cut: -len(cut.steps))
    all_found = (found for cut in from_deepest if (found := understood(cut, wanted)))
    found = next((found for found in all_found if not holds_soft_cap(found)), None)
    if found is None:
        return deepest[0]
    if found.kind == "identity" and not tells_apart(found):
        apart = (one for cut in from_deepest if (one := understood(cut, wanted)) and tells_apart(one))
        found = next(apart, found)
    if not found.steps and (one := next(filter(None, (gated(cut, wanted) for cut in deepest)), None)):
        return one
    is_shallow = found.kind == "identity" and len(found.steps) < len(deepest[0].steps)
    if is_shallow and all(map(gives_probabilities, deepest)):
        return replace(deepest[0], is_of_pairs=is_constant(deepest[0]))
    deeper = [cut for cut in from_deepest if len(cut.steps) > len(found.steps)]
    alike = (cut for cut in deeper if cut.tensors[0].shape == found.tensors[0].shape)
    return behind_squash(found, next(alike, deeper[0])) if deeper else found


def with_each_first(tensors: Sequence[Any], output: Any, class_axis: int) -> Iterator[list[Any]]:
    """Yields the tensors with those of one shape first, which may be the logits; the likeliest shape first.

    Gates and temperatures are among them too. Logits have an entry for each class, more often than not.
    """
    made = [t for t in tensors if step_behind(t)] or list(tensors)  # an input of the model is no logit
    shapes = dict.fromkeys(tuple(t.shape) for t in made if can_be_set(t))
    classes = output.shape[class_axis]
    for shape in sorted(shapes, key=lambda shape: shape[-1] != classes):
        alike = [t for t in made if tuple(t.shape) == shape]
        yield [*alike, *(t for t in tensors if all(t is not one for one in alike))]


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


def axes_of(cut: Cut) -> tuple[int, ...]:
    """The axes along which the logits may lie: the last, and all others but that of the batch."""
    rank = len(cut.tensors[0].shape)
    return tuple(dict.fromkeys((-1, *(range(1, rank - 1) if rank > 2 else ()))))


def never_moves(cut: Cut) -> bool:
    """Whether an output is the same whatever the logits are, at every place."""
    rng = np.random.default_rng(0)
    return bool(cut.steps) and all(same(*(cut.anywhere(rng, size) for _ in range(2))) for size in DRAWN)


def is_constant(cut: Cut, *axes: int) -> bool:
    """Whether an output is the same whatever the logits along these axes, alike at all other places."""
    rng = np.random.default_rng(0)
    placed = [replace(cut, axis=axis) for axis in axes or axes_of(cut)]
    draw = lambda at, size: at.numbers(rng.normal(0, size, at.width))
    pairs = ([draw(at, size), draw(at, size)] for at in placed for size in DRAWN)
    return bool(cut.steps) and all(same(*pair) for pair in pairs)


def goes_over_another_axis(cut: Cut) -> bool:
    """Whether behind logits of the output's shape others than the classes compete, such as steps."""
    alike = tuple(cut.tensors[0].shape) == tuple(cut.output.shape)
    return alike and cut.shape[cut.class_axis] > 1 and is_constant(cut, cut.class_axis)


def mixes_examples(cut: Cut) -> bool:
    """Whether an example's output follows the logits of others that stand beside it in a batch."""
    several = replace(cut, batch=max(cut.batch, 2))
    if not cut.steps:
        return False
    try:
        first, again, other = (several.beside(seed) for seed in (1, 1, 2))
    except Exception:  # what is made for one size of batch
        return False
    return same(first, again) and not same(first, other)


def one_that_moves(cut: Cut, wanted: int) -> int:
    """The class that is wanted, or one of the next where nothing follows its logit, as where it is masked."""
    for i in range(wanted, min(cut.width, wanted + TRIED)):
        one = replace(cut, varied=i)
        if not all(same(one.numbers(one.at(0)), one.numbers(one.at(t))) for t in (-2, 2)):
            return i
    return wanted


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether no number differs by more than rounding."""
    return bool(np.abs(a - b).max() <= EXACT)


def gives_probabilities(cut: Cut) -> bool:
    """Whether an output is probabilities whatever the logits are, without being one of the kinds."""
    rng = np.random.default_rng(1)
    rows = [np.moveaxis(cut.anywhere(rng, size), cut.class_axis, -1) for size in (1, 3, 10, 100)]
    return bool(cut.steps) and looks_like_probabilities(np.array(rows))


def gated(cut: Cut, wanted: int) -> Cut | None:
    """The cut with one of several tensors of a shape as the logits, the others being gates; None for none."""
    alike = [t for t in cut.tensors if cut.holds_logits(t)]
    if len(alike) < 2:
        return None
    others = lambda first: [first, *(t for t in cut.tensors if t is not first)]
    each = (understood(replace(cut, tensors=others(first), alone=True), wanted) for first in alike)
    found = [one for one in each if one and not holds_soft_cap(one)]
    return next((one for one in found if one.kind == "identity"), None)


def understood(cut: Cut, wanted: int) -> Cut | None:
    """The cut with what its output is of a logit; None where that is none of the kinds."""
    found = []
    for axis in axes_of(cut):
        placed = replace(cut, axis=axis)
        varied = wanted if wanted < placed.width else 0
        placed = replace(placed, varied=varied)
        rows = np.array([placed.row(placed.at(t)) for t in LINE])
        for kind, logits in kinds_of(rows, varied):
            line = fitted(logits, placed, STRAIGHT if kind == "identity" else 1.0)
            if line is not None:
                if kind == "identity" and is_flat_activation(placed):
                    kind = "unknown"
                found.append(replace(placed, kind=kind, offset=line[0], slope=line[1]))
                break
    return next(filter(tells_apart, found), found[0] if found else None)


def tells_apart(cut: Cut) -> bool:
    """Whether a logit moves one class more than another, where there are several."""
    return len(cut.slope) == 1 or bool(np.ptp(cut.slope) > 0)


def is_flat_activation(cut: Cut) -> bool:
    """Whether an output that is linear in small logits stays within [0, 1], as a hard sigmoid does."""
    far = np.array([cut.row(cut.at(t)) for t in (-1000, 1000)])
    return bool(cut.steps) and looks_like_probabilities(far.reshape(-1, 1))


def kinds_of(rows: np.ndarray, varied: int) -> list[tuple[str, np.ndarray]]:
    """The kinds that outputs [7, K] may be of, with the logits that they then have."""
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
    """Offset and slope of logits [7, K] that are linear along `LINE`, in whatever precision they came."""
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
    """Slopes that are, to rounding, −1, 0 or 1 become so; of small ones a small one is not 0."""
    whole = np.round(slope)
    return np.where(np.abs(slope - whole) < 5e-3 * min(1.0, np.abs(slope).max()), whole, slope)


def behind_squash(found: Cut, deepest: Cut) -> Cut:
    """The deepest cut where what stands between it and the one found squashes logits; else the one found.

    What treats logits together, as a normalisation does, makes them anew, and is no squash.
    """
    between = len(deepest.steps) - len(found.steps)
    target = found.tensors[0]
    if len(target.shape) == len(deepest.tensors[0].shape):
        deepest = replace(deepest, axis=found.axis)
    deepest = replace(deepest, varied=found.varied if found.varied < deepest.width else 0)
    values, moves_others = varied_values(deepest, target)
    are_probabilities = looks_like_probabilities(logits_last(deepest, values))
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
    slope = one_hot(len(found.slope), found.main)
    return replace(deepest, kind=found.kind, slope=slope, offset=np.zeros_like(slope), squash=between)


def varied_values(cut: Cut, target: Any) -> tuple[np.ndarray, bool]:
    """A tensor's values for random logits, and whether one logit moves more than its own place."""
    base = np.random.default_rng(1).normal(0, 1, cut.width)
    bumped = base + 3 * one_hot(cut.width, cut.varied)
    values = np.array([cut.numbers(z, target) for z in (base, bumped, -3 * base, 3 * base)])
    moved = logits_last(cut, values)
    rows = moved.reshape(len(values), -1, moved.shape[-1])[:, 0]
    return values, bool((np.abs(rows[0] - rows[1]) > EXACT).sum() > 1)


def logits_last(cut: Cut, values: np.ndarray) -> np.ndarray:
    """Values of a tensor on the way with the axis along which the logits lie last."""
    rank = len(cut.tensors[0].shape)
    return np.moveaxis(values, cut.axis % rank - rank, -1) if values.ndim >= rank else values


def is_dead(cut: Cut, target: Any) -> bool:
    """Whether a tensor hardly moves with the varied logit where this is far out or about 0."""

    def height(t: float) -> float:
        values = logits_last(cut, cut.numbers(cut.at(t), target))
        return float(values.reshape(-1, values.shape[-1])[0][cut.varied])

    middle = abs(height(1) - height(-1)) / 2
    about_0 = abs(height(NEAR) - height(-NEAR)) / (2 * NEAR)
    far = [abs(height(s * FAR[1]) - height(s * FAR[0])) / (FAR[1] - FAR[0]) for s in (-1, 1)]
    return min(*far, about_0) <= DEAD * middle
