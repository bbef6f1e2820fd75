"""Cross-entropy against squared error of the logits, with the same budget (Hui & Belkin 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck import losses
from crosscheck.data import Dataset, averaged
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

WIDTH, BATCH = 64, 50
SIDE = 14  # pixels to which larger images are averaged, for time
EARLY, END = 4, 60  # epochs after which the networks are looked at
RATE = 1e-3  # Adam's own, customary for cross-entropy: squared error is given no rate of its own
ENTROPY, SMOOTHED, SQUARED, NOISY = "cross-entropy", "smoothed", "squared error", "squared error, noise"
ALPHA, NOISE = 0.1, 0.5  # of smoothing as Keras has it; share of labels that are drawn at random
ARMS = (ENTROPY, SMOOTHED, SQUARED, NOISY)


def right(seeds: Sequence[int], images: Dataset, examples: int) -> dict[int, dict[str, np.ndarray]]:
    """Which test examples a perceptron classifies rightly, by epoch and by what it was trained on.

    A seed has the same initial weights and batches in every arm; the rate falls to 0 along a cosine.

    Args:
        seeds: S of them.
        images: classes by integer labels.
        examples: trained on, the first so many.

    Returns:
        bool [S, M] by arm, after EARLY and after END epochs.
    """
    x, y = pixels(images, images.x_train[:examples]), images.y_train[:examples]
    build = perceptron(x.shape[1], [WIDTH], images.classes)
    replicas = Replicates(build, [*seeds] * len(ARMS), paired=True)
    schedule = keras.optimizers.schedules.CosineDecay(RATE, END * -(-len(x) // BATCH))
    replicas.compile(keras.optimizers.Adam(schedule), mixed, loss_arguments=arguments(len(seeds)))
    x_test = pixels(images, images.x_test)
    labels, seen, before = targets(seeds, y, images.classes), {}, 0
    for after in (EARLY, END):
        replicas.fit(x, labels, batch_size=BATCH, epochs=after - before)
        hits = replicas.predict(x_test).argmax(-1) == images.y_test
        seen[after], before = dict(zip(ARMS, np.split(hits, len(ARMS)), strict=True)), after
    return seen


def pixels(images: Dataset, x: np.ndarray) -> np.ndarray:
    """The images [N, D] with no more than SIDE pixels a side."""
    return averaged(x, images.shape, SIDE) if images.shape[0] > SIDE else x


def mixed(y: Any, z: Any, squares: Any, alpha: Any) -> Any:
    """Cross-entropy with smoothing α, or the mean of (z − y)² over the classes where `squares` is 1."""
    own = losses.sparse_categorical_crossentropy(y, z, alpha)
    label = ops.one_hot(ops.reshape(ops.cast(y, "int32"), ops.shape(z)[:-1]), z.shape[-1], dtype=z.dtype)
    return (1 - squares) * own + squares * ops.mean(ops.square(z - label), axis=-1)


def arguments(seeds: int) -> dict[str, np.ndarray]:
    """The numbers of `mixed`, by arm, for so many seeds."""
    by_arm = {
        "squares": [arm in (SQUARED, NOISY) for arm in ARMS],
        "alpha": [ALPHA * (a == SMOOTHED) for a in ARMS],
    }
    return {name: np.repeat(np.array(numbers, "float32"), seeds) for name, numbers in by_arm.items()}


def targets(seeds: Sequence[int], y: np.ndarray, classes: int) -> np.ndarray:
    """The labels of every arm and seed; in the arm with noise some are drawn at random: [A · S, N]."""
    noisy = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        noisy.append(np.where(rng.random(len(y)) < NOISE, rng.integers(0, classes, len(y)), y))
    clean = np.tile(y, (len(seeds), 1))
    return np.concatenate([noisy if arm == NOISY else clean for arm in ARMS])
