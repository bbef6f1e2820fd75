"""Training one network on images as published for CIFAR: augmented, penalised, and resumed after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from crosscheck.lab.photographs import checkpoints
from crosscheck.losses import EnergyMarginCrossentropy, categorical_crossentropy, role_weights

BORDER = 4  # pixels of black around an image before it is cut out again
FINAL_RATE = 1e-6
TRAINED, TUNED = "trained", "fine-tuned"


class Epoch(NamedTuple):
    """Images uint8 [N, height, width, 3], labels [N, K], weights [N]: N in the order of training."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Phase:
    """One training: nesterov momentum 0.9, a cosine of the steps from `rate` down to `FINAL_RATE`.

    Attributes:
        batch: inliers a step; `outliers`: outliers a step beside them.
        margins: m_in and m_out, nats; `weight`: λ. Neither plays a part without outliers.
    """

    rate: float
    epochs: int
    batch: int
    outliers: int = 0
    margins: tuple[float, float] = (-23.0, -5.0)
    weight: float = 0.1


def augmented(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image mirrored or not, then cut out of a black border of 4 pixels at random: [N, h, w, C].

    Source: as in the scripts of Liu et al. 2020.
    """
    height, width = x.shape[1:3]
    flipped = np.where(rng.random((len(x), 1, 1, 1)) < 0.5, x[:, :, ::-1], x)
    padded = np.pad(flipped, ((0, 0), (BORDER, BORDER), (BORDER, BORDER), (0, 0)))
    top, left = rng.integers(0, 2 * BORDER + 1, (2, len(x)))
    down, across = top[:, None] + np.arange(height), left[:, None] + np.arange(width)
    return padded[np.arange(len(x))[:, None, None], down[:, :, None], across[:, None, :]]


def epoch_of(
    phase: Phase, x: np.ndarray, y: np.ndarray, outside: np.ndarray | None, seed: int, number: int
) -> Epoch:
    """An epoch's examples, a function of the seed and the epoch's number alone.

    With outliers every batch holds its inliers, then as many outliers as the phase says, and weights under
    which its mean is the mean over inliers plus the mean over outliers.
    """
    rng = np.random.default_rng([seed, number])
    order = rng.permutation(len(x))
    x, y = augmented(x[order], rng), y[order]
    if outside is None or not phase.outliers:
        return Epoch(x, y, np.ones(len(x), "float32"))
    needed = -(-len(x) // phase.batch) * phase.outliers
    drawn = augmented(np.take(outside, cycled(rng, len(outside), needed), axis=0), rng)
    batches = [batch_with_outliers(phase, x, y, drawn, start) for start in range(0, len(x), phase.batch)]
    return Epoch(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))


def cycled(rng: np.random.Generator, count: int, needed: int) -> np.ndarray:
    """Indices of examples, all of them once before any comes twice."""
    rounds = -(-needed // count)
    return np.concatenate([rng.permutation(count) for _ in range(rounds)])[:needed]


def batch_with_outliers(phase: Phase, x: np.ndarray, y: np.ndarray, outside: np.ndarray, start: int) -> Epoch:
    """The batch that begins with inlier `start`; labels of outliers are zero."""
    inside, labels = x[start : start + phase.batch], y[start : start + phase.batch]
    first = start // phase.batch * phase.outliers
    labels = np.pad(labels, ((0, phase.outliers), (0, 0)))
    images = np.concatenate([inside, outside[first : first + phase.outliers]])
    return Epoch(images, labels, role_weights(labels))


def fit(
    model: keras.Model,
    phase: Phase,
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    folder: Path,
    outside: np.ndarray | None = None,
) -> keras.Model:
    """Train a model, or go on from the last checkpoint of the same training in `folder`.

    A resumed training takes the steps that an undisturbed one takes. On a GPU the step is compiled by XLA.

    Args:
        model: with its initial weights; it is trained in place.
        phase: how.
        x: uint8 [N, height, width, 3].
        y: one-hot [N, K].
        seed: of order, augmentation and outliers.
        folder: of this training's checkpoints alone.
        outside: auxiliary outliers, uint8 [M, height, width, 3].

    Raises:
        UsageError: where a checkpoint cannot be written.
    """
    steps = phase.epochs * -(-len(x) // phase.batch)
    rate = keras.optimizers.schedules.CosineDecay(phase.rate, steps, alpha=FINAL_RATE / phase.rate)
    tunes = outside is not None and phase.outliers > 0
    loss: Callable[..., Any] | keras.losses.Loss = categorical_crossentropy
    if tunes:
        loss = EnergyMarginCrossentropy(*phase.margins, phase.weight)
    model.compile(keras.optimizers.SGD(rate, 0.9, nesterov=True), loss, jit_compile="auto")
    for number in range(checkpoints.restore(folder, model), phase.epochs):
        examples = epoch_of(phase, x, y, outside, seed, number)
        size = phase.batch + (phase.outliers if tunes else 0)
        model.fit(examples.x, examples.y, size, sample_weight=examples.weights, shuffle=False, verbose=0)
        checkpoints.save(folder, number + 1, model)
    return model


@dataclass(frozen=True)
class Protocol:
    """The two trainings of Liu et al. 2020: a classifier, then its fine-tuning with outliers."""

    training: Phase = Phase(0.1, 100, 128)
    tuning: Phase = Phase(0.001, 10, 128, 256)


def published_protocol(*epochs: int) -> Protocol:
    """The protocol with other numbers of epochs, where two are named: of training and of fine-tuning."""
    phases = (Protocol.training, Protocol.tuning)
    return Protocol(*(replace(phase, epochs=n) for phase, n in zip(phases, epochs or (100, 10), strict=True)))


def train_and_tune(
    build: Callable[[], keras.Model],
    protocol: Protocol,
    x: np.ndarray,
    y: np.ndarray,
    outside: np.ndarray,
    seed: int,
    folder: Path,
    look: Callable[[keras.Model], Any],
) -> dict[str, Any]:
    """A classifier, looked at by `look`, then fine-tuned and looked at again.

    Everything is a function of the seed; epochs that `folder` holds are not trained again.

    Args:
        build: of the network, untrained.
        protocol: how it is trained, and fine-tuned.
        x, y, outside, seed: as in `fit`.
        folder: of the checkpoints of both trainings alone.
        look: what is wanted of a trained network.

    Returns:
        What `look` returned, by `TRAINED` and `TUNED`.

    Raises:
        UsageError: where a checkpoint cannot be written.
    """
    keras.utils.set_random_seed(seed)
    model = fit(build(), protocol.training, x, y, seed, folder / TRAINED)
    before = look(model)
    fit(model, protocol.tuning, x, y, seed, folder / TUNED, outside)
    return {TRAINED: before, TUNED: look(model)}
