"""Losses as newcomers write them from a formula, sound ones and slips, for the audit.

The sound ones clip probabilities and sum by hand, as tutorials do; none has a constructor to speak of.
"""

from __future__ import annotations

import keras
from keras import ops

reg = keras.saving.register_keras_serializable("handwritten_losses")
EPSILON = 1e-7


def clipped(p):
    return ops.clip(p, EPSILON, 1 - EPSILON)


def crossentropy(y_true, y_pred):
    return -ops.sum(y_true * ops.log(clipped(y_pred)), axis=-1)


# --- sound ----------------------------------------------------------------------------------------------


def smoothed_crossentropy(y_true, y_pred):
    """Label smoothing of 0.1 by hand, of probabilities."""
    k = y_pred.shape[-1]
    y = y_true * 0.9 + 0.1 / k
    return -ops.sum(y * ops.log(clipped(y_pred)), axis=-1)


def smoothed_crossentropy_of_logits(y_true, y_pred):
    k = y_pred.shape[-1]
    y = y_true * 0.9 + 0.1 / k
    return -ops.sum(y * ops.log_softmax(y_pred, axis=-1), axis=-1)


def smoothed_sparse_crossentropy(y_true, y_pred):
    """Of class numbers and logits: (1 − α) times the true class', α times the mean of all."""
    log_p = ops.log_softmax(y_pred, axis=-1)
    hot = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), y_pred.shape[-1], dtype=log_p.dtype)
    return -0.9 * ops.sum(hot * log_p, axis=-1) - 0.1 * ops.mean(log_p, axis=-1)


def smoothed_binary_crossentropy(y_true, y_pred):
    y = y_true * 0.9 + 0.05
    p = clipped(y_pred)
    return -ops.mean(y * ops.log(p) + (1 - y) * ops.log(1 - p), axis=-1)


def weighted_binary_crossentropy(y_true, y_pred):
    """Positives count three times, of probabilities."""
    p = clipped(y_pred)
    return -ops.mean(3.0 * y_true * ops.log(p) + (1 - y_true) * ops.log(1 - p), axis=-1)


def weighted_binary_crossentropy_of_logits(y_true, y_pred):
    positive = 3.0 * y_true * ops.softplus(-y_pred)
    return ops.mean(positive + (1 - y_true) * ops.softplus(y_pred), axis=-1)


@reg
class PosWeight(keras.losses.Loss):
    """Its labels get the shape of its predictions: Keras does so for functions alone."""

    def __init__(self, pos_weight=3.0, **options):
        super().__init__(**options)
        self.pos_weight = pos_weight

    def call(self, y_true, y_pred):
        y_true = ops.cast(ops.reshape(y_true, y_pred.shape), y_pred.dtype)
        positive = self.pos_weight * y_true * ops.softplus(-y_pred)
        return ops.mean(positive + (1 - y_true) * ops.softplus(y_pred), axis=-1)

    def get_config(self):
        return {**super().get_config(), "pos_weight": self.pos_weight}


def coral(y_true, y_pred):
    """Cao et al. 2020: label k reaches the first k of K − 1 levels; log σ(z) and log σ(z) − z."""
    levels = ops.cast(
        ops.expand_dims(ops.cast(ops.reshape(y_true, (-1,)), "int32"), -1) > ops.arange(y_pred.shape[-1]),
        y_pred.dtype,
    )
    log_p = ops.log_sigmoid(y_pred)
    return -ops.sum(log_p * levels + (log_p - y_pred) * (1 - levels), axis=-1)


def coral_levels(y_true, y_pred):
    """The same with the levels as labels, [B, K − 1], as coral-pytorch takes them."""
    log_p = ops.log_sigmoid(y_pred)
    return -ops.sum(log_p * y_true + (log_p - y_pred) * (1 - y_true), axis=-1)


@reg
class Coral(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return coral(y_true, y_pred)


def asymmetric(y_true, y_pred, gamma_neg=4.0, gamma_pos=1.0, clip=0.05):
    """Ben-Baruch et al. 2021, after their program: of logits, summed over labels, p shifted and clipped."""
    p = ops.sigmoid(y_pred)
    q = ops.minimum(1 - p + clip, 1.0)
    positive = y_true * ops.log(ops.maximum(p, 1e-8))
    negative = (1 - y_true) * ops.log(ops.maximum(q, 1e-8))
    p_t = p * y_true + q * (1 - y_true)
    gamma = gamma_pos * y_true + gamma_neg * (1 - y_true)
    return -ops.sum((positive + negative) * ops.power(1 - p_t, gamma), axis=-1)


def asymmetric_of_probabilities(y_true, y_pred):
    """Without the shift, of probabilities."""
    p = clipped(y_pred)
    positive = y_true * ops.power(1 - p, 1.0) * ops.log(p)
    negative = (1 - y_true) * ops.power(p, 4.0) * ops.log(1 - p)
    return -ops.mean(positive + negative, axis=-1)


@reg
class AsymmetricLoss(keras.losses.Loss):
    """Of logits, in logarithms."""

    def __init__(self, gamma_neg=4.0, gamma_pos=0.0, **options):
        super().__init__(**options)
        self.gamma_neg, self.gamma_pos = gamma_neg, gamma_pos

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, y_pred.dtype)
        log_p, log_q = ops.log_sigmoid(y_pred), ops.log_sigmoid(-y_pred)
        positive = y_true * ops.exp(self.gamma_pos * log_q) * log_p
        negative = (1 - y_true) * ops.exp(self.gamma_neg * log_p) * log_q
        return -ops.mean(positive + negative, axis=-1)

    def get_config(self):
        return {**super().get_config(), "gamma_neg": self.gamma_neg, "gamma_pos": self.gamma_pos}


def poly1(y_true, y_pred):
    """Leng et al. 2022: Keras' cross-entropy of probabilities + ε (1 − p_y)."""
    crossentropy = keras.losses.categorical_crossentropy(y_true, y_pred)
    return crossentropy + 1.0 * (1 - ops.sum(y_true * y_pred, axis=-1))


def poly1_of_logits(y_true, y_pred):
    crossentropy = keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=True)
    return crossentropy + 1.0 * (1 - ops.sum(y_true * ops.softmax(y_pred), axis=-1))


@reg
class Poly1(keras.losses.Loss):
    def __init__(self, epsilon=1.0, **options):
        super().__init__(**options)
        self.epsilon = epsilon

    def call(self, y_true, y_pred):
        p_y = ops.sum(y_true * y_pred, axis=-1)
        return keras.losses.categorical_crossentropy(y_true, y_pred) + self.epsilon * (1 - p_y)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


def focal(y_true, y_pred):
    p = clipped(y_pred)
    return ops.sum(-y_true * ops.power(1 - p, 2.0) * ops.log(p), axis=-1)


def symmetric_crossentropy(y_true, y_pred):
    """Wang et al. 2019, of probabilities: the reverse one takes ln 0 as ln 1e-4."""
    forward = -ops.sum(y_true * ops.log(clipped(y_pred)), axis=-1)
    backward = -ops.sum(y_pred * ops.log(ops.clip(y_true, 1e-4, 1.0)), axis=-1)
    return 0.1 * forward + 1.0 * backward


# --- slips ----------------------------------------------------------------------------------------------


def reversed_focal(y_true, y_pred):
    """p^γ in place of (1 − p)^γ, of probabilities."""
    p = clipped(y_pred)
    return ops.sum(-y_true * ops.power(p, 2.0) * ops.log(p), axis=-1)


def reversed_focal_of_logits(y_true, y_pred):
    log_p = ops.log_softmax(y_pred, axis=-1)
    return -ops.sum(y_true * ops.exp(2.0 * log_p) * log_p, axis=-1)


def reversed_binary_focal(y_true, y_pred):
    p = clipped(y_pred)
    positive = y_true * ops.power(p, 2.0) * ops.log(p)
    return -ops.mean(positive + (1 - y_true) * ops.power(1 - p, 2.0) * ops.log(1 - p), axis=-1)


@reg
class ReversedFocal(keras.losses.Loss):
    def __init__(self, gamma=2.0, **options):
        super().__init__(**options)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        p = clipped(y_pred)
        return ops.sum(-y_true * ops.power(p, self.gamma) * ops.log(p), axis=-1)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}


def swapped_crossentropy(y_pred, y_true):
    """Its arguments in the wrong order: Keras passes labels first."""
    return -ops.sum(y_true * ops.log(clipped(y_pred)), axis=-1)


def swapped_binary_crossentropy(y_pred, y_true):
    p = clipped(y_pred)
    return -ops.mean(y_true * ops.log(p) + (1 - y_true) * ops.log(1 - p), axis=-1)


def swapped_in_names_alone(target, output):
    """Rightly called y_true and y_pred inside, whatever the parameters are called."""
    return -ops.sum(target * ops.log(clipped(output)), axis=-1)


def swapped_inside(y_true, y_pred):
    """Keras' own loss called with its arguments in the wrong order."""
    return keras.losses.categorical_crossentropy(y_pred, y_true)


def swapped_crossentropy_of_logits(y_pred, y_true):
    return -ops.sum(y_true * ops.log_softmax(y_pred, axis=-1), axis=-1)


@reg
class Swapped(keras.losses.Loss):
    def call(self, y_pred, y_true):
        return -ops.sum(y_true * ops.log(clipped(y_pred)), axis=-1)


@reg
class Unaligned(PosWeight):
    """Labels as they come: (B,) beside (B, 1) are spread to (B, B), in `fit` as well."""

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, y_pred.dtype)
        positive = self.pos_weight * y_true * ops.softplus(-y_pred)
        return ops.mean(positive + (1 - y_true) * ops.softplus(y_pred), axis=-1)


def negated_margin(y_true, y_pred):
    """A margin loss with its sign turned."""
    return ops.sum(y_true * ops.softmax(y_pred, axis=-1), axis=-1)


def reverse_crossentropy(y_true, y_pred):
    """Half of the symmetric cross-entropy, meant so: −Σ p ln y, with ln 0 as ln 1e-4."""
    return -ops.sum(y_pred * ops.log(ops.clip(y_true, 1e-4, 1.0)), axis=-1)


def renumbered_crossentropy(y_true, y_pred):
    """Labels that count the classes in another order than the logits: a mistake, or meant."""
    return keras.losses.categorical_crossentropy(ops.roll(y_true, 1, axis=-1), y_pred, from_logits=True)


def weighted_difference(y_true, y_pred):
    """Rounds as 3.9 times the logits do: a difference of weighted numbers; no half precision can take it."""
    z = ops.cast(y_pred, "float32") if y_pred.dtype != "float64" else y_pred
    weighted = ops.cast(y_true, z.dtype) * ops.array([0.735, 3.908, 1.165], z.dtype)
    return ops.logsumexp(z, axis=-1) * ops.sum(weighted, axis=-1) - ops.sum(weighted * z, axis=-1)
