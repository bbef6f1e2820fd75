"""Losses of wrong labels: corrected by the law of the noise, or bounded.

T holds the noise: T_ij is the chance that an example of class i carries label j, so that rows sum to 1.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.losses._binary import binary_tensors
from crosscheck.losses._imbalance import SUM
from crosscheck.losses._shared import (
    LossOfLogits,
    class_rows,
    computed,
    constant,
    label_losses,
    mean_over_labels,
    plain,
)


@keras.saving.register_keras_serializable(package="crosscheck")
def forward_corrected_crossentropy(y_true: Any, logits: Any, transition: Any) -> Any:
    """−Σ_j y_j ln Σ_i softmax(z)_i T_ij: cross-entropy of what the noise makes of the prediction.

    Its population optimum is softmax(z) = η, the law of the clean labels, where T is right, invertible, and
    the same for every input. It is computed as ln Σ_i e^(z_i) − ln Σ_i e^(z_i + ln T_ij), never by way of a
    probability.

    Args:
        y_true: the noisy labels: one-hot or soft rows [..., K], or integers [...] or [..., 1].
        logits: [..., K], finite, K ≥ 2, of the clean classes.
        transition: T, [K, K], rows of chances that sum to 1; a row is a clean class, a column a label.

    Returns:
        Nats per example, [...]; at least −ln max_i T_ij for label j. The gradient is exact relative to its
        own size, but for the component of the largest logit, which is rounded against 1.

    Raises:
        ValueError: if labels or T do not fit the logits, rows are no distributions, or a label never occurs.

    Source: Patrini et al. 2017, theorem 2.
    """
    z = computed(logits)
    y, noise = class_rows(y_true, z), as_transition(transition, z.shape[-1])
    with np.errstate(divide="ignore"):
        log_noise = constant(np.log(noise), z)  # [K, K]; −∞ where a class never gets a label
    shifted = z - ops.stop_gradient(ops.max(z, axis=-1, keepdims=True))
    by_label = ops.logsumexp(ops.expand_dims(shifted, -1) + log_noise, axis=-2)  # [..., K]
    clean = ops.logsumexp(shifted, axis=-1, keepdims=True)
    return ops.sum(y * (clean - by_label), axis=-1)


@keras.saving.register_keras_serializable(package="crosscheck")
def forward_corrected_binary_crossentropy(
    y_true: Any, logits: Any, missed: Any = 0.0, false_alarms: Any = 0.0
) -> Any:
    """−ln P(y) with P(1) = (1 − ρ₊) σ(z) + ρ₋ σ(−z), averaged over labels.

    Its population optimum is σ(z) = η, the chance of the clean label.

    Args:
        y_true: the noisy labels in [0, 1], [..., L].
        logits: [..., L], finite, of the clean labels.
        missed: ρ₊, the chance that a true 1 is given as 0: one number or L of them.
        false_alarms: ρ₋, the chance that a true 0 is given as 1.

    Returns:
        Nats per example, [...]. Value and gradient are exact to rounding, relative to their own size, in both
        tails.

    Raises:
        ValueError: if shapes do not fit; unless ρ₊, ρ₋ ≥ 0 and ρ₊ + ρ₋ < 1.

    Source: Natarajan et al. 2013; Patrini et al. 2017, section 4.
    """
    y, z = binary_tensors(y_true, 0.0, logits)
    lost, invented = as_flips(missed, false_alarms)
    of_one, of_zero = label_losses(z)
    as_one = log_mixture(1 - lost, invented, of_one, of_zero)
    as_zero = log_mixture(lost, 1 - invented, of_one, of_zero)
    return -mean_over_labels(y * as_one + (1 - y) * as_zero)


def log_mixture(share_of_one: Any, share_of_zero: Any, of_one: Any, of_zero: Any) -> Any:
    """Returns ln(a σ(z) + b σ(−z)), with −ln σ(z) and −ln σ(−z) given."""
    with np.errstate(divide="ignore"):
        logs = [constant(np.log(share), of_one) for share in (share_of_one, share_of_zero)]
    return ops.logsumexp(ops.stack([logs[0] - of_one, logs[1] - of_zero]), axis=0)


@keras.saving.register_keras_serializable(package="crosscheck")
def generalised_crossentropy(y_true: Any, logits: Any, q: Any = 0.7) -> Any:
    """Σ_k y_k (1 − p_k^q) / q with p = softmax(z): between cross-entropy, q → 0, and 1 − p_y, q = 1.

    It is bounded by 1/q, and its gradient p_y^q (p − y) is nothing where an example is confidently wrong. It
    is not proper: its population optimum is p ∝ η^(1/(1−q)), which sharpens η as a temperature of 1 − q does.
    `crosscheck.restoring.generalised_restored` undoes it.

    Args:
        y_true: one-hot or soft labels [..., K], or integers [...] or [..., 1].
        logits: [..., K], finite, K ≥ 2.
        q: in (0, 1], published as 0.7: one number or a tensor that broadcasts against the examples.

    Returns:
        Per example, [...], without unit; exact where `categorical_crossentropy` is.

    Raises:
        ValueError: if labels do not fit; for a number q outside (0, 1].

    Source: Zhang & Sabuncu 2018, equation 6.
    """
    require_power(q)
    z = computed(logits)
    power = ops.expand_dims(constant(q, z), -1)
    share_less = -ops.expm1(power * ops.log_softmax(z, axis=-1)) / power  # [..., K]
    return ops.sum(class_rows(y_true, z) * share_less, axis=-1)


@keras.saving.register_keras_serializable(package="crosscheck")
def generalised_binary_crossentropy(y_true: Any, logits: Any, q: Any = 0.7) -> Any:
    """y (1 − p^q) / q + (1 − y)(1 − (1 − p)^q) / q with p = σ(z), averaged over labels.

    At the optimum the log-odds are 1/(1 − q) times the true ones.

    Args:
        y_true, logits: labels in [0, 1] and logits, [..., L].
        q: as in `generalised_crossentropy`.

    Returns:
        Per example, [...], without unit. For hard labels value and gradient are exact to rounding, relative
        to their own size, down to the dtype's smallest normal number.

    Raises:
        ValueError: if shapes do not fit; for a number q outside (0, 1].

    Source: Zhang & Sabuncu 2018, of two classes.
    """
    require_power(q)
    y, z = binary_tensors(y_true, 0.0, logits)
    power = ops.expand_dims(constant(q, z), -1)
    one, zero = (-ops.expm1(-power * surprise) / power for surprise in label_losses(z))
    return mean_over_labels(y * one + (1 - y) * zero)


def as_transition(transition: Any, classes: int | None = None) -> np.ndarray:
    """Returns T, [K, K], with rows that sum to 1 to rounding.

    Raises:
        ValueError: unless it is square, of `classes`, its rows are distributions, and every label occurs.
    """
    noise = np.asarray(transition, "float64")
    if noise.ndim != 2 or noise.shape[0] != noise.shape[1]:
        raise ValueError(f"`transition` must be [K, K]; its shape is {list(noise.shape)}.")
    if classes is not None and len(noise) != classes:
        raise ValueError(f"`transition` is of {len(noise)} classes, and the logits of {classes}.")
    if not (noise >= 0).all() or (np.abs(noise.sum(1) - 1) > SUM).any():
        raise ValueError("Rows of `transition` must be distributions: chances of the labels of one class.")
    if not noise.any(0).all():
        raise ValueError(f"No class ever gets the label {int(noise.any(0).argmin())} of `transition`.")
    return noise


def as_flips(missed: Any, false_alarms: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns ρ₊ and ρ₋, each a number or [L]; raises a ValueError unless they are ≥ 0, their sum below 1."""
    lost, invented = (np.asarray(rate, "float64") for rate in (missed, false_alarms))
    if not ((lost >= 0).all() and (invented >= 0).all() and (lost + invented < 1).all()):
        raise ValueError(
            f"`missed` and `false_alarms` must not be negative, and their sum below 1, not {missed!r} and "
            f"{false_alarms!r}: from 1 on the labels tell nothing, or the reverse."
        )
    return lost, invented


def require_power(q: Any) -> None:
    """Raises a ValueError for a plain number q outside (0, 1]."""
    if isinstance(q, (int, float)) and not 0 < q <= 1:
        raise ValueError(f"`q` must lie in (0, 1], not {q}; cross-entropy is its limit at 0.")


@keras.saving.register_keras_serializable(package="crosscheck")
class ForwardCorrectedCrossentropy(LossOfLogits):
    """`forward_corrected_crossentropy` for `model.compile`.

    Args:
        transition: T, [K, K]; a row is a clean class, a column a label; `crosscheck.transitions` has it from
            pairs of labels.
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for a T that is none; when called, if it does not fit the logits.
    """

    function = staticmethod(forward_corrected_crossentropy)
    arguments = ("transition",)

    def __init__(self, transition: Any, **options: Any):
        super().__init__(**options)
        self.transition = plain(as_transition(plain(transition)))


@keras.saving.register_keras_serializable(package="crosscheck")
class ForwardCorrectedBinaryCrossentropy(LossOfLogits):
    """`forward_corrected_binary_crossentropy` for `model.compile`: labels and logits [..., L].

    Args:
        missed, false_alarms: ρ₊ and ρ₋, each one number or L of them.
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: unless ρ₊, ρ₋ ≥ 0 and ρ₊ + ρ₋ < 1.
    """

    function = staticmethod(forward_corrected_binary_crossentropy)
    arguments = ("missed", "false_alarms")

    def __init__(self, missed: Any = 0.0, false_alarms: Any = 0.0, **options: Any):
        super().__init__(**options)
        as_flips(missed, false_alarms)
        self.missed, self.false_alarms = plain(missed), plain(false_alarms)


class PoweredLoss(LossOfLogits):
    """A loss with a power q.

    Args:
        q: in (0, 1].
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for a q outside (0, 1].
    """

    arguments = ("q",)

    def __init__(self, q: float = 0.7, **options: Any):
        super().__init__(**options)
        require_power(q)
        self.q = q


@keras.saving.register_keras_serializable(package="crosscheck")
class GeneralisedCrossentropy(PoweredLoss):
    """`generalised_crossentropy` for `model.compile`: its optimum is p ∝ η^(1/(1−q)), not η.

    Args:
        q: in (0, 1], published as 0.7.
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for a q outside (0, 1].
    """

    function = staticmethod(generalised_crossentropy)


@keras.saving.register_keras_serializable(package="crosscheck")
class GeneralisedBinaryCrossentropy(PoweredLoss):
    """`generalised_binary_crossentropy` for `model.compile`: labels and logits [..., L].

    Args:
        q: in (0, 1], published as 0.7.
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for a q outside (0, 1].
    """

    function = staticmethod(generalised_binary_crossentropy)
