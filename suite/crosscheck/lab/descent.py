"""Gradient descent watched as it goes: what it reaches after how much time, for many replicates at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from crosscheck import losses
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates


def crossing_time(
    x: np.ndarray, bias: np.ndarray, loss: Any, rate: float, steps: int, stride: int
) -> np.ndarray:
    """Steps of gradient descent, weights from 0 and bias from −b, until the logit of class 1 reaches 0: [R].

    Args:
        x: the one example that each replicate learns, [R, D].
        bias: b > 0, [R].
        loss: of one binary logit.
        rate: of the descent.
        steps: where the search ends; a replicate that has not crossed by then gives NaN.
        stride: how many steps lie between two looks; what is between is interpolated.
    """
    replicas = Replicates(perceptron(x.shape[1], [], 1), range(len(x)))
    replicas.compile(keras.optimizers.SGD(rate), loss)
    kernel, _ = replicas.get_weights()
    replicas.set_weights([np.zeros_like(kernel), -bias[:, None]])
    again = np.repeat(x[:, None], stride, 1)  # [R, stride, D]: one and the same example
    logits = [-bias]
    while logits[-1].min() < 0 and len(logits) * stride <= steps:
        replicas.fit(again, np.ones((*again.shape[:2], 1), "float32"), batch_size=1, shuffle=False)
        logits.append(replicas.predict(x[:, None])[:, 0, 0])
    return first_crossing(np.array(logits)) * stride


def first_crossing(logits: np.ndarray) -> np.ndarray:
    """Where each column of [T, R] first reaches 0, by linear interpolation; NaN where it never does."""
    after = np.argmax(logits >= 0, axis=0)
    high, low = (np.take_along_axis(logits, np.maximum(at, 0)[None], 0)[0] for at in (after, after - 1))
    return np.where(after > 0, after - high / np.where(after > 0, high - low, 1), np.nan)


def crossing_by_hand(x: np.ndarray, bias: np.ndarray, power: int, rate: float, stride: int) -> np.ndarray:
    """The same descent in the logit alone, in float64: z ← z − η (1 + ‖x‖²) dL/dz, from −b: [R].

    `power` is 0 for cross-entropy, 1 for squared error through a sigmoid; x, bias, rate and stride as in
    `crossing_time`.
    """
    z, step = -bias.astype("float64"), rate * (1 + (x.astype("float64") ** 2).sum(1))
    seen = [z]
    while z.min() < 0:
        for _ in range(stride):
            p = 1 / (1 + np.exp(-z))
            z = z + step * (1 - p) * (2 * p * (1 - p)) ** power
        seen.append(z)
    return first_crossing(np.array(seen)) * stride


def descend(
    x: np.ndarray,
    y: np.ndarray,
    phases: Sequence[tuple[int, float]],
    weight_decay: np.ndarray,
    stride: int = 100,
) -> tuple[np.ndarray, np.ndarray]:
    """Time [T] and weights [T, R, D] along full-batch gradient descent. Linear, without a bias.

    Args:
        x, y: [R, N, D], and labels in {0, 1}, [R, N].
        phases: (steps, rate) one after the other; time is steps × rate.
        weight_decay: as Keras' SGD takes it, [R].
        stride: how many steps lie between two looks.
    """
    replicas = Replicates(perceptron(x.shape[2], [], 1, use_bias=False), range(len(x)))
    optimizer = keras.optimizers.SGD(1.0, weight_decay=0.0)
    numbers = {"weight_decay": weight_decay}
    replicas.compile(optimizer, losses.binary_crossentropy, optimizer_arguments=numbers)
    many, labels = np.tile(x, (1, stride, 1)), np.tile(y, (1, stride))[..., None].astype("float32")
    time, weights = [0.0], []
    for steps, rate in phases:
        optimizer.learning_rate = rate
        for _ in range(steps // stride):
            replicas.fit(many, labels, batch_size=x.shape[1], shuffle=False)
            time.append(time[-1] + stride * rate)
            weights.append(replicas.get_weights()[0][..., 0].astype("float64"))
    return np.array(time[1:]), np.array(weights)


def mean_loss(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean cross-entropy, [T, R], of linear logits: weights [T, R, D], inputs [R, N, D], labels [R, N]."""
    margins = np.where(y == 1, 1, -1) * np.einsum("rnd,trd->trn", x.astype("float64"), weights)
    return np.logaddexp(0, -margins).mean(2)


def log_slope(time: np.ndarray, values: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """Least-squares slope of each column of [T, R] against ln t over a span of time: [R]."""
    within = (time >= span[0]) & (time <= span[1])
    return np.polyfit(np.log(time[within]), values[within], 1)[0]
