"""Small programs for the diagnosis: one with each fault that is decided exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

L = keras.layers
Given = tuple[keras.Model, dict[str, Any]]  # a model, and what `diagnose` is given beside it
K, D, N = 4, 6, 96


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def numbers(*inner: int, rows: int = N) -> np.ndarray:
    return rng().normal(size=(rows, *(inner or (D,)))).astype("float32")


def classes(*inner: int, k: int = K, rows: int = N) -> np.ndarray:
    return rng().integers(0, k, (rows, *inner)).astype("int32")


def one_hot(k: int = K) -> np.ndarray:
    return np.eye(k, dtype="float32")[classes(k=k)]


def several(k: int = K) -> np.ndarray:
    """Labels of which each row has any number."""
    return (rng().random((N, k)) < 0.5).astype("float32")


def yes_or_no() -> np.ndarray:
    return classes(k=2).astype("float32")


def network(*head: keras.Layer, loss: Any, hidden: str = "relu", **compiling: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((D,)), L.Dense(8, activation=hidden), *head])
    model.compile("adam", loss, **compiling)
    return model


def with_softmax(loss: Any = "sparse_categorical_crossentropy", k: int = K, **compiling: Any) -> keras.Model:
    return network(L.Dense(k, activation="softmax"), loss=loss, **compiling)


def with_logits(loss: Any = None, k: int = K, **compiling: Any) -> keras.Model:
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return network(L.Dense(k), loss=loss, **compiling)


def with_sigmoids(k: int = 1, loss: Any = "binary_crossentropy", **compiling: Any) -> keras.Model:
    return network(L.Dense(k, activation="sigmoid"), loss=loss, **compiling)


def given(model: keras.Model, y: Any, x: Any = None, **more: Any) -> Given:
    return model, {"x": numbers() if x is None else x, "y": y, **more}


class Squares(keras.losses.Loss):
    """Squared errors of labels and predictions that nothing brings to one rank."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.square(y_true - y_pred)


def stacked(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.mean(keras.ops.abs(keras.ops.stack([y_true, y_pred])), axis=(0, -1))


# --- labels -----------------------------------------------------------------------------------------------

BINARY_FROM_LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)

# name: (check, the program, whether a repair of it is tried and mends it)
LABELS: dict[str, tuple[str, Callable[[], Given], bool]] = {
    "1 … K": ("labels-in-range", lambda: given(with_softmax(), classes() + 1), True),
    "padding of −1": (
        "labels-in-range",
        lambda: given(with_softmax(), np.where(classes() == 0, -1, classes())),
        True,
    ),
    "void of 255": (
        "labels-in-range",
        lambda: given(with_softmax(), np.where(numbers()[:, 0] > 1, 255, classes())),
        True,
    ),
    "far apart": ("labels-in-range", lambda: given(with_softmax(), classes() * 7), True),
    "more classes than units": ("labels-units", lambda: given(with_softmax(k=3), classes(k=10)), True),
    "ten classes on one sigmoid": ("labels-units", lambda: given(with_sigmoids(), classes(k=10)), True),
    "columns of another number": (
        "labels-units",
        lambda: given(with_softmax("categorical_crossentropy", k=3), one_hot()),
        True,
    ),
    "two columns on one sigmoid": ("labels-units", lambda: given(with_sigmoids(), one_hot(2)), True),
    "class numbers on one logit": (
        "labels-units",
        lambda: given(with_logits("sparse_categorical_crossentropy", k=1), classes(k=2)),
        True,
    ),
    "numbers to columns": (
        "labels-form",
        lambda: given(with_softmax("categorical_crossentropy"), classes()),
        True,
    ),
    "numbers in a column to columns": (
        "labels-form",
        lambda: given(with_softmax("categorical_focal_crossentropy"), classes(1)),
        True,
    ),
    "numbers to K sigmoids": ("labels-form", lambda: given(with_sigmoids(K), classes(1)), True),
    "columns to numbers": ("labels-form", lambda: given(with_softmax(), one_hot()), True),
    "numbers with a point": ("labels-form", lambda: given(with_softmax(), numbers()[:, 0]), False),
    "squares of class numbers": (
        "labels-form",
        lambda: given(with_softmax("mean_squared_error"), classes(1)),
        False,
    ),
    "a regression of one column on several": (
        "labels-form",
        lambda: given(with_logits("mean_squared_error"), numbers()[:, :1]),
        False,
    ),
    "several with a softmax": (
        "labels-one-of-many",
        lambda: given(with_softmax("categorical_crossentropy"), several()),
        True,
    ),
    "−1 and 1": ("labels-in-range", lambda: given(with_sigmoids(), yes_or_no() * 2 - 1), True),
    "0 and 255": ("labels-in-range", lambda: given(with_sigmoids(), yes_or_no() * 255), True),
    "0 … 255": (
        "labels-in-range",
        lambda: given(with_sigmoids(K), rng().integers(0, 256, (N, K)).astype("uint8")),
        True,
    ),
    "1 and 2": (
        "labels-in-range",
        lambda: given(with_logits(BINARY_FROM_LOGITS, k=1), yes_or_no() + 1),
        True,
    ),
    "NaN": (
        "labels-are-finite",
        lambda: given(with_sigmoids(), np.where(yes_or_no() == 1, np.nan, 0.0)),
        False,
    ),
    "each with every other": (
        "loss-computes",
        lambda: given(with_sigmoids(loss=Squares()), yes_or_no()),
        False,
    ),
    "a loss of its own that refuses": (
        "loss-computes",
        lambda: given(with_sigmoids(K, loss=stacked), several()[:, :2]),
        False,
    ),
    "a loss that is not finite": (
        "loss-computes",
        lambda: given(with_logits(lambda y, p: keras.ops.sqrt(p - 100), k=1), yes_or_no()),
        False,
    ),
    "texts": ("labels-are-numbers", lambda: given(with_softmax(), np.array(list("abcd"))[classes()]), True),
}


# --- head -------------------------------------------------------------------------------------------------


def conv_head(*head: keras.Layer, loss: Any = "sparse_categorical_crossentropy") -> keras.Model:
    model = keras.Sequential(
        [keras.Input((6, 6, 2)), L.Conv2D(4, 3, padding="same", activation="relu"), *head]
    )
    model.compile("adam", loss)
    return model


def on_pixels(model: keras.Model, k: int) -> Given:
    return given(model, classes(6, 6, k=k, rows=16), numbers(6, 6, 2, rows=16))


HEAD: dict[str, tuple[str, Callable[[], Given], bool]] = {
    "logits for probabilities": (
        "head-fits-loss",
        lambda: given(with_logits("sparse_categorical_crossentropy", metrics=["accuracy"]), classes()),
        True,
    ),
    "a logit for a probability": (
        "head-fits-loss",
        lambda: given(with_logits("binary_crossentropy", k=1, metrics=["accuracy"]), yes_or_no()),
        True,
    ),
    "softmax over one": (
        "head-fits-loss",
        lambda: given(with_softmax("binary_crossentropy", k=1, metrics=["accuracy"]), yes_or_no()),
        True,
    ),
    "softmax over one under squares": (
        "head-fits-loss",
        lambda: given(with_softmax("mean_squared_error", k=1), yes_or_no()),
        True,
    ),
    "softmax over one under a hinge": (
        "head-fits-loss",
        lambda: given(with_softmax("hinge", k=1), yes_or_no() * 2 - 1),
        False,
    ),
    "ReLU between": (
        "head-fits-loss",
        lambda: given(
            network(L.Dense(K, activation="relu"), L.Softmax(), loss="sparse_categorical_crossentropy"),
            classes(),
        ),
        False,
    ),
    "ReLU for a sigmoid": (
        "head-fits-loss",
        lambda: given(network(L.Dense(1, activation="relu"), loss="binary_crossentropy"), yes_or_no()),
        False,
    ),
    "logits of a convolution": ("head-fits-loss", lambda: on_pixels(conv_head(L.Conv2D(3, 1)), 3), True),
    "softmax over one channel": (
        "head-fits-loss",
        lambda: on_pixels(conv_head(L.Conv2D(1, 1, activation="softmax"), loss="binary_crossentropy"), 2),
        True,
    ),
}

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
