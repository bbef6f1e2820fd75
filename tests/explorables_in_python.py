"""What the report's figures compute, by the studies' own functions and by Keras, at one setting."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import optimize, special

State = dict[str, Any]


def loss_in_theory(state: State) -> dict[str, float]:
    """At 50 digits: the audit's formula of the focal loss, and its derivatives by differences."""
    from crosscheck.audit.theories import label_focal

    alpha, gamma, t = 2 * float(state["epsilon"]), float(state["gamma"]), mpmath.mpf(state["temperature"])
    unit = mpmath.log(int(state["base"])) if int(state["base"]) else 1
    with mpmath.workdps(50):
        loss = lambda z: label_focal(z / t, mpmath.mpf(int(state["y"])), gamma, 0, 0, alpha) / unit
        z = mpmath.mpf(state["z"])
        values = loss(z), mpmath.diff(loss, z), mpmath.diff(loss, z, 2), 1 / (1 + mpmath.exp(-z / t))
    target = int(state["y"]) * (1 - alpha) + alpha / 2
    return dict(zip(("loss", "gradient", "curvature", "p"), map(float, values), strict=True)) | {
        "target": target
    }


def competition(state: State) -> dict[str, float]:
    from crosscheck import paths
    from crosscheck.lab import steps

    z = np.array([[float(state[f"z{k}"]) for k in range(1, 5)]])
    y, rate = np.eye(4)[[int(state["y"]) - 1]], float(state["rate"])
    p, gradient = special.softmax(z, axis=1), paths.softmax_gradient(z, y)
    after = p + steps.changes(z, gradient, [rate])[0]
    moved, gain = z - rate * gradient, steps.gain(p, y)
    rows = {"p": p, "gradient": gradient, "moved": moved, "after": after, "gain": gain}
    return {f"{name}{k + 1}": values[0, k] for name, values in rows.items() for k in range(4)}


def scores(state: State) -> dict[str, float]:
    from crosscheck.lab import risk

    q, p, gamma = (float(state[name]) for name in ("q", "p", "gamma"))
    kl, square = float(risk.kl(q, p)), (p - q) ** 2
    ratio = kl / square if p != q else 1 / (2 * q * (1 - q))
    return {
        "kl": kl,
        "square": square,
        "severity": ratio,
        "minimiser": focal_minimiser(q, gamma),
        "restored": float(risk.restored(np.array([p]), gamma)[0]),
    }


def focal_minimiser(q: float, gamma: float) -> float:
    """Where the slope of the expected focal loss is 0."""
    from crosscheck.audit.theories import label_focal

    expected = lambda z: q * label_focal(z, 1, gamma, 0, 0, 0) + (1 - q) * label_focal(z, 0, gamma, 0, 0, 0)
    with mpmath.workdps(50):
        slope = lambda z: float(mpmath.diff(expected, mpmath.mpf(z)))
        return float(special.expit(optimize.brentq(slope, -30, 30, xtol=1e-13)))


def two_labels(state: State) -> dict[str, float]:
    from crosscheck import data, information
    from crosscheck.lab import label_counts

    if state["law"] == "xor":
        law = label_counts.exclusive_or(float(state["wrong"]))
        gap = label_counts.exclusive_or_information(float(state["wrong"]))
    else:
        cause = data.CommonCause(2, float(state["strength"]), float(state["revealed"]))
        law = cause.feature_probabilities()[:, None] * cause.joint_given_feature()
        gap = cause.conditional_total_correlation()
    joint = information.entropy(law) - information.entropy(law.sum(1))
    whole = information.total_correlation(law.sum(0).reshape(2, 2))
    return {"joint": joint, "gap": gap, "independent": joint + gap, "information": whole}


def weighted(state: State) -> dict[str, float]:
    """By search: the logit at which the expected weighted loss of ours has no slope."""
    q, w0, w1, flip0, flip1 = (float(state[name]) for name in ("q", "w0", "w1", "flip0", "flip1"))
    seen = lambda q: q * (1 - flip1) + (1 - q) * flip0
    p = weighted_minimiser(seen(q), w0, w1)
    half = (w0 / (w0 + w1) - flip0) / (1 - flip0 - flip1)
    assert seen(half) * w1 == pytest.approx((1 - seen(half)) * w0)  # so that the odds that are learnt are 1
    return {
        "seen": seen(q),
        "p": p,
        "shift": special.logit(p) - special.logit(seen(q)),
        "border": half,
        "unweighted": seen(q),
        "undone": q,
    }


def weighted_minimiser(q: float, w0: float, w1: float) -> float:
    from crosscheck import autodiff, losses

    def slope(z: float) -> float:
        one, zero = (
            float(autodiff.logit_gradient(losses.binary_crossentropy, np.array([[y]]), np.array([[z]]))[0, 0])
            for y in (1.0, 0.0)
        )
        return q * w1 * one + (1 - q) * w0 * zero

    return float(special.expit(optimize.brentq(slope, -30, 30, xtol=1e-12)))


IN_PYTHON: dict[str, Callable[[State], dict[str, float]]] = {
    "try-loss": loss_in_theory,
    "try-softmax": competition,
    "try-score": scores,
    "try-labels": two_labels,
    "try-weights": weighted,
}

ROUND = {"clip": np.float32, "half": np.float16, "logits": np.float64}


def by_probability(state: State) -> dict[str, float]:
    """The formula with a probability that NumPy rounds and clips as Keras does."""
    dtype, t, gamma = ROUND[state["path"]], float(state["temperature"]), float(state["gamma"])
    y = int(state["y"]) * (1 - 2 * float(state["epsilon"])) + float(state["epsilon"])
    unit = math.log(int(state["base"])) if int(state["base"]) else 1
    p = float(dtype(special.expit(float(state["z"]) / t)))
    c = float(np.clip(np.float32(p), np.float32(1e-7), np.float32(1 - 1e-7)))
    loss, missed = -(y * np.log(c) + (1 - y) * np.log1p(-c)), y * (1 - c) + (1 - y) * c
    by_p = missed**gamma * ((1 - y) / (1 - c) - y / c)
    by_p += gamma * missed ** (gamma - 1) * (1 - 2 * y) * loss if gamma else 0
    with np.errstate(over="ignore"):
        gradient = float(dtype(by_p / unit)) * float(dtype(p * (1 - p))) / t if p == c else 0.0
    return {"path_p": p, "path_loss": missed**gamma * loss / unit, "path_gradient": gradient}


def agreeing(z: np.ndarray, path: str) -> np.ndarray:
    """Where the backend's sigmoid becomes 1 as the nearest float16 does: [N].

    TensorFlow's becomes 1 at z = 8 already, half a step early; PyTorch's does not.
    """
    import keras

    if path == "clip":
        return np.ones(len(z), bool)
    p = keras.ops.convert_to_numpy(keras.ops.sigmoid(z.astype("float16")))
    same = (p == 1) == (special.expit(z).astype("float16") == 1)
    assert set(z[~same]) <= {8.0}
    return same


def gradient_in_keras(z: np.ndarray, y: np.ndarray, dtype: str) -> np.ndarray:
    """dL/dz of Keras' loss of a sigmoid in a dtype, whose logits a reshape hides; [N]."""
    import keras

    from crosscheck.lab import pointwise

    def loss(y: Any, z: Any) -> Any:
        p = keras.ops.sigmoid(keras.ops.cast(z, dtype))
        return keras.losses.binary_crossentropy(y, keras.ops.reshape(keras.ops.cast(p, "float32"), (-1, 1)))

    return pointwise.slopes(loss, z, y, "float32")
