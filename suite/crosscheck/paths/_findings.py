"""What is wrong on a path: from which logit, with which symptom, why, and what to do about it."""

from __future__ import annotations

import math

import numpy as np

from crosscheck.paths._grid import ExecutionPath

VANISHED = 1e-6  # a gradient below is called 0, where it should be near 1
LOST = 0.1  # a gradient that is off by more, or is no number, is called lost; the true one lies within ±1


def lost(gradient: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Whether each gradient [N] is lost: off the expected one by more than `LOST`, or no number."""
    return ~(np.abs(gradient - expected) <= LOST)


def breaking_point(z: np.ndarray, gradient: np.ndarray, expected: np.ndarray) -> float:
    """The smallest |z| at which the gradient is lost; infinite where it never is."""
    return float(np.min(np.abs(z)[lost(gradient, expected)], initial=math.inf))


def symptom(gradient: np.ndarray, expected: np.ndarray) -> str:
    """What becomes of the lost gradients: `0`, `infinite`, `NaN`, or the worst one; "" where none is lost."""
    is_lost = lost(gradient, expected)
    if not is_lost.any():
        return ""
    measured, expected_there = gradient[is_lost], expected[is_lost]
    symptoms = {"0": np.abs(measured) < VANISHED, "infinite": np.isinf(measured), "NaN": np.isnan(measured)}
    present = [name for name, shows_it in symptoms.items() if shows_it.any()]
    worst = np.argmax(np.abs(measured - expected_there))
    return ", ".join(present) or f"{measured[worst]:.2g} instead of {expected_there[worst]:.2g}"


def cause(path: ExecutionPath) -> str:
    """Why Keras 3.15 loses gradients on such a path, and where its source says so; empty where it does not.

    `tests/test_findings.py` removes each cause and sees the gradient come back.
    """
    if path.implementation == "keras focal" and (path.loss == "categorical" or path.entry == "logits"):
        return focal_cause(path)
    if path.entry == "logits":
        return ""
    if path.backend != "tensorflow":
        return f"clips p to [1e-7, 1 − 1e-7] and never asks for the logits ({source_of(path)})"
    if path.head == "reshape":
        return (
            f"Reshape makes a new tensor, without the logits that the activation attached ({source_of(path)})"
        )
    if path.implementation in ("keras class", "keras focal") and head_dtype(path) != "float32":
        return (
            "the cast to float32 makes a new tensor, without the logits that the activation attached "
            "(keras/src/losses/loss.py, Loss.__call__)"
        )
    return ""


def focal_cause(path: ExecutionPath) -> str:
    """Why a focal loss of Keras loses gradients: it applies the activation itself and goes on with p."""
    if path.loss == "binary" and path.backend == "tensorflow":
        return ""  # the sigmoid that it applies attaches the logits
    conversion = "turns logits into probabilities and " if path.entry == "logits" else ""
    function = f"keras/src/losses/losses.py, {path.loss}_focal_crossentropy"
    return f"the focal loss {conversion}clips p to [1e-7, 1 − 1e-7] ({function})"


def source_of(path: ExecutionPath) -> str:
    """The file and function of Keras in which the cross-entropy of a path is computed."""
    function = "sparse_categorical" if path.loss == "sparse" else path.loss
    name = "_get_logits" if path.backend == "tensorflow" else f"{function}_crossentropy"
    return f"keras/src/backend/{path.backend}/nn.py, {name}"


def head_dtype(path: ExecutionPath) -> str:
    """The dtype in which the probabilities reach the loss."""
    return "float32" if path.head == "float32" else path.policy.removeprefix("mixed_")


def remedy(path: ExecutionPath) -> str:
    """What keeps the gradient on such a path; empty where nothing need be done."""
    if not cause(path):
        return ""
    if path.implementation == "keras focal" and focal_cause(path):
        return "none within Keras' focal loss; cross-entropy from logits, weighted by hand where γ > 0"
    cast_helps = path.backend == "tensorflow" and path.head in ("dense", "activation")
    cast = ', or Activation(…, dtype="float32") last' if cast_helps else ""
    return f"no activation in the head, and from_logits=True{cast}"
