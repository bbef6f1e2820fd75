"""One small training program on the digits, healthy as it stands; a fault changes one thing of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from crosscheck.data import load
from crosscheck.diagnose import Data, Program

VALIDATED = 200
BATCH = 32


@keras.saving.register_keras_serializable(package="crosscheck.practice")
class Shares(keras.layers.Layer):
    """A softmax by its formula: behind Keras' own, a loss on TensorFlow finds the logits and is right."""

    def call(self, z: Any) -> Any:
        z = keras.ops.exp(z - keras.ops.max(z, axis=-1, keepdims=True))
        return z / keras.ops.sum(z, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Recipe:
    """A training program: what is in it, before it is built.

    Attributes:
        width, rate, epochs, rows: of the hidden layer; of Adam; of `fit`; of the training set.
        softmax: whether the head has one; `from_logits`: what the loss is told.
        zero_kernels: whether kernels begin as zeros.
        bias, spread: where hidden biases begin; standard deviation of the last kernel, 0 for Keras' own.
        dropout: share that is dropped before the head.
        labels: "own", or those "of other rows", or a third of them "partly wrong".
        weightless: whether all sample weights are 0.
        unknown: whether some inputs are NaN.
        is_split: whether rows are sorted by class and `fit` splits the last fifth off to validate.
        seed: of weights, rows and batches.
    """

    width: int = 32
    rate: float = 3e-3
    epochs: int = 20
    rows: int = 400
    softmax: bool = False
    from_logits: bool = True
    zero_kernels: bool = False
    bias: float = 0.0
    spread: float = 0.0
    dropout: float = 0.0
    labels: Literal["own", "of other rows", "partly wrong"] = "own"
    weightless: bool = False
    unknown: bool = False
    is_split: bool = False
    seed: int = 0


def model_of(recipe: Recipe) -> keras.Model:
    """The compiled model, with fresh weights of the recipe's seed."""
    keras.utils.set_random_seed(recipe.seed % 2**32)
    layers, usual = keras.layers, "zeros" if recipe.zero_kernels else "glorot_uniform"
    last = keras.initializers.RandomNormal(stddev=recipe.spread) if recipe.spread else usual
    hidden = layers.Dense(
        recipe.width,
        "relu",
        kernel_initializer=usual,
        bias_initializer=keras.initializers.Constant(recipe.bias),
        name="hidden",
    )
    head = layers.Dense(10, kernel_initializer=last, name="head")
    dropout = [layers.Dropout(recipe.dropout)] if recipe.dropout else []
    behind = [Shares()] if recipe.softmax else []
    model = keras.Sequential([keras.Input((64,)), hidden, *dropout, head, *behind])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=recipe.from_logits)
    model.compile(keras.optimizers.Adam(recipe.rate), loss, metrics=["accuracy"])
    return model


def program_of(recipe: Recipe, history: Mapping[str, list[float]] | None = None) -> Program:
    """The program as `crosscheck.diagnose` takes it, untrained."""
    training, validation = data_of(recipe)
    return Program(
        model_of(recipe),
        training,
        None if recipe.is_split else validation,
        batch_size=BATCH,
        epochs=recipe.epochs,
        validation_split=0.2 if recipe.is_split else 0.0,
        history=history,
    )


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load("digits")
    return found.x_train.astype("float32"), found.y_train.astype("int64")


def data_of(recipe: Recipe) -> tuple[Data, Data]:
    """Rows to train on, and rows to validate on."""
    rng = np.random.default_rng(recipe.seed)
    x, y = digits()
    order = rng.permutation(len(x))[: recipe.rows + VALIDATED]
    trained, validated = order[: recipe.rows], order[recipe.rows :]
    if recipe.is_split:
        trained = trained[np.argsort(y[trained], kind="stable")]
    inputs, labels = x[trained].copy(), changed(y[trained], recipe.labels, rng)
    if recipe.unknown:
        inputs[rng.choice(recipe.rows, recipe.rows // 100, replace=False), 20] = np.nan
    weights = np.zeros(recipe.rows, "float32") if recipe.weightless else None
    return Data(inputs, labels, weights), Data(x[validated], y[validated])


def changed(y: np.ndarray, labels: str, rng: np.random.Generator) -> np.ndarray:
    if labels == "own":
        return y
    y = y.copy()
    count = len(y) if labels == "of other rows" else len(y) // 3
    y[:count] = y[rng.permutation(count)]
    return y


def fit_arguments(program: Program) -> dict[str, Any]:
    """What `fit` is given, but for callbacks."""
    told: Any = program.validation and (program.validation.x, program.validation.y)
    training = program.training
    return {
        "x": training.x,
        "y": training.y,
        "sample_weight": training.sample_weight,
        "batch_size": program.batch_size,
        "epochs": program.epochs,
        "validation_data": told,
        "validation_split": program.validation_split,
        "verbose": 0,
    }
