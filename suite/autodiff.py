"""A loss's gradient with respect to its logits, by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def logit_gradient(loss: Callable[[Any, Any], Any], y_true: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """∂ loss(y_true, logits) / ∂ logits in the logits' dtype; the loss gives a value per example.

    Raises:
        NotImplementedError: on a backend other than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise NotImplementedError("logit_gradient needs KERAS_BACKEND=tensorflow.")
    import tensorflow as tf

    z = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = loss(tf.constant(y_true), z)
    return tape.gradient(value, z).numpy()
