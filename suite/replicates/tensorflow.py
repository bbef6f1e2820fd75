"""The TensorFlow seam: one XLA program an epoch, batches gathered inside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Program:
    """Compiled training and prediction over stacked variables."""

    def __init__(
        self,
        model: keras.Model,
        variables: list[keras.Variable],
        optimizer: keras.Optimizer,
        loss: Callable[..., Any],
        arguments: Mapping[str, np.ndarray],
    ):
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.trainable = [v for v in variables if v.trainable]
        self.state = [v for v in variables if not v.trainable]
        self.arguments = {name: tf.constant(value) for name, value in arguments.items()}
        self.run_epoch = tf.function(self._epoch, jit_compile=True, autograph=False)
        self.run_predict = tf.function(self._predict, jit_compile=True, autograph=False)

    def epoch(self, x: Any, y: Any, order: np.ndarray, batch_size: int, own: bool) -> np.ndarray:
        """One pass over the data in the given order [R, N]; the mean loss of each replicate, [R]."""
        return self.run_epoch(x, y, tf.constant(order), batch_size, own).numpy()

    def predict(self, x: np.ndarray, own: bool) -> np.ndarray:
        return self.run_predict(tf.constant(x), own).numpy()

    def _epoch(self, x: Any, y: Any, order: Any, batch_size: int, own: bool) -> Any:
        r, n = order.shape
        whole, rest = divmod(n, batch_size)

        def one_batch(step: Any, total: Any) -> tuple[Any, Any]:
            batch = tf.slice(order, [0, step * batch_size], [r, batch_size])
            return step + 1, total + batch_size * tf.cast(self.step(x, y, batch, own), "float64")

        # Written out, for AutoGraph does not see `for` loops on every Python that TensorFlow supports.
        start = (tf.constant(0), tf.zeros([r], "float64"))
        _, total = tf.while_loop(lambda step, _: step < whole, one_batch, start)
        if rest:
            total += rest * tf.cast(self.step(x, y, order[:, n - rest :], own), "float64")
        return total / n

    def step(self, x: Any, y: Any, batch: Any, own: bool) -> Any:
        """One optimiser step on the batch [R, B] of example numbers; the loss of each replicate, [R]."""
        x, y = (tf.gather(data, batch, batch_dims=int(own)) for data in (x, y))  # [R, B, …]
        weights, state = [v.value for v in self.trainable], [v.value for v in self.state]
        gradients, losses, state = tf.vectorized_map(
            self.replicate_step, (weights, state, x, y, self.arguments)
        )
        self.optimizer.apply(gradients, self.trainable)
        for variable, value in zip(self.state, state, strict=True):
            variable.assign(value)
        return losses

    def replicate_step(self, given: Any) -> Any:
        """Gradients, loss and next state of a single replicate; vectorised over R.

        The tape stays inside: differentiating *through* `vectorized_map` under XLA reads the variables as
        constants at compile time (TensorFlow 2.21), which recompiles at every call and loses updates.
        """
        weights, state, x, y, arguments = given
        with tf.GradientTape() as tape:
            tape.watch(weights)
            output, state, penalties = self.model.stateless_call(
                weights, state, x, training=True, return_losses=True
            )
            loss = tf.reduce_mean(self.loss(y, output, **arguments))
            loss += sum(tf.cast(penalty, loss.dtype) for penalty in penalties)
        return tape.gradient(loss, weights), loss, state

    def _predict(self, x: Any, own: bool) -> Any:
        weights, state = [v.value for v in self.trainable], [v.value for v in self.state]
        if own:
            return tf.vectorized_map(lambda g: self.output(g[0], g[1], g[2]), (weights, state, x))
        return tf.vectorized_map(lambda g: self.output(g[0], g[1], x), (weights, state))

    def output(self, trainable: Any, state: Any, x: Any) -> Any:
        return self.model.stateless_call(trainable, state, x, training=False)[0]
