"""The losses of imbalance, noise, trees and many labels: how each is made, and its formula at 50 digits.

Formulas are of one label's logit ("labels") or of three logits ("classes"), as the audit takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from mpmath import mp, mpf

from crosscheck import losses

STEP = mpf(10) ** -40
PRIORS = [0.7, 0.2, 0.1]
WEIGHTS = [0.5, 2.0, 10.0]
NOISE = [[0.8, 0.2, 0.0], [0.1, 0.6, 0.3], [0.05, 0.15, 0.8]]
TREE = [0, 0, 1]


def log_softmax(z: Any) -> list[Any]:
    top = max(z)
    total = top + mp.log(mp.fsum(mp.exp(logit - top) for logit in z))
    return [logit - total for logit in z]


def adjusted(z: Any, y: Any, tau: float = 1.0) -> Any:
    shifted = [logit + mpf(tau) * mp.log(mpf(prior)) for logit, prior in zip(z, PRIORS, strict=True)]
    return -mp.fdot(y, log_softmax(shifted))


def adjusted_label(z: Any, y: Any, tau: float = 1.0) -> Any:
    z = z + mpf(tau) * mp.log(mpf(0.1) / (1 - mpf(0.1)))
    return y * mp.log1p(mp.exp(-z)) + (1 - y) * mp.log1p(mp.exp(z))


def weighted(z: Any, y: Any) -> Any:
    return -mp.fsum(mpf(w) * t * s for w, t, s in zip(WEIGHTS, y, log_softmax(z), strict=True))


def weighted_label(z: Any, y: Any) -> Any:
    return 4 * y * mp.log1p(mp.exp(-z)) + mpf(0.5) * (1 - y) * mp.log1p(mp.exp(z))


def corrected(z: Any, y: Any) -> Any:
    p = [mp.exp(log_p) for log_p in log_softmax(z)]
    given = [mp.fsum(p[i] * mpf(NOISE[i][j]) for i in range(3)) for j in range(3)]
    return -mp.fsum(label * mp.log(share) for label, share in zip(y, given, strict=True) if label)


def corrected_label(z: Any, y: Any) -> Any:
    p, rest = 1 / (1 + mp.exp(-z)), 1 / (1 + mp.exp(z))
    one = (1 - mpf(0.3)) * p + mpf(0.1) * rest
    zero = mpf(0.3) * p + (1 - mpf(0.1)) * rest
    return -y * mp.log(one) - (1 - y) * mp.log(zero)


def generalised(z: Any, y: Any, q: float = 0.7) -> Any:
    return mp.fsum(
        label * -mp.expm1(mpf(q) * log_p) / mpf(q) for label, log_p in zip(y, log_softmax(z), strict=True)
    )


def generalised_label(z: Any, y: Any, q: float = 0.7) -> Any:
    one, zero = (-mp.expm1(-mpf(q) * mp.log1p(mp.exp(logit))) / mpf(q) for logit in (-z, z))
    return y * one + (1 - y) * zero


def on_tree(z: Any, y: Any) -> Any:
    log_p = log_softmax(z)
    node = [mp.log(mp.exp(log_p[0]) + mp.exp(log_p[1])), log_p[2]]
    return -mp.fdot(y, log_p) - 2 * ((y[0] + y[1]) * node[0] + y[2] * node[1])


def asymmetric(
    z: Any, y: Any, gamma_positive: float = 0.0, gamma_negative: float = 4.0, margin: float = 0.05
) -> Any:
    p, rest = 1 / (1 + mp.exp(-z)), 1 / (1 + mp.exp(z))
    present = rest ** mpf(gamma_positive) * mp.log1p(mp.exp(-z))
    if p <= mpf(margin):
        return y * present
    absent = (p - mpf(margin)) ** mpf(gamma_negative) * -mp.log(rest + mpf(margin))
    return y * present + (1 - y) * absent


@dataclass(frozen=True)
class Applied:
    """A loss as a function of (y, z) and as a Keras loss.

    Attributes:
        function, make: the function with its arguments, and the class.
        config: the arguments.
        kind: "categorical" or "multilabel".
        formula: value at 50 digits, of (z, y).
        minimiser: the optimal prediction under a law η: of classes [K], of labels the chances of 1.
        seen: the law of the labels that are given, from η.
    """

    function: Callable[..., Any]
    make: Callable[..., Any]
    config: dict[str, Any]
    kind: str
    formula: Callable[..., Any]
    minimiser: Callable[[np.ndarray], np.ndarray] | None = None
    seen: Callable[[np.ndarray], np.ndarray] = lambda eta: eta

    def __call__(self, y: Any, z: Any) -> Any:
        return self.function(y, z, **self.config)

    def loss(self, **options: Any) -> Any:
        return self.make(**self.config, **options)


def shares(values: np.ndarray) -> np.ndarray:
    return values / values.sum(-1, keepdims=True)


def powered(eta: np.ndarray, power: float) -> np.ndarray:
    return eta**power / (eta**power + (1 - eta) ** power)


def odds_times(eta: np.ndarray, factor: float) -> np.ndarray:
    return factor * eta / (factor * eta + 1 - eta)


L = losses
APPLIED = {
    "adjusted": Applied(
        L.logit_adjusted_crossentropy,
        L.LogitAdjustedCrossentropy,
        {"priors": PRIORS, "tau": 1.0},
        "categorical",
        adjusted,
        lambda eta: shares(eta / np.array(PRIORS)),
    ),
    "adjusted label": Applied(
        L.logit_adjusted_binary_crossentropy,
        L.LogitAdjustedBinaryCrossentropy,
        {"priors": 0.1, "tau": 1.0},
        "multilabel",
        adjusted_label,
        lambda eta: odds_times(eta, 9),
    ),
    "weighted": Applied(
        L.class_weighted_crossentropy,
        L.ClassWeightedCrossentropy,
        {"class_weights": WEIGHTS},
        "categorical",
        weighted,
        lambda eta: shares(eta * np.array(WEIGHTS)),
    ),
    "weighted label": Applied(
        L.class_weighted_binary_crossentropy,
        L.ClassWeightedBinaryCrossentropy,
        {"class_weights": [0.5, 4.0]},
        "multilabel",
        weighted_label,
        lambda eta: odds_times(eta, 8),
    ),
    "corrected": Applied(
        L.forward_corrected_crossentropy,
        L.ForwardCorrectedCrossentropy,
        {"transition": NOISE},
        "categorical",
        corrected,
        lambda eta: eta,
        lambda eta: eta @ np.array(NOISE),
    ),
    "corrected label": Applied(
        L.forward_corrected_binary_crossentropy,
        L.ForwardCorrectedBinaryCrossentropy,
        {"missed": 0.3, "false_alarms": 0.1},
        "multilabel",
        corrected_label,
        lambda eta: eta,
        lambda eta: 0.6 * eta + 0.1,
    ),
    "generalised": Applied(
        L.generalised_crossentropy,
        L.GeneralisedCrossentropy,
        {"q": 0.7},
        "categorical",
        generalised,
        lambda eta: shares(eta ** (1 / 0.3)),
    ),
    "generalised label": Applied(
        L.generalised_binary_crossentropy,
        L.GeneralisedBinaryCrossentropy,
        {"q": 0.7},
        "multilabel",
        generalised_label,
        lambda eta: powered(eta, 1 / 0.3),
    ),
    "tree": Applied(
        L.hierarchical_crossentropy,
        L.HierarchicalCrossentropy,
        {"tree": [TREE], "weight": 2.0},
        "categorical",
        on_tree,
        lambda eta: eta,
    ),
    "asymmetric": Applied(
        L.asymmetric_loss,
        L.AsymmetricLoss,
        {"gamma_positive": 0.0, "gamma_negative": 4.0, "margin": 0.05},
        "multilabel",
        asymmetric,
    ),
    "asymmetric, no margin": Applied(
        L.asymmetric_loss,
        L.AsymmetricLoss,
        {"gamma_positive": 1.0, "gamma_negative": 2.5, "margin": 0.0},
        "multilabel",
        partial(asymmetric, gamma_positive=1.0, gamma_negative=2.5, margin=0.0),
    ),
}
OF_CLASSES = [name for name, applied in APPLIED.items() if applied.kind == "categorical"]
OF_LABELS = [name for name, applied in APPLIED.items() if applied.kind == "multilabel"]


def exact(name: str, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value [N] and gradient [N, K] by a central difference at 150 digits; of labels the mean over them.

    The audit's 50 digits leave an absolute error of 1e-35 in the gradient, as large as e^(−80).
    """
    applied = APPLIED[name]
    with mp.workdps(150):
        rows = [
            row_of_classes(applied.formula, *row)
            if name in OF_CLASSES
            else row_of_labels(applied.formula, *row)
            for row in zip(np.asarray(z, float).tolist(), np.asarray(y, float).tolist(), strict=True)
        ]
    values, slopes = zip(*rows, strict=True)
    return np.array(values), np.array(slopes)


def row_of_classes(formula: Callable[..., Any], z: list[float], y: list[float]) -> tuple[float, list[float]]:
    z, y = [mpf(value) for value in z], [mpf(value) for value in y]
    moved = lambda k, h: [value + (h if i == k else 0) for i, value in enumerate(z)]
    slopes = [(formula(moved(k, STEP), y) - formula(moved(k, -STEP), y)) / (2 * STEP) for k in range(len(z))]
    return float(formula(z, y)), [float(slope) for slope in slopes]


def row_of_labels(formula: Callable[..., Any], z: list[float], y: list[float]) -> tuple[float, list[float]]:
    pairs = [(mpf(a), mpf(b)) for a, b in zip(z, y, strict=True)]
    slopes = [(formula(a + STEP, b) - formula(a - STEP, b)) / (2 * STEP) / len(z) for a, b in pairs]
    return float(mp.fsum(formula(a, b) for a, b in pairs) / len(z)), [float(slope) for slope in slopes]


def example(name: str, n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits [N, 3] in float32; the hard labels of classes as rows."""
    rng = np.random.default_rng(5)
    z = rng.normal(0, 2, (n, 3)).astype("float32")
    if APPLIED[name].kind == "categorical":
        return np.eye(3, dtype="float32")[rng.integers(0, 3, n)], z
    return rng.integers(0, 2, (n, 3)).astype("float32"), z
