"""What adding c(x) to all logits does to cross-entropy and to the energy: computed here, and by SciPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import ops
from scipy import special

from crosscheck import losses
from crosscheck.lab.outliers.laws import exact_log_loss

EXAMPLES, CLASSES = 64, 6
Sides = dict[str, np.ndarray]  # "value", "shifted loss", "shifted energy", [N] each
Function = Callable[[np.ndarray], np.ndarray]  # of logits [N, K]: [N]


def compared() -> tuple[Sides, list[Sides], np.ndarray]:
    """What theory has, what comes out in float64, in float32 and by SciPy, and the size of an ulp, [N].

    Of random logits and shifts in float64; −z_y − E is taken at 50 digits.
    """
    rng, each = np.random.default_rng(0), np.arange(EXAMPLES)
    z, labels = 5 * rng.normal(size=(EXAMPLES, CLASSES)), rng.integers(0, CLASSES, EXAMPLES)
    c, y = 20 * rng.normal(size=(EXAMPLES, 1)), np.eye(CLASSES)[labels]
    value = np.array([*map(exact_log_loss, z, labels)])
    theory = {"value": value, "shifted loss": 0 * value, "shifted energy": -c[:, 0]}
    pairs = [
        (of(losses.categorical_crossentropy, dtype, y), of(losses.energy, dtype))
        for dtype in ("float64", "float32")
    ]
    total = lambda at: special.logsumexp(at, axis=1)
    pairs.append((lambda at: total(at) - at[each, labels], lambda at: -total(at)))
    ulp = np.finfo("float64").eps * (np.abs(z).max(1) + np.abs(c[:, 0]))
    return theory, [sides(loss, energy, z, c) for loss, energy in pairs], ulp


def sides(loss: Function, energy: Function, z: np.ndarray, c: np.ndarray) -> Sides:
    return {
        "value": loss(z),
        "shifted loss": loss(z + c) - loss(z),
        "shifted energy": energy(z + c) - energy(z),
    }


def of(function: Callable, dtype: str, *first: np.ndarray) -> Function:
    """A function of tensors of this type as one of arrays, whose last argument is the logits."""

    def numbers(z: np.ndarray) -> np.ndarray:
        tensors = (ops.convert_to_tensor(array, dtype=dtype) for array in (*first, z))
        return ops.convert_to_numpy(function(*tensors)).astype("float64")

    return numbers
