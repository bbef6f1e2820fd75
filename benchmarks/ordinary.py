"""Fifteen models as people have them: tables, images, text, sequences, attention, embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

layers = keras.layers
WORDS, CLASSES = 500, 10


def chained(*parts: Any) -> keras.Model:
    return keras.Sequential([keras.Input(parts[0], dtype=parts[1]), *parts[2:], layers.Dense(CLASSES)])


def table(*hidden: Any) -> keras.Model:
    return chained((50,), "float32", *hidden)


def image(*body: Any) -> keras.Model:
    return chained((16, 16, 3), "float32", *body, layers.Flatten())


def text(*body: Any) -> keras.Model:
    return chained((40,), "int32", layers.Embedding(WORDS, 16), *body)


def series(*body: Any) -> keras.Model:
    return chained((32, 8), "float32", *body)


def residual() -> keras.Model:
    inputs = keras.Input((50,))
    x = layers.Dense(64, "relu")(inputs)
    for _ in range(2):
        x = layers.Add()([x, layers.Dense(64, "relu")(layers.LayerNormalization()(x))])
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def attention(inputs: Any, x: Any) -> keras.Model:
    x = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 8)(x, x)]))
    x = layers.Add()([x, layers.Dense(16)(layers.Dense(32, "gelu")(x))])
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x)))


def attention_on_text() -> keras.Model:
    inputs = keras.Input((40,), dtype="int32")
    return attention(inputs, layers.Embedding(WORDS, 16)(inputs))


def attention_on_series() -> keras.Model:
    inputs = keras.Input((32, 8))
    return attention(inputs, layers.Dense(16)(inputs))


MODELS: dict[str, Callable[[], keras.Model]] = {
    "linear": lambda: table(),
    "perceptron": lambda: table(layers.Dense(64, "relu"), layers.Dense(64, "relu")),
    "deep perceptron": lambda: table(*(layers.Dense(64, "relu") for _ in range(5))),
    "batch normalisation": lambda: table(layers.Dense(64), layers.BatchNormalization(), layers.ReLU()),
    "dropout": lambda: table(layers.Dense(128, "relu"), layers.Dropout(0.5), layers.Dense(64, "relu")),
    "residual": residual,
    "convolutions": lambda: image(
        layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(16, 3, activation="relu")
    ),
    "convolutions, normalised": lambda: image(
        layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU(), layers.GlobalAveragePooling2D()
    ),
    "separable convolutions": lambda: image(layers.SeparableConv2D(16, 3, activation="relu")),
    "bag of words": lambda: text(layers.GlobalAveragePooling1D(), layers.Dense(32, "relu")),
    "text convolution": lambda: text(layers.Conv1D(32, 5, activation="relu"), layers.GlobalMaxPooling1D()),
    "LSTM": lambda: series(layers.LSTM(32)),
    "GRU on text": lambda: text(layers.GRU(16)),
    "attention on text": attention_on_text,
    "attention on series": attention_on_series,
}


def examples(model: keras.Model, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and labels of the kind that the model takes."""
    rng, shape = np.random.default_rng(0), (count, *model.input_shape[1:])
    tokens = model.inputs[0].dtype == "int32"
    x = rng.integers(0, WORDS, shape).astype("int32") if tokens else rng.normal(size=shape).astype("float32")
    return x, rng.integers(0, CLASSES, count).astype("int32")
