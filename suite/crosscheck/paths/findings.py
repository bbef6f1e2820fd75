"""What is wrong on a path: from which logit, with which symptom, why, and what to do about it."""

from __future__ import annotations

import math

import numpy as np

from crosscheck.paths.grid import Path

GONE = 1e-6  # a gradient below is called 0, where it should be near 1
LOST = 0.1  # a gradient that is off by more, or is no number, is called lost; the true one lies within ±1


def lost(gradient: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Whether each gradient [N] is lost."""
    return ~(np.abs(gradient - wanted) <= LOST)


def breaking_point(z: np.ndarray, gradient: np.ndarray, wanted: np.ndarray) -> float:
    """The smallest |z| at which the gradient is lost; infinite where it never is."""
    return float(np.min(np.abs(z)[lost(gradient, wanted)], initial=math.inf))


def symptom(gradient: np.ndarray, wanted: np.ndarray) -> str:
    """What becomes of a lost gradient, `0` or `NaN` or both; where only its size is wrong, by how much."""
    where = lost(gradient, wanted)
    if not where.any():
        return ""
    found, true = gradient[where], wanted[where]
    kinds = {"0": np.abs(found) < GONE, "infinite": np.isinf(found), "NaN": np.isnan(found)}
    seen = [kind for kind, there in kinds.items() if there.any()]
    worst = np.argmax(np.abs(found - true))
    return ", ".join(seen) or f"{found[worst]:.2g} instead of {true[worst]:.2g}"


def cause(path: Path) -> str:
    """Why Keras 3.15 loses gradients on such a path, and where its source says so; empty where it does not.

    `tests/test_findings.py` removes each cause and sees the gradient come back.
    """
    if path.implementation == "keras focal" and (path.loss == "categorical" or path.entry == "logits"):
        return focal_cause(path)
    if path.entry == "logits":
        return ""
    if path.backend != "tensorflow":
        return f"clips p to [1e-7, 1 − 1e-7] and never asks for the logits ({source(path)})"
    if path.head == "reshape":
        return f"Reshape makes a new tensor, without the logits that the activation attached ({source(path)})"
    if path.implementation in ("keras class", "keras focal") and dtype_of_head(path) != "float32":
        return (
            "the cast to float32 makes a new tensor, without the logits that the activation attached "
            "(keras/src/losses/loss.py, Loss.__call__)"
        )
    return ""


def focal_cause(path: Path) -> str:
    """Keras' focal losses know no logits: they apply the activation themselves, and go on with p."""
    if path.loss == "binary" and path.backend == "tensorflow":
        return ""  # the sigmoid that it applies attaches the logits
    made = "turns logits into probabilities and " if path.entry == "logits" else ""
    where = f"keras/src/losses/losses.py, {path.loss}_focal_crossentropy"
    return f"the focal loss {made}clips p to [1e-7, 1 − 1e-7] ({where})"


def source(path: Path) -> str:
    function = "sparse_categorical" if path.loss == "sparse" else path.loss
    name = "_get_logits" if path.backend == "tensorflow" else f"{function}_crossentropy"
    return f"keras/src/backend/{path.backend}/nn.py, {name}"


def dtype_of_head(path: Path) -> str:
    """The dtype in which the probabilities reach the loss."""
    return "float32" if path.head == "float32" else path.policy.removeprefix("mixed_")


def remedy(path: Path) -> str:
    """What keeps the gradient on such a path; empty where nothing need be done."""
    if not cause(path):
        return ""
    if path.implementation == "keras focal" and focal_cause(path):
        return "none within Keras' focal loss; cross-entropy from logits, weighted by hand where γ > 0"
    also = path.backend == "tensorflow" and path.head in ("dense", "activation")
    cast = ', or Activation(…, dtype="float32") last' if also else ""
    return f"no activation in the head, and from_logits=True{cast}"
