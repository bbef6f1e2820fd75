"""The truth about a random model: its real training against the float64 derivative of its mathematics.

No part of the doctor is used. The model is trained as it stands, by `train_on_batch` and plain SGD, with the
kernel of its head at 0, so that the bias is the logits; the doctor cuts a copy instead.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from benchmarks.doctor_rates.mathematics import derivative, is_lost
from benchmarks.doctor_rates.random_models import Recipe
from crosscheck._keras import holds_layers, layers_within

SIZES = (0.5, 1.0, 2.0, 5.0, 10.0, 17.0, 30.0, 88.0, 1000.0)
RATE = 2.0**15  # a small gradient still moves a large bias, and float16 holds what comes of it


def is_broken(recipe: Recipe, model: keras.Model) -> bool:
    """Whether gradients of confident errors are lost."""
    heads = [getattr(head, "layer", head) for head in recipe.heads]
    for layer in layers_within(model):
        layer.trainable = layer in heads or layer in recipe.heads or holds_layers(layer)
    for head in heads:
        head.bias_regularizer = head.bias.regularizer = head.activity_regularizer = None
    optimizer: Any = keras.optimizers.SGD(RATE)
    if recipe.policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0)
    keras.Model.compile(model, optimizer, recipe.loss, auto_scale_loss=False)
    rivals = np.arange(recipe.units) % 3 * 0.5 - 0.5  # not all alike
    measured, exact, sizes, labels = [], [], [], []
    for label in (0, 1):
        y = row(recipe, label)
        for size in SIZES:
            z = size if label == 0 else -size
            measured.append(gradient(recipe, model, heads, z, rivals, y))
            exact.append(derivative(functools.partial(meant, recipe, rivals, y), z))
            sizes.append(z)
            labels.append(label)
    return is_lost(*map(np.array, (measured, exact, sizes, labels)))


def row(recipe: Recipe, label: int) -> np.ndarray:
    """Labels of all outputs: the first is 1; or it is not, and then the next one is, of classes."""
    y = np.zeros(recipe.units)
    if label:
        y[0] = 1
    elif recipe.labels != "labels":
        y[1] = 1
    return y


def meant(recipe: Recipe, rivals: np.ndarray, y: np.ndarray, t: float) -> float:
    """The loss in float64 where the first logit is t."""
    z = rivals.copy()
    z[0] = t
    return recipe.value(y, *recipe.predicted(recipe.tail(z)))


def gradient(
    recipe: Recipe, model: keras.Model, heads: list[Any], t: float, rivals: np.ndarray, y: np.ndarray
) -> float:
    """dL/dt by a step of training, in which all heads get the same logits."""
    z = rivals.copy()
    z[0] = t
    bias = np.concatenate([z, *[rivals] * (recipe.wide - 1)])
    for head in heads:
        head.kernel.assign(np.zeros(head.kernel.shape))
        head.bias.assign(bias)
    dtype = keras.backend.standardize_dtype(recipe.dtype)
    x = np.ones((1, *(n or 4 for n in recipe.shape)), dtype)  # token 1: nothing is masked
    shape = (
        model.compute_output_shape((1, *recipe.shape)) if recipe.wrapper in ("functional", "nested") else None
    )
    out = tuple(shape) if shape else tuple(model(x).shape)
    target = np.full(out[:-1], int(y.argmax()), "int32")
    if recipe.labels != "classes":
        target = np.broadcast_to(y, out).astype("float32")
    model.train_on_batch(x, target)
    return float(sum(z[0] - float(keras.ops.convert_to_numpy(h.bias)[0]) for h in heads)) / RATE
