"""How soon trainings reach what a plain one comes to: a held-out accuracy, a held-out likelihood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
from scipy import special

from crosscheck import data
from crosscheck.lab.overtraining import penalised_perceptron
from crosscheck.losses import sparse_categorical_crossentropy
from crosscheck.replicates import Replicates

BATCH, HIDDEN, RATE = 64, 64, 2e-3
AIM, EPOCHS = 40, 100  # the plain training sets the aim by the first; the others have till the second
ACCURACY_SLACK, LOSS_SLACK = 0.005, 1.05  # what counts as reached: half a point less, five per cent more
WINDOW = 5  # epochs over which the accuracy is averaged: one more digit right is 0.2 %
MEASURES = ("accuracy", "likelihood")


@dataclass(frozen=True)
class Arm:
    """How a training differs from the plain one: label smoothing α, λ of an L2 penalty, times the rate."""

    smoothing: float = 0.0
    penalty: float = 0.0
    rate: float = 1.0


PLAIN, SLOW, FAST = Arm(), Arm(rate=0.5), Arm(rate=3.0)


class Course(NamedTuple):
    """What arms come to, each over its own S seeds, by arm.

    Attributes:
        accuracy, loss: on the test digits, after every epoch: [E, S] each.
        residual: mean 1 − p of the true class on the training digits at epoch `AIM`, [S]: how saturated.
    """

    accuracy: dict[Arm, np.ndarray]
    loss: dict[Arm, np.ndarray]
    residual: dict[Arm, np.ndarray]


def followed(seeds: Mapping[Arm, Sequence[int]]) -> Course:
    """Trains a perceptron on the digits by Adam, every arm from its seeds' weights and in their batches."""
    digits = data.load("digits")
    replicas = prepared(digits.x_train.shape[1], seeds)
    accuracy, loss, residual, y = [], [], np.array([]), digits.y_test
    for epoch in range(1, EPOCHS + 1):
        replicas.fit(digits.x_train, digits.y_train, batch_size=BATCH, epochs=1)
        logits = replicas.predict(digits.x_test)
        accuracy.append((logits.argmax(-1) == y).mean(-1))
        loss.append(-log_likelihoods(logits, y).mean(-1))
        if epoch == AIM:
            learned = log_likelihoods(replicas.predict(digits.x_train), digits.y_train)
            residual = (1 - np.exp(learned)).mean(-1)
    ends = np.cumsum([len(own) for own in seeds.values()])[:-1]
    by_arm = lambda values: dict(zip(seeds, np.split(values, ends, axis=-1), strict=True))
    return Course(by_arm(np.array(accuracy)), by_arm(np.array(loss)), by_arm(residual))


def log_likelihoods(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """ln p of each true class, in float64: [R, N] of logits [R, N, K] and labels y [N].

    A few replicates at a time stay in the processor's cache: all at once take four times as long.
    """
    parts = np.array_split(logits, 1 + len(logits) // 16)
    each = (special.log_softmax(part.astype("float64"), -1)[:, np.arange(len(y)), y] for part in parts)
    return np.concatenate(list(each))


def prepared(inputs: int, seeds: Mapping[Arm, Sequence[int]]) -> Replicates:
    every = [(arm, seed) for arm, own in seeds.items() for seed in own]
    replicas = Replicates(
        penalised_perceptron(inputs, HIDDEN, 10), tuple(seed for _, seed in every), paired=True
    )
    of_each = lambda number: np.array([number(arm) for arm, _ in every], "float32")
    replicas.compile(
        keras.optimizers.Adam(RATE),
        sparse_categorical_crossentropy,
        loss_arguments={"label_smoothing": of_each(lambda arm: arm.smoothing)},
        optimizer_arguments={"learning_rate": of_each(lambda arm: RATE * arm.rate)},
        penalty_scale=of_each(lambda arm: arm.penalty),
    )
    return replicas


def epochs_to_reach(course: Course) -> dict[str, dict[Arm, np.ndarray]]:
    """The first epoch at which a training is about as good as the plain one comes to be: [S] by measure, arm.

    The aim is each seed's own, of the plain training by epoch `AIM`: its accuracy then less half a point, and
    its least loss and five per cent. Arms have the plain one's first seeds. A training that never gets there
    counts as one that does at the end, which flatters it. The "last accuracy" is the plain training's own at
    its end, in full. Accuracies are averaged over the last `WINDOW` epochs.
    """
    steady = {arm: averaged(accuracy) for arm, accuracy in course.accuracy.items()}
    plain, least = steady[PLAIN], course.loss[PLAIN][:AIM].min(0)
    there = {
        "accuracy": lambda arm, s: steady[arm] >= plain[AIM - 1, :s] - ACCURACY_SLACK,
        "likelihood": lambda arm, s: course.loss[arm] <= LOSS_SLACK * least[:s],
        "last accuracy": lambda arm, s: steady[arm] >= plain[-1, :s],
    }
    sizes = {arm: accuracy.shape[-1] for arm, accuracy in steady.items()}
    return {
        name: {arm: first(reached(arm, s)) for arm, s in sizes.items()} for name, reached in there.items()
    }


def sooner_than_plain(course: Course) -> dict[str, dict[Arm, np.ndarray]]:
    """ln of the plain training's epochs over those of an arm of the same seed, [S] by measure and arm."""
    return {
        measure: {arm: np.log(epochs[PLAIN][: len(own)] / own) for arm, own in epochs.items()}
        for measure, epochs in epochs_to_reach(course).items()
    }


def averaged(accuracy: np.ndarray) -> np.ndarray:
    """The mean over the last `WINDOW` epochs, or as many as there were, [E, S]."""
    return np.stack([accuracy[max(0, e - WINDOW) : e].mean(0) for e in range(1, len(accuracy) + 1)])


def first(reached: np.ndarray) -> np.ndarray:
    """The number, from 1, of the first epoch of [E, …] that is true; E where none is."""
    return np.where(reached.any(0), reached.argmax(0) + 1, len(reached))
