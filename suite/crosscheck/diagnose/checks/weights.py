"""Weights of classes and rows, computed as Keras computes them, and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from crosscheck._keras import layers_of, weights_of_classes
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output, outputs_of, predictions_of
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, fine, listed, note, number, shape_of, undecided
from crosscheck.diagnose.checks._label_facts import LabelFacts

CLASS_WEIGHT, SAMPLE_WEIGHT, MASK = "class-weight", "sample-weight", "mask"
SHOWN = 4096  # rows whose weights are computed as Keras does, which goes row by row


def weights(program: Program) -> Iterator[Finding]:
    """What becomes of class weights, sample weights and masks."""
    yield from of_outputs(program)
    if program.class_weight is not None:
        yield class_weights(program, dict(program.class_weight))
    for output in outputs_of(program):
        if output.weights is not None:
            yield sample_weights(program, output, output.weights)
    yield from masked_rows(program)


# --- of classes -------------------------------------------------------------------------------------------


def class_weights(program: Program, given: Mapping[Any, float]) -> Finding:
    """The first thing that is wrong with class weights, or the weights that come of them."""
    outputs = outputs_of(program)
    if keras.tree.is_nested(program.training.y):
        return refused("Keras takes class weights for a single output alone.", "sample_weight={'output': …}")
    if program.training.sample_weight is not None:
        return refused("Keras refuses class weights beside sample weights.", "sample_weight=weights * w[y]")
    if program.training.source in ("generator", "DataLoader", "grain"):
        source = program.training.source
        return refused(f"Keras takes no class weights with a {source}.", "yield x, y, sample_weight")
    if not outputs or outputs[0].labels is None or outputs[0].labels.dtype.kind not in "biuf":
        return note(CLASS_WEIGHT, "The labels cannot be read: the weights are not judged.")
    output, y = outputs[0], outputs[0].labels
    if program.training.source == "tf.data" and (finding := of_table(given, output, y)):
        return finding
    for check in (bad_numbers, strange_keys, along_an_axis, of_several_labels, absent_keys, without_weight):
        finding = check(given, output, y)
        if finding:
            return finding
    return shown(given, output, y)


def refused(measured: str, fix: str) -> Finding:
    return fault(CLASS_WEIGHT, measured, "`fit` raises before its first step.", fix)


def of_table(given: Mapping[Any, float], output: Output, y: np.ndarray) -> Finding | None:
    """Of a `tf.data.Dataset` Keras looks weights up in a table that ends with the largest key."""
    odd = [key for key in given if not isinstance(key, int | np.integer)]
    if odd:
        fix = f"class_weight={{{', '.join(f'{int(c)}: …' for c in classes_of(output, y)[:4])}}}"
        return refused(f"The keys {odd[:6]!r} are no whole numbers, of which Keras makes a table.", fix)
    beyond = [int(c) for c in classes_of(output, y) if c > max(given, default=-1)]
    if not beyond or not output.is_classifier:
        return None
    return fault(
        CLASS_WEIGHT,
        f"The largest key is {max(given, default=None)}, and there {are(beyond)} beyond it.",
        "Of a tf.data Keras makes a table that ends there: what is beyond is an error, or the weight 0.",
        f"class_weight={{…, {beyond[-1]}: 1.0}}",
        output,
    )


def are(classes: list[int]) -> str:
    return f"is the class {classes[0]}" if len(classes) == 1 else f"are the classes {listed(classes)}"


def bad_numbers(given: Mapping[Any, float], output: Output, y: np.ndarray) -> Finding | None:
    """Weights that are negative, not finite, or all 0."""
    values = np.array([float(v) for v in given.values()])
    if len(values) and np.isfinite(values).all() and (values >= 0).all() and (values > 0).any():
        return None
    return fault(
        CLASS_WEIGHT,
        f"The class weights are {dict(given)}.",
        "A negative weight rewards errors, NaN makes every weight NaN, and 0 alone trains nothing.",
        "positive class weights",
        output,
    )


def strange_keys(given: Mapping[Any, float], output: Output, y: np.ndarray) -> Finding | None:
    """Keys that no class can have, while a class that occurs has none."""
    classes = classes_of(output, y)
    units = max(output.units, 2)
    strange = [key for key in given if not is_class(key, units)]
    missing = [int(c) for c in classes if int(c) not in given]
    if not strange or not missing:
        return None
    return fault(
        CLASS_WEIGHT,
        f"The keys {strange[:6]!r} are no class of 0 … {units - 1}; the classes {listed(missing)} have "
        "no key.",
        "Keras looks up the class number, finds nothing, and takes the weight 1 without a word.",
        f"class_weight={{{', '.join(f'{int(c)}: …' for c in classes[:4])}}}",
        output,
    )


def is_class(key: Any, units: int) -> bool:
    return not isinstance(key, str) and float(key).is_integer() and 0 <= int(key) < units


def classes_of(output: Output, y: np.ndarray) -> np.ndarray:
    """The class numbers that Keras sees: the largest column's, or the number itself."""
    if y.ndim > 1:
        y = y.argmax(-1) if y.shape[-1] != 1 else y[..., 0]
    return np.unique(np.round(y).astype("int64"))


def along_an_axis(given: Mapping[Any, float], output: Output, y: np.ndarray) -> Finding | None:
    """Labels with a class at each position: Keras has one weight a row."""
    is_sparse = output.anatomy.labels == "classes" and y.ndim == output.rank - 1
    if output.rank < 3 or y.ndim < 2:
        return None
    try:
        made = weights_of_classes(y[:SHOWN], given)
        what = (
            f"gives row 0 the one weight {number(made[0])}, of its largest label's position ({y[0].argmax()})"
        )
    except Exception as error:
        what = f"raises {type(error).__name__}: {error}"
    taken = "sample_weight = w[y]" if is_sparse else "sample_weight = w[y.argmax(-1)]"
    return fault(
        CLASS_WEIGHT,
        f"The labels {shape_of(y)} have a class at each position, and Keras {what}.",
        "A class weight is one number a row; positions of a row differ in class.",
        f"w = np.array([…]); {taken}",
        output,
    )


def of_several_labels(given: Mapping[Any, float], output: Output, y: np.ndarray) -> Finding | None:
    """Rows with several labels: Keras takes the first one's weight for the whole row."""
    facts = LabelFacts(y, output)
    if output.units == 1 or y.ndim != 2 or y.shape[1] == 1 or not facts.is_binary:
        return None
    odd = np.flatnonzero(facts.sums != 1)
    if not len(odd):
        return None
    row = int(odd[0])
    made = weights_of_classes(y[row : row + 1], given)
    return fault(
        CLASS_WEIGHT,
        f"{len(odd)} of {len(y)} rows have several labels or none: row {row}, {y[row].astype(int).tolist()}, "
        f"gets weight {number(made[0])}, that of label {int(y[row].argmax())}.",
        "Keras takes the first of the largest columns for the row's class, and its weight for all labels.",
        "a loss that weights each label by itself",
        output,
    )


def absent_keys(given: Mapping[Any, float], output: Output, y: np.ndarray) -> Finding | None:
    """Classes without key, which get the weight 1: legal where one class alone is named."""
    if not output.is_classifier:
        measured = f"{output.loss} has no classes: Keras rounds the labels to look weights up."
        return note(CLASS_WEIGHT, measured, output=output)
    missing = [int(c) for c in classes_of(output, y) if int(c) not in given]
    if not missing:
        return None
    measured = f"Of the classes, {listed(missing)} {'has' if len(missing) == 1 else 'have'} no key."
    if len(given) == 1:
        return note(CLASS_WEIGHT, measured, "Keras takes the weight 1 for it.", output=output)
    return fault(
        CLASS_WEIGHT,
        measured,
        f"Keras takes the weight 1 without a word, beside {listed(sorted(set(map(float, given.values()))))}.",
        f"class_weight={{…, {missing[0]}: …}}",
        output,
    )


def without_weight(given: Mapping[Any, float], output: Output, y: np.ndarray) -> Finding | None:
    """Classes that occur, and have the weight 0."""
    return never_seen(CLASS_WEIGHT, output, y, np.array([float(given.get(int(c), 1)) for c in rows_of(y)]))


def never_seen(check: str, output: Output, y: np.ndarray, weights: np.ndarray) -> Finding | None:
    """What classes have no weight at all, by the weight of every row [N]; None where each has some."""
    facts = LabelFacts(y, output)
    if not output.is_classifier or not is_one_class_a_row(facts):
        return None
    rows = rows_of(y)
    classes, left = np.unique(rows), np.unique(rows[weights != 0])
    gone = [c for c in classes if c not in left and c != output.anatomy.ignored]
    if not gone or not len(left):
        return None
    count = int(np.isin(rows, gone).sum())
    measured = f"All {count} of {len(rows)} rows of {kinds(gone)} have the weight 0."
    if len(left) == 1:
        why = f"Class {number(left[0])} alone is trained: there is nothing to tell apart."
        return fault(check, measured, why, "a weight above 0 for each class", output)
    why = "Training never sees them. That may be meant where they stand for no class."
    return undecided(check, measured, why, output)


def kinds(gone: list[Any]) -> str:
    return f"class {number(gone[0])}" if len(gone) == 1 else f"the classes {listed(gone)}"


def is_one_class_a_row(facts: LabelFacts) -> bool:
    """Whether each row has one class, by its number, by a 1 among 0s, or as yes or no."""
    y = facts.labels
    if y.size == len(y):
        return facts.is_whole and (facts.form == "classes" or facts.is_binary)
    return y.ndim == 2 and facts.is_one_hot


def rows_of(y: np.ndarray) -> np.ndarray:
    """The class of every row, as Keras reads it, [N]."""
    y = y.argmax(-1) if y.ndim > 1 and y.shape[-1] != 1 else y.reshape(len(y), -1)[:, 0]
    return np.round(y).astype("int64")


def shown(given: Mapping[Any, float], output: Output, y: np.ndarray) -> Finding:
    """The weights of rows as Keras makes them."""
    made = weights_of_classes(y[:SHOWN], given)
    rows = np.unique(made)
    return fine(CLASS_WEIGHT, f"the rows' weights are {listed(rows)}, as their classes have them", output)


# --- of rows ----------------------------------------------------------------------------------------------


def sample_weights(program: Program, output: Output, given: np.ndarray) -> Finding:
    """Weights that are negative, not finite, all 0, or of another number of rows."""
    if finding := bad_rows(program, output, given):
        return finding
    if (given < 0).any():
        measured = f"{int((given < 0).sum())} sample weights are negative, down to {number(given.min())}."
        return fault(
            SAMPLE_WEIGHT, measured, "These rows are trained to be wrong.", "weights of 0 or more", output
        )
    if not given.any():
        measured = "All sample weights are 0."
        return fault(SAMPLE_WEIGHT, measured, "Nothing is trained.", "leave sample_weight out", output)
    return unseen(program, output, given) or empty_batches(program, output, given)


def bad_rows(program: Program, output: Output, given: np.ndarray) -> Finding | None:
    """Weights that are not finite, or of another number of rows."""
    rows = program.training.rows
    if len(given) != rows:
        measured = f"There are {len(given)} sample weights for {rows} rows."
        return fault(SAMPLE_WEIGHT, measured, "Keras refuses them.", "one weight a row", output)
    if given.dtype.kind not in "biuf" or not np.isfinite(given).all():
        measured = "A sample weight is NaN, infinite, or no number."
        return fault(
            SAMPLE_WEIGHT, measured, "The loss becomes NaN, and every weight.", "finite weights", output
        )
    return None


def unseen(program: Program, output: Output, given: np.ndarray) -> Finding | None:
    """Classes whose rows all have the weight 0; of the first rows of a stream it is not known."""
    y = output.labels
    if y is None or y.dtype.kind not in "biuf" or given.size != len(y) or not program.training.is_complete:
        return None
    return never_seen(SAMPLE_WEIGHT, output, y, given.ravel()) if np.isfinite(y).all() else None


def empty_batches(program: Program, output: Output, given: np.ndarray) -> Finding:
    """Batches without any weight, where the order is fixed."""
    per_row = given.reshape(len(given), -1).sum(1)
    if not program.shuffle and program.training.source == "arrays":
        starts = range(0, len(per_row), program.batch_size)
        empty = sum(not per_row[i : i + program.batch_size].any() for i in starts)
        if empty:
            return note(
                SAMPLE_WEIGHT,
                f"{empty} of {len(starts)} batches have no weight at all.",
                "They train nothing, and a loss that divides by the sum of weights is NaN there.",
                "drop these rows, or shuffle",
                output,
            )
    zero = int((per_row == 0).sum())
    return fine(
        SAMPLE_WEIGHT, f"{number(given.min())} … {number(given.max())}, {zero} of {len(given)} rows 0", output
    )


def of_outputs(program: Program) -> Iterator[Finding]:
    """Whether there is an array of sample weights for each of labels, where there are several."""
    data = program.training
    y, given = data.y, data.sample_weight
    if isinstance(given, dict) and isinstance(predictions_of(program), list | tuple):
        yield fault(
            SAMPLE_WEIGHT,
            f"The sample weights are given by name, {named(given)}, and the model gives a list.",
            "Keras brings labels by name into the order of such outputs, and not weights: it refuses them.",
            "y and sample_weight as lists in the order of the outputs",
        )
        return
    if data.source != "arrays" or not (keras.tree.is_nested(y) and keras.tree.is_nested(given)):
        return
    try:
        keras.tree.assert_same_structure(y, given)
    except ValueError:
        yield fault(
            SAMPLE_WEIGHT,
            f"The labels are for {named(y)}, the sample weights for {named(given)}.",
            "Keras refuses sample weights of another structure.",
            "sample_weight with one array for each of y, under the same names",
        )


def named(structure: Any) -> str:
    """The keys of a dictionary, or how many there are in a list."""
    return ", ".join(map(str, structure)) if isinstance(structure, dict) else f"{len(structure)} outputs"


# --- masks ------------------------------------------------------------------------------------------------


def masked_rows(program: Program) -> Iterator[Finding]:
    """Rows of padding alone, where a layer makes a mask of 0."""
    masking = [
        layer
        for layer in layers_of(program.model)
        if isinstance(layer, keras.layers.Embedding) and layer.mask_zero
    ]
    x = program.training.x
    if not masking or not isinstance(x, np.ndarray) or x.ndim != 2 or x.dtype.kind not in "iuf":
        return
    empty = int((x == 0).all(1).sum())
    if empty == len(x):
        yield fault(
            MASK,
            f"All {len(x)} rows are 0 throughout, and {masking[0].name} masks 0.",
            "Nothing is left of them.",
            "numbers from 1 on, 0 for padding",
        )
    elif empty:
        yield note(
            MASK, f"{empty} of {len(x)} rows are masked throughout: all that is left of them is a bias."
        )
