"""Ten losses that people use, written anew from their papers, of logits; each beside its formula.

The formulas are in mpmath and in the probabilities of the paper. The losses are stable forms of them.
"""

from __future__ import annotations

from typing import Any

from field_losses import BalancedFocal, Base, Generalized, crossentropy, reg
from keras import ops
from mpmath import exp, fsum, log, log1p, mp, mpf

from crosscheck.audit.theories import class_crossentropy, log_softmax, sigmoid, softmax, tversky

COUNTS = (1000, 100, 10)  # examples of each class in training
MARGIN, SCALE = 0.5, 10.0
BETA = 0.999


# --- focal: Lin et al. 2017, equation 5; generalised: Zhang & Sabuncu 2018, equation 6 --------------------


def focal(z: Any, y: Any, gamma: Any, alpha: Any) -> Any:
    """−α_t (1 − p_t)^γ ln p_t, in the shares of the labels; 1 − p is σ(−z)."""
    of_one = -mpf(alpha) * sigmoid(-z) ** mpf(gamma) * -log1p(exp(-z))
    of_zero = -(1 - mpf(alpha)) * sigmoid(z) ** mpf(gamma) * -log1p(exp(z))
    return y * of_one + (1 - y) * of_zero


def generalized(z: Any, y: Any, q: Any) -> Any:
    """(1 − p_y^q) / q."""
    return fsum(label * (1 - p ** mpf(q)) / mpf(q) for label, p in zip(y, softmax(z), strict=True))


# --- asymmetric: Ridnik et al. 2021, equations 4 and 6 ----------------------------------------------------


@reg
class Asymmetric(Base):
    OWN = ("gamma_pos", "gamma_neg", "shift")

    def __init__(self, gamma_pos=1.0, gamma_neg=4.0, shift=0.05, **options):
        super().__init__(**options)
        self.gamma_pos, self.gamma_neg, self.shift = gamma_pos, gamma_neg, shift

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        shifted = ops.relu(ops.sigmoid(z) - self.shift)
        of_one = ops.exp(-self.gamma_pos * ops.softplus(z)) * ops.softplus(-z)
        of_zero = -(shifted**self.gamma_neg) * ops.log1p(-shifted)
        return ops.mean(y * of_one + (1 - y) * of_zero, axis=-1)


def asymmetric(z: Any, y: Any, gamma_pos: Any, gamma_neg: Any, shift: Any) -> Any:
    """−y (1 − p)^γ₊ ln p − (1 − y) p_m^γ₋ ln (1 − p_m), with p_m = max(p − m, 0)."""
    p = sigmoid(z)
    shifted = max(p - mpf(shift), mpf(0))
    return -y * (1 - p) ** mpf(gamma_pos) * log(p) - (1 - y) * shifted ** mpf(gamma_neg) * log(1 - shifted)


# --- LDAM: Cao et al. 2019, equations 12 and 13 -----------------------------------------------------------


@reg
class LDAM(Base):
    """Margins in inverse proportion to the fourth root of the counts."""

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        margins = ops.cast(ops.array([MARGIN * (min(COUNTS) / n) ** 0.25 for n in COUNTS]), z.dtype)
        return crossentropy(y, SCALE * (z - y * margins))


def ldam(z: Any, y: Any) -> Any:
    """−ln softmax(s (z − Δ_y on the true class))_y, with Δ_j = C n_j^(−1/4)."""
    margins = [mpf(MARGIN) * (mpf(min(COUNTS)) / n) ** mpf("0.25") for n in COUNTS]
    moved = [mpf(SCALE) * (logit - label * m) for logit, label, m in zip(z, y, margins, strict=True)]
    return class_crossentropy(moved, y, 0)


# --- Poly-1: Leng et al. 2022, equation 2 -----------------------------------------------------------------


@reg
class Poly1(Base):
    OWN = ("epsilon",)

    def __init__(self, epsilon=2.0, **options):
        super().__init__(**options)
        self.epsilon = epsilon

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        return crossentropy(y, z) + self.epsilon * (1 - ops.sum(y * ops.softmax(z, axis=-1), axis=-1))


def poly1(z: Any, y: Any, epsilon: Any) -> Any:
    """Cross-entropy + ε (1 − p_t)."""
    p_true = fsum(label * p for label, p in zip(y, softmax(z), strict=True))
    return class_crossentropy(z, y, 0) + mpf(epsilon) * (1 - p_true)


# --- symmetric: Wang et al. 2019, equations 5 to 7, with ln 0 = A = −4 ------------------------------------


@reg
class Symmetric(Base):
    OWN = ("alpha", "beta")

    def __init__(self, alpha=0.1, beta=1.0, **options):
        super().__init__(**options)
        self.alpha, self.beta = alpha, beta

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        log_y = ops.where(y > 0, ops.maximum(ops.log(ops.where(y > 0, y, 1.0)), -4.0), -4.0)
        reverse = -ops.sum(ops.softmax(z, axis=-1) * ops.cast(log_y, z.dtype), axis=-1)
        return self.alpha * crossentropy(y, z) + self.beta * reverse


def symmetric(z: Any, y: Any, alpha: Any, beta: Any) -> Any:
    """α (−Σ q ln p) + β (−Σ p ln q)."""
    logs = [max(log(label), mpf(-4)) if label > 0 else mpf(-4) for label in y]
    reverse = -fsum(p * log_y for p, log_y in zip(softmax(z), logs, strict=True))
    return mpf(alpha) * class_crossentropy(z, y, 0) + mpf(beta) * reverse


# --- bi-tempered: Amid et al. 2019, equations 3 to 5 ------------------------------------------------------


@reg
class BiTempered(Base):
    """With heavy tails (t₂ > 1), normalised by Newton's method on the sum of the tempered exponentials."""

    OWN = ("t1", "t2")

    def __init__(self, t1=0.8, t2=1.2, **options):
        super().__init__(**options)
        self.t1, self.t2 = t1, t2

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        p = self.probabilities(z)
        log_t = lambda u: (u ** (1 - self.t1) - 1) / (1 - self.t1)
        power = lambda u: u ** (2 - self.t1) / (2 - self.t1)
        safe_y = ops.where(y > 0, y, 1.0)
        of_labels = ops.where(y > 0, y * log_t(safe_y), 0.0)
        return ops.sum(ops.cast(of_labels, z.dtype) - y * log_t(p) - power(y) + power(p), axis=-1)

    def probabilities(self, z):
        """exp_t(z − λ) that sum to 1: their sum is convex in λ, and Newton's steps rise to it."""
        k = self.t2 - 1
        z = z - ops.max(z, axis=-1, keepdims=True)
        normaliser = ops.zeros_like(z[..., :1])
        for _ in range(24):
            base = 1 - k * (z - normaliser)
            total = ops.sum(base ** (-1 / k), axis=-1, keepdims=True)
            slope = -ops.sum(base ** (-1 / k - 1), axis=-1, keepdims=True)
            normaliser = normaliser - (total - 1) / slope
        return (1 - k * (z - normaliser)) ** (-1 / k)


def bi_tempered(z: Any, y: Any, t1: Any, t2: Any) -> Any:
    """Σ y (ln_t y − ln_t p) − (y^(2−t) − p^(2−t)) / (2 − t), with the tempered softmax p."""
    t1, k, top = mpf(t1), mpf(t2) - 1, max(z)
    exponential = lambda u: (1 - k * u) ** (-1 / k)
    total = lambda shift: fsum(exponential(logit - top - shift) for logit in z) - 1
    shift = mpf(0)
    while total(shift) > mp.eps * 16:
        before = shift
        slope = -fsum((1 - k * (logit - top - shift)) ** (-1 / k - 1) for logit in z)
        shift -= total(shift) / slope
        if shift == before:
            break
    p = [exponential(logit - top - shift) for logit in z]
    log_t = lambda u: (u ** (1 - t1) - 1) / (1 - t1)
    power = lambda u: u ** (2 - t1) / (2 - t1)
    return fsum(
        (label * log_t(label) if label > 0 else 0) - label * log_t(share) - power(label) + power(share)
        for label, share in zip(y, p, strict=True)
    )


# --- Dice: Milletari et al. 2016, section 3; Tversky: Salehi et al. 2017, equation 3 -----------------------


@reg
class Dice(Base):
    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        p = ops.sigmoid(z)
        squares = ops.sum(p * p, axis=-1) + ops.sum(y * y, axis=-1)
        return 1 - (2 * ops.sum(p * y, axis=-1) + 1) / (squares + 1)


def dice(z: Any, y: Any) -> Any:
    """1 − (2 Σ p y + 1) / (Σ p² + Σ y² + 1); over a row, so that it is given as a formula of classes."""
    p = [sigmoid(logit) for logit in z]
    overlap = fsum(share * label for share, label in zip(p, y, strict=True))
    return 1 - (2 * overlap + 1) / (fsum(share**2 for share in p) + fsum(label**2 for label in y) + 1)


@reg
class Tversky(Base):
    OWN = ("alpha", "beta")

    def __init__(self, alpha=0.3, beta=0.7, **options):
        super().__init__(**options)
        self.alpha, self.beta = alpha, beta

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        p, missed = ops.sigmoid(z), ops.sigmoid(-z)
        hit = ops.sum(p * y, axis=-1)
        wrong = self.alpha * ops.sum(p * (1 - y), axis=-1) + self.beta * ops.sum(missed * y, axis=-1)
        return wrong / (hit + wrong)


def tversky_of_rows(z: Any, y: Any, alpha: Any, beta: Any) -> Any:
    """1 − TP / (TP + α FP + β FN)."""
    return tversky([sigmoid(logit) for logit in z], y, alpha, beta)


# --- class-balanced: Cui et al. 2019, equations 8 and 9 ---------------------------------------------------


def balanced_weights() -> list[Any]:
    """(1 − β) / (1 − β^n), so that they sum to the number of classes."""
    weights = [(1 - mpf(BETA)) / (1 - mpf(BETA) ** n) for n in COUNTS]
    return [weight * len(weights) / fsum(weights) for weight in weights]


@reg
class ClassBalanced(Base):
    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        weights = ops.cast(ops.array([float(weight) for weight in balanced_weights()]), z.dtype)
        return -ops.sum(weights * y * ops.log_softmax(z, axis=-1), axis=-1)


def class_balanced(z: Any, y: Any) -> Any:
    pairs = zip(balanced_weights(), y, log_softmax(z), strict=True)
    return -fsum(weight * label * log_p for weight, label, log_p in pairs)


__all__ = ["BalancedFocal", "Generalized"]
