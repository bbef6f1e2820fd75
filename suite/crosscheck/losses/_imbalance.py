"""Losses of imbalanced classes: logits adjusted by the priors, and cross-entropy weighted by the class."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.losses._binary import binary_crossentropy, binary_tensors
from crosscheck.losses._categorical import categorical_crossentropy
from crosscheck.losses._shared import (
    LossOfLogits,
    class_rows,
    computed,
    constant,
    label_losses,
    mean_over_labels,
    plain,
)

SUM = 1e-3  # by which priors may miss 1


@keras.saving.register_keras_serializable(package="crosscheck")
def logit_adjusted_crossentropy(y_true: Any, logits: Any, priors: Any, tau: Any = 1.0) -> Any:
    """−Σ_k y_k ln softmax(z + τ ln π)_k: cross-entropy of logits that the priors are added to.

    In training alone: decisions are by z. At the optimum softmax(z) ∝ η / π^τ, so that for τ = 1 the greatest
    logit is the decision of least balanced error. What the data's own law says, η, is softmax(z + τ ln π):
    `crosscheck.restoring.prior_corrected` adds it back.

    Args:
        y_true: one-hot or soft labels [..., K], or integers [...] or [..., 1].
        logits: [..., K], finite, K ≥ 2.
        priors: π, the classes' shares in training, K positive numbers that sum to 1.
        tau: τ, one number or a tensor that broadcasts against the examples.

    Returns:
        Nats per example, [...], as exact as `categorical_crossentropy`.

    Raises:
        ValueError: if labels or priors do not fit the logits; for priors that are none.

    Source: Menon et al. 2021, equation 10.
    """
    z = computed(logits)
    shift = constant(np.log(as_priors(priors, z.shape[-1])), z)
    rows = class_rows(y_true, z)
    z = z - ops.stop_gradient(ops.max(z, axis=-1, keepdims=True))  # so that no large z swallows ln π
    return categorical_crossentropy(rows, z + ops.expand_dims(constant(tau, z), -1) * shift)


@keras.saving.register_keras_serializable(package="crosscheck")
def logit_adjusted_binary_crossentropy(y_true: Any, logits: Any, priors: Any, tau: Any = 1.0) -> Any:
    """`binary_crossentropy` of z + τ ln(π / (1 − π)): every label adjusted by its own prior.

    Args:
        y_true, logits: labels in [0, 1] and logits, [..., L].
        priors: π, how often each label is 1: one number in (0, 1) or L of them.
        tau: τ, one number or a tensor that broadcasts against the examples.

    Returns:
        Nats per example, [...], averaged over labels.

    Raises:
        ValueError: if shapes do not fit; for a prior that is not between 0 and 1.

    Source: Menon et al. 2021, section 4.
    """
    z, share = computed(logits), as_rates("priors", priors)
    # One number for each label: TensorFlow 2.21 makes a constant of shape [1] the bias of the layer before,
    # which is then too short: an error (results/audit/defects/constant_of_one_beside_a_bias.md).
    shift = ops.broadcast_to(constant(np.log(share) - np.log1p(-share), z), (z.shape[-1],))
    return binary_crossentropy(y_true, z + ops.expand_dims(constant(tau, z), -1) * shift)


@keras.saving.register_keras_serializable(package="crosscheck")
def class_weighted_crossentropy(y_true: Any, logits: Any, class_weights: Any) -> Any:
    """−Σ_k w_k y_k ln softmax(z)_k.

    Its population optimum is not the classes' law η but p ∝ w η: the log-odds of two classes are off by
    exactly ln(w_j / w_k). `crosscheck.restoring.class_weights_restored` takes it away. On separable classes
    weights do nothing in the end (Byrd & Lipton 2019). Keras' `class_weight` gives the same values: the mean
    over a batch divides by the number of examples, not by the sum of their weights.

    Args:
        y_true: one-hot or soft labels [..., K], or integers [...] or [..., 1].
        logits: [..., K], finite, K ≥ 2.
        class_weights: w, K positive numbers.

    Returns:
        Nats per example, [...], as exact as `categorical_crossentropy`.

    Raises:
        ValueError: if labels or weights do not fit the logits; for weights that are not positive.
    """
    z = computed(logits)
    weights = constant(as_weights(class_weights, z.shape[-1]), z)
    return categorical_crossentropy(class_rows(y_true, z) * weights, z)


@keras.saving.register_keras_serializable(package="crosscheck")
def class_weighted_binary_crossentropy(y_true: Any, logits: Any, class_weights: Any) -> Any:
    """−w₁ y ln σ(z) − w₀ (1 − y) ln(1 − σ(z)), averaged over labels.

    At the optimum the log-odds are those of the true chance plus ln(w₁ / w₀);
    `crosscheck.restoring.label_weights_restored` takes it away.

    Args:
        y_true, logits: labels in [0, 1] and logits, [..., L].
        class_weights: (w₀, w₁), positive, each one number or L of them.

    Returns:
        Nats per example, [...], as exact as `binary_crossentropy`.

    Raises:
        ValueError: if shapes do not fit; for weights that are not a positive pair.
    """
    y, z = binary_tensors(y_true, 0.0, logits)
    absent, present = (constant(weight, z) for weight in as_pair(class_weights))
    of_one, of_zero = label_losses(z)
    return mean_over_labels(present * y * of_one + absent * (1 - y) * of_zero)


def as_priors(priors: Any, classes: int | None = None) -> np.ndarray:
    """Returns the shares of K classes, [K].

    Raises:
        ValueError: unless they are `classes` positive numbers that sum to 1.
    """
    shares = np.asarray(priors, "float64")
    if shares.ndim != 1 or not (shares > 0).all() or abs(shares.sum() - 1) > SUM:
        raise ValueError(f"`priors` must be a list of positive numbers that sum to 1, not {priors!r}.")
    return of_length("priors", shares, classes)


def as_weights(class_weights: Any, classes: int | None = None) -> np.ndarray:
    """Returns the weights of K classes, [K].

    Raises:
        ValueError: unless they are `classes` positive numbers.
    """
    weights = np.asarray(class_weights, "float64")
    if weights.ndim != 1 or not ((weights > 0) & np.isfinite(weights)).all():
        raise ValueError(f"`class_weights` must be a list of positive numbers, not {class_weights!r}.")
    return of_length("class_weights", weights, classes)


def as_pair(class_weights: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weights of label 0 and of label 1, each a number or [L].

    Raises:
        ValueError: unless they are two, and positive.
    """
    listed = isinstance(class_weights, (list, tuple, np.ndarray))
    pair = [np.asarray(weight, "float64") for weight in class_weights] if listed else []
    if len(pair) != 2 or not all(((weight > 0) & np.isfinite(weight)).all() for weight in pair):
        raise ValueError(f"`class_weights` must be (w₀, w₁), both positive, not {class_weights!r}.")
    return pair[0], pair[1]


def as_rates(name: str, rates: Any) -> np.ndarray:
    """Returns numbers between 0 and 1, one or [L]; raises a ValueError for others."""
    values = np.asarray(rates, "float64")
    if values.ndim > 1 or not ((values > 0) & (values < 1)).all():
        raise ValueError(f"`{name}` must lie between 0 and 1, not {rates!r}.")
    return values


def of_length(name: str, values: np.ndarray, classes: int | None) -> np.ndarray:
    """Returns the values; raises a ValueError unless there is one for each class, where K is known."""
    if classes is not None and len(values) != classes:
        raise ValueError(f"`{name}` are {len(values)}, and the logits of {classes} classes.")
    return values


@keras.saving.register_keras_serializable(package="crosscheck")
class LogitAdjustedCrossentropy(LossOfLogits):
    """`logit_adjusted_crossentropy` for `model.compile`.

    Args:
        priors: the classes' shares in training, K positive numbers that sum to 1.
        tau: τ.
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for priors that are none; when called, if there is not one to each logit.
    """

    function = staticmethod(logit_adjusted_crossentropy)
    arguments = ("priors", "tau")

    def __init__(self, priors: Any, tau: float = 1.0, **options: Any):
        super().__init__(**options)
        self.priors, self.tau = plain(as_priors(plain(priors))), tau


@keras.saving.register_keras_serializable(package="crosscheck")
class LogitAdjustedBinaryCrossentropy(LossOfLogits):
    """`logit_adjusted_binary_crossentropy` for `model.compile`: labels and logits [..., L].

    Args:
        priors: how often each label is 1, one number or L of them.
        tau: τ.
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for a prior that is not between 0 and 1.
    """

    function = staticmethod(logit_adjusted_binary_crossentropy)
    arguments = ("priors", "tau")

    def __init__(self, priors: Any, tau: float = 1.0, **options: Any):
        super().__init__(**options)
        self.priors, self.tau = plain(as_rates("priors", plain(priors))), tau


@keras.saving.register_keras_serializable(package="crosscheck")
class ClassWeightedCrossentropy(LossOfLogits):
    """`class_weighted_crossentropy` for `model.compile`: its optimum is p ∝ w η, not η.

    Args:
        class_weights: w, K positive numbers.
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for weights that are not positive; when called, if there is not one to each logit.
    """

    function = staticmethod(class_weighted_crossentropy)
    arguments = ("class_weights",)

    def __init__(self, class_weights: Any, **options: Any):
        super().__init__(**options)
        self.class_weights = plain(as_weights(plain(class_weights)))


@keras.saving.register_keras_serializable(package="crosscheck")
class ClassWeightedBinaryCrossentropy(LossOfLogits):
    """`class_weighted_binary_crossentropy` for `model.compile`: labels and logits [..., L].

    Args:
        class_weights: (w₀, w₁), positive, each one number or L of them.
        reduction, name, dtype: as in `LossOfLogits`.

    Raises:
        ValueError: for weights that are not a positive pair.
    """

    function = staticmethod(class_weighted_binary_crossentropy)
    arguments = ("class_weights",)

    def __init__(self, class_weights: Any, **options: Any):
        super().__init__(**options)
        self.class_weights = [plain(weight) for weight in as_pair(class_weights)]
