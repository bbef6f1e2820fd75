"""Canonical wrong solutions of the exercises on independent labels and exclusive classes."""

from __future__ import annotations

from typing import Any

from keras import ops

EPSILON = 1e-7


def as_logits(y: Any, z: Any) -> Any:
    return ops.cast(y, z.dtype)


def label_loss(y: Any, p: Any) -> Any:
    return -(y * ops.log(p) + (1 - y) * ops.log(1 - p))


# --- binary ------------------------------------------------------------------------------------------------


def binary_clipped(y: Any, z: Any) -> Any:
    p = ops.clip(ops.sigmoid(z), EPSILON, 1 - EPSILON)
    return ops.mean(label_loss(as_logits(y, z), p), axis=-1)


def binary_by_probability(y: Any, z: Any) -> Any:
    """0 · ln 0 is NaN."""
    return ops.mean(label_loss(as_logits(y, z), ops.sigmoid(z)), axis=-1)


def binary_epsilon_added(y: Any, z: Any) -> Any:
    p, y = ops.sigmoid(z), as_logits(y, z)
    return ops.mean(-(y * ops.log(p + EPSILON) + (1 - y) * ops.log(1 - p + EPSILON)), axis=-1)


def binary_overflowing(y: Any, z: Any) -> Any:
    """ln (1 + e^z) without its maximum."""
    return ops.mean(ops.log(1 + ops.exp(z)) - as_logits(y, z) * z, axis=-1)


def binary_wrong_axis(y: Any, z: Any) -> Any:
    y = as_logits(y, z)
    return ops.mean(y * ops.softplus(-z) + (1 - y) * ops.softplus(z), axis=0)


def binary_mean_of_all(y: Any, z: Any) -> Any:
    y = as_logits(y, z)
    return ops.mean(y * ops.softplus(-z) + (1 - y) * ops.softplus(z))


def binary_summed(y: Any, z: Any) -> Any:
    y = as_logits(y, z)
    return ops.sum(y * ops.softplus(-z) + (1 - y) * ops.softplus(z), axis=-1)


def binary_labels_cast(y: Any, z: Any) -> Any:
    """A soft label of 0.9 becomes 0."""
    y = ops.cast(ops.cast(y, "int32"), z.dtype)
    return ops.mean(y * ops.softplus(-z) + (1 - y) * ops.softplus(z), axis=-1)


def binary_sigmoid_twice(y: Any, z: Any) -> Any:
    p, y = ops.sigmoid(z), as_logits(y, z)
    return ops.mean(y * ops.softplus(-p) + (1 - y) * ops.softplus(p), axis=-1)


def binary_one_sided(y: Any, z: Any) -> Any:
    return ops.mean(as_logits(y, z) * ops.softplus(-z), axis=-1)


def binary_sign(y: Any, z: Any) -> Any:
    y = as_logits(y, z)
    return ops.mean(y * ops.softplus(z) + (1 - y) * ops.softplus(-z), axis=-1)


def binary_tie(y: Any, z: Any) -> Any:
    """max(z, 0) − y z + ln (1 + e^−|z|), as textbooks have it: right everywhere, but for its slope at 0.

    It is to be ½ − y. TensorFlow gives max(z, 0) the slope 1 there and |z| the slope 0: 1 − y, so that with a
    kernel of zeros nothing is learnt of label 1. JAX gives them ½ and 1: −y, and nothing is learnt of label
    0. PyTorch gives ½ and 0, which is right.
    """
    y = as_logits(y, z)
    return ops.mean(ops.maximum(z, 0) - y * z + ops.log1p(ops.exp(-ops.abs(z))), axis=-1)


def binary_softmax(y: Any, z: Any) -> Any:
    """A softmax over labels that do not exclude each other."""
    return -ops.mean(as_logits(y, z) * ops.log_softmax(z, axis=-1), axis=-1)


# --- categorical -------------------------------------------------------------------------------------------


def classes_clipped(y: Any, z: Any) -> Any:
    p = ops.clip(ops.softmax(z, axis=-1), EPSILON, 1 - EPSILON)
    return -ops.sum(as_logits(y, z) * ops.log(p), axis=-1)


def log_of_softmax(y: Any, z: Any) -> Any:
    """0 · ln 0 where another class' p is 0."""
    return -ops.sum(as_logits(y, z) * ops.log(ops.softmax(z, axis=-1)), axis=-1)


def log_of_own_softmax(y: Any, z: Any) -> Any:
    """No maximum is subtracted."""
    e = ops.exp(z)
    return -ops.sum(as_logits(y, z) * ops.log(e / ops.sum(e, axis=-1, keepdims=True)), axis=-1)


def own_logsumexp(y: Any, z: Any) -> Any:
    return ops.log(ops.sum(ops.exp(z), axis=-1)) - ops.sum(as_logits(y, z) * z, axis=-1)


def classes_mean(y: Any, z: Any) -> Any:
    return -ops.mean(as_logits(y, z) * ops.log_softmax(z, axis=-1), axis=-1)


def softmax_over_batch(y: Any, z: Any) -> Any:
    return -ops.sum(as_logits(y, z) * ops.log_softmax(z, axis=0), axis=-1)


def summed_over_batch(y: Any, z: Any) -> Any:
    return -ops.sum(as_logits(y, z) * ops.log_softmax(z, axis=-1), axis=0)


def mean_over_batch(y: Any, z: Any) -> Any:
    return -ops.mean(ops.sum(as_logits(y, z) * ops.log_softmax(z, axis=-1), axis=-1))


def classes_labels_cast(y: Any, z: Any) -> Any:
    y = ops.cast(ops.cast(y, "int32"), z.dtype)
    return -ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1)


def label_by_argmax(y: Any, z: Any) -> Any:
    """A soft label counts as its greatest class."""
    y = ops.one_hot(ops.argmax(y, axis=-1), z.shape[-1], dtype=z.dtype)
    return -ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1)


def softmax_twice(y: Any, z: Any) -> Any:
    return -ops.sum(as_logits(y, z) * ops.log_softmax(ops.softmax(z, axis=-1), axis=-1), axis=-1)


def base_two(y: Any, z: Any) -> Any:
    return -ops.sum(as_logits(y, z) * ops.log_softmax(z, axis=-1), axis=-1) / 0.6931472


def sigmoids_for_classes(y: Any, z: Any) -> Any:
    return -ops.sum(as_logits(y, z) * -ops.softplus(-z), axis=-1)


# --- sparse ------------------------------------------------------------------------------------------------


def squeezed(y: Any, z: Any) -> Any:
    """Labels as [...], int32."""
    y = ops.squeeze(y, -1) if len(y.shape) == len(z.shape) else y
    return ops.cast(y, "int32")


def one_hot(y: Any, z: Any) -> Any:
    return ops.one_hot(squeezed(y, z), z.shape[-1], dtype=z.dtype)


def sparse_clipped(y: Any, z: Any) -> Any:
    return classes_clipped(one_hot(y, z), z)


def sparse_log_of_softmax(y: Any, z: Any) -> Any:
    return log_of_softmax(one_hot(y, z), z)


def sparse_own_logsumexp(y: Any, z: Any) -> Any:
    return own_logsumexp(one_hot(y, z), z)


def sparse_mean(y: Any, z: Any) -> Any:
    return classes_mean(one_hot(y, z), z)


def sparse_in_eight_bits(y: Any, z: Any) -> Any:
    """Class 200 becomes −56."""
    return log_softmax_of(one_hot(ops.cast(squeezed(y, z), "int8"), z), z)


def log_softmax_of(y: Any, z: Any) -> Any:
    return -ops.sum(y * ops.log_softmax(z, axis=-1), axis=-1)


def sparse_column_kept(y: Any, z: Any) -> Any:
    """Labels [B, 1] make a one-hot of three axes, and a value a pair of examples."""
    rows = ops.one_hot(ops.cast(y, "int32"), z.shape[-1], dtype=z.dtype)
    return -ops.sum(rows * ops.log_softmax(z, axis=-1), axis=-1)


def sparse_from_one(y: Any, z: Any) -> Any:
    return log_softmax_of(ops.one_hot(squeezed(y, z) - 1, z.shape[-1], dtype=z.dtype), z)


def sparse_softmax_over_batch(y: Any, z: Any) -> Any:
    return softmax_over_batch(one_hot(y, z), z)


def sparse_mean_over_batch(y: Any, z: Any) -> Any:
    return ops.mean(log_softmax_of(one_hot(y, z), z))


def sparse_softmax_twice(y: Any, z: Any) -> Any:
    return softmax_twice(one_hot(y, z), z)


def sparse_positive(y: Any, z: Any) -> Any:
    return -log_softmax_of(one_hot(y, z), z)


# --- smoothing ---------------------------------------------------------------------------------------------


def alpha_as_epsilon(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    """ε is shared by the other classes alone: the true one keeps 1 − ε."""
    k, y = z.shape[-1], as_logits(y, z)
    return log_softmax_of(y * (1 - label_smoothing) + (1 - y) * label_smoothing / (k - 1), z)


def uniform_added(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    return log_softmax_of(as_logits(y, z) + label_smoothing / z.shape[-1], z)


def without_uniform(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    return log_softmax_of(as_logits(y, z) * (1 - label_smoothing), z)


def alpha_to_each(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    return log_softmax_of(as_logits(y, z) * (1 - label_smoothing) + label_smoothing, z)


def two_classes_assumed(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    return log_softmax_of(as_logits(y, z) * (1 - label_smoothing) + label_smoothing / 2, z)


def ignored(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    return log_softmax_of(as_logits(y, z), z)


def a_tenth_always(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    return log_softmax_of(as_logits(y, z) * 0.9 + 0.1 / z.shape[-1], z)


def smoothed_and_clipped(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    return classes_clipped(as_logits(y, z) * (1 - label_smoothing) + label_smoothing / z.shape[-1], z)


def smoothed_log_of_softmax(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    return log_of_softmax(as_logits(y, z) * (1 - label_smoothing) + label_smoothing / z.shape[-1], z)


def predictions_smoothed(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    p = ops.softmax(z, axis=-1) * (1 - label_smoothing) + label_smoothing / z.shape[-1]
    return -ops.sum(as_logits(y, z) * ops.log(p), axis=-1)


def by_batch_size(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    """The uniform has 1 over the number of examples."""
    y = as_logits(y, z) * (1 - label_smoothing) + label_smoothing / ops.cast(ops.shape(z)[0], z.dtype)
    return log_softmax_of(y, z)
