"""Small training programs, healthy and each with one fault of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck.diagnose import Data, Program

CLASSES, FEATURES = 3, 8


def blobs(n: int = 400, separation: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes in 8 dimensions, of unit variance, in random order."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, n)
    centres = separation * rng.normal(size=(CLASSES, FEATURES)) / np.sqrt(2)
    return (centres[y] + rng.normal(size=(n, FEATURES))).astype("float32"), y


def network(
    *hidden: keras.layers.Layer | int, outputs: int = CLASSES, inputs: Sequence[int] = (FEATURES,)
) -> keras.Model:
    """A Sequential model that ends in logits; a number stands for a layer of ReLU."""
    layers = [keras.layers.Dense(h, activation="relu") if isinstance(h, int) else h for h in hidden]
    return keras.Sequential([keras.Input(inputs), *layers, keras.layers.Dense(outputs)])


def program(
    model: keras.Model | None = None,
    data: tuple[np.ndarray, np.ndarray] | None = None,
    optimizer: Any = None,
    loss: Any = None,
    epochs: int = 20,
    **options: Any,
) -> Program:
    """A program on blobs, healthy but for what is told."""
    keras.utils.set_random_seed(0)
    model = model or network(16)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer or keras.optimizers.Adam(0.01), loss=loss or sparse)
    return Program(model, Data(*(data or blobs())), epochs=epochs, **options)


def images(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """The digits as images 0 … 16."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x[:n].reshape(-1, 8, 8, 1).astype("float32"), y[:n]


def texts(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of 12 of 50 symbols, some of which tell the class."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    x = rng.integers(10, 50, (n, 12))
    x[:, 3], x[:, 7] = y * 3 + rng.integers(0, 3, n), y * 3 + rng.integers(0, 3, n)
    return x, y


def convolutions() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 16),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def embedding() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            layers.Embedding(50, 8),
            layers.GlobalAveragePooling1D(),
            layers.Dense(8, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def normalised() -> keras.Model:
    """A perceptron with BatchNormalization and Dropout."""
    return network(
        keras.layers.Dense(32),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Dropout(0.3),
    )


HEALTHY: dict[str, Callable[[], Program]] = {
    "perceptron": program,
    "gradient descent": lambda: program(optimizer=keras.optimizers.SGD(0.1)),
    "unnormalised, trains well": lambda: program(data=scaled(*blobs(), 10, 30), epochs=60),
    "BatchNormalization and Dropout": lambda: program(normalised(), epochs=40),
    "images": lambda: program(convolutions(), images(), loss="sparse_categorical_crossentropy", epochs=30),
    "texts": lambda: program(embedding(), texts(), loss="binary_crossentropy", epochs=30),
    "sorted labels": lambda: program(data=in_order(*blobs())),
    "regression": lambda: program(network(16, outputs=1), regression(), loss="mse", epochs=40),
    "imbalanced": lambda: program(data=imbalanced()),
    "rare class, weighted": lambda: weighted(),
    "noise for labels": lambda: program(data=(blobs()[0], np.random.default_rng(1).integers(0, 3, 400))),
    "pretrained, low rate": lambda: pretrained(),
}


def pretrained() -> Program:
    """A fine-tuning: trained weights, a rate at which new ones would not learn."""
    first = program()
    first.model.fit(first.training.x, first.training.y, epochs=20, verbose=0)
    first.model.compile(keras.optimizers.Adam(1e-6), first.model.loss)
    return Program(first.model, first.training, epochs=3)


def scaled(x: np.ndarray, y: np.ndarray, factor: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    return (x * factor + shift).astype("float32"), y


def in_order(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x[np.argsort(y)], np.sort(y)


def regression() -> tuple[np.ndarray, np.ndarray]:
    x, _ = blobs()
    return x, (x @ np.linspace(-1, 1, FEATURES) + 3).astype("float32")[:, None]


def weighted() -> Program:
    """A rare class that is hard to tell, and counts for as much as the other."""
    rng = np.random.default_rng(5)
    y = (rng.random(2000) < 0.06).astype("float32")
    x = (rng.normal(size=(len(y), FEATURES)) + 0.9 * y[:, None] * (np.arange(FEATURES) < 2)).astype("float32")
    model = keras.Sequential(
        [keras.Input((FEATURES,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(1, "sigmoid")]
    )
    adam = keras.optimizers.Adam(1e-3)
    return program(model, (x, y), adam, "binary_crossentropy", class_weight={0: 0.53, 1: 8.3})


def imbalanced() -> tuple[np.ndarray, np.ndarray]:
    x, y = blobs(2000)
    kept = (y == 0) | (np.arange(len(y)) % 12 == 0)
    return x[kept], y[kept]


@keras.saving.register_keras_serializable(package="trials")
class Logarithm(keras.layers.Layer):
    """ln x, which is not finite for x ≤ 0."""

    def call(self, x: Any) -> Any:
        return keras.ops.log(x)


def deep(activation: str, depth: int = 10, **options: Any) -> keras.Model:
    return network(*(keras.layers.Dense(16, activation=activation, **options) for _ in range(depth)))


def lagging(momentum: float) -> keras.Model:
    return network(
        keras.layers.Dense(32), keras.layers.BatchNormalization(momentum=momentum), keras.layers.ReLU()
    )


def one_row_off() -> tuple[np.ndarray, np.ndarray]:
    x, y = blobs()
    return x, np.roll(y, 1)


FAULTY: dict[str, tuple[str, Callable[[], Program]]] = {
    "labels one row off": ("labels-follow-inputs", lambda: program(data=one_row_off())),
    "input lost": ("uses-its-input", lambda: program(network(keras.layers.Rescaling(0.0), 16))),
    "inputs of size 10⁵": (
        "inputs-scale",
        lambda: program(network(16, 16), scaled(*blobs(), 3e3, 1e5), keras.optimizers.SGD(0.1)),
    ),
    "Adam at 10": (
        "learning-rate-high",
        lambda: program(network(16, 16, 16), optimizer=keras.optimizers.Adam(10.0)),
    ),
    "gradient descent at 30": (
        "learning-rate-high",
        lambda: program(network(16, 16), optimizer=keras.optimizers.SGD(30.0)),
    ),
    "gradient descent at 1e-5": (
        "learning-rate-low",
        lambda: program(optimizer=keras.optimizers.SGD(1e-5)),
    ),
    "ten layers of sigmoid": (
        "vanishing-gradients",
        lambda: program(deep("sigmoid"), optimizer=keras.optimizers.SGD(0.1)),
    ),
    "large initial weights": (
        "exploding-gradients",
        lambda: program(
            deep("relu", 5, kernel_initializer=keras.initializers.RandomNormal(stddev=1.5)),
            optimizer=keras.optimizers.SGD(0.1),
        ),
    ),
    "biases at -100": (
        "dead-units",
        lambda: program(
            network(
                keras.layers.Dense(
                    16, activation="relu", bias_initializer=keras.initializers.Constant(-100.0)
                )
            )
        ),
    ),
    "averages that lag": (
        "modes-agree",
        lambda: program(lagging(0.9999), scaled(*blobs(), 5, 20), epochs=15),
    ),
    "logarithm of negative numbers": ("finite-numbers", lambda: program(network(Logarithm()))),
}


@keras.saving.register_keras_serializable(package="trials")
class WithoutLastClass(keras.layers.Layer):
    """Logits of which the last is −∞, as where a class is masked out."""

    def call(self, z: Any) -> Any:
        return keras.ops.where(keras.ops.arange(z.shape[-1]) == z.shape[-1] - 1, -np.inf, z)
