"""The range of labels: class numbers that have a unit, probabilities within [0, 1], rows that sum to 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from crosscheck._keras import is_of_keras
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._mending import mapped_labels, with_loss
from crosscheck.diagnose._outputs import Output
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import Repair, fault, listed, note, number
from crosscheck.diagnose.checks._label_facts import LabelFacts
from crosscheck.diagnose.checks._label_form import loss_code

MANY, LOST = 0.05, 0.25  # of the targets of a regression; of the loss of the best constant
RANGE, ONE = "labels-in-range", "labels-one-of-many"
NAN = "A class number outside makes the loss NaN, an error, or silently 0, by backend and device."


def in_range(facts: LabelFacts) -> Iterator[Finding]:
    """Labels that lie outside what the loss can take, or the head can give."""
    output, wanted = facts.output, facts.output.anatomy.labels
    if wanted == "classes" and output.units > 1:
        yield from class_numbers_in_range(facts)
    elif wanted in ("one-hot", "labels", "outcomes") and facts.outside(0, 1).any():
        of_regression = is_bounded(output) and are_out_of_reach(facts, 0, 1)
        yield from [outside_unit_interval(facts)] * (output.is_classifier or of_regression)


def is_bounded(output: Output) -> bool:
    """Whether the head gives nothing outside [0, 1]."""
    return output.anatomy.head in ("sigmoid", "softmax")


def are_out_of_reach(facts: LabelFacts, low: float, high: float) -> bool:
    """Whether a regression's targets outside an interval are many, and much of what there is to learn."""
    many = (facts.outside(low, high) != 0).mean() >= MANY
    return bool(many and facts.lost_outside(low, high) >= LOST)


# --- class numbers ----------------------------------------------------------------------------------------


def class_numbers_in_range(facts: LabelFacts) -> Iterator[Finding]:
    """0 … K − 1, the class that is ignored aside."""
    units, ignored = facts.output.units, facts.output.anatomy.ignored
    outside = [v for v in facts.distinct if (v < 0 or v >= units) and v != ignored]
    if not outside:
        return
    count = int(np.isin(facts.labels, outside).sum())
    measured = f"{count} of {facts.labels.size} labels are outside 0 … {units - 1}: {listed(outside)}."
    if is_of_ones_own(facts.output.anatomy.loss) and all(gives_nothing(facts, v) for v in outside):
        why = (
            f"{facts.output.loss} gives exactly 0 for each of them, whatever the output: it leaves them out."
        )
        yield note(RANGE, measured, why, output=facts.output)
        return
    fix, repair = way_back(facts, outside)
    yield fault(
        RANGE,
        measured,
        NAN,
        fix,
        facts.output,
        repair,
    )


def is_of_ones_own(loss: Any) -> bool:
    """Whether a loss is neither Keras' nor ours."""
    kind = loss if hasattr(loss, "__name__") else type(loss)
    return not is_of_keras(kind) and not kind.__module__.startswith("crosscheck.")


def gives_nothing(facts: LabelFacts, value: float) -> bool:
    """Whether rows that are labelled so cost 0, to the last digit, whatever the output."""
    loss = facts.output.anatomy.loss
    call = loss.call if isinstance(loss, keras.losses.Loss) else loss
    shape = [size for size in facts.output.anatomy.shape[1:] if size is not None]
    if len(shape) < len(facts.output.anatomy.shape) - 1:
        return False
    drawn = np.random.default_rng(0).gamma(1, size=(2, *shape)) + 0.1
    axis = facts.output.anatomy.class_axis
    p = (drawn / drawn.sum(axis, keepdims=True)).astype("float32")
    y = np.full_like(facts.labels[:1], value).repeat(2, 0)
    try:
        values = keras.ops.convert_to_numpy(
            call(keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(p))
        )
    except Exception:  # TensorFlow on a CPU refuses a class that is none
        return False
    return bool((values == 0).all())


def way_back(facts: LabelFacts, outside: list[float]) -> tuple[str, Repair | None]:
    """The fix for class numbers outside, and its repair: a shift, a class to ignore, numbers anew."""
    units, output, low = facts.output.units, facts.output, int(facts.low)
    others = [v for v in facts.distinct if v not in outside]
    is_mark = len(outside) == 1 and (outside[0] < 0 or outside[0] > units) and len(others) > 1
    if is_mark and output.anatomy.ignored is None and (not others or min(others) >= 0):
        said = (
            f" (in {facts.labels.dtype} −1 becomes {int(outside[0])})" if are_wrapped(facts, outside) else ""
        )
        return f"ignore_class={int(outside[0])} in {output.loss}{said}", ignoring(output, int(outside[0]))
    if are_wrapped(facts, outside):
        return unwrapped(facts)
    if facts.high - facts.low < units and low != 0:
        shift = f"y - {low}" if low > 0 else f"y + {-low}"
        return f"y = {shift}", shifted(output, low)
    if len(facts.distinct) <= units:
        return "classes, y = np.unique(y, return_inverse=True)", renumbered(output, facts.distinct)
    return f"Dense({int(facts.high) + 1}, …) last, or labels within 0 … {units - 1}", None


def are_wrapped(facts: LabelFacts, outside: list[float]) -> bool:
    """Whether labels without a sign are so large that they were negative before, as 255 was −1."""
    kind = facts.labels.dtype
    return kind.kind == "u" and all(value > np.iinfo(signed(kind)).max for value in outside)


def signed(kind: np.dtype) -> np.dtype:
    """int8 of uint8, and so on."""
    return np.dtype(f"i{kind.itemsize}")


def unwrapped(facts: LabelFacts) -> tuple[str, Repair | None]:
    """The fix for negative class numbers that were made positive, and its repair."""
    kind, output = signed(facts.labels.dtype), facts.output
    y = facts.labels.astype(kind)
    low, high = int(y.min()), int(y.max())
    is_now = low % 2 ** (8 * kind.itemsize)
    fix = f"y = y.astype('{kind}') + {-low}: in {facts.labels.dtype} {low} has become {is_now}"
    if high - low >= output.units:
        return f"{fix}; and Dense({high - low + 1}, …) last", None
    return fix, lambda program: mapped_labels(program, output, lambda y: y.astype(kind).astype("int32") - low)


def shifted(output: Output, by: int) -> Repair:
    return lambda program: mapped_labels(program, output, lambda y: y - by)


def renumbered(output: Output, values: np.ndarray) -> Repair:
    return lambda program: mapped_labels(
        program, output, lambda y: np.searchsorted(values, y).astype("int32")
    )


def ignoring(output: Output, value: int) -> Repair | None:
    """A repair: the loss ignores a class; None where it is no sparse cross-entropy of Keras'."""
    loss = output.anatomy.loss
    name = getattr(getattr(loss, "fn", loss), "__name__", "")
    if name != "sparse_categorical_crossentropy":
        return None
    logits = bool(output.anatomy.takes_logits)
    new = keras.losses.SparseCategoricalCrossentropy(from_logits=logits, ignore_class=value)
    return lambda program: with_loss(program, output, new)


# --- probabilities ----------------------------------------------------------------------------------------


def outside_unit_interval(facts: LabelFacts) -> Finding:
    """Labels of −1 and 1, of 0 … 255, or of anything else that is no probability."""
    output = facts.output
    fix, mapping = rescaled(facts)
    values = listed(facts.distinct) if len(facts.distinct) <= 6 else f"{facts.low:.4g} … {facts.high:.4g}"
    why = what_follows(facts)
    repair: Callable[[Program], Program] | None = None
    if mapping is not None:
        repair = lambda program: mapped_labels(program, output, mapping)
    return fault(RANGE, f"The labels are {values}, outside [0, 1].", why, fix, output, repair)


def what_follows(facts: LabelFacts) -> str:
    output = facts.output
    if not output.is_classifier:
        return f"A {output.anatomy.head} can give nothing beyond [0, 1]."
    if output.anatomy.labels == "one-hot" and facts.low >= 0:
        return (
            "The classes share a probability of 1: no output meets such a row, and its sum acts as a weight."
        )
    return "Beyond [0, 1] the loss has no minimum: it pulls the logit to infinity."


def rescaled(facts: LabelFacts) -> tuple[str, Callable[[np.ndarray], np.ndarray] | None]:
    """How labels come into [0, 1], as code and as a function."""
    low, high, distinct = facts.low, facts.high, facts.distinct
    if high in (255, 65535) and set(distinct) <= {0, 1, high} and 1 in distinct:
        return of_a_lost_sign(facts)
    if len(distinct) == 2 and facts.is_whole:
        top = distinct[1]
        if low == 0:
            return f"y = y / {number(top)}", lambda y: y / top
        return f"y = (y == {number(top)}).astype('float32')", lambda y: (y == top).astype("float32")
    if low == -1 and high == 1:
        return "y = (y + 1) / 2", lambda y: (y + 1) / 2
    if low >= 0 and high in (255, 100, 65535):
        return f"y = y / {number(high)}", lambda y: y / high
    head = facts.output.anatomy.head
    if not facts.output.is_classifier:
        return f"no {head} in the head, or labels within [0, 1]", None
    return (
        'labels within [0, 1]; of a regression, no activation in the head and loss="mean_squared_error"',
        None,
    )


def of_a_lost_sign(facts: LabelFacts) -> tuple[str, Callable[[np.ndarray], np.ndarray] | None]:
    """For 1 and 255, or 0, 1 and 255: what stands for −1 where numbers have no sign."""
    top = number(facts.high)
    if 0 in facts.distinct:
        return f"keep = y != {top}; x, y = x[keep], y[keep]  # a mark, or −1 without its sign", None
    fix = f"y = (y == 1).astype('float32')  # without a sign −1 becomes {top}"
    return fix, lambda y: (y == 1).astype("float32")


# --- rows -------------------------------------------------------------------------------------------------


def one_of_many(facts: LabelFacts) -> Iterator[Finding]:
    """Several labels at once with a softmax; one class among K with K sigmoids, which is legal."""
    output, wanted = facts.output, facts.output.anatomy.labels
    if facts.form != "wide" or output.units == 1 or not output.is_classifier:
        return
    if wanted == "one-hot" or (wanted == "labels" and output.anatomy.head == "softmax"):
        yield from rows_of_softmax(facts)
    elif wanted == "labels" and facts.is_one_hot and output.units > 2:
        yield exclusive_sigmoids(facts)


def rows_of_softmax(facts: LabelFacts) -> Iterator[Finding]:
    """Rows of labels for a softmax should sum to 1."""
    output, sums = facts.output, facts.sums
    several = int((sums > 1).sum())
    if facts.is_binary and several:
        yield several_on_softmax(facts, several)
    elif facts.is_binary and (sums == 0).any():
        yield note(
            ONE,
            f"{int((sums == 0).sum())} of {len(sums)} rows have no label at all.",
            "They count in the mean, and give no gradient.",
            output=output,
        )
    elif not facts.sums_to_one and not facts.is_binary:
        yield note(
            ONE,
            f"The rows of labels sum to {sums.min():.4g} … {sums.max():.4g}, not to 1.",
            "The sum is a weight of the row; on TensorFlow the gradient is then p − y, which is another one.",
            "y / y.sum(-1, keepdims=True), and sample_weight for the weights",
            output=output,
        )


def several_on_softmax(facts: LabelFacts, several: int) -> Finding:
    output = facts.output
    is_bare = output.anatomy.head == "identity"
    head = "no activation in the head, and " if not is_bare else ""
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return fault(
        ONE,
        f"{several} of {len(facts.sums)} rows have several labels at once (up to {int(facts.sums.max())}), "
        f"and {output.loss} is for one of {output.units}.",
        "A softmax shares one probability among the classes: no row of several labels can be met.",
        f"{head}loss={loss_code('BinaryCrossentropy', True)}",
        output,
        lambda program: with_loss(program, output, loss, bare=not is_bare),
    )


def exclusive_sigmoids(facts: LabelFacts) -> Finding:
    output = facts.output
    return note(
        ONE,
        f"Every row has exactly one of {output.units} labels, and each has a sigmoid of its own.",
        f"Legal, but the probabilities need not sum to 1, and the mean over {output.units} units makes every "
        f"gradient {output.units} times smaller than a softmax's.",
        "where the classes exclude one another: softmax and CategoricalCrossentropy",
        output,
    )
