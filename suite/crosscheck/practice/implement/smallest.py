"""Seeks the smallest input at which a function is off: value or gradient, in float32, then in float16."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.audit.judging import Deviation, cause_of, first_deviation
from crosscheck.audit.theories import LossTheory, ValueAndGradient, evaluate
from crosscheck.autodiff import differentiated, numbers
from crosscheck.practice.implement.exercises import Exercise, joint_formula
from crosscheck.practice.implement.failure import Failure

TOLERANCE = {"float32": 1e-5, "float16": 0.02}
LARGEST = {"float32": 1e4, "float16": 1e3}  # logits that are put to it
TIE = "|z| and max(z, 0) have no slope of their own at 0: the backend picks one, and yours add up wrongly"
ROUNDED = {name: float(np.finfo(name).eps) for name in TOLERANCE}


def smallest_failure(
    exercise: Exercise, function: Callable[..., Any], arguments: Mapping[str, float], dtype: str
) -> Failure | None:
    """The failure at the smallest of the exercise's rows, or None; what the function raises is the caller's.

    The rows are put to it in one call of [N, K], as a batch.
    """
    z, y = exercise.rows()
    kept = np.abs(z).max(-1) <= LARGEST[dtype]
    z, y = z[kept], y[kept]
    expected = evaluate(theory_of(exercise), {**exercise.defaults, **arguments}, z, y)
    measured = measure(exercise, function, arguments, y, z, dtype)
    slack = 4 * ROUNDED[dtype] * np.abs(z).max(-1)  # what logits of that size are rounded by
    off = first_deviation(measured, expected, TOLERANCE[dtype], slack)
    return None if off is None else failure_at(exercise, off, y, z, arguments, dtype)


def theory_of(exercise: Exercise) -> LossTheory:
    """What the rows are held against: of joint labels all outcomes, where the audit moves three of them."""
    if exercise.name == "joint":
        return replace(exercise.theory, formula=joint_formula)
    return exercise.theory


def measure(
    exercise: Exercise,
    function: Callable[..., Any],
    arguments: Mapping[str, float],
    y: np.ndarray,
    z: np.ndarray,
    dtype: str,
) -> ValueAndGradient:
    """Value [N] and gradient [N, K] of a batch, in float64.

    Raises:
        ValueError: where there is not one value for each example.
    """
    labels = ops.convert_to_tensor(y, dtype=dtype)
    values = lambda tensor: (exercise.call(function, labels, tensor, arguments),)
    slopes, value = differentiated(values)(ops.convert_to_tensor(z, dtype=dtype))
    if tuple(value.shape) != (len(z),):
        raise ValueError(f"it gives shape {tuple(value.shape)} for {len(z)} examples, not one value for each")
    return ValueAndGradient(*(numbers(tensor).astype("float64") for tensor in (value, slopes)))


def failure_at(
    exercise: Exercise,
    off: Deviation,
    y: np.ndarray,
    z: np.ndarray,
    arguments: Mapping[str, float],
    dtype: str,
) -> Failure:
    shown = arguments if arguments != exercise.arguments[0] else {}
    at = exercise.typed(y[off.row], z[off.row], shown, dtype)
    is_tie = off.logit >= 0 and off.measured == 0 and not z[off.row].any()
    cause = TIE if is_tie else cause_of(off)[0]
    return Failure("", f"{at}, {off.quantity}", off.measured, off.expected, cause)


def is_half_known() -> bool:
    """Whether the backend computes float16 on this device: PyTorch on a CPU lacks some operations."""
    return keras.backend.backend() != "torch"
