"""Small models of many kinds of layers, from the names of their parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers as L
from keras import ops

package = "random_models"
normal = lambda *shape: lambda rng, n: rng.normal(size=(n, *shape)).astype("float32")
tokens = lambda rng, n: rng.integers(0, 7, (n, 5))


def two(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    return [normal(6)(rng, n), normal(3)(rng, n)]


INPUTS: dict[str, tuple[Callable[[], Any], Callable[[np.random.Generator, int], Any]]] = {
    "vector": (lambda: keras.Input((6,)), normal(6)),
    "sequence": (lambda: keras.Input((5, 4)), normal(5, 4)),
    "image": (lambda: keras.Input((4, 4, 2)), normal(4, 4, 2)),
    "tokens": (lambda: keras.Input((5,), dtype="int32"), tokens),
    "masked tokens": (lambda: keras.Input((5,), dtype="int32"), tokens),
    "list": (lambda: [keras.Input((6,)), keras.Input((3,))], two),
    "dict": (
        lambda: {"one": keras.Input((6,), name="one"), "two": keras.Input((3,), name="two")},
        lambda rng, n: dict(zip(("one", "two"), two(rng, n), strict=True)),
    ),
    "reversed dict": (
        lambda: {"two": keras.Input((6,), name="two"), "one": keras.Input((3,), name="one")},
        lambda rng, n: dict(zip(("two", "one"), two(rng, n), strict=True)),
    ),
}
RANKS = {name: {"sequence": 3, "image": 4, "tokens": 3, "masked tokens": 3}.get(name, 2) for name in INPUTS}


@keras.saving.register_keras_serializable(package)
class AddsLoss(L.Layer):
    def call(self, x):
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return x


@keras.saving.register_keras_serializable(package)
class AddsSum(L.Layer):
    """A penalty that grows with the batch."""

    def call(self, x, training=False):
        if training:
            self.add_loss(0.01 * ops.sum(ops.square(x)))
        return x


@keras.saving.register_keras_serializable(package)
class Centred(L.Layer):
    def call(self, x):
        return x - ops.mean(x, axis=0, keepdims=True)


@keras.saving.register_keras_serializable(package)
class Counting(L.Layer):
    """Its state decides what it does."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x, training=False):
        if training:
            self.calls.assign_add(1.0)
        return x * self.scale * (1 + 0.1 * ops.cast(self.calls, x.dtype))


@keras.saving.register_keras_serializable(package)
class Whole(L.Layer):
    """An integer in its state."""

    def build(self, shape):
        self.steps = self.add_weight(
            shape=(), initializer="zeros", dtype="int32", trainable=False, name="steps"
        )

    def call(self, x, training=False):
        if training:
            self.steps.assign_add(1)
        return x / (1 + ops.cast(self.steps, x.dtype))


@keras.saving.register_keras_serializable(package)
def own_draw(shape, dtype=None):
    return keras.random.normal(shape, dtype=dtype)


@keras.saving.register_keras_serializable(package)
def centring(x):
    return x - ops.mean(x, axis=0)


def pretrained(x: Any) -> Any:
    layer = L.Dense(5, "tanh")
    y = layer(x)
    layer.set_weights([np.full((x.shape[-1], 5), 0.3), np.arange(5) / 10])
    return y


def frozen_later(x: Any) -> Any:
    layer = L.Dense(5, "tanh")
    y = layer(x)
    layer.trainable = False
    return y


def shared(x: Any) -> Any:
    layer = L.Dense(x.shape[-1], "tanh")
    return layer(layer(x))


def nested(x: Any) -> Any:
    inner = keras.Sequential([keras.Input(x.shape[1:]), L.Dense(5, "relu"), L.BatchNormalization()])
    return inner(x)


def residual(x: Any) -> Any:
    return L.Add()([x, L.Dense(x.shape[-1])(x)])


def attention(x: Any) -> Any:
    return L.MultiHeadAttention(2, 3)(x, x)


def norm(**options: Any) -> Callable[[Any], Any]:
    return lambda x: L.Dense(5, kernel_constraint=keras.constraints.MaxNorm(0.5), **options)(x)


l2 = lambda: keras.regularizers.L2(0.05)
# By name: the rank that it takes, that it gives, and the function.
BLOCKS: dict[str, tuple[int, int, Callable[[Any], Any]]] = {
    "dense": (2, 2, lambda x: L.Dense(5, "tanh")(x)),
    "penalised": (2, 2, lambda x: L.Dense(5, kernel_regularizer=l2(), bias_regularizer="l1")(x)),
    "activity": (2, 2, lambda x: L.Dense(5, activity_regularizer=l2())(x)),
    "constrained": (2, 2, norm(bias_constraint="non_neg")),
    "frozen": (2, 2, lambda x: L.Dense(5, "tanh", trainable=False)(x)),
    "frozen later": (2, 2, frozen_later),
    "batch norm": (2, 2, lambda x: L.BatchNormalization()(x)),
    "frozen batch norm": (2, 2, lambda x: L.BatchNormalization(trainable=False)(x)),
    "layer norm": (2, 2, lambda x: L.LayerNormalization()(x)),
    "rms norm": (2, 2, lambda x: L.RMSNormalization()(x)),
    "unit norm": (2, 2, lambda x: L.UnitNormalization()(x)),
    "prelu": (2, 2, lambda x: L.PReLU()(x)),
    "pretrained": (2, 2, pretrained),
    "own draw": (2, 2, lambda x: L.Dense(5, kernel_initializer=own_draw)(x)),
    "orthogonal": (2, 2, lambda x: L.Dense(5, kernel_initializer="orthogonal")(x)),
    "lambda": (2, 2, lambda x: L.Lambda(lambda x: x - ops.mean(x, axis=0))(x)),
    "centring": (2, 2, lambda x: L.Activation(centring)(x)),
    "operation": (2, 2, lambda x: x - ops.mean(x, axis=0, keepdims=True)),
    "batch softmax": (2, 2, lambda x: L.Softmax(axis=0)(x)),
    "centred": (2, 2, lambda x: Centred()(x)),
    "adds loss": (2, 2, lambda x: AddsLoss()(x)),
    "adds sum": (2, 2, lambda x: AddsSum()(x)),
    "counting": (2, 2, lambda x: Counting()(x)),
    "whole": (2, 2, lambda x: Whole()(x)),
    "shared": (2, 2, shared),
    "nested": (2, 2, nested),
    "residual": (2, 2, residual),
    "spectral": (2, 2, lambda x: L.SpectralNormalization(L.Dense(5))(x)),
    "dropout": (2, 2, lambda x: L.Dropout(0.3)(x)),
    "noise": (2, 2, lambda x: L.GaussianNoise(0.3)(x)),
    "half": (2, 2, lambda x: L.Dense(5, "tanh", dtype="mixed_bfloat16")(x)),
    "maxout": (2, 2, lambda x: ops.max(ops.reshape(L.Dense(8)(x), (-1, 4, 2)), axis=-1)),
    "steps": (2, 3, lambda x: L.Reshape((x.shape[-1], 1))(x)),
    "repeat": (2, 3, lambda x: L.RepeatVector(3)(x)),
    "conv": (3, 3, lambda x: L.Conv1D(4, 2, activation="relu", padding="same")(x)),
    "separable": (3, 3, lambda x: L.SeparableConv1D(4, 2, padding="same")(x)),
    "pool": (3, 3, lambda x: L.MaxPooling1D(2, padding="same")(x)),
    "attention": (3, 3, attention),
    "einsum": (3, 3, lambda x: L.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")(x)),
    "steps dense": (3, 3, lambda x: L.TimeDistributed(L.Dense(4, "tanh"))(x)),
    # Over one number its scale has a gradient of rounding alone, for which the proof refuses to go on.
    "steps norm": (3, 3, lambda x: L.LayerNormalization(axis=-1 if x.shape[-1] > 1 else (1, 2))(x)),
    "steps batch norm": (3, 3, lambda x: L.BatchNormalization()(x)),
    "group norm": (3, 3, lambda x: L.GroupNormalization(1)(x)),
    "gru steps": (3, 3, lambda x: L.GRU(3, return_sequences=True)(x)),
    "mask": (3, 3, lambda x: L.Masking()(x)),
    "gru": (3, 2, lambda x: L.GRU(3)(x)),
    "lstm": (3, 2, lambda x: L.LSTM(3, recurrent_regularizer=l2())(x)),
    "simple rnn": (3, 2, lambda x: L.SimpleRNN(3)(x)),
    "both ways": (3, 2, lambda x: L.Bidirectional(L.LSTM(2))(x)),
    "mean": (3, 2, lambda x: L.GlobalAveragePooling1D()(x)),
    "flatten": (3, 2, lambda x: L.Flatten()(x)),
    "conv image": (4, 4, lambda x: L.Conv2D(3, 2, activation="relu", padding="same")(x)),
    "depthwise": (4, 4, lambda x: L.DepthwiseConv2D(2, padding="same")(x)),
    "image norm": (4, 4, lambda x: L.BatchNormalization()(x)),
    "image group norm": (4, 4, lambda x: L.GroupNormalization(1)(x)),
    "mean image": (4, 2, lambda x: L.GlobalAveragePooling2D()(x)),
    "flat image": (4, 2, lambda x: L.Flatten()(x)),
}

HEADS: dict[str, Callable[[str], Any]] = {
    "logits": lambda name: L.Dense(3, name=name),
    "softmax": lambda name: L.Dense(3, "softmax", name=name),
    "sigmoid": lambda name: L.Dense(1, "sigmoid", name=name),
    "one": lambda name: L.Dense(1, name=name),
    "positive": lambda name: L.Dense(2, "softplus", name=name),
}


@keras.saving.register_keras_serializable(package)
class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        parts = keras.tree.flatten(y_pred)
        loss = super().compute_loss(x, y, y_pred, sample_weight)
        return loss + 0.1 * sum(ops.mean(ops.square(ops.cast(part, loss.dtype))) for part in parts)


@keras.saving.register_keras_serializable(package)
class OwnMetrics(keras.Model):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {**super().compute_metrics(x, y, y_pred, sample_weight), "answer": 42.0}


@keras.saving.register_keras_serializable(package)
class Following(keras.Model):
    """A metric of its own, moved in `call`."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.size = keras.metrics.Mean(name="size")

    def call(self, *args, **options):
        output = super().call(*args, **options)
        self.size.update_state(ops.abs(keras.tree.flatten(output)[0]))
        return output


@keras.saving.register_keras_serializable(package)
class Subclassed(keras.Model):
    """A model that shows nothing of its layers."""

    def __init__(self, inner=None, **options):
        super().__init__(**options)
        self.inner = inner

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {"inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["inner"]))


WRAPS = [*["sequential", "subclassed", "own loss", "following"] * 2, "own metrics"]
KINDS = {"own loss": OwnLoss, "own metrics": OwnMetrics, "following": Following}


def built(inputs: str, blocks: Sequence[str], heads: Sequence[str], structure: str, wrap: str) -> keras.Model:
    """The model: inputs joined to one, blocks in a row, a head for each output."""
    entrance = INPUTS[inputs][0]()
    x: Any = entrance
    if "tokens" in inputs:
        x = L.Embedding(7, 4, mask_zero=inputs == "masked tokens")(x)
    if isinstance(entrance, (list, dict)):
        x = L.Concatenate()([L.Dense(3)(part) for part in keras.tree.flatten(entrance)])
    for name in blocks:
        x = BLOCKS[name][2](x)
    if len(x.shape) == 4:
        x = L.GlobalAveragePooling2D()(x)
    names = ("a", "b")[: len(heads)]
    exits = [HEADS[head](name)(x) for head, name in zip(heads, names, strict=True)]
    out = {"one": exits[0], "list": exits, "dict": dict(zip(names, exits, strict=True))}[structure]
    model = KINDS.get(wrap, keras.Model)(entrance, out)
    if wrap == "sequential" and structure == "one" and not isinstance(entrance, (list, dict)):
        return keras.Sequential([INPUTS[inputs][0](), model])
    if wrap == "subclassed":
        model = Subclassed(model)
        model(INPUTS[inputs][1](np.random.default_rng(0), 2))
    return model
