"""Small programs for the diagnosis: the exact faults of labels and heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from crosscheck.diagnose import Findings, diagnose

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


def both(*names: str) -> Any:
    """Labels of two outputs."""
    y = yes_or_no()[:, None]
    return dict.fromkeys(names, y) if names else [y, y]


def diagnosed(program: Given) -> Findings:
    """What the exact checks find."""
    model, arguments = program
    return diagnose(model, **arguments, seconds=0)


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


class MeanOfSquares(Squares):
    """The same, averaged to a value a row, so that no shape tells it."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(super().call(y_true, y_pred), -1)


def of_flat_labels(y_true: Any, y_pred: Any) -> Any:
    """Takes the labels' last axis off, and leaves that of the predictions."""
    return keras.ops.mean(keras.ops.square(keras.ops.reshape(y_true, (-1,)) - y_pred), -1)


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
    "below a ReLU": (
        "labels-in-range",
        lambda: given(network(L.Dense(1, activation="relu"), loss="mse"), numbers()[:, :1]),
        True,
    ),
    "beyond a tanh": (
        "labels-in-range",
        lambda: given(network(L.Dense(1), L.Activation("tanh"), loss="huber"), 5 * numbers()[:, :1]),
        True,
    ),
    "−1 and 1": ("labels-in-range", lambda: given(with_sigmoids(), yes_or_no() * 2 - 1), True),
    "−1 and 1 under a hinge": (
        "labels-in-range",
        lambda: given(with_sigmoids(loss="hinge"), yes_or_no() * 2 - 1),
        True,
    ),
    "negative counts": (
        "labels-in-range",
        lambda: given(network(L.Dense(1, activation="softplus"), loss="poisson"), numbers()[:, :1]),
        False,
    ),
    "logarithms of negative numbers": (
        "labels-in-range",
        lambda: given(with_logits(keras.losses.MeanSquaredLogarithmicError(), k=1), numbers()[:, :1]),
        False,
    ),
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
    "each with every other, summed": (
        "loss-computes",
        lambda: given(with_sigmoids(loss=MeanOfSquares()), yes_or_no()),
        False,
    ),
    "each with every other, by a function": (
        "loss-computes",
        lambda: given(with_sigmoids(loss=of_flat_labels), yes_or_no()),
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
    "dropout on the logits": (
        "head-fits-loss",
        lambda: given(
            network(L.Dense(K), L.Dropout(0.5), L.Softmax(), loss="sparse_categorical_crossentropy"),
            classes(),
        ),
        False,
    ),
    "dropout on the probabilities": (
        "head-fits-loss",
        lambda: given(
            network(L.Dense(1, activation="sigmoid"), L.Dropout(0.5), loss="binary_crossentropy"),
            yes_or_no(),
        ),
        False,
    ),
    "logits of a convolution": ("head-fits-loss", lambda: on_pixels(conv_head(L.Conv2D(3, 1)), 3), True),
    "softmax over one channel": (
        "head-fits-loss",
        lambda: on_pixels(conv_head(L.Conv2D(1, 1, activation="softmax"), loss="binary_crossentropy"), 2),
        True,
    ),
}
