"""On which examples the gradient of binary cross-entropy comes to lie, and what the others are good for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from crosscheck import losses
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

RATE, WIDTH = 5e-3, 32
QUIET = 1e-3  # |p − y| under which an example is dropped half way
FLIPPED, TURNED = 0.1, 0.5  # shares of all labels, and of the quiet examples' labels, that are turned
BORDER, NARROW = 0.25, 0.1  # an example is borderline whose p is no further than this from ½

ARMS = ("all", "quiet dropped", "every second dropped", "quiet turned", "labels flipped")


class Watched(NamedTuple):
    """What was seen of each arm's replicates.

    Attributes:
        epochs: after which the gradient was looked at, [T].
        size: |p − y| of every training example at each look, where labels are flipped: [T, S, N].
        flipped: which labels those are, [S, N].
        right: which of the M test examples are classified rightly at the end, by arm: bool [S, M].
        quiet: share of the training set that was quiet half way, before anything was dropped: [S].
    """

    epochs: tuple[int, ...]
    size: np.ndarray
    flipped: np.ndarray
    right: dict[str, np.ndarray]
    quiet: np.ndarray


def watch(
    seeds: Sequence[int],
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    epochs: int,
) -> Watched:
    """Train a small network with Adam in all arms at once, and look at |p − y| on its training set.

    A seed has the same initial weights and batches in every arm. What is dropped half way has a weight of 0
    from then on, so that what the others add to a step stays what it was.

    Args:
        seeds: S of them.
        x, y: inputs [N, D] and labels in {0, 1}, [N].
        x_test, y_test: held out.
        epochs: in all, a power of two.
    """
    flipped = flips(seeds, len(y), FLIPPED)
    labels = np.concatenate([np.where(flipped & (arm == "labels flipped"), 1 - y, y) for arm in ARMS])
    by_arm = lambda values: dict(zip(ARMS, np.split(values, len(ARMS)), strict=True))
    replicas = Replicates(perceptron(x.shape[1], [WIDTH], 1), [*seeds] * len(ARMS), paired=True)
    replicas.compile(keras.optimizers.Adam(RATE), losses.binary_crossentropy)
    look = lambda: wrongness(replicas.predict(x)[..., 0], labels)  # [A · S, N]
    looks = (0, *(2**i for i in range(epochs.bit_length())))
    seen, kept, half_way = [look()], np.ones(labels.shape, "float32"), {}
    for before, after in itertools.pairwise(looks):
        if after == epochs:
            half_way = by_arm(seen[-1])
            kept = np.concatenate([keep(arm, size) for arm, size in half_way.items()])
            turn = np.concatenate([turned(arm, size, seeds) for arm, size in half_way.items()])
            labels = np.where(turn, 1 - labels, labels)
        target = labels[..., None].astype("float32")
        replicas.fit(x, target, batch_size=64, epochs=after - before, sample_weight=kept)
        seen.append(look())
    right = by_arm((replicas.predict(x_test)[..., 0] > 0) == y_test)
    size = np.stack([by_arm(sizes)["labels flipped"] for sizes in seen])
    return Watched(looks, size, flipped, right, (half_way["all"] < QUIET).mean(1))


def flips(seeds: Sequence[int], n: int, share: float) -> np.ndarray:
    """Which of n labels each seed turns, always as many: bool [S, n]."""
    return np.stack([np.random.default_rng(seed).permutation(n) < round(share * n) for seed in seeds])


def wrongness(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """|p − y| of logits and labels in {0, 1}, without cancellation."""
    return 1 / (1 + np.exp(np.where(labels == 1, 1, -1) * logits.astype("float64")))


def keep(arm: str, size: np.ndarray) -> np.ndarray:
    """The weight of each example in the second half, by its |p − y| half way, [S, N]: 0 where dropped."""
    quiet = size < QUIET
    if arm == "every second dropped":  # of the quiet ones, in their order
        return (~quiet | (quiet.cumsum(-1) % 2 == 0)).astype("float32")
    return (~quiet | (arm != "quiet dropped")).astype("float32")


def turned(arm: str, size: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Whose label is turned half way: a part of the quiet examples, in one arm alone. bool [S, N]."""
    drawn = np.stack([np.random.default_rng((seed, 1)).random(size.shape[1]) for seed in seeds])
    return (size < QUIET) & (drawn < TURNED) & (arm == "quiet turned")


def shares(size: np.ndarray, flipped: np.ndarray, border: float) -> tuple[np.ndarray, np.ndarray]:
    """Of Σ|p − y|, [T, S, N], what lies on flipped labels and what on other, borderline ones: [T, S] each."""
    borderline = (np.abs(size - 0.5) <= border) & ~flipped
    share = lambda chosen: (size * chosen).sum(-1) / size.sum(-1)
    return share(flipped), share(borderline)
