"""The exact faults of weights, metrics, inputs, splits, layers and arguments; and all of them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from diagnosed_programs import (
    BINARY_FROM_LOGITS,
    HEAD,
    LABELS,
    D,
    Given,
    K,
    L,
    N,
    classes,
    given,
    network,
    numbers,
    one_hot,
    several,
    with_logits,
    with_sigmoids,
    with_softmax,
    yes_or_no,
)

# --- weights ----------------------------------------------------------------------------------------------


def two_outputs(**compiling: Any) -> keras.Model:
    x = keras.Input((D,))
    model = keras.Model(x, [L.Dense(K, activation="softmax", name="a")(x), L.Dense(1, name="b")(x)])
    losses = {"a": "sparse_categorical_crossentropy", "b": "mean_squared_error"}
    model.compile("adam", compiling.pop("loss", losses), **compiling)
    return model


def on_positions() -> keras.Model:
    model = keras.Sequential([keras.Input((5, D)), L.Dense(K, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


WEIGHTS: dict[str, tuple[str, Callable[[], Given], bool]] = {
    "keys from 1": (
        "class-weight",
        lambda: given(with_softmax(), classes(), class_weight={c + 1: 1.0 + c for c in range(K)}),
        False,
    ),
    "texts as keys": (
        "class-weight",
        lambda: given(with_softmax(), classes(), class_weight={str(c): 2.0 for c in range(K)}),
        False,
    ),
    "a class left out": (
        "class-weight",
        lambda: given(with_softmax(), classes(), class_weight={0: 5.0, 1: 3.0, 2: 2.0}),
        False,
    ),
    "of several labels": (
        "class-weight",
        lambda: given(with_sigmoids(K), several(), class_weight={c: 1.0 + c for c in range(K)}),
        False,
    ),
    "of positions": (
        "class-weight",
        lambda: given(on_positions(), classes(5), numbers(5, D), class_weight={c: 1.0 + c for c in range(K)}),
        False,
    ),
    "of two outputs": (
        "class-weight",
        lambda: given(two_outputs(), [classes(), numbers()[:, :1]], class_weight={0: 1.0, 1: 2.0}),
        False,
    ),
    "negative": (
        "sample-weight",
        lambda: given(with_softmax(), classes(), sample_weight=numbers()[:, 0]),
        False,
    ),
    "all zero": ("sample-weight", lambda: given(with_softmax(), classes(), sample_weight=np.zeros(N)), False),
    "NaN among them": (
        "sample-weight",
        lambda: given(with_softmax(), classes(), sample_weight=np.where(classes() > 0, 1, np.nan)),
        False,
    ),
}

# --- metrics ----------------------------------------------------------------------------------------------

METRICS: dict[str, tuple[str, Callable[[], Given], bool]] = {
    "accuracy of several labels": (
        "metric-fits-problem",
        lambda: given(with_sigmoids(K, metrics=["accuracy"]), several()),
        False,
    ),
    "½ on a logit": (
        "metric-fits-problem",
        lambda: given(with_logits(BINARY_FROM_LOGITS, k=1, metrics=["accuracy"]), yes_or_no()),
        False,
    ),
    "½ on K logits": (
        "metric-fits-problem",
        lambda: given(with_logits(BINARY_FROM_LOGITS, metrics=["binary_accuracy"]), several()),
        False,
    ),
    "0 on a probability": (
        "metric-fits-problem",
        lambda: given(with_sigmoids(metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)]), yes_or_no()),
        False,
    ),
    "binary accuracy of K classes": (
        "metric-fits-problem",
        lambda: given(with_softmax("categorical_crossentropy", metrics=["binary_accuracy"]), one_hot()),
        False,
    ),
    "equality": (
        "metric-fits-problem",
        lambda: given(with_sigmoids(metrics=[keras.metrics.Accuracy()]), yes_or_no()),
        False,
    ),
    "area on a logit": (
        "metric-fits-problem",
        lambda: given(with_logits(BINARY_FROM_LOGITS, k=1, metrics=[keras.metrics.AUC()]), yes_or_no()),
        False,
    ),
    "precision on a logit": (
        "metric-fits-problem",
        lambda: given(with_logits(BINARY_FROM_LOGITS, k=1, metrics=[keras.metrics.Precision()]), yes_or_no()),
        False,
    ),
    "accuracy of numbers": (
        "metric-fits-problem",
        lambda: given(with_logits("mean_squared_error", k=1, metrics=["accuracy"]), numbers()[:, 0]),
        False,
    ),
    "accuracy of rows of numbers": (
        "metric-fits-problem",
        lambda: given(with_logits("huber", k=D, metrics=["accuracy"]), numbers()),
        False,
    ),
}

# --- inputs, splits, layers, arguments --------------------------------------------------------------------


def with_nan() -> np.ndarray:
    x = numbers()
    x[7, 2] = np.nan
    return x


def sorted_rows() -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(classes(), kind="stable")
    return numbers()[order], classes()[order]


def embedding(size: int = 10) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((5,)), L.Embedding(size, 4), L.Flatten(), L.Dense(K, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def frozen() -> keras.Model:
    model = with_softmax()
    model.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def constant(value: float) -> keras.Model:
    start = {"kernel_initializer": keras.initializers.Constant(value)}
    model = keras.Sequential(
        [keras.Input((D,)), L.Dense(8, activation="relu", **start), L.Dense(K, activation="softmax", **start)]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def chain(*, hidden: str = "linear", start: Any = "glorot_uniform") -> keras.Model:
    """A functional model of one layer behind the other."""
    inputs = keras.Input((D,))
    within = L.Dense(8, activation=hidden, kernel_initializer=start)(inputs)
    model = keras.Model(inputs, L.Dense(K, activation="softmax", kernel_initializer=start)(within))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def of_words_and_numbers() -> keras.Model:
    """Equal units behind an embedding, beside others, through a normalisation, into an equal head."""
    start = keras.initializers.Constant(0.05)
    a, b = keras.Input((5,), name="a"), keras.Input((D,), name="b")
    x = L.Concatenate()([L.LSTM(4)(L.Embedding(10, 4)(a)), L.Dense(3)(b)])
    x = L.Activation("tanh")(L.BatchNormalization()(L.Dense(8, kernel_initializer=start)(x)))
    x = L.Concatenate()([L.Dense(3, activation="tanh")(b), x])
    outputs = L.Dense(K, activation="softmax", kernel_initializer=start)(x)
    model = keras.Model([a, b], outputs)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def words() -> tuple[np.ndarray, list[np.ndarray]]:
    """Labels, and a text and numbers in each row."""
    return classes(), [classes(5, k=10), numbers()]


def without_channels() -> keras.Model:
    """A convolution that is built by its first images, which have no channels."""
    model = keras.Sequential([L.Conv2D(4, 3), L.Flatten(), L.Dense(K, activation="softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def at_rate(rate: float) -> keras.Model:
    model = with_softmax()
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    return model


def softmax_along(axis: int) -> keras.Model:
    model = keras.Sequential([keras.Input((5, D)), L.Dense(K), L.Softmax(axis=axis)])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def stateful() -> keras.Model:
    model = keras.Sequential(
        [keras.Input((5, 2), batch_size=8), L.LSTM(4, stateful=True), L.Dense(K, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


OTHERS: dict[str, tuple[str, Callable[[], Given], bool]] = {
    "NaN in x": ("inputs-are-finite", lambda: given(with_softmax(), classes(), with_nan()), False),
    "the same rows": (
        "inputs-vary",
        lambda: given(with_softmax(), classes(), np.ones((N, D), "float32")),
        False,
    ),
    "another width": ("inputs-accepted", lambda: given(with_softmax(), classes(), numbers(D + 1)), False),
    "fewer labels": ("as-many-labels", lambda: given(with_softmax(), classes()[:-1]), False),
    "a word too many": (
        "inputs-in-vocabulary",
        lambda: given(embedding(), classes(), classes(5, k=12)),
        False,
    ),
    "sorted, and split": (
        "validation-split",
        lambda: given(with_softmax(), sorted_rows()[1], sorted_rows()[0], validation_split=0.25),
        False,
    ),
    "few sorted rows, smoothed, and split": (
        "validation-split",
        lambda: given(
            with_softmax("categorical_crossentropy", k=2),
            0.95 * np.eye(2, dtype="float32")[np.arange(43) // 22] + 0.025,
            numbers(rows=43),
            validation_split=0.2,
        ),
        False,
    ),
    "validated on the training": (
        "validation-is-apart",
        lambda: given(with_softmax(), classes(), validation_data=(numbers(), classes())),
        False,
    ),
    "stateful, and shuffled": (
        "order",
        lambda: given(stateful(), classes(), numbers(5, 2), batch_size=8),
        False,
    ),
    "frozen": ("weights-are-trained", lambda: given(frozen(), classes()), False),
    "zeros": ("units-differ", lambda: given(constant(0.0), classes()), False),
    "all alike": ("units-differ", lambda: given(constant(0.1), classes()), False),
    "linear": (
        "hidden-layers-count",
        lambda: given(
            network(
                L.Dense(K, activation="softmax"), hidden="linear", loss="sparse_categorical_crossentropy"
            ),
            classes(),
        ),
        False,
    ),
    "linear, functional": ("hidden-layers-count", lambda: given(chain(), classes()), False),
    "all alike, functional": (
        "units-differ",
        lambda: given(chain(hidden="tanh", start=keras.initializers.Constant(0.1)), classes()),
        False,
    ),
    "all alike, behind two inputs": ("units-differ", lambda: given(of_words_and_numbers(), *words()), False),
    "images without channels": (
        "inputs-accepted",
        lambda: given(without_channels(), one_hot(), numbers(8, 8)),
        False,
    ),
    "softmax along positions": (
        "softmax-axis",
        lambda: given(softmax_along(1), classes(5), numbers(5, D)),
        False,
    ),
    "softmax along rows": (
        "softmax-axis",
        lambda: given(softmax_along(0), classes(5), numbers(5, D)),
        False,
    ),
    "no rate": ("learning-rate", lambda: given(at_rate(0.0), classes()), False),
    "no epoch": ("epochs", lambda: given(with_softmax(), classes(), epochs=0), False),
    "no epoch more": ("epochs", lambda: given(with_softmax(), classes(), epochs=5, initial_epoch=5), False),
    "no loss": ("loss-is-given", lambda: given(network(L.Dense(K), loss=None), classes()), False),
    "a metric of no output": (
        "names-of-outputs",
        lambda: given(two_outputs(metrics={"c": ["mae"]}), [classes(), numbers()[:, :1]]),
        False,
    ),
}
FAULTS = {
    f"{room}: {name}": case
    for room, cases in {
        "labels": LABELS,
        "head": HEAD,
        "weights": WEIGHTS,
        "metrics": METRICS,
        "others": OTHERS,
    }.items()
    for name, case in cases.items()
}
