"""A loss looked at point by point: its values and slopes at chosen logits and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck import autodiff, losses
from crosscheck.paths.heads import keras_own

Loss = Callable[[Any, Any], Any]


def slopes(loss: Loss, z: np.ndarray, y: Any, dtype: str) -> np.ndarray:
    """dL/dz of a binary loss, computed in a dtype.

    Args:
        loss: of labels and logits [N, 1], a value per example.
        z: logits, [N].
        y: labels, [N], or one number for all of them.
        dtype: "float64", "float32", …

    Returns:
        [N], float64.
    """
    labels, logits = (column[:, None].astype(dtype) for column in np.broadcast_arrays(y, z))
    return autodiff.logit_gradient(loss, labels, logits)[:, 0].astype("float64")


def values(loss: Loss, kind: str, predictions: np.ndarray) -> np.ndarray:
    """A loss where the first class is the true one, computed in the dtype of the predictions.

    Args:
        loss: of labels and predictions, a value per example.
        kind: "binary", "categorical" (one-hot labels) or "sparse" (integer labels).
        predictions: probabilities or logits, [N, 1] of a binary loss, [N, 2] of the others.

    Returns:
        [N], float64.
    """
    labels = {
        "binary": np.ones_like(predictions),
        "categorical": np.tile(np.array([1, 0], predictions.dtype), (len(predictions), 1)),
        "sparse": np.zeros(len(predictions), "int32"),
    }
    return autodiff.numbers(loss(*autodiff.tensors(labels[kind], predictions))).astype("float64")


def cross_entropy(name: str, entry: str, p: np.ndarray, dtype: str) -> np.ndarray:
    """The cross-entropy of a true class with probability p, beside one other class.

    Args:
        name: "ours", or the kind and the interface of Keras' own: "binary, class", "sparse, function", ….
        entry: "probabilities" or "logits", or "probabilities as logits": Keras' loss is given the first and
            told that they are the second.
        p: [N], between 0 and 1.
        dtype: in which the loss is computed.

    Returns:
        [N], float64.
    """
    if name == "ours":
        return values(losses.binary_crossentropy, "binary", logit(p, dtype))
    kind, _, interface = name.partition(", ")
    loss = keras_own(kind, interface, entry != "probabilities", reduction=None, dtype=dtype)
    both = np.stack([p, 1 - p], axis=1).astype(dtype)
    if kind == "binary":
        return values(loss, kind, logit(p, dtype) if entry == "logits" else both[:, :1])
    return values(loss, kind, np.log(both) if entry == "logits" else both)


def logit(p: np.ndarray, dtype: str) -> np.ndarray:
    """The logit ln p/(1 − p) of probabilities [N], as a column [N, 1]."""
    return (np.log(p) - np.log1p(-p)).astype(dtype)[:, None]
