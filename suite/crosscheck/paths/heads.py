"""The model and the loss of a path: one layer, whose first logit is its input."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from crosscheck import losses
from crosscheck.paths._grid import ExecutionPath
from crosscheck.paths._oracle import RIVALS

KERAS_CLASSES = {
    "binary": keras.losses.BinaryCrossentropy,
    "categorical": keras.losses.CategoricalCrossentropy,
    "sparse": keras.losses.SparseCategoricalCrossentropy,
}
KERAS_FUNCTIONS = {
    "binary": keras.losses.binary_crossentropy,
    "categorical": keras.losses.categorical_crossentropy,
    "sparse": keras.losses.sparse_categorical_crossentropy,
}
KERAS_FOCAL = {
    "binary": functools.partial(keras.losses.BinaryFocalCrossentropy, gamma=0.0),
    "categorical": functools.partial(keras.losses.CategoricalFocalCrossentropy, alpha=1.0, gamma=0.0),
}
OURS = {
    "binary": (losses.BinaryCrossentropy, losses.binary_crossentropy),
    "categorical": (losses.CategoricalCrossentropy, losses.categorical_crossentropy),
    "sparse": (losses.SparseCategoricalCrossentropy, losses.sparse_categorical_crossentropy),
}


@contextmanager
def global_policy(policy: str) -> Iterator[None]:
    """Sets Keras' global dtype policy inside the `with` block and restores it afterwards.

    A dtype for each layer would not do: `compile` wraps the optimiser in a LossScaleOptimizer by the policy
    of the model, which is the global one (keras/src/trainers/trainer.py, `Trainer.compile`).
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def keras_own(kind: str, api: str, from_logits: bool, **options: Any) -> Callable[[Any, Any], Any]:
    """Keras' loss of a kind: a "class" or "focal" class with these options, "function" or "ops"."""
    if api in ("class", "focal"):
        loss_class = (KERAS_CLASSES if api == "class" else KERAS_FOCAL)[kind]
        return loss_class(from_logits=from_logits, **options)
    if api == "ops":
        return lambda y, p: op(kind, y, p, from_logits)
    return lambda y, p: KERAS_FUNCTIONS[kind](y, p, from_logits=from_logits)


def op(kind: str, y: Any, p: Any, from_logits: bool) -> Any:
    """The loss of `keras.ops`, [B]: it neither casts labels nor averages over them, so both are done here."""
    if kind == "sparse":
        return keras.ops.sparse_categorical_crossentropy(y, p, from_logits=from_logits)
    y = keras.ops.cast(y, p.dtype)
    if kind == "categorical":
        return keras.ops.categorical_crossentropy(y, p, from_logits=from_logits)
    return keras.ops.squeeze(keras.ops.binary_crossentropy(y, p, from_logits=from_logits), -1)


def implementation(path: ExecutionPath) -> Callable[[Any, Any], Any]:
    """The loss of the path; called directly, it gives one value per example, [B]."""
    if path.implementation == "ours":  # `compile` would make a float32 object of the function
        loss_class, function = OURS[path.loss]
        return loss_class() if path.trains else function
    reduction = "sum_over_batch_size" if path.trains else None
    api = path.implementation.removeprefix("keras ")
    return keras_own(path.loss, api, path.entry == "logits", reduction=reduction)


def outputs(loss: str) -> int:
    """How many logits the model has: one, or three."""
    return 1 if loss == "binary" else 1 + RIVALS[loss]


def one_layer(path: ExecutionPath) -> keras.Model:
    """A model whose one input is its first logit; its other logits, if it has any, are 0."""
    layers, units = keras.layers, outputs(path.loss)
    activation = "sigmoid" if path.loss == "binary" else "softmax"
    in_dense = activation if path.head in ("dense", "reshape") else None
    dense = layers.Dense(units, in_dense)
    layers_behind = {
        "activation": [layers.Activation(activation)],
        "float32": [layers.Activation(activation, dtype="float32")],
        "reshape": [layers.Reshape((units,))],
    }
    model = keras.Sequential(
        [keras.Input((1,), dtype=outer(path.policy)), dense, *layers_behind.get(path.head, [])]
    )
    restart(dense)
    return model


def restart(dense: keras.layers.Dense) -> None:
    """Sets the kernel to (1, 0, …) and the bias to 0."""
    kernel, bias = dense.trainable_variables
    kernel.assign(np.eye(1, kernel.shape[1], dtype=kernel.dtype))
    bias.assign(np.zeros(bias.shape, bias.dtype))


def labels(loss: str, y: np.ndarray, dtype: str) -> np.ndarray:
    """Labels in the form that the loss takes: y of the first class, 1 − y of the second."""
    if loss == "binary":
        return y[:, None].astype(dtype)
    if loss == "sparse":
        return np.where(y == 1, 0, 1).astype("int32")
    return np.stack([y, 1 - y, np.zeros_like(y)], axis=1).astype(dtype)


def outer(policy: str) -> str:
    """The dtype of inputs and weights under a policy."""
    return "float64" if policy == "float64" else "float32"
