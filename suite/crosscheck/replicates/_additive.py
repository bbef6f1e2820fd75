"""Whether a last, shorter batch may be filled up with examples of weight 0.

One program then serves all batches, and a second one is not traced and compiled: a third of the time to train
a few replicates of a small model. It is done only where each example's loss depends on that example alone, so
that the filled-in ones change nothing.
"""

from __future__ import annotations

from typing import Any

import keras

from crosscheck._keras import is_of_keras, layers_of
from crosscheck.replicates._task import Task

LOSSES = frozenset(
    (
        "binarycrossentropy",
        "brier",
        "categoricalcrossentropy",
        "energymargincrossentropy",
        "huber",
        "jointcrossentropy",
        "kldivergence",
        "logcosh",
        "meanabsoluteerror",
        "meansquarederror",
        "outlierexposurecrossentropy",
        "poisson",
        "sparsecategoricalcrossentropy",
    )
)
# Keras' own layers treat examples one by one, except for these.
COUPLING = (keras.layers.BatchNormalization, keras.layers.Lambda, keras.layers.RNN, keras.layers.Wrapper)


def fills_up(task: Task) -> bool:
    """Returns whether the loss is a mean over examples of what each example gives alone."""
    return adds_up(task.loss) and all(map(keeps_apart, layers_of(task.model)))


def adds_up(loss: Any) -> bool:
    """Returns whether the loss is one of `LOSSES`, of Keras or ours, averaged over all examples."""
    kind = loss if hasattr(loss, "__name__") else type(loss)
    ours = kind.__module__.startswith("crosscheck.losses")
    listed = (ours or is_of_keras(kind)) and kind.__name__.lower().replace("_", "") in LOSSES
    reduced = getattr(loss, "reduction", "sum_over_batch_size") == "sum_over_batch_size"
    return listed and reduced and getattr(loss, "ignore_class", None) is None


def keeps_apart(layer: keras.Layer) -> bool:
    """Returns whether the layer's output for an example depends on that example alone."""
    if isinstance(layer, COUPLING) or getattr(layer, "activity_regularizer", None) is not None:
        return False
    return is_of_keras(type(layer))
