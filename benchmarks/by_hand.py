"""R networks trained at once as one writes it by hand in JAX: what `Replicates` is held against.

It imports JAX alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

RATE = 1e-3
Arrays = Sequence[Any]
Forward = Callable[[Arrays, Any], Any]


def perceptron(weights: Arrays, x: Any) -> Any:
    """Logits [B, K] of one hidden layer, for x [B, D]."""
    first, bias, last, offset = weights
    return jax.nn.relu(x @ first + bias) @ last + offset


def convolutions(weights: Arrays, x: Any) -> Any:
    """Logits [B, K] of two convolutions, each pooled, for images x [B, height, width, C]."""
    *layers, last, offset = weights
    for kernel, bias in zip(layers[::2], layers[1::2], strict=True):
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.lax.reduce_window(
            jax.nn.relu(x + bias), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
        )
    return x.reshape(len(x), -1) @ last + offset


def training(
    forward: Forward, weights: Arrays, x: np.ndarray, y: np.ndarray, batch: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function that trains all R by Adam for one epoch, in the order [R, N], and returns their losses [R].

    `vmap` of the gradient, Adam on stacked weights, `scan` over batches, one `jit`.
    """
    examples, labels = jnp.asarray(x), jnp.asarray(y)
    whole = len(x) // batch * batch

    def value(weights: Arrays, x: Any, y: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(forward(weights, x)), y[:, None], 1).mean()

    per_replicate = jax.vmap(jax.value_and_grad(value))

    def step(carry: Any, places: Any) -> Any:
        weights, m, v, t = carry
        losses, g = per_replicate(weights, examples[places], labels[places])
        t = t + 1
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        rate = RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = [w - rate * a / (jnp.sqrt(b) + 1e-7) for w, a, b in zip(weights, m, v, strict=True)]
        return (weights, m, v, t), losses * places.shape[1]

    def epoch(carry: Any, order: Any) -> Any:
        batches = order[:, :whole].reshape(len(order), -1, batch).swapaxes(0, 1)
        carry, losses = jax.lax.scan(step, carry, batches)
        total = losses.sum(0)
        if whole < len(x):
            carry, rest = step(carry, order[:, whole:])
            total += rest
        return carry, total / len(x)

    run = jax.jit(epoch, donate_argnums=0)
    arrays = [jnp.asarray(w) for w in weights]
    state = {"carry": (arrays, *([jnp.zeros_like(w) for w in arrays] for _ in range(2)), 0.0)}

    def train(order: np.ndarray) -> np.ndarray:
        state["carry"], losses = run(state["carry"], order)
        return np.asarray(losses)

    return train
