"""Where examples do not touch one another, a last, shorter batch may be filled up with examples of weight 0.

One program then does for all batches, which saves tracing and compiling a second one: a third of the time to
train a few replicates of a small model. It is done only where it is known to be exact.
"""

from __future__ import annotations

from typing import Any

import keras

from crosscheck.replicates.task import Task

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
# Keras' own layers treat examples one by one, but for these.
COUPLING = (keras.layers.BatchNormalization, keras.layers.Lambda, keras.layers.RNN, keras.layers.Wrapper)
OURS = ("keras.src.", "crosscheck.losses")


def fills_up(task: Task) -> bool:
    """Whether the loss is a mean over examples of what each example gives alone."""
    return adds_up(task.loss) and all(map(keeps_apart, task.model._flatten_layers()))


def adds_up(loss: Any) -> bool:
    kind = loss if hasattr(loss, "__name__") else type(loss)
    known = kind.__module__.startswith(OURS) and kind.__name__.lower().replace("_", "") in LOSSES
    reduced = getattr(loss, "reduction", "sum_over_batch_size") == "sum_over_batch_size"
    return known and reduced and getattr(loss, "ignore_class", None) is None


def keeps_apart(layer: keras.Layer) -> bool:
    if isinstance(layer, COUPLING) or getattr(layer, "activity_regularizer", None) is not None:
        return False
    return type(layer).__module__.startswith("keras.src.")
