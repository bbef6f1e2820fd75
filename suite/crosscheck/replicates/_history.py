"""What a training leaves behind, and the order in which it takes the examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class History:
    """What `Replicates.fit` returns, as `keras.callbacks.History` holds it of one model.

    Attributes:
        epoch: the number of each epoch.
        history: `history["loss"]` is [epochs, R], each epoch's mean, and NaN once a replicate has stopped.
            What callbacks log of all replicates together, such as the learning rate, is [epochs].
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, np.ndarray] = field(default_factory=dict)

    def append(self, epoch: int, logs: Mapping[str, np.ndarray]) -> None:
        """Adds an epoch's logs: [R], or a number that all share."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            value = np.asarray(value)
            before = self.history.get(name, np.empty((0, *value.shape)))
            self.history[name] = np.concatenate([before, value[None]])


def batch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """Returns the order in which a replicate takes its N examples in an epoch: a permutation of 0…N−1."""
    return np.random.default_rng([seed, epoch]).permutation(n)


def unshuffled(replicates: int, n: int) -> np.ndarray:
    """Returns 0…N−1 for each replicate, [R, N]: the examples as they stand."""
    return np.broadcast_to(np.arange(n), (replicates, n))


def orders(seeds: Sequence[int], n: int, shuffle: bool) -> Callable[[np.ndarray, int], np.ndarray]:
    """Returns the function that gives the order of N examples, [size, N], for members in an epoch.

    Members of one seed take them in one order, which is drawn once.
    """

    def order(members: np.ndarray, epoch: int) -> np.ndarray:
        if not shuffle:
            return unshuffled(len(members), n)
        of_members = [seeds[member] for member in members]
        drawn = {seed: batch_order(seed, epoch, n) for seed in dict.fromkeys(of_members)}
        return np.stack([drawn[seed] for seed in of_members])

    return order
