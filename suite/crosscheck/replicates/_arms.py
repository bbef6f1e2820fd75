"""The arms of one comparison, trained as one program: losses and labels differ, all else is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from crosscheck.replicates._replicates import Replicates

Loss = Callable[[Any, Any], Any]


def compare(
    build: Callable[[], keras.Model],
    seeds: Sequence[int],
    arms: Mapping[str, tuple[Loss, np.ndarray]],
    x: np.ndarray,
    x_test: np.ndarray,
    rate: float,
    epochs: int,
    batch_size: int = 64,
) -> dict[str, np.ndarray]:
    """Returns held-out outputs of models that differ, seed by seed, in their loss and labels alone.

    In every arm a seed has the same initial weights, examples and batches. All are trained by Adam, at a rate
    that falls to 0 along a cosine.

    Args:
        build: as in `Replicates`.
        seeds: S of them.
        arms: by name, the loss and the labels [S, N, …], of one shape in all arms. Every loss is computed in
            every arm, and all but one are multiplied by 0: they must be finite.
        x, x_test: [S, N, …] to train on, and [S, M, …] held out.
        rate: the learning rate at the start.
        epochs, batch_size: as in `Replicates.fit`.

    Returns:
        Outputs [S, M, K] by the arm's name.
    """
    losses = list(dict.fromkeys(loss for loss, _ in arms.values()))
    share = np.array([[loss is own for own, _ in arms.values()] for loss in losses], "float32")  # [L, A]
    replicas = Replicates(build, [*seeds] * len(arms), paired=True)
    steps = epochs * -(-x.shape[1] // batch_size)
    replicas.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        lambda y, z, **weight: sum(weight[f"weight_{i}"] * loss(y, z) for i, loss in enumerate(losses)),
        loss_arguments={f"weight_{i}": np.repeat(weight, len(seeds)) for i, weight in enumerate(share)},
    )
    labels = np.concatenate([labels for _, labels in arms.values()])  # [A · S, N, …]
    repeat = lambda examples: np.concatenate([examples] * len(arms))
    replicas.fit(repeat(x), labels, batch_size=batch_size, epochs=epochs)
    outputs = replicas.predict(repeat(x_test))
    return dict(zip(arms, outputs.reshape(len(arms), len(seeds), *outputs.shape[1:]), strict=True))
