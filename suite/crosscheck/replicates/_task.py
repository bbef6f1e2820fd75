"""What one replicate computes on one batch, in `keras.ops`: the same on every backend."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.replicates._model import output_shape


@dataclass(frozen=True)
class Task:
    """A model, its loss and its metrics.

    Attributes:
        model: gives the structure; every weight is handed in.
        loss: as in `Replicates.compile`; None where nothing was compiled.
        metrics: with their variables made.
        arguments: of the loss, one number a replicate, [R] each.
        penalty_scale: multiplies the model's penalties, [R].
    """

    model: keras.Model
    loss: Callable[..., Any] | None = None
    metrics: list[keras.metrics.Metric] = field(default_factory=list)
    arguments: Mapping[str, np.ndarray] = field(default_factory=dict)
    penalty_scale: np.ndarray | None = None

    @property
    def names(self) -> list[str]:
        """The names of what a pass over the data reports."""
        return ["loss", *(metric.name for metric in self.metrics)]

    def objective(self, weights: list[Any], inputs: Mapping[str, Any], training: bool = True) -> Any:
        """Returns (what to differentiate, (loss, next state, output)) of one replicate on one batch.

        Args:
            weights: the trainable ones.
            inputs: `state`, `x`, `y` and, where there are any, `sample_weight`, `arguments`, `penalty_scale`,
                `loss_scale` and `fill`, the batch's length over the examples in it that count.
            training: whether the model is called in training.
        """
        output, state, penalties = self.called(
            weights, inputs["state"], inputs["x"], training, return_losses=True
        )
        loss = self.mean_loss(inputs["y"], output, inputs.get("sample_weight"), inputs.get("arguments", {}))
        loss = loss * ops.cast(inputs.get("fill", 1.0), loss.dtype)
        if penalties:
            penalty = sum(ops.cast(value, loss.dtype) for value in penalties)
            loss = loss + penalty * ops.cast(inputs.get("penalty_scale", 1.0), loss.dtype)
        return loss * ops.cast(inputs.get("loss_scale", 1.0), loss.dtype), (loss, state, output)

    def called(self, weights: Any, state: Any, x: Any, training: bool, **options: Any) -> Any:
        """Returns the model's output and next state; `training` only for a `call` that takes it."""
        if "training" in inspect.signature(self.model.call).parameters:
            options["training"] = training
        return self.model.stateless_call(weights, state, x, **options)

    def mean_loss(self, y: Any, output: Any, sample_weight: Any, arguments: Mapping[str, Any]) -> Any:
        """Returns the loss as `compile` and `fit` reduce it: Σ weight · value / number of values."""
        if isinstance(self.loss, keras.losses.Loss):
            return mean(self.loss(y, output, sample_weight=sample_weight))
        assert self.loss is not None
        # `compile` hands functions predictions in Keras' float type, whatever the model computes in.
        values = self.loss(y, ops.cast(output, keras.config.floatx()), **arguments)
        if sample_weight is not None:
            shape = (-1, *[1] * (len(values.shape) - 1))
            values = values * ops.reshape(ops.cast(sample_weight, values.dtype), shape)
        return mean(values)

    def updated_metrics(self, metrics: list[list[Any]], inputs: Mapping[str, Any], output: Any) -> Any:
        """Returns the metrics' variables after one batch of one replicate; `inputs` as in `objective`."""
        return [
            metric.stateless_update_state(list(values), inputs["y"], output, inputs.get("sample_weight"))
            for metric, values in zip(self.metrics, metrics, strict=True)
        ]


def mean(values: Any) -> Any:
    """Returns the mean; a scalar stays untouched, for PyTorch's mean goes by way of float32 in Keras 3.15."""
    return ops.mean(values) if len(values.shape) else values


def loss_of(loss: Any) -> Callable[..., Any]:
    """Returns the loss that Keras has by this name, or the loss object or function itself."""
    return keras.losses.get(loss) if isinstance(loss, str) else loss


def metric_of(metric: Any, model: keras.Model, y: np.ndarray) -> keras.metrics.Metric:
    """Returns a metric with its variables made; "accuracy" is the one that fits the labels, as in Keras."""
    shape = output_shape(model)
    outputs = shape[-1]
    if metric in ("accuracy", "acc"):
        one_hot = y.ndim > 1 and y.shape[-1] == outputs > 1
        kinds = keras.metrics
        kind = kinds.CategoricalAccuracy if one_hot else kinds.SparseCategoricalAccuracy
        metric = (kinds.BinaryAccuracy if outputs == 1 else kind)(name=metric)
    elif not isinstance(metric, keras.metrics.Metric):
        named = keras.metrics.get(metric)
        if not isinstance(named, keras.metrics.Metric):
            named = keras.metrics.MeanMetricWrapper(named, name=getattr(named, "__name__", str(metric)))
        metric = named
    # Some metrics make their variables at the first update.
    metric.update_state(y[:1], np.zeros((1, *shape[1:]), "float32"))
    metric.reset_state()
    return metric
