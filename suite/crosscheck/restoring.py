"""Probabilities restored after training with a loss that moves them: weights, priors, powers, asymmetry.

Each of these losses has its population optimum at a known function of the true law η. Where the model comes
near it, the inverse of that function brings η back, without any held-out example. What the model cannot
express, or has not learnt, is not restored; `crosscheck.calibration` has the inverse of the focal loss, and
the temperature that is fitted on held-out examples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from crosscheck import losses

__all__ = [
    "asymmetric_restored",
    "class_weights_restored",
    "generalised_restored",
    "label_weights_restored",
    "prior_corrected",
]


def class_weights_restored(logits: Any, class_weights: Any) -> Any:
    """Returns z − ln w, the logits of η for a model of K classes that was trained with class weights w.

    The weighted optimum is p ∝ w η. It serves Keras' `class_weight` as well as `ClassWeightedCrossentropy`,
    and oversampling class k w_k times.

    Args:
        logits: [..., K], or [..., 1] of two classes, whose weights are (w₀, w₁).
        class_weights: w, K positive numbers.

    Returns:
        Logits in the same shape, in float64 if they came so, else in float32.

    Raises:
        ValueError: if there is not one positive weight to each class.

    >>> weighted = np.log(np.array([0.9, 0.1]) * [1, 9])  # η = (0.9, 0.1), w = (1, 9): one as likely as other
    >>> ops.convert_to_numpy(ops.softmax(class_weights_restored(weighted, [1, 9]))).round(4).tolist()
    [0.9, 0.1]
    """
    z = losses.computed(logits)
    weights = np.log(losses.as_weights(class_weights, max(z.shape[-1], 2)))
    return z - shift_of(weights, z)


def label_weights_restored(logits: Any, class_weights: Any) -> Any:
    """Returns z − ln(w₁ / w₀), the log-odds of η for labels that were trained with weights of 0 and of 1.

    Args:
        logits: [..., L].
        class_weights: (w₀, w₁), positive, each one number or L of them; (1, w) for a `pos_weight`.

    Returns:
        Logits in the same shape, in float64 if they came so, else in float32.

    Raises:
        ValueError: for weights that are not a positive pair.
    """
    z = losses.computed(logits)
    absent, present = losses.as_pair(class_weights)
    return z - ops.convert_to_tensor(np.log(present) - np.log(absent), dtype=z.dtype)


def prior_corrected(logits: Any, trained: Any, wanted: Any) -> Any:
    """Returns z + ln(wanted / trained): the logits where classes occur in other shares than in training.

    Exact where only the shares differ, P(x | class) being the same. With `wanted` uniform it is the logit
    adjustment after training (Menon et al. 2021, section 4.1); with `trained` uniform and `wanted` the shares
    in training it restores η after training with `LogitAdjustedCrossentropy` at τ = 1.

    Args:
        logits: [..., K], or [..., 1] of two classes, whose shares are (π₀, π₁).
        trained, wanted: the classes' shares, K positive numbers that sum to 1 each.

    Returns:
        Logits in the same shape, in float64 if they came so, else in float32.

    Raises:
        ValueError: if shares are none, or do not fit the logits.

    Source: Saerens, Latinne & Decaestecker 2002, equation 2.4.
    """
    z = losses.computed(logits)
    classes = max(z.shape[-1], 2)
    before, after = (np.log(losses.as_priors(shares, classes)) for shares in (trained, wanted))
    return z + shift_of(after - before, z)


def shift_of(logs: np.ndarray, z: Any) -> Any:
    """Returns what is added to logits [..., K]; for a single logit what class 1 is ahead of class 0 by."""
    return ops.convert_to_tensor(logs if z.shape[-1] > 1 else logs[1:] - logs[:1], dtype=z.dtype)


def generalised_restored(logits: Any, q: float = 0.7) -> Any:
    """Returns (1 − q) z, the logits of η ∝ p^(1−q) after training with generalised cross-entropy.

    Args:
        logits: [..., K] of classes, or [..., L] of labels.
        q: that of the loss, in [0, 1).

    Returns:
        Logits in the same shape, in float64 if they came so, else in float32.

    Raises:
        ValueError: for a q outside [0, 1). At q = 1 the optimum is the greatest η alone, and tells no other.
    """
    if not 0 <= q < 1:
        raise ValueError(f"`q` must lie in [0, 1), not {q}: at 1 the predictions tell no chances.")
    return losses.computed(logits) * (1 - q)


def asymmetric_restored(
    logits: Any, gamma_positive: float = 0.0, gamma_negative: float = 4.0, margin: float = 0.05
) -> Any:
    """Returns the chances η that a model trained on the asymmetric loss stands for: probabilities, [..., L].

    Where the expected loss η ℓ₁(p) + (1 − η) ℓ₀(p) is least, η = ℓ₀′ / (ℓ₀′ − ℓ₁′), with derivatives by p.
    Up to the margin, ℓ₀ is flat and η = 0: with m > 0 no prediction below m is an optimum for η > 0. Where η
    falls again as p rises (γ₊ > 0 can do that), p is no minimum, and what is returned has no meaning.

    Args:
        logits: [..., L].
        gamma_positive, gamma_negative, margin: those of the loss.

    Returns:
        In [0, 1], in float64 if the logits came so, else in float32.

    Raises:
        ValueError: for a γ below 0, or m outside [0, 1).

    >>> bce = asymmetric_restored(np.array([0.0, 2.0]), gamma_negative=0, margin=0)  # σ(z) itself
    >>> ops.convert_to_numpy(bce).round(4).tolist()
    [0.5, 0.8808]
    """
    losses.require_asymmetric(gamma_positive, gamma_negative, margin)
    z = losses.computed(logits)
    of_one, of_zero = losses.label_losses(z)
    p, rest = ops.exp(-of_one), ops.exp(-of_zero)
    # |ℓ₁′| = (1 − p)^γ / p + γ (1 − p)^(γ−1) (−ln p), times p (1 − p) so that nothing is divided by 0
    present = ops.exp(-gamma_positive * of_zero) * (rest + gamma_positive * p * of_one)
    inside = p > margin
    shifted = ops.where(inside, p - margin, ops.ones_like(p))
    left = ops.where(inside, rest + margin, ops.ones_like(p))  # 1 − p_m
    if margin:
        slope = p * rest * (gamma_negative * -ops.log(left) / shifted + 1 / left)
    else:  # p/p_m and (1 − p)/(1 − p_m) are 1, also where both round to 0
        slope = rest * gamma_negative * of_zero + p
    absent = ops.where(inside, ops.power(shifted, gamma_negative) * slope, ops.zeros_like(p))
    return absent / (absent + present)
