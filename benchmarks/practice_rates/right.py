"""Right solutions of the eight exercises, at least one each: ours, Keras' own, and as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from crosscheck import losses
from crosscheck.calibration import focal_restored

Functions = dict[str, Callable[..., Any]]


def two_softplus(y: Any, z: Any) -> Any:
    y = ops.cast(y, z.dtype)
    return ops.mean(y * ops.softplus(-z) + (1 - y) * ops.softplus(z), axis=-1)


def keras_binary(y: Any, z: Any) -> Any:
    return keras.losses.binary_crossentropy(y, z, from_logits=True)


def log_softmax_sum(y: Any, z: Any) -> Any:
    return -ops.sum(ops.cast(y, z.dtype) * ops.log_softmax(z, axis=-1), axis=-1)


def keras_categorical(y: Any, z: Any) -> Any:
    return keras.losses.categorical_crossentropy(y, z, from_logits=True)


def keras_sparse(y: Any, z: Any) -> Any:
    y = ops.squeeze(y, -1) if len(y.shape) == len(z.shape) else y
    return keras.losses.sparse_categorical_crossentropy(y, z, from_logits=True)


def taken(y: Any, z: Any) -> Any:
    """ln Σ e^z less the label's logit."""
    y = y if len(y.shape) == len(z.shape) else ops.expand_dims(y, -1)
    label = ops.take_along_axis(z, ops.cast(y, "int32"), axis=-1)
    return ops.logsumexp(z, axis=-1) - ops.squeeze(label, -1)


def smoothed(y: Any, z: Any, label_smoothing: float = 0.1) -> Any:
    y = ops.cast(y, z.dtype) * (1 - label_smoothing) + label_smoothing / z.shape[-1]
    return log_softmax_sum(y, z)


def brier(y: Any, z: Any) -> Any:
    return ops.sum(ops.square(ops.softmax(z, axis=-1) - ops.cast(y, z.dtype)), axis=-1)


def energy(z: Any, temperature: float = 1.0) -> Any:
    return -temperature * ops.logsumexp(z / temperature, axis=-1)


def joint(y: Any, z: Any) -> Any:
    """By the number of the outcome."""
    count = y.shape[-1]
    place = ops.convert_to_tensor([2 ** (count - 1 - label) for label in range(count)], dtype="int32")
    number = ops.sum(ops.cast(y, "int32") * place, axis=-1)
    return taken(number, z)


def focal(y: Any, z: Any, gamma: float = 2.0) -> Any:
    log_p = ops.log_softmax(z, axis=-1)
    weight = ops.power(-ops.expm1(log_p), gamma)
    return -ops.sum(ops.cast(y, z.dtype) * weight * log_p, axis=-1)


RIGHT: dict[str, dict[str, Functions]] = {
    "binary": {
        "the suite's": {"binary_crossentropy": losses.binary_crossentropy},
        "two softplus": {"binary_crossentropy": two_softplus},
        "Keras' own": {"binary_crossentropy": keras_binary},
    },
    "categorical": {
        "the suite's": {"categorical_crossentropy": losses.categorical_crossentropy},
        "log_softmax": {"categorical_crossentropy": log_softmax_sum},
        "Keras' own": {"categorical_crossentropy": keras_categorical},
    },
    "sparse": {
        "the suite's": {"sparse_categorical_crossentropy": losses.sparse_categorical_crossentropy},
        "the label's logit taken": {"sparse_categorical_crossentropy": taken},
        "Keras' own": {"sparse_categorical_crossentropy": keras_sparse},
    },
    "smoothing": {
        "the suite's": {
            "smoothed_crossentropy": lambda y, z, label_smoothing=0.1: losses.categorical_crossentropy(
                y, z, label_smoothing
            )
        },
        "labels smoothed first": {"smoothed_crossentropy": smoothed},
    },
    "brier": {
        "the suite's": {"brier": losses.categorical_brier},
        "squares of differences": {"brier": brier},
    },
    "energy": {"the suite's": {"energy": losses.energy}, "logsumexp": {"energy": energy}},
    "joint": {
        "the suite's": {"joint_crossentropy": losses.joint_crossentropy},
        "by the outcome's number": {"joint_crossentropy": joint},
    },
    "focal": {"log_softmax and expm1": {"focal": focal, "focal_inverse": focal_restored}},
}
