"""`Replicates`, in Keras' own words: compile, fit, predict, member."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from suite.replicates.initial import stacked_weights


@dataclass
class History:
    """`history["loss"]` is [epochs, R]: the mean training loss of each epoch, per replicate."""

    epoch: list[int] = field(default_factory=list)
    history: dict[str, np.ndarray] = field(default_factory=dict)


def batch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order in which a replicate sees its N examples in an epoch: a permutation of 0…N−1."""
    return np.random.default_rng([seed, epoch]).permutation(n)


class Replicates:
    """R independent copies of one Keras model, trained as one.

    Replicate r equals a plain `keras.Model.fit` that starts from the weights `build()` gives under
    `keras.utils.set_random_seed(seeds[r])` and sees the batches of `batch_order(seeds[r], epoch, N)`,
    up to rounding.

    Args:
        build: returns a built Keras model of one input and one output; called once or twice.
        seeds: one integer a replicate. A seed may be repeated where the replicates differ in their
            data or loss arguments: they are then paired.

    Raises:
        ValueError: if `seeds` is empty.
        NotImplementedError: on a backend other than TensorFlow.
    """

    def __init__(self, build: Callable[[], keras.Model], seeds: Sequence[int]):
        if keras.backend.backend() != "tensorflow":
            raise NotImplementedError(
                f"Replicates runs on the TensorFlow backend; this process uses {keras.backend.backend()!r}. "
                "Set KERAS_BACKEND=tensorflow."
            )
        if len(seeds) == 0:
            raise ValueError("`seeds` must name at least one replicate.")
        self.build, self.seeds = build, tuple(int(seed) for seed in seeds)
        self.model, initial = stacked_weights(build, self.seeds)
        self.variables = [
            keras.Variable(value, trainable=variable.trainable, dtype=variable.dtype, name=variable.name)
            for value, variable in zip(initial, self.model.variables, strict=True)
        ]
        self.initial_epoch = 0

    def __len__(self) -> int:
        return len(self.seeds)

    def compile(
        self,
        optimizer: keras.Optimizer,
        loss: Callable[..., Any],
        loss_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Sets the optimiser and the loss.

        Args:
            optimizer: an elementwise Keras optimiser; one serves all replicates exactly.
            loss: `loss(y_true, y_pred, **arguments)`, a value per example (averaged) or a scalar;
                a `keras.losses.Loss` will do.
            loss_arguments: arguments of the loss, each a vector [R]: replicate r sees its own number.

        Raises:
            ValueError: if the optimiser clips by norm (which would couple the replicates), or a vector
                does not have length R.
        """
        from suite.replicates import tensorflow as backend

        if optimizer.clipnorm is not None or optimizer.global_clipnorm is not None:
            raise ValueError(
                "`optimizer` clips by norm, which is not elementwise: it would couple replicates."
            )
        arguments = {name: np.asarray(value) for name, value in (loss_arguments or {}).items()}
        for name, value in arguments.items():
            if value.shape != (len(self),):
                raise ValueError(
                    f"`loss_arguments[{name!r}]` must be [{len(self)}], not {list(value.shape)}."
                )
        self.optimizer, self.loss = optimizer, loss
        optimizer.build([v for v in self.variables if v.trainable])
        self.program = backend.Program(self.model, self.variables, optimizer, loss, arguments)

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        batch_size: int = 32,
        epochs: int = 1,
        shuffle: bool = True,
    ) -> History:
        """Trains for `epochs` more epochs; called again, it goes on where it stopped.

        Args:
            x: [N, …] shared by all replicates, or [R, N, …] with each its own.
            y: [N, …] or [R, N, …], as `x`.
            batch_size: examples a step; the last batch of an epoch takes what is left.
            epochs: passes over the data.
            shuffle: False takes the examples in the order given.

        Raises:
            ValueError: if `x` and `y` disagree on N or on whether replicates have their own.
        """
        own, n = self.shapes(x, y)
        losses = []
        first, last = self.initial_epoch, self.initial_epoch + epochs
        x, y = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)
        for epoch in range(first, last):
            order = np.stack([batch_order(s, epoch, n) if shuffle else np.arange(n) for s in self.seeds])
            losses.append(self.program.epoch(x, y, order.astype("int32"), min(batch_size, n), own))
        self.initial_epoch = last
        return History(list(range(first, last)), {"loss": np.array(losses)})

    def shapes(self, x: np.ndarray, y: np.ndarray) -> tuple[bool, int]:
        """Whether each replicate has its own data, and N."""
        own = x.ndim == len(self.model.input_shape) + 1
        n = x.shape[1] if own else x.shape[0]
        if own and (len(x) != len(self) or y.shape[:2] != x.shape[:2]):
            raise ValueError(f"`x` {x.shape} and `y` {y.shape} must both start with R, N = {len(self)}, {n}.")
        if not own and len(y) != n:
            raise ValueError(f"`x` has {n} examples and `y` has {len(y)}.")
        return own, n

    def predict(self, x: np.ndarray, batch_size: int = 4096) -> np.ndarray:
        """The output of every replicate, [R, N, K], for `x` of [N, …] or [R, N, …]."""
        own = x.ndim == len(self.model.input_shape) + 1
        n = x.shape[1] if own else x.shape[0]
        starts = range(0, n, batch_size)
        batches = (x[:, s : s + batch_size] if own else x[s : s + batch_size] for s in starts)
        return np.concatenate([self.program.predict(batch, own) for batch in batches], axis=1)

    def member(self, r: int) -> keras.Model:
        """Replicate r as a plain Keras model with weights of its own."""
        model = keras.models.clone_model(self.model)
        for variable, stacked in zip(model.variables, self.variables, strict=True):
            variable.assign(stacked.value[r])
        return model

    def get_weights(self) -> list[np.ndarray]:
        """The stacked weights, [R, …] each, in the order of `model.variables`."""
        return [keras.ops.convert_to_numpy(variable.value) for variable in self.variables]
