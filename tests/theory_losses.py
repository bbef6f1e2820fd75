"""Losses for the checks of theory: sound ones, and ones that are broken in one place each."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from crosscheck import losses


def crossentropy(y, logits):
    return -ops.sum(y * ops.log_softmax(logits), axis=-1)


def in_bits(y, logits):
    return crossentropy(y, logits) / math.log(2)


def label_loss(y, logits):
    return (y * ops.softplus(-logits) + (1 - y) * ops.softplus(logits))[..., 0]


def stuck_at_zero(y, logits):
    """The usual stable formula; where z is 0 its autodiff gives −y in place of ½ − y."""
    return (ops.relu(logits) - y * logits + ops.log1p(ops.exp(-ops.abs(logits))))[..., 0]


def bent_tail(y, logits):
    return label_loss(y, logits) + 5e-5 * ops.relu(ops.abs(logits) - 12)[..., 0]


def clipped(y, logits):
    return -ops.sum(y * ops.log(ops.clip(ops.softmax(logits), 1e-7, 1 - 1e-7)), axis=-1)


def island_of_nan(y, logits):
    far = ops.max(ops.abs(logits), axis=-1)
    value = crossentropy(y, logits)
    return ops.where(ops.logical_and(far > 400, far < 600), ops.cast(np.nan, value.dtype), value)


def overflowing(y, logits):
    """The logarithm of a sum of exponentials, without the largest logit taken off."""
    return ops.log(ops.sum(ops.exp(logits), -1)) - ops.sum(y * logits, -1)


def detached(y, logits):
    """A focal factor that the gradient does not see."""
    p = ops.stop_gradient(ops.sum(y * ops.softmax(logits), axis=-1))
    return (1 - p) ** 2 * crossentropy(y, logits)


def offset(y, logits):
    """It knows the mean of the logits, which no probability does."""
    return losses.categorical_crossentropy(y, logits) + 0.01 * ops.mean(logits, -1)


def leaning(y, logits):
    """Its gradient does not sum to 0, though its value does not know of shifts."""
    mean = 0.01 * ops.mean(logits, -1)
    return losses.categorical_crossentropy(y, logits) + mean - ops.stop_gradient(mean)


def drifting(y, logits):
    """Its value knows of shifts, though its gradient sums to 0."""
    return losses.categorical_crossentropy(y, logits) + 0.01 * ops.stop_gradient(ops.mean(logits, -1))


def lossy(y, logits):
    """A right example counts a little too much."""
    return losses.categorical_crossentropy(y, logits) + 1e-5 * ops.sigmoid(ops.sum(y * logits, -1) - 12)


def tilted(y, logits):
    """From |z| = 500 on the gradient is off by 1e-4, where the rounding of the value hides as much."""
    far = ops.relu(ops.max(ops.abs(logits), axis=-1) - 500)
    return crossentropy(y, logits) + 1e-4 * (far - ops.stop_gradient(far))


def slightly_steeper(y, logits):
    """By 0.008 p (1 − p): less than the slope changes over a step of the differences."""
    p = ops.sum(y * ops.sigmoid(logits), axis=-1)
    return label_loss(y, logits) + 0.008 * (p - ops.stop_gradient(p))


def flat(y, logits):
    """Value and gradient right; the gradient is a constant to whoever differentiates it again."""
    slope = ops.stop_gradient(ops.softmax(logits) * ops.sum(y, axis=-1, keepdims=True) - y)
    value = ops.stop_gradient(crossentropy(y, logits))
    return value + ops.sum(slope * (logits - ops.stop_gradient(logits)), axis=-1)


def other_when_eager(y, logits):
    import tensorflow as tf

    return crossentropy(y, logits) * (1 + 1e-4 * tf.executing_eagerly())


def unheard_of(y, logits):
    """Proper, and of no theory that is known here: cross-entropy and half of Brier's score."""
    return losses.categorical_crossentropy(y, logits) + losses.categorical_brier(y, logits) / 2


def unheard_of_and_clipped(y, logits):
    return clipped(y, logits) + 0.5 * ops.sum((ops.softmax(logits) - y) ** 2, axis=-1)


def fading_fast(y, logits):
    """Bounded: the gradient of a confident mistake fades like e^(−4t), and is large before it does."""
    p = ops.sum(y * ops.softmax(logits), axis=-1)
    return 1e12 * (1 - p**4)


def activated_twice(y, logits):
    return keras.losses.binary_crossentropy(y, ops.sigmoid(logits), from_logits=True)


class SumsInHalf(losses.CategoricalCrossentropy):
    """Right for each example; it reduces in the predictions' own dtype."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        dtype = keras.backend.standardize_dtype(getattr(y_pred, "dtype", "float32"))
        values = self.call(ops.convert_to_tensor(y_true, dtype="float32"), y_pred)
        if self.reduction is None:
            return values
        return ops.sum(ops.cast(values, dtype)) / ops.cast(ops.shape(values)[0], dtype)
