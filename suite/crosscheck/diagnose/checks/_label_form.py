"""The form of labels: class numbers or columns, and as many columns as the output has units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._mending import head_layer, mapped_labels, with_loss
from crosscheck.diagnose._outputs import Output
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, note, number, shape_of, undecided
from crosscheck.diagnose.checks._label_facts import LabelFacts

FORM, UNITS = "labels-form", "labels-units"
ELEMENTWISE = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "poisson",
    "cosine_similarity",
)


def form(facts: LabelFacts) -> Iterator[Finding]:
    """Class numbers to a loss of columns, columns to a loss of class numbers, shapes that do not agree."""
    wanted = facts.output.anatomy.labels
    judge: Callable[[LabelFacts], Iterator[Finding]] = {
        "classes": class_numbers,
        "one-hot": columns,
        "labels": columns,
    }.get(wanted, elementwise)
    yield from judge(facts)


def class_numbers(facts: LabelFacts) -> Iterator[Finding]:
    """For a loss of class numbers, as the sparse ones are."""
    output = facts.output
    if output.units == 1:
        return
    if facts.form == "classes":
        if not facts.is_whole:
            yield fault(
                FORM,
                f"The labels are {facts.low:.4g} … {facts.high:.4g}, not whole numbers; {output.loss} takes "
                "class numbers.",
                "Keras cuts off what is behind the point.",
                "class numbers, or a loss of a regression (mean_squared_error)",
                output,
            )
        return
    if facts.is_one_hot:
        yield one_hot_to_sparse(facts)
    else:
        yield wrong_shape(facts, "class numbers, one a place")


def one_hot_to_sparse(facts: LabelFacts) -> Finding:
    output = facts.output
    return fault(
        FORM,
        f"The labels are one-hot, {shape_of(facts.labels)}, and {output.loss} takes class numbers.",
        "Keras refuses the shapes, or takes each column for a class number.",
        f'loss="{output.loss.replace("sparse_", "").replace("Sparse", "")}", or y = y.argmax(-1)',
        output,
        lambda program: mapped_labels(program, output, lambda y: y.argmax(-1).astype("int32")),
    )


def columns(facts: LabelFacts) -> Iterator[Finding]:
    """For a loss of as many columns as there are units."""
    if facts.form == "wide" or facts.form == "other width":
        return
    output = facts.output
    if facts.form == "classes" and facts.is_whole:
        yield integers_to_columns(facts)
    elif facts.form == "classes":
        yield broadcast(facts)
    else:
        yield wrong_shape(facts, f"{output.units} columns")


def integers_to_columns(facts: LabelFacts) -> Finding:
    """Class numbers to a loss of columns: mended by the sparse loss where a softmax is trained."""
    output, one_hot = facts.output, facts.output.anatomy.labels == "one-hot"
    in_range = facts.low >= 0 and facts.high < output.units
    from_logits = bool(output.anatomy.takes_logits)
    fix = f"loss={loss_code('SparseCategoricalCrossentropy', from_logits)}"
    if one_hot:
        fix += f", or y = keras.utils.to_categorical(y, {output.units})"
    elif output.anatomy.is_crossentropy:
        fix += " on a softmax (or on logits), for K classes exclude one another"
    return fault(
        FORM,
        f"The labels are class numbers, {shape_of(facts.labels)} of {number(facts.low)} … "
        f"{number(facts.high)}, and {output.loss} takes {output.units} columns.",
        "Keras refuses the shapes, or takes the number itself for the wanted value of every unit.",
        fix,
        output,
        (as_one_hot(output) if one_hot else as_classes(output)) if in_range else None,
    )


def as_classes(output: Output) -> Callable[[Program], Program] | None:
    """A repair: sparse cross-entropy for the labels as they are; None where no cross-entropy was meant."""
    if not output.anatomy.is_crossentropy:
        return None
    keeps_head = output.anatomy.head in ("softmax", "identity")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=output.anatomy.head != "softmax")
    return lambda program: with_loss(program, output, loss, bare=not keeps_head)


def as_one_hot(output: Output) -> Callable[[Program], Program]:
    """A repair: class numbers become rows of one 1."""

    def encoded(y: np.ndarray) -> np.ndarray:
        flat = y[..., 0] if y.ndim == output.rank else y
        return np.eye(output.units, dtype="float32")[flat.astype("int64")]

    return lambda program: mapped_labels(program, output, encoded)


def loss_code(name: str, from_logits: bool) -> str:
    """A loss of Keras as one writes it."""
    return f"keras.losses.{name}({'from_logits=True' if from_logits else ''})"


def elementwise(facts: LabelFacts) -> Iterator[Finding]:
    """For a loss of numbers, one beside the other: shapes that NumPy's rules stretch silently."""
    name = getattr(getattr(facts.output.anatomy.loss, "fn", facts.output.anatomy.loss), "__name__", "")
    if name not in ELEMENTWISE:
        return
    if is_stretched(facts):
        yield along_positions(facts)
    elif facts.form in ("classes", "other width", "other shape"):
        yield broadcast(facts)


def is_stretched(facts: LabelFacts) -> bool:
    """Whether an output has several positions and the labels one number for all of them, or none."""
    p, y = facts.output.predictions, facts.labels
    if p is None or p.ndim < 3 or np.prod(p.shape[1:-1]) == 1:
        return False
    y = y.reshape(*y.shape, *[1] * (p.ndim - y.ndim))
    pairs = list(zip(p.shape[1:], y.shape[1:], strict=False))
    return y.ndim == p.ndim and all(b in (1, a) for a, b in pairs) and all(b == 1 for _, b in pairs[:-1])


def along_positions(facts: LabelFacts) -> Finding:
    """[N] or [N, 1] beside [N, T, 1]: one number is asked of every position."""
    output, y = facts.output, facts.labels
    assert output.predictions is not None
    shape, positions = shape_of(output.predictions), int(np.prod(output.predictions.shape[1:-1]))
    return fault(
        FORM,
        f"The labels are {shape_of(y)}, the output {shape}: one label a row for {positions} positions.",
        "Keras repeats the label without a word: every position is trained on the same number.",
        "one output a row, as by return_sequences=False or a pooling before the head; or, if it is meant, "
        f"labels of {shape}",
        output,
    )


def broadcast(facts: LabelFacts) -> Finding:
    output = facts.output
    return fault(
        FORM,
        f"The labels are {shape_of(facts.labels)}, and the output has {output.units} units.",
        "Keras refuses the shapes, or repeats the labels until they fit: every unit is then trained on the "
        "same number.",
        f"Dense({facts.labels.shape[-1] if facts.labels.ndim > 1 else 1}) last, or labels of {output.units} "
        "columns",
        output,
    )


def wrong_shape(facts: LabelFacts, wanted: str) -> Finding:
    output = facts.output
    predicted = output.predictions.shape[1:] if output.predictions is not None else output.anatomy.shape[1:]
    shape = "[" + ", ".join(["N", *map(str, predicted)]) + "]"
    return fault(
        FORM,
        f"The labels are {shape_of(facts.labels)}, the output {shape}; {output.loss} takes {wanted}.",
        "Keras refuses the shapes.",
        "labels of the output's shape, without the axis of classes where the loss is a sparse one",
        output,
    )


# --- as many units as classes -----------------------------------------------------------------------------


def units(facts: LabelFacts) -> Iterator[Finding]:
    """More classes, or columns, than units; one unit that no loss of several can train."""
    output, wanted = facts.output, facts.output.anatomy.labels
    if facts.form == "other width" and wanted in ("one-hot", "labels"):
        yield other_columns(facts)
    elif output.units == 1 and wanted in ("classes", "one-hot") and output.anatomy.head != "constant":
        yield single_unit(facts)
    elif wanted == "classes" and is_too_narrow(facts):
        yield too_few_units(facts)
    elif wanted == "labels" and output.units == 1 and is_many_classes(facts):
        yield classes_on_one_sigmoid(facts)
    else:
        yield from unused_units(facts)


def other_columns(facts: LabelFacts) -> Finding:
    output, width = facts.output, facts.labels.shape[facts.axis]
    return fault(
        UNITS,
        f"The labels have {width} columns, the output {output.units} units.",
        "Keras refuses the shapes.",
        f"Dense({width}, …) last",
        output,
        widened(output, width),
    )


def widened(output: Output, units: int) -> Callable[[Program], Program] | None:
    """A repair: the head gets other units, with weights drawn anew."""

    def repair(program: Program) -> Program:
        head = head_layer(program.model, output)
        if head is None or not hasattr(head, "kernel"):
            raise ValueError("the head cannot be rebuilt here")
        return with_loss(program, output, None, units=units)

    return repair


def single_unit(facts: LabelFacts) -> Finding:
    output = facts.output
    classes = len(facts.distinct)
    fix = f"Dense({max(classes, 2)}, …) last"
    if facts.is_binary:
        from_logits = bool(output.anatomy.takes_logits)
        fix = f"loss={loss_code('BinaryCrossentropy', from_logits)}, or Dense(2, …) last"
    return fault(
        UNITS,
        f"The output has one unit, and {output.loss} wants one for each of {classes} classes.",
        "Over one unit a softmax is 1 whatever the model says: nothing is trained.",
        fix,
        output,
        as_binary(output) if facts.is_binary and output.anatomy.head in ("sigmoid", "identity") else None,
    )


def as_binary(output: Output) -> Callable[[Program], Program]:
    """A repair: binary cross-entropy, of whatever the head gives."""
    loss = keras.losses.BinaryCrossentropy(from_logits=output.anatomy.head == "identity")
    return lambda program: with_loss(program, output, loss)


def is_too_narrow(facts: LabelFacts) -> bool:
    """Whether there are more classes than units, and not just other numbers for them."""
    counted = facts.distinct[facts.distinct >= 0]
    counted = counted[counted != facts.output.anatomy.ignored]
    beyond = counted[counted >= facts.output.units]
    return len(counted) > facts.output.units and len(beyond) > 0 and not is_void(beyond, facts)


def is_void(beyond: np.ndarray, facts: LabelFacts) -> bool:
    """Whether a single number far from the others is more likely a mark, such as 255, than a class."""
    return len(beyond) == 1 and beyond[0] > facts.output.units + 1


def too_few_units(facts: LabelFacts) -> Finding:
    output = facts.output
    needed = int(facts.high) + 1
    return fault(
        UNITS,
        f"There are {len(facts.distinct)} classes, {number(facts.low)} … {number(facts.high)}, on "
        f"{output.units} units.",
        "A class number beyond the units makes the loss NaN, an error, or silently 0, by backend and device.",
        f"Dense({needed}, …) last",
        output,
        widened(output, needed) if needed <= 10 * len(facts.distinct) else None,
    )


def is_many_classes(facts: LabelFacts) -> bool:
    """Whether labels for one sigmoid are class numbers of three classes or more."""
    return (
        facts.is_whole
        and len(facts.distinct) > 2
        and facts.low >= 0
        and len(facts.distinct) <= facts.high + 1 <= 200
    )


def classes_on_one_sigmoid(facts: LabelFacts) -> Finding:
    output, classes = facts.output, int(facts.high) + 1
    if not output.is_classifier:
        return numbers_on_a_sigmoid(facts)
    from_logits = bool(output.anatomy.takes_logits)
    activation = "" if from_logits else ', activation="softmax"'
    return fault(
        UNITS,
        f"There are {len(facts.distinct)} classes, {number(facts.low)} … {number(facts.high)}, and one unit.",
        "One sigmoid tells two classes apart; a label above 1 pulls its logit to infinity.",
        f"Dense({classes}{activation}) last, and "
        f"loss={loss_code('SparseCategoricalCrossentropy', from_logits)}",
        output,
        as_softmax(output, classes),
    )


def numbers_on_a_sigmoid(facts: LabelFacts) -> Finding:
    """Whole numbers under a loss of a regression: ratings, or classes."""
    output, low, high = facts.output, number(facts.low), number(facts.high)
    scale = f"(y - {low}) / {number(facts.high - facts.low)}" if facts.low else f"y / {high}"
    return fault(
        UNITS,
        f"The labels are {len(facts.distinct)} whole numbers, {low} … {high}, and a sigmoid gives 0 … 1.",
        "What is above 1 is never reached: such rows pull the output to 1, all of them alike.",
        f"of numbers such as ratings: no activation in the head, or y = {scale}; of classes: "
        f'Dense({int(facts.high) + 1}, activation="softmax") and sparse_categorical_crossentropy',
        output,
        lambda program: with_loss(program, output, None, bare=True),
    )


def as_softmax(output: Output, classes: int) -> Callable[[Program], Program]:
    """A repair: K logits, and sparse cross-entropy from them."""
    loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def repair(program: Program) -> Program:
        head = head_layer(program.model, output)
        if head is None or not hasattr(head, "kernel"):
            raise ValueError("the head cannot be rebuilt here")
        mended = with_loss(program, output, loss, bare=True, units=classes)
        return mapped_labels(mended, output, lambda y: y.astype("int32"))

    return repair


def varied(facts: LabelFacts) -> Iterator[Finding]:
    """Labels that are the same in every row teach a classifier to say so, whatever it sees."""
    rows = facts.labels.reshape(len(facts.labels), -1)
    if facts.output.is_classifier and len(rows) > 1 and (rows == rows[:1]).all():
        value = number(rows[0, 0]) if rows.shape[1] == 1 else "the same row"
        yield undecided(
            UNITS,
            f"All {len(rows)} labels are {value}.",
            "A model learns to say so, whatever it sees. That may be meant where it is trained against "
            "another, as a generator is, or where these rows are not all.",
            facts.output,
        )


def unused_units(facts: LabelFacts) -> Iterator[Finding]:
    """Units without a label are legal: a class may be rare, or come later."""
    output, wanted = facts.output, facts.output.anatomy.labels
    if wanted == "classes" and facts.form == "classes":
        present = facts.distinct[(facts.distinct >= 0) & (facts.distinct < output.units)]
        count = len(present[present != output.anatomy.ignored])
    elif wanted == "one-hot" and facts.form == "wide" and facts.labels.ndim == 2 and output.units > 1:
        count = int((facts.labels != 0).any(0).sum())
    else:
        return
    if 0 < count < output.units:
        yield note(
            UNITS,
            f"{output.units - count} of {output.units} units have no label among these rows.",
            "They learn to be improbable, and nothing else.",
            output=output,
        )
