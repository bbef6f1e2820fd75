"""One step: what is not finite, and where first; and whether training and inference mode agree."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck._keras import input_specs, layers_of, layers_within
from crosscheck.diagnose._copies import (
    compile_arguments,
    fresh_optimizer,
    has_graph,
    random_state_kept,
    rebuilt,
    step_of,
    weights_of,
    with_weights,
)
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import TOO_SHORT, Laboratory
from crosscheck.diagnose._outcomes import HALF
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose._words import across, rounded
from crosscheck.errors import UsageError

MOST_ROWS = 64


def finite_numbers(program: Program) -> Iterator[Finding]:
    """Whether one step, from the weights at hand and on the first rows, is finite throughout."""
    x, y = first_rows(program)
    if not all(is_finite(a) for a in keras.tree.flatten(x)):
        return  # a fault of the inputs, which has a check of its own
    try:
        with random_state_kept(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            place = first_non_finite(program, x, y)
    except Exception as error:  # a model that cannot be rebuilt or run has findings of its own
        yield Finding("finite-numbers", "?", f"one step could not be taken: {str(error).splitlines()[0]}")
        return
    if place:
        yield Finding(
            "finite-numbers",
            "✗",
            f"not finite first in {place}",
            why="one number that is not finite makes every weight so with the next step.",
            fix="look at what this layer divides by, takes a logarithm of, or raises to a power"
            if "layer" in place
            else "clip gradients (`global_clipnorm=1.0`), or lower the learning rate",
        )
    else:
        yield Finding("finite-numbers", "✓", f"outputs, loss and one step on {len(y)} rows are finite")


def first_rows(program: Program) -> tuple[Any, Any]:
    """Returns x and y of the first batch; texts as tensors, of which alone Keras cuts batches."""
    n = min(program.batch_size, MOST_ROWS)
    cut = lambda part: keras.tree.map_structure(lambda a: np.asarray(a)[:n], part)
    told = lambda a: ops.convert_to_tensor(a) if a.dtype.kind in "OSU" and is_tensorflow() else a
    return keras.tree.map_structure(told, cut(program.training.x)), cut(program.training.y)


def is_tensorflow() -> bool:
    """Returns whether the backend has tensors of texts."""
    return keras.backend.backend() == "tensorflow"


def first_non_finite(program: Program, x: Any, y: Any) -> str:
    """Returns where one step first gives a number that is not finite, in words; "" where none does harm.

    An output of −∞ that a loss understands, as of a class that is masked out, does none.
    """
    copy = with_weights(rebuilt(program.model), weights_of(program.model))
    if spoilt := first_variable(copy):
        return f'the weight "{spoilt}", before any step'
    outputs = keras.tree.flatten(copy(x, training=False))
    layer = "" if all(is_finite(output) for output in outputs) else first_layer(copy, x)
    copy.compile(fresh_optimizer(program.model.optimizer), **compile_arguments(program.model))
    loss = step_of(copy, x, y)
    spoilt = first_variable(copy)
    if np.isfinite(loss).all() and not spoilt:
        return ""
    if layer:
        return f"layer {layer}"
    lost = not np.isfinite(loss).all()
    return "the loss, of outputs that are finite" if lost else f'the weight "{spoilt}", after one step'


def first_variable(model: keras.Model) -> str:
    """Returns the path of the first variable that is not finite; "" where all are."""
    return next((v.path for v in model.variables if not is_finite(v.value)), "")


def is_finite(value: Any) -> bool:
    """Returns whether all numbers are finite; true of what are no floats."""
    array = ops.convert_to_numpy(value) if not isinstance(value, np.ndarray) else value
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def first_layer(model: keras.Model, x: Any) -> str:
    """Returns the first layer of a model whose output is not finite, by name and class."""
    if has_graph(model):
        for layer in model.layers:
            outputs = keras.Model(input_specs(model), layer.output)(x)
            if not all(is_finite(output) for output in keras.tree.flatten(outputs)):
                return f'"{layer.name}" ({type(layer).__name__})'
    return f'"{model.name}" ({type(model).__name__})'


def mode_gap(lab: Laboratory) -> Iterator[Suspicion]:
    """Whether a model that fits in training mode does not in inference mode, for its moving averages lag."""
    if not any(
        isinstance(layer, keras.layers.BatchNormalization) for layer in layers_within(lab.program.model)
    ):
        return
    own = lab.as_it_is
    in_training, renewed = both_modes(lab)
    gap = HALF * own.prior_loss
    shown = (own.loss > in_training + gap) & (own.loss > renewed + gap)
    yield Suspicion(
        "modes-agree",
        shown[None],
        Finding(
            "modes-agree",
            "✗",
            f"loss after {lab.steps} steps {across(own.loss)} in inference mode, {across(in_training)} in "
            f"training mode; {across(renewed)} with averages taken anew",
            "statistical",
            why="BatchNormalization infers by moving averages, and these lag behind in so few steps.",
            fix="keras.layers.BatchNormalization(momentum=0.9)",
        ),
        limit=f"one step here stands for {rounded(lab.compression)} of the program's"
        if lab.compression > TOO_SHORT
        else "",
    )


def both_modes(lab: Laboratory) -> tuple[np.ndarray, np.ndarray]:
    """Returns the loss in training mode, and in inference mode with averages taken anew, [S] each."""
    copy = lab.build()
    losses = [losses_of_modes(lab, copy, s) for s in range(len(lab.seeds))]
    in_training, renewed = np.array(losses).T
    return in_training, renewed


def losses_of_modes(lab: Laboratory, copy: keras.Model, s: int) -> tuple[float, float]:
    """Returns both losses of one seed's trained weights."""
    which = lab.splits[0][s]
    x, y = keras.tree.map_structure(lambda a: a[which], lab.x), lab.y[which]
    with_weights(copy, [values[s] for values in lab.as_it_is.weights])
    batches = [slice(i, i + lab.batch_size) for i in range(0, len(y), lab.batch_size)]
    outputs = [ops.convert_to_numpy(copy(cut(x, rows), training=True)) for rows in batches]
    for layer in layers_of(copy):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    copy(x, training=True)
    renewed = ops.convert_to_numpy(copy(x, training=False))
    weights = lab.row_weights[which]
    return lab.task.loss_of(y, np.concatenate(outputs), weights), lab.task.loss_of(y, renewed, weights)


def cut(x: Any, rows: slice) -> Any:
    """Returns some rows of x."""
    return keras.tree.map_structure(lambda a: a[rows], x)


def is_reproducible(lab: Laboratory) -> Iterator[Finding]:
    """Notes where two trainings from one seed do not end with the same weights, bit by bit."""
    if lab.left() < HALF * lab.seconds:
        raise UsageError("no time was left to train twice from one seed.")
    first, second = (seeded_weights(lab) for _ in range(2))
    differing = [
        variable.path
        for variable, a, b in zip(lab.program.model.variables, first, second, strict=True)
        if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    ]
    if differing:
        yield Finding(
            "reproducible",
            "note",
            f'two trainings from one seed differ, first in "{differing[0]}"',
            "heuristic",
            why="an operation adds up in an order of its own, or draws from no seed.",
            fix="keras.utils.set_random_seed(0); tf.config.experimental.enable_op_determinism()",
        )


def seeded_weights(lab: Laboratory, steps: int = 3) -> list[np.ndarray]:
    """Returns the weights after a few steps from one seed."""
    with random_state_kept():
        keras.utils.set_random_seed(0)
        copy = lab.build()
        copy.compile(fresh_optimizer(lab.optimizer), **lab.arguments)
        for _ in range(steps):
            step_of(copy, lab.some(lab.batch_size), lab.y[: lab.batch_size])
        return weights_of(copy)


ONE_STEP = (finite_numbers,)
