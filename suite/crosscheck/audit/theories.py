"""Exact values and gradients by the logits of known losses, from formulas at 50 digits.

A theory of binary labels gives the loss of one logit; the loss of several labels is its mean over them. A
theory of classes gives the loss of a row of logits and a row of labels. The gradient is a central difference
at 50 digits, exact to some 30: nothing is derived by hand, and each formula is the textbook's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from mpmath import mp, mpf

DIGITS = 50
STEP = mpf(10) ** -15
KINK = 1e-6  # by which the slopes on both sides differ; where there is no kink they do so by some 1e-15
Over = Literal["labels", "classes", "rows"]


class ValueAndGradient(NamedTuple):
    """A loss at N rows of logits: value [N] and gradient by the logits [N, K], in float64."""

    value: np.ndarray
    gradient: np.ndarray


@dataclass(frozen=True)
class LossTheory:
    """A loss in theory.

    Attributes:
        formula: (logits, labels, parameters) → loss; scalars for "labels", rows for "classes".
        over: what it is a loss of: one label, K exclusive classes, or a row of labels together.
        parameters: with their default values, in which it is also recognised.
        candidates: other parameters to try when a loss is to be recognised.
        proper: whether the true probabilities minimise its expectation, where nothing is smoothed.
        hessian: whether its second derivative is diag(p) − ppᵀ (classes) or p (1 − p) (labels).
        hard: whether it means something for labels 0 and 1 only.
        symmetric: whether it treats classes alike.
        linear: whether it is linear in the labels, so that class weights multiply them.
        convention: whether its paper has labels 0 and 1 alone, and what it makes of others is a convention.
    """

    formula: Callable[..., Any]
    over: Over
    parameters: Mapping[str, float] = field(default_factory=dict)
    candidates: tuple[Mapping[str, float], ...] = ()
    proper: bool = False
    hessian: bool = False
    hard: bool = False
    symmetric: bool = True
    linear: bool = False
    convention: bool = False


def sigmoid(z: Any) -> Any:
    return 1 / (1 + mp.exp(-z))


def log_softmax(z: Any) -> list[Any]:
    top = max(z)
    normalizer = top + mp.log(mp.fsum(mp.exp(logit - top) for logit in z))
    return [logit - normalizer for logit in z]


def softmax(z: Any) -> list[Any]:
    return [mp.exp(log_p) for log_p in log_softmax(z)]


def smoothed(y: Any, alpha: Any, k: int) -> Any:
    return y * (1 - mpf(alpha)) + mpf(alpha) / k


def label_crossentropy(z: Any, y: Any, label_smoothing: float) -> Any:
    """−y ln σ(z) − (1 − y) ln σ(−z)."""
    y = smoothed(y, label_smoothing, 2)
    return y * mp.log1p(mp.exp(-z)) + (1 - y) * mp.log1p(mp.exp(z))


def label_brier(z: Any, y: Any) -> Any:
    """(σ(z) − y)²."""
    return (sigmoid(z) - y) ** 2


def label_focal(z: Any, y: Any, gamma: float, alpha: float, balanced: float, label_smoothing: float) -> Any:
    """(1 − p_t)^γ times cross-entropy, p_t = y p + (1 − y)(1 − p); balanced, times y α + (1 − y)(1 − α)."""
    y = smoothed(y, label_smoothing, 2)
    missed = y * sigmoid(-z) + (1 - y) * sigmoid(z)
    weight = y * mpf(alpha) + (1 - y) * (1 - mpf(alpha)) if balanced else 1
    return weight * missed ** mpf(gamma) * label_crossentropy(z, y, 0)


def label_hinge(z: Any, y: Any) -> Any:
    """max(0, 1 − (2y − 1) z)."""
    return max(mpf(0), 1 - (2 * y - 1) * z)


def label_squared_hinge(z: Any, y: Any) -> Any:
    """The square of the hinge loss."""
    return label_hinge(z, y) ** 2


def label_absolute(z: Any, y: Any) -> Any:
    """|σ(z) − y|, not proper."""
    return abs(sigmoid(z) - y)


def label_poisson(z: Any, y: Any) -> Any:
    """p − y ln p."""
    return sigmoid(z) + y * mp.log1p(mp.exp(-z))


def label_generalized(z: Any, y: Any, q: float) -> Any:
    """(1 − p^q) / q for the p of the true label: Zhang & Sabuncu 2018."""
    one, zero = (-mp.expm1(-mpf(q) * mp.log1p(mp.exp(logit))) / mpf(q) for logit in (-z, z))
    return y * one + (1 - y) * zero


def label_asymmetric(z: Any, y: Any, gamma_positive: float, gamma_negative: float, margin: float) -> Any:
    """−y (1 − p)^γ₊ ln p − (1 − y) p_m^γ₋ ln(1 − p_m) with p_m = max(p − m, 0): Ben-Baruch et al. 2021."""
    p, rest = sigmoid(z), sigmoid(-z)
    present = rest ** mpf(gamma_positive) * mp.log1p(mp.exp(-z))
    if p <= mpf(margin):
        return y * present
    absent = (p - mpf(margin)) ** mpf(gamma_negative) * -mp.log(rest + mpf(margin))
    return y * present + (1 - y) * absent


def class_crossentropy(z: Any, y: Any, label_smoothing: float) -> Any:
    """−Σ y ln softmax(z)."""
    pairs = zip(y, log_softmax(z), strict=True)
    return -mp.fsum(smoothed(label, label_smoothing, len(z)) * log_p for label, log_p in pairs)


def class_poly1(z: Any, y: Any, epsilon: float) -> Any:
    """Cross-entropy + ε Σ y (1 − p): Leng et al. 2022."""
    missed = mp.fsum(label * -mp.expm1(log_p) for label, log_p in zip(y, log_softmax(z), strict=True))
    return class_crossentropy(z, y, 0) + mpf(epsilon) * missed


def class_brier(z: Any, y: Any) -> Any:
    """Σ (softmax(z) − y)²."""
    return mp.fsum((p - label) ** 2 for p, label in zip(softmax(z), y, strict=True))


def class_focal(z: Any, y: Any, gamma: float, alpha: float, label_smoothing: float) -> Any:
    """−α Σ y (1 − p)^γ ln p."""
    logs = log_softmax(z)
    terms = (
        smoothed(label, label_smoothing, len(z)) * (-mp.expm1(log_p)) ** mpf(gamma) * log_p
        for label, log_p in zip(y, logs, strict=True)
    )
    return -mpf(alpha) * mp.fsum(terms)


def class_hinge(z: Any, y: Any) -> Any:
    """max(0, 1 + max over the other classes of z − z of the true one): Crammer & Singer 2001."""
    true = max(range(len(z)), key=lambda k: y[k])
    return max(mpf(0), 1 + max(logit for k, logit in enumerate(z) if k != true) - z[true])


def class_keras_hinge(z: Any, y: Any) -> Any:
    """max(0, 1 + max (1 − y) z − Σ y z), as Keras documents it: the true class stays in the maximum, as 0."""
    pairs = list(zip(z, y, strict=True))
    return max(
        mpf(0),
        1
        + max((1 - label) * logit for logit, label in pairs)
        - mp.fsum(logit * label for logit, label in pairs),
    )


def class_kl(z: Any, y: Any) -> Any:
    """Σ y ln (y / p), with 0 ln 0 = 0."""
    return mp.fsum(
        label * (mp.log(label) - log_p) for label, log_p in zip(y, log_softmax(z), strict=True) if label
    )


def class_poisson(z: Any, y: Any) -> Any:
    """The mean over classes of p − y ln p."""
    logs = log_softmax(z)
    return mp.fsum(mp.exp(log_p) - label * log_p for label, log_p in zip(y, logs, strict=True)) / len(z)


def class_generalized(z: Any, y: Any, q: float) -> Any:
    """(1 − p^q) / q for the p of the true class: Zhang & Sabuncu 2018."""
    pairs = zip(y, log_softmax(z), strict=True)
    return mp.fsum(label * -mp.expm1(mpf(q) * log_p) / mpf(q) for label, log_p in pairs)


def class_tversky(z: Any, y: Any, alpha: float, beta: float) -> Any:
    """1 − TP / (TP + α FP + β FN), with FP = Σ p (1 − y) and FN = Σ (1 − p) y: Salehi et al. 2017."""
    return tversky(softmax(z), y, alpha, beta)


def row_tversky(z: Any, y: Any, alpha: float, beta: float) -> Any:
    """The same for labels that do not exclude each other, p = σ(z)."""
    return tversky([sigmoid(logit) for logit in z], y, alpha, beta)


def row_dice(z: Any, y: Any) -> Any:
    """1 − 2 Σ y p / (Σ y + Σ p) with p = σ(z)."""
    return row_tversky(z, y, 0.5, 0.5)


def tversky(p: Any, y: Any, alpha: float, beta: float) -> Any:
    true_positive = mp.fsum(share * label for share, label in zip(p, y, strict=True))
    false_positive = mp.fsum(share * (1 - label) for share, label in zip(p, y, strict=True))
    false_negative = mp.fsum((1 - share) * label for share, label in zip(p, y, strict=True))
    return 1 - true_positive / (true_positive + mpf(alpha) * false_positive + mpf(beta) * false_negative)


def class_dice(z: Any, y: Any) -> Any:
    """1 − 2 Σ y p / (Σ y + Σ p)."""
    return class_tversky(z, y, 0.5, 0.5)


SMOOTHINGS = tuple({"label_smoothing": alpha} for alpha in (0.05, 0.1, 0.2))
GAMMAS = (0.5, 1.0, 2.0, 3.0, 5.0)
PLAIN = {"label_smoothing": 0.0}
BINARY_FOCAL = {"gamma": 2.0, "alpha": 0.25, "balanced": 0.0, "label_smoothing": 0.0}
ASYMMETRIC = {"gamma_positive": 0.0, "gamma_negative": 4.0, "margin": 0.05}
ASYMMETRIES = tuple(
    {"gamma_positive": positive, "gamma_negative": negative, "margin": margin}
    for positive in (0.0, 1.0)
    for negative in (2.0, 4.0)
    for margin in (0.0, 0.05)
)
CLASS_FOCAL = {"gamma": 2.0, "alpha": 0.25, "label_smoothing": 0.0}

THEORIES: dict[str, LossTheory] = {
    "binary crossentropy": LossTheory(
        label_crossentropy, "labels", PLAIN, SMOOTHINGS, True, True, linear=True
    ),
    "binary brier": LossTheory(label_brier, "labels", proper=True),
    "binary focal": LossTheory(
        label_focal,
        "labels",
        BINARY_FOCAL,
        tuple({**BINARY_FOCAL, "gamma": gamma, "balanced": on} for gamma in GAMMAS for on in (0.0, 1.0)),
        convention=True,
    ),
    "hinge": LossTheory(label_hinge, "labels", hard=True),
    "squared hinge": LossTheory(label_squared_hinge, "labels", hard=True),
    "absolute error": LossTheory(label_absolute, "labels", hard=True),
    "binary poisson": LossTheory(label_poisson, "labels", proper=True, symmetric=False),
    "binary generalized crossentropy": LossTheory(
        label_generalized, "labels", {"q": 0.5}, tuple({"q": q} for q in (0.3, 0.7)), linear=True
    ),
    "asymmetric": LossTheory(
        label_asymmetric, "labels", ASYMMETRIC, ASYMMETRIES, symmetric=False, linear=True
    ),
    "categorical crossentropy": LossTheory(
        class_crossentropy, "classes", PLAIN, SMOOTHINGS, True, True, linear=True
    ),
    "poly1": LossTheory(class_poly1, "classes", {"epsilon": 1.0}, linear=True),
    "categorical brier": LossTheory(class_brier, "classes", proper=True),
    "categorical focal": LossTheory(
        class_focal,
        "classes",
        CLASS_FOCAL,
        tuple({**CLASS_FOCAL, "gamma": gamma, "alpha": a} for gamma in GAMMAS for a in (1.0, 0.25)),
        linear=True,
    ),
    "categorical hinge": LossTheory(class_hinge, "classes", hard=True),
    "keras categorical hinge": LossTheory(class_keras_hinge, "classes", hard=True),
    "kl divergence": LossTheory(class_kl, "classes", proper=True, hessian=True),
    "categorical poisson": LossTheory(class_poisson, "classes", proper=True),
    "generalized crossentropy": LossTheory(
        class_generalized, "classes", {"q": 0.5}, tuple({"q": q} for q in (0.3, 0.7)), linear=True
    ),
    "dice": LossTheory(class_dice, "classes"),
    "tversky": LossTheory(class_tversky, "classes", {"alpha": 0.5, "beta": 0.5}),
    "multilabel dice": LossTheory(row_dice, "rows", symmetric=False),
    "multilabel tversky": LossTheory(row_tversky, "rows", {"alpha": 0.5, "beta": 0.5}, symmetric=False),
}


def over(kind: str) -> Over:
    """ "classes" for categorical and sparse losses, "labels" for the others: ordinal ones have levels."""
    return "classes" if kind in ("categorical", "sparse") else "labels"


def evaluate(
    theory: LossTheory,
    parameters: Mapping[str, float],
    z: np.ndarray,
    y: np.ndarray,
    class_weights: tuple[float, ...] = (),
) -> ValueAndGradient:
    """Exact value and gradient at logits and labels [N, K], times the weights of the classes."""
    arguments = {**theory.parameters, **{k: v for k, v in parameters.items() if k != "factor"}}
    rows = tuple(map(tuple, z.tolist())), tuple(map(tuple, y.tolist()))
    formula = theory.formula
    if class_weights:
        formula = weighted(formula, theory.over, theory.linear, class_weights)
    values, slopes = evaluate_rows(formula, theory.over, tuple(arguments.items()), *rows)
    return ValueAndGradient(np.array(values), np.array(slopes))


@functools.lru_cache(maxsize=32)  # one function for each, so that its rows are found again
def weighted(
    formula: Callable[..., Any], unit: Over, linear: bool, class_weights: tuple[float, ...]
) -> Callable[..., Any]:
    """The formula times the weight of its label, or of its row's classes in their shares."""
    weights = [mpf(weight) for weight in class_weights]

    def of_label(z: Any, y: Any, **arguments: Any) -> Any:
        if linear:
            of_both = [formula(z, mpf(label), **arguments) for label in (0, 1)]
            return weights[0] * (1 - y) * of_both[0] + weights[1] * y * of_both[1]
        return (weights[0] * (1 - y) + weights[1] * y) * formula(z, y, **arguments)

    def of_row(z: Any, y: Any, **arguments: Any) -> Any:
        weighed = [weight * label for weight, label in zip(weights, y, strict=True)]
        return formula(z, weighed, **arguments) if linear else mp.fsum(weighed) * formula(z, y, **arguments)

    return of_label if unit == "labels" else of_row


@functools.lru_cache(maxsize=128)  # one loss is asked from logits and from probabilities, eager and compiled
def evaluate_rows(
    formula: Callable[..., Any], unit: Over, arguments: tuple[tuple[str, float], ...], z: Any, y: Any
) -> tuple[list[float], list[list[float]]]:
    with mp.workdps(DIGITS):
        rows = [evaluate_row(formula, unit, dict(arguments), *row) for row in zip(z, y, strict=True)]
    return [value for value, _ in rows], [derivative for _, derivative in rows]


def evaluate_row(
    formula: Callable[..., Any], unit: Over, arguments: dict[str, float], z: list[float], y: list[float]
) -> tuple[float, list[float]]:
    exact, labels = [mpf(value) for value in z], [mpf(value) for value in y]
    if unit != "labels":
        function = lambda row: formula(row, labels, **arguments)
        at_z = function(exact)
        return float(at_z), [derivative(function, exact, at_z, k) for k in range(len(exact))]
    per_label = [lambda row, value=value: formula(row[0], value, **arguments) for value in labels]
    values = [function([value]) for function, value in zip(per_label, exact, strict=True)]
    slopes = [
        derivative(function, [logit], value, 0) / len(exact)
        for function, logit, value in zip(per_label, exact, values, strict=True)
    ]
    return float(mp.fsum(values) / len(values)), slopes


def derivative(function: Callable[[list[Any]], Any], z: list[Any], at_z: Any, k: int) -> float:
    """∂ function / ∂ z_k, of a function that is at_z at z, by a central difference; NaN at a kink."""
    above, below = list(z), list(z)
    above[k], below[k] = z[k] + STEP, z[k] - STEP
    up, down = function(above), function(below)
    return math.nan if abs(up - 2 * at_z + down) > KINK * STEP else float((up - down) / (2 * STEP))


def probabilities(kind: str, z: np.ndarray) -> np.ndarray:
    """σ(z) or softmax(z) of moderate logits, float64."""
    if over(kind) == "labels":
        return 1 / (1 + np.exp(-z))
    exponentials = np.exp(z - z.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def minimiser(parameters: Mapping[str, float], kind: str, q: np.ndarray) -> np.ndarray:
    """The prediction at which a proper loss is least in expectation under q: q itself, or q smoothed."""
    alpha = parameters.get("label_smoothing", 0.0)
    k = 2 if over(kind) == "labels" else q.shape[-1]
    return q * (1 - alpha) + alpha / k
