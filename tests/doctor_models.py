"""Models whose diagnosis is known: sound, broken, sound on TensorFlow alone, or not to be decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck import losses
from crosscheck.doctor import Diagnosis, examine

L, S = keras.layers, keras.losses
Make = Callable[[], tuple[keras.Model, Any]]
sparse = lambda **how: S.SparseCategoricalCrossentropy(from_logits=True, **how)
onehot = lambda **how: S.CategoricalCrossentropy(from_logits=True, **how)
binary = lambda **how: S.BinaryCrossentropy(from_logits=True, **how)


def examined(inputs: Any, outputs: Any, loss: Any, **compiling: Any) -> Diagnosis:
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss, **compiling)
    (found,) = examine(model)
    return found


def seq(*layers: Any, shape: tuple[int | None, ...] = (3,)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers])


def functional(make: Callable[[Any], Any], shape: tuple[int, ...] = (3,)) -> keras.Model:
    i = keras.Input(shape)
    return keras.Model(i, make(i))


def called(model: keras.Model, shape: tuple[int, ...] = (1, 3)) -> keras.Model:
    model(np.zeros(shape, "float32"))
    return model


class Plain(keras.Model):
    """Subclassed, without get_config, with an argument that no config knows."""

    def __init__(self, body, head, last=None):
        super().__init__()
        self.body, self.head, self.last = body, head, last

    def call(self, x, training=False):
        z = self.head(self.body(x))
        return z if self.last is None else self.last(z)


class Raw(keras.Layer):
    """A layer that multiplies by weights of its own and applies an activation by itself."""

    def __init__(self, units, activation):
        super().__init__()
        self.units, self.activation_of_mine = units, activation

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units))
        self.b = self.add_weight(shape=(self.units,))

    def call(self, x):
        return self.activation_of_mine(ops.matmul(x, self.w) + self.b)


class Halving(keras.Model):
    """A train step of its own, which throws large losses away."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.minimum(super().compute_loss(x, y, y_pred, sample_weight, training), 7.0)


class Counting(keras.Model):
    """A train step of its own that does no harm, with what such classes keep: a number and a tracker."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.factor = 1.0
        self.seen = keras.metrics.Mean(name="seen")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.factor * super().compute_loss(x, y, y_pred, sample_weight, training)


def gated(i: Any) -> Any:
    return L.Multiply()([L.Dense(3)(i), L.Dense(1, activation="sigmoid")(i)])


def mixture(i: Any) -> Any:
    gates = L.Reshape((2, 1))(L.Dense(2, activation="softmax")(i))
    experts = L.Concatenate(axis=1)([L.Reshape((1, 3))(L.Dense(3)(i)) for _ in range(2)])
    return ops.sum(gates * experts, axis=1)


def with_policy(policy: str, make: Callable[[], tuple[keras.Model, Any]]) -> tuple[keras.Model, Any]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return make()
    finally:
        keras.config.set_dtype_policy(before)


def own_focal(y, p):
    p = ops.clip(p, 1e-7, 1 - 1e-7)
    return ops.mean(-y * (1 - p) ** 2 * ops.log(p) - (1 - y) * p**2 * ops.log(1 - p), axis=-1)


SOUND: dict[str, Make] = {
    "convolution": lambda: (seq(L.Conv2D(3, 1), shape=(4, 4, 2)), sparse()),
    "pooled maps": lambda: (seq(L.Conv2D(3, 3), L.GlobalAveragePooling2D(), shape=(5, 5, 2)), sparse()),
    "convolution of one dimension": lambda: (seq(L.Conv1D(1, 1), shape=(6, 2)), binary()),
    "temperature": lambda: (seq(L.Dense(3), L.Rescaling(0.25)), sparse()),
    "temperature in a function": lambda: (functional(lambda i: L.Dense(3)(i) / 3.0), sparse()),
    "batch norm": lambda: (seq(L.Dense(3), L.BatchNormalization()), sparse()),
    "cosine logits": lambda: (seq(L.Dense(3), L.UnitNormalization(), L.Rescaling(16.0)), sparse()),
    "average of logits": lambda: (
        functional(lambda i: L.Average()([L.Dense(3)(i), L.Dense(3)(i)])),
        sparse(),
    ),
    "sum of logits": lambda: (functional(lambda i: L.Add()([L.Dense(3)(i), L.Dense(3)(i)])), onehot()),
    "gated logits": lambda: (functional(gated), sparse()),
    "mixture of experts": lambda: (functional(mixture), sparse()),
    "attention": lambda: (functional(lambda i: L.MultiHeadAttention(1, 2)(i, i), (4, 3)), sparse()),
    "reshape of logits": lambda: (seq(L.Dense(6), L.Reshape((2, 3))), sparse()),
    "soft cap": lambda: (functional(lambda i: 30.0 * ops.tanh(L.Dense(3)(i) / 30.0)), sparse()),
    "leaky relu": lambda: (seq(L.Dense(3), L.LeakyReLU(0.3)), sparse()),
    "dropout of logits": lambda: (seq(L.Dense(3), L.Dropout(0.5)), sparse()),
    "prior added": lambda: (functional(lambda i: L.Dense(3)(i) + np.log([0.7, 0.2, 0.1])), sparse()),
    "subclassed": lambda: (called(Plain(L.Dense(4), L.Dense(3))), sparse()),
    "subclassed around a model": lambda: (
        called(Plain(seq(L.Dense(4)), seq(L.Dense(3), shape=(4,)))),
        sparse(),
    ),
    "weights of one's own": lambda: (seq(Raw(3, lambda z: z)), sparse()),
    "own train step": lambda: (functional_of(Counting), sparse()),
    "timed": lambda: (seq(L.TimeDistributed(L.Dense(3)), shape=(4, 2)), sparse()),
    "recurrent mask": lambda: (masked(), sparse()),
    "einsum": lambda: (seq(L.EinsumDense("ab,bc->ac", 4)), sparse()),
    "no rival but one": lambda: (seq(L.Dense(2)), sparse(ignore_class=0)),
    "smoothed": lambda: (seq(L.Dense(4)), onehot(label_smoothing=0.2)),
    "class axis": lambda: (
        seq(L.Permute((2, 1)), L.Conv1D(3, 1), L.Permute((2, 1)), shape=(2, 5)),
        onehot(axis=1),
    ),
    "joint": lambda: (seq(L.Dense(8)), losses.JointCrossentropy()),
    "our brier": lambda: (seq(L.Dense(1)), losses.Brier()),
    "half": lambda: with_policy("mixed_float16", lambda: (seq(L.Dense(3)), sparse())),
    "brain": lambda: with_policy("mixed_bfloat16", lambda: (seq(L.Dense(3), L.Rescaling(0.5)), sparse())),
    "double": lambda: with_policy("float64", lambda: (seq(L.Dense(3)), sparse())),
    "own smoothing": lambda: (
        seq(L.Dense(3)),
        lambda y, z: S.categorical_crossentropy(y, z, from_logits=True, label_smoothing=0.1),
    ),
    "soft cap, softmax": lambda: (functional(lambda i: 10.0 * ops.tanh(L.Dense(3)(i) / 10.0)), sparse()),
    "soft cap, a formula that overflows": lambda: (
        functional(lambda i: 1 / (1 + ops.exp(-30.0 * ops.tanh(L.Dense(1)(i) / 30.0)))),
        "mse",
    ),
    "skipped for good": lambda: with_policy(
        "mixed_float16",
        lambda: (seq(L.Dense(1), L.Lambda(lambda z: 1 / (1 + ops.exp(-z)))), "mse"),
    ),
    "leaky relu, sigmoid, brain": lambda: with_policy(
        "mixed_bfloat16", lambda: (seq(L.Dense(1), L.LeakyReLU(0.5), L.Activation("sigmoid")), "mse")
    ),
    "regression": lambda: (seq(L.Dense(1)), "mse"),
    "mse of a sigmoid": lambda: (seq(L.Dense(1, activation="sigmoid")), "mse"),
}
RECOVERED: dict[str, Make] = {  # sound on TensorFlow alone
    "convolution, sigmoid": lambda: (
        seq(L.Conv2D(1, 1, activation="sigmoid"), shape=(4, 4, 2)),
        "binary_crossentropy",
    ),
    "pooled maps, softmax": lambda: (
        seq(L.Conv2D(3, 3), L.GlobalAveragePooling2D(), L.Softmax(), shape=(5, 5, 2)),
        "sparse_categorical_crossentropy",
    ),
    "temperature, softmax": lambda: (
        seq(L.Dense(3), L.Rescaling(0.5), L.Activation("softmax")),
        "categorical_crossentropy",
    ),
    "batch norm, softmax": lambda: (
        seq(L.Dense(3), L.BatchNormalization(), L.Softmax()),
        "sparse_categorical_crossentropy",
    ),
    "attention, softmax": lambda: (
        functional(lambda i: L.Softmax()(L.MultiHeadAttention(1, 2)(i, i)), (4, 3)),
        "sparse_categorical_crossentropy",
    ),
    "subclassed, softmax": lambda: (
        called(Plain(L.Dense(4), L.Dense(3, activation="softmax"))),
        "sparse_categorical_crossentropy",
    ),
    "subclassed, an operation": lambda: (
        called(Plain(L.Dense(4), L.Dense(1), ops.sigmoid)),
        "binary_crossentropy",
    ),
    "weights of one's own, sigmoid": lambda: (seq(Raw(1, keras.activations.sigmoid)), "binary_crossentropy"),
    "nested twice": lambda: (
        seq(seq(seq(L.Dense(3, activation="softmax")))),
        "sparse_categorical_crossentropy",
    ),
}
BROKEN: dict[str, Make] = {
    "reshape behind": lambda: (
        seq(L.Dense(6), L.Reshape((2, 3)), L.Softmax(), L.Reshape((2, 3))),
        "sparse_categorical_crossentropy",
    ),
    "dropout behind": lambda: (
        seq(L.Dense(3, activation="softmax"), L.Dropout(0.5)),
        "sparse_categorical_crossentropy",
    ),
    "clip behind": lambda: (
        functional(lambda i: ops.clip(L.Dense(3, activation="softmax")(i), 1e-6, 1 - 1e-6)),
        "categorical_crossentropy",
    ),
    "clipped logits": lambda: (functional(lambda i: ops.clip(L.Dense(3)(i), -10, 10)), sparse()),
    "clipped logits, softmax": lambda: (
        functional(lambda i: L.Softmax()(ops.clip(L.Dense(3)(i), -10, 10))),
        "sparse_categorical_crossentropy",
    ),
    "average of softmaxes": lambda: (
        functional(
            lambda i: L.Average()([L.Dense(3, activation="softmax")(i), L.Dense(3, activation="softmax")(i)])
        ),
        "sparse_categorical_crossentropy",
    ),
    "relu behind a reshape": lambda: (seq(L.Dense(6), L.Reshape((2, 3)), L.ReLU()), sparse()),
    "elu behind pooled maps": lambda: (
        seq(L.Conv2D(3, 3), L.GlobalAveragePooling2D(), L.ELU(), L.Softmax(), shape=(4, 4, 2)),
        "sparse_categorical_crossentropy",
    ),
    "relu logits": lambda: (seq(L.Dense(3, activation="relu")), sparse()),
    "tanh logits": lambda: (seq(L.Dense(1, activation="tanh")), binary()),
    "softmax twice": lambda: (
        seq(L.Dense(3, activation="softmax"), L.Softmax()),
        "sparse_categorical_crossentropy",
    ),
    "sigmoid, then softmax": lambda: (
        seq(L.Dense(3, activation="sigmoid"), L.Softmax()),
        "sparse_categorical_crossentropy",
    ),
    "softmax in a model, from logits": lambda: (
        seq(seq(L.Dense(3)), L.Lambda(lambda z: ops.exp(z) / ops.sum(ops.exp(z), -1, keepdims=True))),
        sparse(),
    ),
    "hard sigmoid": lambda: (seq(L.Dense(1, activation="hard_sigmoid")), "binary_crossentropy"),
    "one softmax": lambda: (seq(L.Dense(1, activation="softmax")), "binary_crossentropy"),
    "one softmax, hinge": lambda: (seq(L.Dense(1, activation="softmax")), "hinge"),
    "one softmax in its own layer": lambda: (seq(L.Dense(1), L.Softmax()), "mae"),
    "three softmax, binary": lambda: (seq(L.Dense(3, activation="softmax")), "binary_crossentropy"),
    "three sigmoids, categorical": lambda: (
        seq(L.Dense(3, activation="sigmoid")),
        "categorical_crossentropy",
    ),
    "no activation": lambda: (seq(L.Dense(3)), "sparse_categorical_crossentropy"),
    "no activation, map": lambda: (seq(L.Conv2D(1, 1), shape=(4, 4, 2)), "binary_crossentropy"),
    "own focal": lambda: (seq(L.Dense(1, activation="sigmoid")), own_focal),
    "categorical focal from logits": lambda: (
        seq(L.Dense(3)),
        S.CategoricalFocalCrossentropy(from_logits=True),
    ),
    "divergence": lambda: (seq(L.Dense(3), L.Softmax()), S.KLDivergence()),
    "own step, no activation": lambda: (functional_of(Counting), "sparse_categorical_crossentropy"),
    "own step": lambda: (functional_of(Halving), sparse()),
    "ours on probabilities": lambda: (
        seq(L.Dense(3, activation="softmax")),
        losses.CategoricalCrossentropy(),
    ),
    "half, softmax": lambda: with_policy(
        "mixed_float16", lambda: (seq(L.Dense(3, activation="softmax")), "sparse_categorical_crossentropy")
    ),
    "recurrent logits": lambda: (seq(L.LSTM(3), shape=(4, 2)), sparse()),
    "subclassed, relu": lambda: (called(Plain(L.Dense(4), L.Dense(3), ops.relu)), sparse()),
}
UNDECIDED: dict[str, Make] = {
    "own loss": lambda: (
        seq(L.Dense(1, activation="sigmoid")),
        lambda y, p: ops.mean(ops.square(ops.square(y - p)), axis=-1),
    ),
}


def functional_of(kind: type) -> keras.Model:
    i = keras.Input((3,))
    return kind(i, L.Dense(3)(i))


def masked() -> keras.Model:
    i = keras.Input((None,), dtype="int32")
    return keras.Model(i, L.Dense(5)(L.LSTM(2, return_sequences=True)(L.Embedding(9, 2, mask_zero=True)(i))))


def compiled(make: Make, **how: Any) -> keras.Model:
    model, loss = make()
    model.compile("adam", loss, **how)
    return model
