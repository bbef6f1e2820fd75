"""Faults in what a loss computes, with random parameters, each for a random sound loss; and its check."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.audit_rates.choices import Choices, RandomLoss
from benchmarks.audit_rates.sound import K, Recipe, as_loss, function

Fault = Callable[[Choices, Recipe], RandomLoss]


def altered(recipe: Recipe, values: Callable[[Any, Any], Any], shape: str = "class") -> RandomLoss:
    """The loss with other values for the same claim."""
    return as_loss(replace(recipe, values=values), shape)


def probability(recipe: Recipe, z: Any) -> Any:
    return ops.softmax(z, axis=-1) if recipe.theory.over == "classes" else ops.sigmoid(z)


def true_probability(recipe: Recipe, y: Any, z: Any) -> Any:
    """Of the label that is true, a value a row or label."""
    p = probability(recipe, z)
    return ops.sum(y * p, axis=-1) if recipe.theory.over == "classes" else y * p + (1 - y) * (1 - p)


def largest(recipe: Recipe, z: Any) -> Any:
    return ops.max(ops.abs(z), axis=-1) if recipe.theory.over == "classes" else ops.abs(z)


def factor(choices: Choices, recipe: Recipe) -> RandomLoss:
    k = choices.one_of(
        (1 / math.log(2), 1 / math.log(10), -1.0, 1 / K, choices.number(1.01, 8), choices.number(0.1, 0.99))
    )
    return altered(recipe, lambda y, z: k * recipe.values(y, z)).broken(f"factor ({k:.4g})", "centre")


def clipped(choices: Choices, recipe: Recipe) -> RandomLoss:
    """−ln of a probability that is kept from 0 and 1."""
    e = choices.one_of((1e-4, 1e-5, 1e-6, 1e-7))

    def values(y: Any, z: Any) -> Any:
        p = ops.clip(probability(recipe, z), e, 1 - e)
        if recipe.theory.over == "classes":
            return -ops.sum(y * ops.log(p), axis=-1)
        return -y * ops.log(p) - (1 - y) * ops.log(1 - p)

    return altered(recipe, values).broken(f"clipped probability ({e})", "dead gradient")


def overflowing(choices: Choices, recipe: Recipe) -> RandomLoss:
    def values(y: Any, z: Any) -> Any:
        grown = ops.exp(z)
        if recipe.theory.over == "classes":
            return -ops.sum(y * ops.log(grown / ops.sum(grown, axis=-1, keepdims=True)), axis=-1)
        return ops.log(1 + grown) - y * z

    return altered(recipe, values).broken("overflowing exponential", "finite")


def island(choices: Choices, recipe: Recipe) -> RandomLoss:
    t = choices.number(20, 900)

    def values(y: Any, z: Any) -> Any:
        losses = recipe.values(y, z)
        return ops.where(largest(recipe, z) > t, ops.cast(np.nan, losses.dtype), losses)

    return altered(recipe, values).broken(f"NaN far out (beyond {t})", "finite")


def bent(choices: Choices, recipe: Recipe) -> RandomLoss:
    t, c = choices.number(11, 60), choices.number(0.001, 0.5)
    values = lambda y, z: recipe.values(y, z) + c * ops.relu(largest(recipe, z) - t)
    return altered(recipe, values).broken(f"bent tail (by {c} beyond {t})", "wrong tail")


def capped(choices: Choices, recipe: Recipe) -> RandomLoss:
    """The gradient stops at a certain logit, the value goes on."""
    t = choices.number(11, 35)
    values = lambda y, z: recipe.values(y, ops.where(ops.abs(z) > t, ops.stop_gradient(z), z))
    return altered(recipe, values).broken(f"gradient stopped (beyond {t})", "dead gradient")


def detached(choices: Choices, recipe: Recipe) -> RandomLoss:
    """The right value; part of the gradient is missing, or too large."""
    c = choices.one_of((choices.number(0.1, 0.99), choices.number(1.01, 3), -1.0))
    values = lambda y, z: (lambda v: c * v + (1 - c) * ops.stop_gradient(v))(recipe.values(y, z))
    return altered(recipe, values).broken(f"another gradient ({c} times)", "derivative")


def anchored(choices: Choices, recipe: Recipe) -> RandomLoss:
    c = choices.number(0.002, 0.5)
    values = lambda y, z: recipe.values(y, z) + c * ops.logsumexp(z, axis=-1) ** 2
    return altered(recipe, values).broken(f"normaliser punished (by {c})", "shift")


def lopsided(choices: Choices, recipe: Recipe) -> RandomLoss:
    c = choices.number(0.01, 1)
    values = lambda y, z: recipe.values(y, z) * (1 + c * y[..., 0])
    return altered(recipe, values).broken(f"a class preferred (by {c})", "symmetry")


def improper(choices: Choices, recipe: Recipe) -> RandomLoss:
    c = choices.number(0.01, 1)
    values = lambda y, z: recipe.values(y, z) * (1 + c - c * true_probability(recipe, y, z))
    return altered(recipe, values).broken(f"easy examples forgiven (by {c})", "proper")


def batch_statistic(choices: Choices, recipe: Recipe) -> RandomLoss:
    c = choices.number(0.01, 1)

    def values(y: Any, z: Any) -> Any:
        losses = recipe.values(y, z)
        return losses + c * ops.mean(losses)

    return altered(recipe, values).broken(f"mean of the batch added ({c} times)", "per example")


def reduced(choices: Choices, recipe: Recipe) -> RandomLoss:
    per_example_loss = function(recipe)
    return as_loss(recipe, "function").broken(
        "reduces by itself", "per example", lambda: lambda y, z: ops.mean(per_example_loss(y, z))
    )


def unpaired(choices: Choices, recipe: Recipe) -> RandomLoss:
    """A class that looks at no shapes: (B,) beside (B, 1) pairs each with each. Keras aligns a function's."""

    def call(self: Any, y_true: Any, y_pred: Any) -> Any:
        z = ops.convert_to_tensor(y_pred)
        return ops.mean(recipe.values(ops.cast(y_true, z.dtype), z), axis=-1)

    sound_loss = as_loss(recipe, "class")
    unpaired_loss: Any = type("Loss", (sound_loss.make,), {"call": call})  # type: ignore[arg-type]
    return sound_loss.broken("broadcasts", "column", unpaired_loss)


def half_clipped(choices: Choices, recipe: Recipe) -> RandomLoss:
    t = choices.number(12, 90)
    sound_loss = function(recipe)

    def loss(y_true: Any, y_pred: Any) -> Any:
        z = ops.convert_to_tensor(y_pred)
        is_half = keras.backend.standardize_dtype(z.dtype) in ("float16", "bfloat16")
        return sound_loss(y_true, ops.clip(z, -t, t) if is_half else z)

    return as_loss(recipe, "function").broken(
        f"clipped in half precision (at {t})", "half precision", lambda: loss
    )
