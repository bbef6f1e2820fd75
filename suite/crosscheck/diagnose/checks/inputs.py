"""Inputs: does the model take them, are they finite, do they differ, are they numbers of the embedding?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from crosscheck._keras import input_specs
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import predictions_of
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, fine, note, number, shape_of, undecided

ACCEPTED, FINITE, VARIED = "inputs-accepted", "inputs-are-finite", "inputs-vary"
EMBEDDED, ROWS = "inputs-in-vocabulary", "as-many-labels"
LACKING = "UnimplementedError"  # TensorFlow's, where a processor lacks an operation: channels first, on a CPU
ENOUGH = 8  # rows from which on it is no chance that all are alike


def inputs(program: Program) -> Iterator[Finding]:
    """What is wrong with the inputs. Their scale is no fault by itself."""
    yield from accepted(program)
    yield from as_many_rows(program)
    for name, array in named_arrays(program.training.x):
        if array.dtype.kind in "biuf" and array.size:
            yield from of_array(name, array)
    yield from in_vocabulary(program)


def named_arrays(x: Any) -> list[tuple[str, np.ndarray]]:
    """The arrays of the inputs, by name; a single one has none."""
    flat = keras.tree.flatten_with_path(x)
    return [("".join(f" {key!r}" for key in path), np.asarray(array)) for path, array in flat]


def accepted(program: Program) -> Iterator[Finding]:
    """Whether the model can be called on the first rows at all."""
    predicted = predictions_of(program)
    shapes = ", ".join(shape_of(array) for _, array in named_arrays(program.training.x))
    if program.training.refused:
        yield texts_in_arrays(program, shapes)
        return
    if predicted is not None:
        yield fine(ACCEPTED, f"the model takes {shapes}")
        return
    refusal = program.memory.get("refused", "")
    if refusal.startswith(LACKING):
        yield undecided(
            ACCEPTED,
            f"On this machine the model cannot be called on its inputs {shapes}: {refusal[:300]}",
            "Its processor lacks an operation, which another may have: outputs were not looked at.",
        )
        return
    yield fault(
        ACCEPTED,
        f"The model cannot be called on its inputs {shapes}: {refusal[:300]}",
        "Training stops at its first step.",
        renamed(program) or "inputs of the shape and dtype that the first layer wants",
    )


def texts_in_arrays(program: Program, shapes: str) -> Finding:
    """A model may take them when it is called, and `fit` not."""
    return fault(
        ACCEPTED,
        f"`fit` cuts no batches out of texts in these arrays {shapes}: {program.training.refused[:200]}",
        "Training stops before its first step, also where the model itself takes the texts.",
        "x = tf.constant(x), or tf.data.Dataset.from_tensor_slices((x, y)).batch(32)",
    )


def renamed(program: Program) -> str:
    """The right key for one that names no input; "" where that is not what is wrong."""
    x, symbolic = program.training.x, input_specs(program.model)
    if not isinstance(x, dict) or not isinstance(symbolic, dict):
        return ""
    missing, unknown = sorted(symbolic.keys() - x.keys()), sorted(x.keys() - symbolic.keys())
    if len(missing) != 1 or len(unknown) != 1:
        return ""
    return f"x={{'{missing[0]}': x['{unknown[0]}'], …}}: no input is called {unknown[0]!r}"


def as_many_rows(program: Program) -> Iterator[Finding]:
    """Whether inputs and labels have as many rows."""
    data = program.training
    arrays = [np.asarray(a) for a in keras.tree.flatten((data.x, data.y)) if a is not None]
    counts = list(dict.fromkeys(len(array) for array in arrays if array.ndim))
    if len(counts) > 1:
        yield fault(
            ROWS,
            f"Inputs and labels have {' and '.join(map(str, counts))} rows.",
            "Keras refuses them: a row of inputs needs a label.",
            f"x[:{min(counts)}], y[:{min(counts)}], if that is how they belong together",
        )


def of_array(name: str, x: np.ndarray) -> Iterator[Finding]:
    """Whether numbers are finite, and rows and columns differ."""
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        yield not_finite(name, x)
        return
    yield fine(FINITE, f"inputs{name}: all {x.size} numbers, {number(x.min())} … {number(x.max())}")
    flat = x.reshape(len(x), -1)
    if len(x) >= ENOUGH and (flat == flat[:1]).all():
        yield fault(
            VARIED,
            f"All {len(x)} rows of the inputs{name} are the same.",
            "Nothing can be told from them.",
            "look at what loads them",
        )
    elif x.ndim == 2 and len(x) >= ENOUGH and x.dtype.kind == "f":
        yield from constant_columns(name, x)


def not_finite(name: str, x: np.ndarray) -> Finding:
    bad = ~np.isfinite(x).reshape(len(x), -1)
    columns = f", in {int(bad.any(0).sum())} of {bad.shape[1]} columns" if x.ndim == 2 else ""
    return fault(
        FINITE,
        f"{int(bad.any(1).sum())} of {len(x)} rows of the inputs{name} hold NaN or infinity{columns}; "
        f"the first is row {int(bad.any(1).argmax())}.",
        "One such row makes the loss NaN, and after the next step every weight.",
        "x = np.nan_to_num(x), or drop the rows, or fill them by what is known",
    )


def constant_columns(name: str, x: np.ndarray) -> Iterator[Finding]:
    """Columns without variance are legal, and a trap where one divides by a standard deviation."""
    constant = int((x == x[:1]).all(0).sum())
    if constant:
        yield note(VARIED, f"{constant} of {x.shape[1]} columns of the inputs{name} are constant.")


# --- embeddings -------------------------------------------------------------------------------------------


def in_vocabulary(program: Program) -> Iterator[Finding]:
    """Whether the numbers that an embedding gets directly are rows of its table."""
    for layer, x in embedded_inputs(program):
        low, high = float(x.min()), float(x.max())
        if low >= 0 and high < layer.input_dim:
            yield fine(
                EMBEDDED, f"{number(low)} … {number(high)} in {layer.name}'s table of {layer.input_dim}"
            )
            continue
        outside = int(((x < 0) | (x >= layer.input_dim)).sum())
        yield fault(
            EMBEDDED,
            f"{outside} of {x.size} inputs are outside 0 … {layer.input_dim - 1}, the table of {layer.name}: "
            f"{number(low)} … {number(high)}.",
            "Looked up outside, they are an error, 0, or another word's vector, by backend and device.",
            f"Embedding({int(max(high, 0)) + 1}, …), or numbers below {layer.input_dim}",
        )


def embedded_inputs(program: Program) -> list[tuple[Any, np.ndarray]]:
    """Embeddings that an input of the model goes into directly, each with that input."""
    arrays = [array for _, array in named_arrays(program.training.x)]
    symbolic = list(getattr(program.model, "inputs", None) or [])
    if len(arrays) != len(symbolic):
        return []
    found = []
    for layer in program.model.layers:
        if isinstance(layer, keras.layers.Embedding):
            places = [i for i, tensor in enumerate(symbolic) if is_input_of(layer, tensor)]
            found += [(layer, arrays[i]) for i in places if arrays[i].dtype.kind in "iuf" and arrays[i].size]
    return found


def is_input_of(layer: Any, tensor: Any) -> bool:
    """Whether a layer was called on this symbolic tensor; a layer that was called twice tells nothing."""
    try:
        return layer.input is tensor
    except (AttributeError, ValueError):
        return False
