"""Whether a last, shorter batch may be filled up with examples of weight 0.

One program then serves all batches, and a second one is not traced and compiled: a third of the time to train
a few replicates of a small model. It is done only where each example's loss depends on that example alone, so
that the filled-in ones change nothing; whatever is not known to be so is not filled up.
"""

from __future__ import annotations

from typing import Any

import keras

from crosscheck._keras import compiled_metrics, is_of_keras, layers_of, loss_tracker_of
from crosscheck.replicates._data import Data, leaves
from crosscheck.replicates._model import output_shape
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
# Layers of Keras that treat examples one by one, along whatever axes but the first.
APART = frozenset(
    [
        "Activation",
        "Add",
        "AlphaDropout",
        "Average",
        "AveragePooling1D",
        "AveragePooling2D",
        "Concatenate",
        "Conv1D",
        "Conv2D",
        "Conv3D",
        "Cropping1D",
        "Cropping2D",
        "Dense",
        "DepthwiseConv1D",
        "DepthwiseConv2D",
        "Dropout",
        "ELU",
        "EinsumDense",
        "Embedding",
        "Flatten",
        "Functional",
        "GaussianDropout",
        "GaussianNoise",
        "GlobalAveragePooling1D",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling1D",
        "GlobalMaxPooling2D",
        "GroupNormalization",
        "InputLayer",
        "LayerNormalization",
        "LeakyReLU",
        "MaxPooling1D",
        "MaxPooling2D",
        "Maximum",
        "Minimum",
        "MultiHeadAttention",
        "Multiply",
        "PReLU",
        "Permute",
        "ReLU",
        "RepeatVector",
        "Rescaling",
        "Reshape",
        "Sequential",
        "SeparableConv1D",
        "SeparableConv2D",
        "Softmax",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "Subtract",
        "UpSampling1D",
        "UpSampling2D",
        "ZeroPadding1D",
        "ZeroPadding2D",
    ]
)


def fills_up(task: Task, data: Data) -> bool:
    """Returns whether loss and metrics are means over examples of what each example gives alone."""
    single = len(leaves({**data.shared, **data.own})) == len({**data.shared, **data.own})
    shape = output_shape(task.model)
    flat = single and isinstance(shape, tuple) and len(shape) == 2
    own_loss = type(task.model).compute_loss is not keras.Model.compute_loss
    if not flat or own_loss or not adds_up(task.model.loss) or not metrics_add_up(task.model):
        return False
    return all(map(keeps_apart, layers_of(task.model)))


def adds_up(loss: Any) -> bool:
    """Returns whether the loss is one of `LOSSES`, of Keras or ours, averaged over all examples."""
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    kind = loss if hasattr(loss, "__name__") else type(loss)
    if not hasattr(kind, "__name__"):
        return False
    ours = kind.__module__.startswith("crosscheck.losses")
    listed = (ours or is_of_keras(kind)) and kind.__name__.lower().replace("_", "") in LOSSES
    reduced = getattr(loss, "reduction", "sum_over_batch_size") == "sum_over_batch_size"
    along_last = not isinstance(loss, keras.losses.Loss) or loss.get_config().get("axis", -1) == -1
    return listed and reduced and along_last and getattr(loss, "ignore_class", None) is None


def metrics_add_up(model: keras.Model) -> bool:
    """Returns whether all that is reported are means over examples by Keras' own metrics."""
    metrics = [metric for kind in compiled_metrics(model) for metric in kind]
    known = {id(variable) for metric in (*metrics, loss_tracker_of(model)) for variable in metric.variables}
    means = all(
        is_of_keras(type(metric)) and isinstance(metric, keras.metrics.MeanMetricWrapper)
        for metric in metrics
    )
    return means and {id(variable) for variable in model.metrics_variables} <= known


def keeps_apart(layer: keras.Layer) -> bool:
    """Returns whether the layer's output for an example depends on that example alone."""
    if not is_of_keras(type(layer)) or type(layer).__name__ not in APART:
        return False
    if getattr(layer, "activity_regularizer", None) is not None:
        return False
    if not all(isinstance(operation, keras.Layer) for operation in getattr(layer, "operations", ())):
        return False
    function, axis = getattr(layer, "activation", None), getattr(layer, "axis", -1)
    apart = 0 not in (axis if isinstance(axis, (list, tuple)) else [axis])
    return apart and (
        function is None or is_of_keras(function if hasattr(function, "__name__") else type(function))
    )
