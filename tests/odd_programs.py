"""Healthy programs that look odd: nothing is wrong with any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from diagnosed_faults import embedding, on_positions, sorted_rows, two_outputs
from diagnosed_programs import (
    BINARY_FROM_LOGITS,
    Given,
    K,
    L,
    N,
    classes,
    conv_head,
    given,
    network,
    numbers,
    on_pixels,
    one_hot,
    rng,
    several,
    with_logits,
    with_sigmoids,
    with_softmax,
    yes_or_no,
)

from crosscheck import losses


def autoencoder(loss: str, activation: str) -> keras.Model:
    return network(L.Dense(6, activation=activation), loss=loss)


def soft() -> np.ndarray:
    return rng().dirichlet(np.ones(K), N).astype("float32")


def ranks() -> np.ndarray:
    """Class numbers as K − 1 answers to "is it above k?"."""
    return (classes()[:, None] > np.arange(K - 1)).astype("float32")


def from_dictionary() -> keras.Model:
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    out = L.Dense(K, activation="softmax")(L.Dense(8, activation="relu")(L.Concatenate()([a, b])))
    model = keras.Model({"a": a, "b": b}, out)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class OwnModel(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = L.Dense(8, activation="relu"), L.Dense(K)

    def call(self, x: Any) -> Any:
        return self.head(self.hidden(x))


def subclassed() -> keras.Model:
    model = OwnModel()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def unbuilt() -> keras.Model:
    model = keras.Sequential([L.Dense(8, activation="relu"), L.Dense(K, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def zero_head() -> keras.Model:
    return network(
        L.Dense(K, activation="softmax", kernel_initializer="zeros"), loss="sparse_categorical_crossentropy"
    )


def warm_up() -> keras.Model:
    model = with_softmax()
    rate = keras.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=1e-3, warmup_steps=10)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


IMAGES = rng().integers(0, 256, (16, 6, 6, 2)).astype("uint8")
SMOOTHED = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
IGNORING = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
TABLE = np.random.default_rng(0).integers(0, 2, (N, 6)).astype("float32")  # rows that repeat by nature


def without_column(loss: Any) -> keras.Model:
    """One number an example, without an axis of its own."""
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.ops.squeeze(L.Dense(1)(L.Dense(8, "relu")(inputs)), -1))
    model.compile("adam", loss)
    return model


HEALTHY: dict[str, Callable[[], Given]] = {
    "softmax": lambda: given(with_softmax(metrics=["accuracy"]), classes()),
    "logits": lambda: given(with_logits(metrics=["accuracy"]), classes()),
    "column of class numbers": lambda: given(with_softmax(metrics=["accuracy"]), classes(1)),
    "one-hot": lambda: given(with_softmax("categorical_crossentropy", metrics=["accuracy"]), one_hot()),
    "the alias": lambda: given(with_softmax("crossentropy"), classes()),
    "the alias, one-hot": lambda: given(with_softmax("crossentropy"), one_hot()),
    "sigmoid": lambda: given(with_sigmoids(metrics=["accuracy", keras.metrics.AUC()]), yes_or_no()),
    "booleans": lambda: given(with_sigmoids(), yes_or_no() == 1),
    "a logit": lambda: given(
        with_logits(BINARY_FROM_LOGITS, k=1, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)]),
        yes_or_no(),
    ),
    "several labels": lambda: given(with_sigmoids(K, metrics=["binary_accuracy"]), several()),
    "exclusive labels on sigmoids": lambda: given(with_sigmoids(K, metrics=["accuracy"]), one_hot()),
    "two-unit softmax": lambda: given(with_softmax(k=2, metrics=["accuracy"]), classes(k=2)),
    "ranks": lambda: given(with_sigmoids(K - 1, metrics=["binary_accuracy"]), ranks()),
    "soft labels": lambda: given(with_softmax("categorical_crossentropy", metrics=["accuracy"]), soft()),
    "label smoothing": lambda: given(with_softmax(SMOOTHED), one_hot()),
    "ignored class": lambda: given(with_logits(IGNORING), np.where(classes() == 0, -1, classes())),
    "fewer classes than units": lambda: given(with_softmax(k=9), classes()),
    "one class alone": lambda: given(with_sigmoids(), np.ones(N, "float32")),
    "one class alone of many": lambda: given(with_softmax(), np.full(N, 2)),
    "tiny": lambda: given(with_softmax(k=2), np.array([0, 1, 1, 0]), numbers(rows=4)),
    "one row": lambda: given(with_softmax(), classes(rows=1), numbers(rows=1)),
    "imbalance": lambda: given(with_sigmoids(), (np.arange(N) == 5).astype("float32")),
    "unnormalised": lambda: given(with_softmax(), classes(), numbers() * 1000 + 500),
    "integers in x": lambda: given(with_softmax(), classes(), classes(6, k=256)),
    "sorted on purpose": lambda: given(with_softmax(), sorted_rows()[1], sorted_rows()[0], shuffle=False),
    "shuffled, and split": lambda: given(with_softmax(), classes(), validation_split=0.25),
    "rows that repeat": lambda: given(
        with_softmax(), classes(), TABLE, validation_data=(TABLE[:40], classes(rows=40))
    ),
    "weights of classes": lambda: given(
        with_softmax(), classes(), class_weight={c: 1.0 + c for c in range(K)}
    ),
    "one class weighted": lambda: given(with_sigmoids(), yes_or_no(), class_weight={1: 10.0}),
    "weights of rows, many 0": lambda: given(with_softmax(), classes(), sample_weight=yes_or_no()),
    "pixels": lambda: on_pixels(conv_head(L.Conv2D(3, 1, activation="softmax")), 3),
    "images of 0 … 255": lambda: given(
        conv_head(L.Rescaling(1 / 255), L.Flatten(), L.Dense(K, activation="softmax")),
        classes(rows=16),
        IMAGES,
    ),
    "positions": lambda: given(on_positions(), classes(5), numbers(5, 6)),
    "words": lambda: given(embedding(), classes(), classes(5, k=10)),
    "two outputs": lambda: given(two_outputs(), [classes(), numbers()[:, :1]]),
    "two outputs by name": lambda: given(two_outputs(), {"a": classes(), "b": numbers()[:, 0]}),
    "a dictionary": lambda: given(from_dictionary(), classes(), {"a": numbers(3), "b": numbers(2)}),
    "subclassed": lambda: given(subclassed(), classes()),
    "not built": lambda: given(unbuilt(), classes()),
    "ours": lambda: given(network(L.Dense(K), loss=losses.CategoricalCrossentropy()), one_hot()),
    "logistic regression": lambda: given(linear_model(), classes()),
    "a bottleneck": lambda: given(keras_bottleneck(), classes()),
    "zero head": lambda: given(zero_head(), classes()),
    "activations as operations": lambda: given(by_operations(), classes()),
    "a way around": lambda: given(with_skip(), classes()),
    "a call of its own": lambda: given(with_own_call(), classes()),
    "accuracy of shares under squared errors": lambda: given(
        with_logits("mean_squared_error", metrics=["accuracy"]), soft()
    ),
    "accuracy of classes as −1 and 1": lambda: given(
        with_logits("mean_squared_error", metrics=["accuracy"]), one_hot() * 2 - 1
    ),
    "warm-up": lambda: given(warm_up(), classes()),
    "regression": lambda: given(with_logits("mean_squared_error", k=1, metrics=["mae"]), numbers()[:, 0]),
    "counts under a ReLU": lambda: given(
        network(L.Dense(1, activation="relu"), loss="mse"), np.abs(numbers()[:, :1])
    ),
    "few targets beyond a tanh": lambda: given(
        network(L.Dense(1, activation="tanh"), loss="mse"), 0.5 * numbers()[:, :1]
    ),
    "outliers under a ReLU": lambda: given(
        network(L.Dense(1, activation="relu"), loss="mae"),
        np.where(np.arange(N)[:, None] % 48 == 7, -40, np.abs(numbers()[:, :1])),
    ),
    "rounded beyond 1": lambda: given(with_sigmoids(), yes_or_no() * (1 + 1e-6)),
    "a probability with noise": lambda: given(
        with_sigmoids(loss="mse"), yes_or_no() + 0.01 * numbers()[:, 0]
    ),
    "an output [N]": lambda: given(without_column("mse"), numbers()[:, 0]),
    "an output [N] of yes or no": lambda: given(without_column(BINARY_FROM_LOGITS), yes_or_no()),
    "regression of several": lambda: given(with_logits("mean_squared_error"), numbers(K)),
    "autoencoder": lambda: given(autoencoder("mean_squared_error", "linear"), numbers()),
    "autoencoder of grey": lambda: given(
        autoencoder("binary_crossentropy", "sigmoid"), np.abs(np.tanh(numbers()))
    ),
    "a penalty alone": lambda: given(penalised(), None),
    "0 and 1 on sigmoids under a hinge": lambda: given(with_sigmoids(loss="hinge"), yes_or_no()),
    "counts": lambda: given(network(L.Dense(1, activation="softplus"), loss="poisson"), classes(1)),
    "missing targets as −999": lambda: given(
        with_logits("mean_squared_error", k=1), np.where(np.arange(N) % 17 == 3, -999, numbers()[:, 0])
    ),
    "one number below 0 under logarithms": lambda: given(
        with_logits("msle", k=1), np.where(np.arange(N) == 3, -0.1, np.abs(numbers()[:, 0]))
    ),
    "few rows of two classes in any order, split": lambda: given(
        with_softmax(k=2), classes(k=2, rows=31), numbers(rows=31), validation_split=0.2
    ),
    "a hinge": lambda: given(network(L.Dense(1, activation="tanh"), loss="hinge"), yes_or_no() * 2 - 1),
}


class Penalty(L.Layer):
    def call(self, x: Any) -> Any:
        self.add_loss(keras.ops.mean(keras.ops.square(x)))
        return x


def penalised() -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), L.Dense(3), Penalty()])
    model.compile("adam")
    return model


def linear_model() -> keras.Model:
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(K, activation="softmax", kernel_initializer="zeros")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def keras_bottleneck() -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), L.Dense(2), L.Dense(K, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def by_operations() -> keras.Model:
    """Dense layers that are linear by themselves, with a ReLU between them that is no layer."""
    inputs = keras.Input((6,))
    outputs = L.Dense(K, activation="softmax")(keras.ops.relu(L.Dense(8)(inputs)))
    return compiled(keras.Model(inputs, outputs))


def with_skip() -> keras.Model:
    """Equal weights before and behind, and a way around that tells the units apart after a step."""
    alike = keras.initializers.Constant(0.1)
    inputs = keras.Input((6,))
    within = L.Dense(6, activation="tanh", kernel_initializer=alike)(inputs)
    head = L.Dense(K, activation="softmax", kernel_initializer=alike)
    return compiled(keras.Model(inputs, head(L.Add()([within, inputs]))))


class Squared(keras.Sequential):
    """Linear layers one behind the other, and a call that is not."""

    def call(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        hidden, head = self.layers
        return head(keras.ops.square(hidden(x)))


def with_own_call() -> keras.Model:
    return compiled(Squared([keras.Input((6,)), L.Dense(8), L.Dense(K, activation="softmax")]))


def compiled(model: keras.Model) -> keras.Model:
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
