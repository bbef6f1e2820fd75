"""Trainings that should end at the same weights, run together: where each ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck import data
from crosscheck.replicates import Replicates

BATCH, EPOCHS = 64, 5


def ends(
    build: Callable[[], keras.Model],
    seeds: Sequence[int],
    optimizer: keras.Optimizer,
    loss: Callable[..., Any],
    penalties: Sequence[float] | np.ndarray,
    loss_arguments: Mapping[str, np.ndarray] | None = None,
    jit_compile: bool | str = "auto",
    examples: int | None = None,
) -> list[list[np.ndarray]]:
    """Train on the digits for a few epochs, once for each penalty, all runs as one program.

    Args:
        build: makes the model, whose own penalty has coefficient 1.
        seeds: those of each run, the same for all.
        optimizer: of all runs.
        loss: of labels, logits and the `loss_arguments`.
        penalties: coefficients of the model's penalty, one a run.
        loss_arguments: one number a run for each.
        jit_compile: as `Replicates.compile` takes it.
        examples: trained on, the first so many; all where None.

    Returns:
        The weights at the end, by run: stacked over the seeds, [S, …] each.
    """
    digits, count = data.load("digits"), len(penalties)
    arguments = {name: np.repeat(numbers, len(seeds)) for name, numbers in (loss_arguments or {}).items()}
    replicas = Replicates(build, tuple(seeds) * count, paired=True)
    replicas.compile(
        optimizer,
        loss,
        loss_arguments=arguments,
        penalty_scale=np.repeat(penalties, len(seeds)),
        jit_compile=jit_compile,
    )
    x, y = digits.x_train[:examples], digits.y_train[:examples]
    replicas.fit(x, y, batch_size=BATCH, epochs=EPOCHS)
    by_weight = (np.split(stacked, count) for stacked in replicas.get_weights())
    return [list(run) for run in zip(*by_weight, strict=True)]
