"""Trainings on the digits in one base of the logarithm and another: where each ends, all in one program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from crosscheck import data, losses
from crosscheck.replicates import Replicates

BATCH, EPOCHS = 64, 5


class Run(NamedTuple):
    """A training: its loss's base, by its logarithm, and the numbers that have a scale of their own.

    Attributes:
        ln_base: 1 for base e, ln 2 for base 2.
        rate: of the optimiser.
        penalty: coefficient of an L2 penalty, as Keras takes it.
        epsilon: Adam's; SGD has none.
    """

    ln_base: float
    rate: float
    penalty: float = 0.0
    epsilon: float | None = None


def ends(
    seeds: Sequence[int], optimizer: keras.Optimizer, runs: Sequence[Run], examples: int
) -> tuple[dict[Run, list[np.ndarray]], list[np.ndarray]]:
    """The weights after a few epochs, by run, and those at the start: a seed's own in all.

    Args:
        seeds: S of them.
        optimizer: whose own rate and ε do not matter.
        runs: no two alike.
        examples: trained on, the first so many.

    Returns:
        Stacked weights, [S, …] each.
    """
    column = lambda name: np.repeat([getattr(run, name) for run in runs], len(seeds)).astype("float32")
    numbers = {"learning_rate": column("rate")}
    if runs[0].epsilon is not None:
        numbers["epsilon"] = column("epsilon")
    replicas = Replicates(perceptron, [*seeds] * len(runs), paired=True)
    replicas.compile(
        optimizer,
        in_base,
        loss_arguments={"ln_base": column("ln_base")},
        optimizer_arguments=numbers,
        penalty_scale=column("penalty"),
    )
    by_run = lambda: zip(*(np.split(w, len(runs)) for w in replicas.get_weights()), strict=True)
    start = list(next(by_run()))
    digits = data.load("digits")
    replicas.fit(digits.x_train[:examples], digits.y_train[:examples], batch_size=BATCH, epochs=EPOCHS)
    return {run: list(weights) for run, weights in zip(runs, by_run(), strict=True)}, start


def in_base(y: Any, z: Any, ln_base: Any) -> Any:
    """Cross-entropy in a base of the logarithm that is each replicate's own."""
    return losses.sparse_categorical_crossentropy(y, z) / ln_base


def perceptron() -> keras.Model:
    """Its penalty is each replicate's own coefficient times the squares of the kernels."""
    dense = [keras.layers.Dense(n, kernel_regularizer=keras.regularizers.L2(1.0)) for n in (32, 10)]
    return keras.Sequential([keras.Input((64,)), dense[0], keras.layers.ReLU(), dense[1]])
