"""Gradients that are clipped to next to nothing, beside how far such a step can move a weight."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from crosscheck._keras import is_of_keras
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, fine, number
from crosscheck.diagnose.checks.rates import rates_of

CLIPPING = "clipping"
KINDS = ("clipnorm", "global_clipnorm", "clipvalue")
SMALL, STILL, NEAR = 1e-3, 1e-6, 1e-2  # of a rate; of a weight, in one step; in all steps that are known
OPT = keras.optimizers


def clipping(program: Program) -> Iterator[Finding]:
    """✗ where no weight can move, whatever the gradient, because it is clipped before the step."""
    optimizer = getattr(program.model, "optimizer", None)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    kind = next((kind for kind in KINDS if (getattr(inner, kind, None) or 0) > 0), None)  # as Keras asks
    if kind is None or not is_of_keras(type(inner)):
        return
    limit = float(getattr(inner, kind))
    numbers = sum(int(np.prod(weight.shape)) for weight in program.model.trainable_weights)
    share = share_of_rate(inner, limit * (math.sqrt(numbers) if kind == "clipvalue" else 1))
    if share is None:
        return
    rate = float(np.max(np.abs(rates_of(program, inner)[0])))
    reach = rate * share
    if not stands_still(program, share, reach):
        yield fine(CLIPPING, f"{kind}={number(limit)}")
        return
    yield fault(
        CLIPPING,
        f"{kind}={number(limit)}, and a learning rate of {number(rate)}: a step of {type(inner).__name__} "
        f"moves weights by {number(reach)} at most, whatever the gradient.",
        "Training stands still: a gradient is cut down to next to nothing before the step.",
        f"{kind}=1.0",
    )


def stands_still(program: Program, share: float, reach: float) -> bool:
    """Whether clipping leaves next to nothing of a step, beside the inputs' size, and of all steps."""
    sizes = [
        np.abs(a.astype("float64")).max() for a in keras.tree.flatten(program.training.x) if is_number(a)
    ]
    largest = max([1.0, *(float(size) for size in sizes if np.isfinite(size))])
    in_all = reach * program.steps if math.isfinite(program.steps) else 0.0
    return share < SMALL and reach * largest < STILL and in_all * largest < NEAR


def is_number(array: np.ndarray) -> bool:
    return array.dtype.kind in "fiu" and array.size > 0


def share_of_rate(optimizer: Any, limit: float) -> float | None:
    """The most that a step moves over its learning rate, of gradients of a size; None where it is not known.

    Gradient descent moves by the gradient itself. Adam and its like divide by the gradient's own size, but
    for ε, so that only what is far below ε dies.
    """
    if isinstance(optimizer, OPT.SGD):
        return limit / (1 - min(float(optimizer.momentum), 0.999))
    if isinstance(optimizer, OPT.RMSprop):
        return min(1.0, limit / math.sqrt(optimizer.epsilon))  # it stands within the root
    if isinstance(optimizer, OPT.Adagrad):
        return min(1.0, limit / math.sqrt(optimizer.initial_accumulator_value + optimizer.epsilon))
    if isinstance(optimizer, OPT.Adam | OPT.Nadam | OPT.Adamax):
        return min(1.0, limit / optimizer.epsilon)
    return None
