"""Losses for the checks of use: sound ones, and ones that are broken in one place each."""

from __future__ import annotations

import time

import keras
import numpy as np
from keras import ops


class Sound(keras.losses.Loss):
    """A Keras loss with smoothing, that validates it and tells its whole config."""

    def __init__(self, label_smoothing=0.0, reduction="sum_over_batch_size", name=None, dtype=None):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing = {label_smoothing}")
        self.label_smoothing = label_smoothing

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing, "dtype": self.dtype}

    def smoothed(self, y, k):
        return y * (1 - self.label_smoothing) + self.label_smoothing / k


class Binary(Sound):
    def call(self, y_true, y_pred):
        return ops.mean(self.values(*self.shaped(y_true, y_pred)), axis=-1)

    def shaped(self, y, x):
        if len(x.shape) < 2:
            raise ValueError("Predictions must have an axis for the labels.")
        y = ops.expand_dims(y, -1) if len(y.shape) < len(x.shape) else y
        if y.shape != x.shape:
            raise ValueError("Labels and predictions differ in shape.")
        return y, x

    def values(self, y, x):
        return ops.maximum(x, 0) - x * self.smoothed(y, 2) + ops.log1p(ops.exp(-ops.abs(x)))


class Categorical(Sound):
    def call(self, y_true, y_pred):
        if y_true.shape != y_pred.shape:
            raise ValueError("Labels and predictions differ in shape.")
        return self.values(y_true, y_pred)

    def values(self, y, x):
        return -ops.sum(self.smoothed(y, x.shape[-1]) * ops.log_softmax(x, axis=-1), axis=-1)


class Sparse(Sound):
    def call(self, y_true, y_pred):
        if len(y_true.shape) == len(y_pred.shape):
            if y_true.shape[-1] != 1:  # on PyTorch `squeeze` would leave it as it is
                raise ValueError("Labels are numbers of classes.")
            y_true = ops.squeeze(y_true, -1)
        return self.values(y_true, y_pred)

    def values(self, y, x):
        hot = ops.cast(ops.equal(y[..., None], ops.cast(ops.arange(x.shape[-1]), y.dtype)), x.dtype)
        told = ops.cast(
            ops.where(ops.any(hot > 0, axis=-1), 0.0, np.nan), x.dtype
        )  # what is no class has no loss
        return told - ops.sum(self.smoothed(hot, x.shape[-1]) * ops.log_softmax(x, axis=-1), axis=-1)


class Shares(Categorical):
    """Cross-entropy of probabilities that speaks where they are none."""

    def values(self, y, x):
        legal = ops.all((x >= 0) & (x <= 1), axis=-1)
        return ops.where(legal, -ops.sum(self.smoothed(y, x.shape[-1]) * ops.log(x), axis=-1), np.nan)


class Untempered(Categorical):
    """Keeps a temperature and divides by none."""

    def __init__(self, temperature=2.0, **arguments):
        super().__init__(**arguments)
        self.temperature = temperature

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


class FirstThree(Categorical):
    """Of more classes than three the others have no loss."""

    def values(self, y, x):
        return -ops.sum((self.smoothed(y, x.shape[-1]) * ops.log_softmax(x, axis=-1))[..., :3], axis=-1)


class Squared(Binary):
    """Brier's score: a square in its labels."""

    def values(self, y, x):
        return ops.square(ops.sigmoid(x) - self.smoothed(y, 2))


def handwritten(y_true, y_pred):
    if y_true.shape != y_pred.shape:
        raise ValueError("Labels and predictions differ in shape.")
    return ops.logsumexp(y_pred, axis=-1) * ops.sum(y_true, axis=-1) - ops.sum(y_true * y_pred, axis=-1)


def nameless():
    """A function that cannot be found again by its name."""
    return lambda y_true, y_pred: handwritten(y_true, y_pred)


# Broken ones, one fault each; those that `benchmarks.audit_rates` has are not repeated here.


class Kept(Categorical):
    def values(self, y, x):
        return super().values(y, x)[..., None]


class Unmasked(Categorical):
    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(y_true, ops.convert_to_tensor(y_pred) + 0, sample_weight)


class Leaking(Categorical):
    def values(self, y, x):
        return super().values(y, x) + 0 * ops.sum(x)


class Transposed(Categorical):
    def values(self, y, x):
        found = super().values(y, x)
        return ops.transpose(found) if len(found.shape) == 2 else found


class Flat(Binary):
    def shaped(self, y, x):
        return (y, x) if len(x.shape) == len(y.shape) == 1 else super().shaped(y, x)


class AnyRow(Categorical):
    """A column of labels is taken for one row."""

    def call(self, y_true, y_pred):
        is_column = len(y_true.shape) == 2 and y_true.shape[-1] == 1
        return self.values(ops.squeeze(y_true, -1) if is_column else y_true, y_pred)


class LastAxis(Categorical):
    def __init__(self, axis=-1, **arguments):
        super().__init__(**arguments)
        self.axis = axis

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class Wrapping(Sparse):
    def values(self, y, x):
        return super().values(ops.where(y < 0, y + x.shape[-1], y), x)


class Capped(Categorical):
    def values(self, y, x):
        return super().values(y / ops.maximum(ops.sum(y, axis=-1, keepdims=True), 1), x)


class Absolute(Categorical):
    def values(self, y, x):
        return super().values(ops.abs(y), x)


class Counted(Sparse):
    """Ignores a class, but counts it in the mean."""

    def __init__(self, ignore_class=None, **arguments):
        super().__init__(**arguments)
        self.ignore_class = ignore_class

    def get_config(self):
        return {**super().get_config(), "ignore_class": self.ignore_class}

    def values(self, y, x):
        if self.ignore_class is None:
            return super().values(y, x)
        kept = y != self.ignore_class
        return ops.where(kept, super().values(ops.where(kept, y, 0), x), 0.0)


class Clipping(Shares):
    def values(self, y, x):
        return super().values(y, ops.clip(x, 1e-7, 1))


class Forgetful(Categorical):
    def __init__(self, temperature=1.0, **arguments):
        super().__init__(**arguments)
        self.temperature = temperature

    def values(self, y, x):
        return super().values(y, x / self.temperature)


class Untyped(Categorical):
    def get_config(self):
        return {key: value for key, value in super().get_config().items() if key != "dtype"}


class Sleeping(Categorical):
    def values(self, y, x):
        time.sleep(0.03)
        return super().values(y, x)


class Retracing(Categorical):
    def values(self, y, x):
        values = super().values
        if keras.backend.backend() == "jax":
            import jax

            return jax.jit(lambda y, x: values(y, x))(y, x)
        import tensorflow as tf

        return tf.function(values, autograph=False)(y, x)


class Raising(Categorical):
    def values(self, y, x):
        raise RuntimeError("no loss today")


def mutating(y_true, y_pred):
    found = handwritten(y_true, y_pred)
    if isinstance(y_true, np.ndarray):
        y_true[:] = 0
    return found
