"""What the audit does not ask: further axes, columns of labels, many classes, and focal loss undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from keras import ops
from mpmath import mp, mpf
from scipy import special

from crosscheck.audit.theories import DIGITS, log_softmax
from crosscheck.autodiff import numbers
from crosscheck.practice.implement.exercises import Exercise
from crosscheck.practice.implement.failure import Failure
from crosscheck.practice.implement.rows import numbers_as_typed, of_hard_classes

Functions = Mapping[str, Callable[..., Any]]
CLOSE = 1e-4
CLASSES, LABEL = 300, 200
LEAST = -60.0  # ln η below which float32 need not follow
LARGEST = 50.0


def failures(exercise: Exercise, functions: Functions) -> Iterator[Failure]:
    """What fails of `CHECKS`; what the function raises is a failure as well."""
    asked: list[tuple[str, Callable[[Exercise, Functions], Failure | None]]] = [("axes", axes)]
    asked += [("many classes", many_classes)] if exercise.name == "sparse" else []
    asked += [("inverse", inverse)] if exercise.inverse else []
    for name, check in asked:
        try:
            found = check(exercise, functions)
        except NotImplementedError:
            found = Failure(name, f"{exercise.inverse or exercise.function} is not written yet")
        except Exception as error:
            message = " ".join(str(error).split())[:200]
            found = Failure(name, "the call itself", cause=f"{type(error).__name__}: {message}")
        if found:
            yield found


def axes(exercise: Exercise, functions: Functions) -> Failure | None:
    """Of [2, 3, K] the loss is [2, 3], and the same numbers as of [6, K]."""
    z, y = (array[10:16] for array in exercise.rows())
    called = lambda shape: exercise.call(
        functions[exercise.function],
        ops.convert_to_tensor(y.reshape(*shape, -1), dtype="float32"),
        ops.convert_to_tensor(z.reshape(*shape, -1), dtype="float32"),
        exercise.arguments[0],
    )
    flat, folded = numbers(called((6,))), numbers(called((2, 3)))
    at = f"logits of shape (2, 3, {z.shape[-1]})"
    if folded.shape != (2, 3):
        return Failure(
            "axes", at, f"shape {folded.shape}", "shape (2, 3)", "it reduces, or keeps, another axis"
        )
    if not np.allclose(flat, folded.reshape(-1), rtol=CLOSE, atol=CLOSE):
        return Failure("axes", at, cause="the same examples give other numbers than as rows of a batch")
    return None


def many_classes(exercise: Exercise, functions: Functions) -> Failure | None:
    """A label of 200 among 300 classes, whose logit is 3 where the others are 0; as [1] and as [1, 1]."""
    z = np.zeros((1, CLASSES), "float32")
    z[0, LABEL] = 3
    expected = float(special.logsumexp(z) - 3)
    for label in ([LABEL], [[LABEL]]):
        value = numbers(functions[exercise.function](ops.array(label, "int32"), ops.array(z)))
        at = f"the label {label} among {CLASSES} classes whose logits are 0, and 3 at that label"
        if value.shape != (1,):
            return Failure("many classes", at, f"shape {value.shape}", "shape (1,)")
        if not abs(float(value[0]) - expected) <= CLOSE:
            return Failure("many classes", at, float(value[0]), expected, "another class' logit was taken")
    return None


def inverse(exercise: Exercise, functions: Functions) -> Failure | None:
    """ln η of the focal inverse against the formula at 50 digits, out to |z| = 50."""
    z = np.unique(of_hard_classes()[0], axis=0)
    z = z[np.abs(z).max(-1) <= LARGEST]
    z = z[np.argsort(np.abs(z).max(-1), kind="stable")]
    for gamma in (2.0, 3.0, 0.0):
        given = numbers(functions[exercise.inverse](ops.convert_to_tensor(z, dtype="float32"), gamma=gamma))
        with np.errstate(invalid="ignore"):  # of infinite logits it is NaN, which is off
            measured = special.log_softmax(np.asarray(given, "float64"), axis=-1)
        expected = np.array([log_eta(row, gamma) for row in z])
        off = ~(np.abs(measured - expected) <= CLOSE * np.maximum(1, np.abs(expected)))
        off &= expected > LEAST
        if off.any():
            row, k = map(int, np.argwhere(off)[0])
            at = f"{exercise.inverse}([{numbers_as_typed(z[row])}], gamma={gamma}), ln η of class {k}"
            return Failure("inverse", at, float(measured[row, k]), float(expected[row, k]))
    return None


def log_eta(z: np.ndarray, gamma: float) -> list[float]:
    """ln of the true chances whose focal minimiser is softmax(z), normalised."""
    with mp.workdps(DIGITS):
        logs = log_softmax([mpf(float(logit)) for logit in z])
        rest = [-mp.expm1(log_p) for log_p in logs]
        weights = [
            mp.exp(log_p) / (r**gamma - gamma * r ** (gamma - 1) * mp.exp(log_p) * log_p)
            for log_p, r in zip(logs, rest, strict=True)
        ]
        total = mp.fsum(weights)
        return [float(mp.log(weight / total)) for weight in weights]
