"""Faults in what a loss computes, with random parameters, each for a random sound loss; and its check."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.audit_rates.draws import Draw, Made
from benchmarks.audit_rates.sound import K, Recipe, function, wrapped

Fault = Callable[[Draw, Recipe], Made]


def altered(of: Recipe, values: Callable[[Any, Any], Any], shape: str = "class") -> Made:
    """The loss with other values for the same claim."""
    return wrapped(replace(of, values=values), shape)


def probability(of: Recipe, z: Any) -> Any:
    return ops.softmax(z, axis=-1) if of.formula.over == "classes" else ops.sigmoid(z)


def true_probability(of: Recipe, y: Any, z: Any) -> Any:
    """Of the label that is true, a value a row or label."""
    p = probability(of, z)
    return ops.sum(y * p, axis=-1) if of.formula.over == "classes" else y * p + (1 - y) * (1 - p)


def largest(of: Recipe, z: Any) -> Any:
    return ops.max(ops.abs(z), axis=-1) if of.formula.over == "classes" else ops.abs(z)


def factor(draw: Draw, of: Recipe) -> Made:
    k = draw.among(
        (1 / math.log(2), 1 / math.log(10), -1.0, 1 / K, draw.number(1.01, 8), draw.number(0.1, 0.99))
    )
    return altered(of, lambda y, z: k * of.values(y, z)).broken(f"factor ({k:.4g})", "centre")


def clipped(draw: Draw, of: Recipe) -> Made:
    """−ln of a probability that is kept from 0 and 1."""
    e = draw.among((1e-4, 1e-5, 1e-6, 1e-7))

    def values(y: Any, z: Any) -> Any:
        p = ops.clip(probability(of, z), e, 1 - e)
        if of.formula.over == "classes":
            return -ops.sum(y * ops.log(p), axis=-1)
        return -y * ops.log(p) - (1 - y) * ops.log(1 - p)

    return altered(of, values).broken(f"clipped probability ({e})", "dead gradient")


def overflowing(draw: Draw, of: Recipe) -> Made:
    def values(y: Any, z: Any) -> Any:
        grown = ops.exp(z)
        if of.formula.over == "classes":
            return -ops.sum(y * ops.log(grown / ops.sum(grown, axis=-1, keepdims=True)), axis=-1)
        return ops.log(1 + grown) - y * z

    return altered(of, values).broken("overflowing exponential", "finite")


def island(draw: Draw, of: Recipe) -> Made:
    t = draw.number(20, 900)

    def values(y: Any, z: Any) -> Any:
        found = of.values(y, z)
        return ops.where(largest(of, z) > t, ops.cast(np.nan, found.dtype), found)

    return altered(of, values).broken(f"NaN far out (beyond {t})", "finite")


def bent(draw: Draw, of: Recipe) -> Made:
    t, c = draw.number(11, 60), draw.number(0.001, 0.5)
    values = lambda y, z: of.values(y, z) + c * ops.relu(largest(of, z) - t)
    return altered(of, values).broken(f"bent tail (by {c} beyond {t})", "wrong tail")


def capped(draw: Draw, of: Recipe) -> Made:
    """The gradient stops at a certain logit, the value goes on."""
    t = draw.number(11, 35)
    values = lambda y, z: of.values(y, ops.where(ops.abs(z) > t, ops.stop_gradient(z), z))
    return altered(of, values).broken(f"gradient stopped (beyond {t})", "dead gradient")


def detached(draw: Draw, of: Recipe) -> Made:
    """The right value; part of the gradient is missing, or too large."""
    c = draw.among((draw.number(0.1, 0.99), draw.number(1.01, 3), -1.0))
    values = lambda y, z: (lambda v: c * v + (1 - c) * ops.stop_gradient(v))(of.values(y, z))
    return altered(of, values).broken(f"another gradient ({c} times)", "derivative")


def anchored(draw: Draw, of: Recipe) -> Made:
    c = draw.number(0.002, 0.5)
    values = lambda y, z: of.values(y, z) + c * ops.logsumexp(z, axis=-1) ** 2
    return altered(of, values).broken(f"normaliser punished (by {c})", "shift")


def lopsided(draw: Draw, of: Recipe) -> Made:
    c = draw.number(0.01, 1)
    values = lambda y, z: of.values(y, z) * (1 + c * y[..., 0])
    return altered(of, values).broken(f"a class preferred (by {c})", "symmetry")


def improper(draw: Draw, of: Recipe) -> Made:
    c = draw.number(0.01, 1)
    values = lambda y, z: of.values(y, z) * (1 + c - c * true_probability(of, y, z))
    return altered(of, values).broken(f"easy examples forgiven (by {c})", "proper")


def batch_statistic(draw: Draw, of: Recipe) -> Made:
    c = draw.number(0.01, 1)

    def values(y: Any, z: Any) -> Any:
        found = of.values(y, z)
        return found + c * ops.mean(found)

    return altered(of, values).broken(f"mean of the batch added ({c} times)", "per example")


def reduced(draw: Draw, of: Recipe) -> Made:
    made = function(of)
    return wrapped(of, "function").broken(
        "reduces by itself", "per example", lambda: lambda y, z: ops.mean(made(y, z))
    )


def unpaired(draw: Draw, of: Recipe) -> Made:
    """No look at the shapes: (B,) beside (B, 1) pairs each with each."""

    def loss(y_true: Any, y_pred: Any) -> Any:
        z = ops.convert_to_tensor(y_pred)
        return ops.mean(of.values(ops.cast(y_true, z.dtype), z), axis=-1)

    return wrapped(of, "function").broken("broadcasts", "column", lambda: loss)


def half_clipped(draw: Draw, of: Recipe) -> Made:
    t = draw.number(12, 90)
    made = function(of)

    def loss(y_true: Any, y_pred: Any) -> Any:
        z = ops.convert_to_tensor(y_pred)
        low = keras.backend.standardize_dtype(z.dtype) in ("float16", "bfloat16")
        return made(y_true, ops.clip(z, -t, t) if low else z)

    return wrapped(of, "function").broken(
        f"clipped in half precision (at {t})", "half precision", lambda: loss
    )
