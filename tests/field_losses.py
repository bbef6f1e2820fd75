"""Losses as people write them, for the audit: of probabilities, of logits, scalar, shaped, made by factories.

The smallest of each kind that was judged wrongly once, and more of the same kinds.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

reg = keras.saving.register_keras_serializable("field_losses")


# --- of probabilities -----------------------------------------------------------------------------------


def clipped_focal(y, p):
    """A scalar."""
    p = ops.clip(p, 1e-7, 1 - 1e-7)
    return ops.mean(-ops.sum(y * ops.power(1 - p, 2) * ops.log(p), -1))


def log_with_epsilon(y, p):
    """A scalar; NaN for logits."""
    return ops.mean(-ops.sum(y * ops.log(p + 1e-7) + (1 - y) * ops.log(1 - p + 1e-7), -1))


def normalised_and_weighted(y, p):
    p = ops.clip(p / ops.sum(p, -1, keepdims=True), 1e-7, 1 - 1e-7)
    return -ops.sum(y * ops.log(p) * ops.array([0.5, 2.0, 10.0]), -1)


def clipped_mean(y, p):
    return ops.mean(-y * ops.log(ops.clip(p, 1e-6, 1.0)), axis=-1)


def squared(y, p):
    return ops.sum(ops.square(p - y), axis=-1)


def rooted(y, p):
    """Hellinger's distance: NaN for negative numbers."""
    return ops.sum(ops.square(ops.sqrt(p) - ops.sqrt(y)), axis=-1)


def powered(y, p):
    return ops.sum(y * (1 - ops.power(p, 0.7)) / 0.7, axis=-1)


def with_a_batch_statistic(y, p, from_logits=False):
    dice = 1 - (2 * ops.sum(y * p) + 1) / (ops.sum(y) + ops.sum(p) + 1)
    return keras.losses.binary_crossentropy(y, p) + dice


def of_maps(y, p):
    return ops.mean(-ops.sum(y * ops.log(p + 1e-7), -1), axis=(1, 2))


def factory(gamma=2.0):
    def loss(y_true, y_pred):
        return ops.mean(ops.power(1 - y_pred, gamma) * y_true, -1)

    return loss


def focal_factory(gamma=2.0):
    def focal(y_true, y_pred):
        log_p = ops.log_softmax(y_pred)
        return -ops.sum(y_true * ops.power(-ops.expm1(log_p), gamma) * log_p, -1)

    return focal


# --- of logits ------------------------------------------------------------------------------------------


def crossentropy(y, z):
    return -ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1)


def summed_over_labels(y, z):
    return ops.sum(y * ops.softplus(-z) + (1 - y) * ops.softplus(z), axis=-1)


def averaged_over_classes(y, z):
    return ops.mean(-y * ops.log_softmax(z, axis=-1), axis=-1)


def dice_of_sigmoid(y, z):
    p = ops.sigmoid(z)
    return 1 - (2 * ops.sum(y * p, -1) + 1) / (ops.sum(y, -1) + ops.sum(p, -1) + 1)


def punished(y, z):
    """Cross-entropy and a penalty on large logits."""
    return crossentropy(y, z) + 0.01 * ops.mean(ops.square(z), axis=-1)


def normed(y, z):
    """Of logits over their norm: nothing tells it from a loss of other numbers."""
    return crossentropy(y, 5 * z / ops.sqrt(ops.sum(ops.square(z), -1, keepdims=True) + 1e-9))


def by_keras_2(y, z):
    return keras.backend.mean(keras.backend.square(y - z), axis=-1)


def by_tensorflow(y, z):
    import tensorflow as tf

    return tf.nn.softmax_cross_entropy_with_logits(y, z)


def coral(y, z):
    """Ordinal: label k has the first k of K − 1 levels."""
    y = ops.reshape(ops.cast(y, "int32"), z.shape[:-1])
    levels = ops.cast(y[..., None] > ops.arange(z.shape[-1]), z.dtype)
    return ops.sum(levels * ops.softplus(-z) + (1 - levels) * ops.softplus(z), axis=-1)


def of_steps(y, z):
    """Of [B, T, K] alone."""
    if len(z.shape) != 3:
        raise ValueError("steps are missing")
    return ops.mean(crossentropy(y, z), axis=1)


class NoneRefused(keras.losses.Loss):
    """Refuses the reduction None, and takes "none"."""

    def call(self, y_true, y_pred):
        if self.reduction not in ("none", "sum", "sum_over_batch_size"):
            raise ValueError(f"{self.reduction} is not a valid reduction.")
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)


class Base(keras.losses.Loss):
    """Tells its whole config, and refuses shapes that differ."""

    OWN: tuple[str, ...] = ()

    def __init__(self, reduction="sum_over_batch_size", name=None, dtype=None):
        super().__init__(reduction=reduction, name=name or type(self).__name__.lower(), dtype=dtype)

    def get_config(self):
        own = {name: getattr(self, name) for name in self.OWN}
        return {**super().get_config(), "dtype": self.dtype, **own}

    def same(self, y, z):
        if tuple(y.shape) != tuple(z.shape) or len(z.shape) < 2:
            raise ValueError(f"labels {y.shape} and logits {z.shape} differ")
        z = ops.cast(z, "float32") if "16" in str(z.dtype) else z
        return ops.cast(y, z.dtype), z


class VectorWeights(Base):
    """Its weights are a list, and None by default."""

    OWN = ("class_weight", "from_logits")

    def __init__(self, class_weight=None, from_logits=True, **options):
        super().__init__(**options)
        self.class_weight, self.from_logits = class_weight, from_logits

    def call(self, y_true, y_pred):
        loss = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, self.from_logits)
        if self.class_weight is not None:
            weights = ops.array(self.class_weight, "float32")
            loss = loss * ops.take(weights, ops.cast(y_true, "int32"), axis=0)
        return loss


class Column(Base):
    """Values of [B, 1]; labels are taken as 0 or 1."""

    OWN = ("label_smoothing",)

    def __init__(self, label_smoothing=0.0, **options):
        super().__init__(**options)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        y = ops.cast(y_true > 0, y_pred.dtype) * (1 - self.label_smoothing) + self.label_smoothing / 2
        return ops.binary_crossentropy(y, y_pred, from_logits=True)


class Threshold(keras.losses.BinaryCrossentropy):
    """Smooths as Keras does, labels of 0 and 1."""

    def call(self, y_true, y_pred):
        return super().call(ops.cast(y_true > 0, y_pred.dtype), y_pred)


class WeighedByLabel(Base):
    """Smooths, and weighs by the label as it was."""

    OWN = ("alpha", "label_smoothing")

    def __init__(self, alpha=0.25, label_smoothing=0.0, **options):
        super().__init__(**options)
        self.alpha, self.label_smoothing = alpha, label_smoothing

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        weight = ops.where(y > 0.5, self.alpha, 1 - self.alpha)
        smooth = y * (1 - self.label_smoothing) + self.label_smoothing / 2
        return ops.mean(weight * (smooth * ops.softplus(-z) + (1 - smooth) * ops.softplus(z)), axis=-1)


class SmoothedAlpha(WeighedByLabel):
    """Compares smoothed labels with 1: with any smoothing positives get 1 − α."""

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        smooth = y * (1 - self.label_smoothing) + self.label_smoothing / 2
        weight = ops.where(ops.equal(smooth, 1.0), self.alpha, 1 - self.alpha)
        return ops.mean(weight * (smooth * ops.softplus(-z) + (1 - smooth) * ops.softplus(z)), axis=-1)


# --- sound by design ------------------------------------------------------------------------------------


@reg
class Generalized(Base):
    OWN = ("q",)

    def __init__(self, q=0.7, **options):
        super().__init__(**options)
        self.q = q

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        return ops.sum(y * -ops.expm1(self.q * ops.log_softmax(z, axis=-1)), axis=-1) / self.q


@reg
class BalancedFocal(Base):
    OWN = ("gamma", "alpha")

    def __init__(self, gamma=2.0, alpha=0.25, **options):
        super().__init__(**options)
        self.gamma, self.alpha = gamma, alpha

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        log_p, log_other = -ops.softplus(-z), -ops.softplus(z)
        of_one = self.alpha * ops.exp(self.gamma * log_other) * log_p
        of_zero = (1 - self.alpha) * ops.exp(self.gamma * log_p) * log_other
        return -ops.mean(y * of_one + (1 - y) * of_zero, axis=-1)


@reg
class PositiveWeight(Base):
    OWN = ("pos_weight",)

    def __init__(self, pos_weight=3.0, **options):
        super().__init__(**options)
        self.pos_weight = pos_weight

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        return ops.mean(self.pos_weight * y * ops.softplus(-z) + (1 - y) * ops.softplus(z), axis=-1)


@reg
class ZLoss(Base):
    """Cross-entropy and a little of log² Z."""

    OWN = ("z_loss",)

    def __init__(self, z_loss=1e-4, **options):
        super().__init__(**options)
        self.z_loss = z_loss

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        return crossentropy(y, z) + self.z_loss * ops.square(ops.logsumexp(z, axis=-1))


@reg
class SmoothedSparse(Base):
    """Integer labels, smoothed by hand; impossible ones give NaN."""

    OWN = ("label_smoothing",)

    def __init__(self, label_smoothing=0.1, **options):
        super().__init__(**options)
        if not 0 <= label_smoothing <= 1:
            raise ValueError("label_smoothing in [0, 1]")
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        z = ops.cast(y_pred, "float32") if "16" in str(y_pred.dtype) else y_pred
        if len(y_true.shape) == len(z.shape) and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, -1)
        if len(y_true.shape) != len(z.shape) - 1:
            raise ValueError("one label to a row")
        exact, whole = ops.cast(y_true, "float32"), ops.cast(y_true, "int32")
        is_class = (exact == ops.cast(whole, "float32")) & (exact >= 0) & (exact < z.shape[-1])
        log_p = ops.log_softmax(z, axis=-1)
        hot = ops.one_hot(ops.where(is_class, whole, 0), z.shape[-1], dtype=log_p.dtype)
        a = self.label_smoothing
        values = -(1 - a) * ops.sum(hot * log_p, axis=-1) - a * ops.mean(log_p, axis=-1)
        return ops.where(is_class, values, ops.full_like(values, np.nan))


class NoConstructor(keras.losses.Loss):
    """What becomes of its dtype is Keras' business; of class numbers it says nothing."""

    def call(self, y_true, y_pred):
        return crossentropy(ops.cast(y_true, y_pred.dtype), y_pred)


# --- unsound --------------------------------------------------------------------------------------------


class WeightsColumn(Base):
    """Weights of [B, 1] are multiplied with losses of [B]: [B, B]. Those of [B] are right."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None and len(np.shape(sample_weight)) == 2:
            y, z = (ops.convert_to_tensor(array, "float32") for array in (y_true, y_pred))
            values = self.call(y, z) * ops.convert_to_tensor(sample_weight, "float32")
            return ops.sum(values) if self.reduction == "sum" else ops.mean(values)
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        return crossentropy(*self.same(y_true, y_pred))


class ForgetsTemperature(Base):
    OWN = ("temperature",)

    def __init__(self, temperature=2.0, **options):
        super().__init__(**options)
        self.temperature = temperature

    def call(self, y_true, y_pred):
        return crossentropy(*self.same(y_true, y_pred))


class GammaOffByOne(Base):
    OWN = ("gamma",)

    def __init__(self, gamma=2.0, **options):
        super().__init__(**options)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        log_p = ops.log_softmax(z, axis=-1)
        return -ops.sum(y * log_p * ops.power(-ops.expm1(log_p), self.gamma - 1), axis=-1)


class FirstThree(Base):
    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        return -ops.sum((y * ops.log_softmax(z, axis=-1))[..., :3], axis=-1)


class DoubleSigmoid(Base):
    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        return keras.losses.binary_crossentropy(y, ops.sigmoid(z), from_logits=True)


class DoubleSoftmax(Base):
    def call(self, y_true, y_pred):
        y, z = self.same(y_true, y_pred)
        return keras.losses.categorical_crossentropy(y, ops.softmax(z), from_logits=True)


def weighted_crossentropy(z, y):
    """The formula of `normalised_and_weighted`, in mpmath."""
    from crosscheck.audit.theories import log_softmax

    weights = (0.5, 2, 10)
    return -sum(w * label * log_p for w, label, log_p in zip(weights, y, log_softmax(z), strict=True))
