"""How soon trainings reach what a plain one comes to: a held-out accuracy, a held-out likelihood."""

from __future__ import annotations

from collections.abc import Sequence
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
    """What A arms of S seeds come to.

    Attributes:
        accuracy, loss: on the test digits, after every epoch: [E, A, S] each.
        residual: mean 1 − p of the true class on the training digits at epoch `AIM`, [A, S]: how saturated.
    """

    accuracy: np.ndarray
    loss: np.ndarray
    residual: np.ndarray


def followed(seeds: Sequence[int], arms: Sequence[Arm]) -> Course:
    """Trains a perceptron on the digits by Adam, every arm from each seed's weights and in its batches."""
    digits = data.load("digits")
    replicas = prepared(digits.x_train.shape[1], seeds, arms)
    accuracy, loss, residual, y = [], [], [], digits.y_test
    for epoch in range(1, EPOCHS + 1):
        replicas.fit(digits.x_train, digits.y_train, batch_size=BATCH, epochs=1)
        logits = replicas.predict(digits.x_test)
        accuracy.append((logits.argmax(-1) == y).mean(-1))
        loss.append(-log_likelihoods(logits, y).mean(-1))
        if epoch == AIM:
            learned = log_likelihoods(replicas.predict(digits.x_train), digits.y_train)
            residual = (1 - np.exp(learned)).mean(-1)
    by_arm = (len(arms), len(seeds))
    curve = lambda values: np.reshape(values, (EPOCHS, *by_arm))
    return Course(curve(accuracy), curve(loss), np.reshape(residual, by_arm))


def log_likelihoods(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """ln p of each true class, in float64: [R, N] of logits [R, N, K] and labels y [N].

    A few replicates at a time stay in the processor's cache: all at once take four times as long.
    """
    parts = np.array_split(logits, 1 + len(logits) // 16)
    each = (special.log_softmax(part.astype("float64"), -1)[:, np.arange(len(y)), y] for part in parts)
    return np.concatenate(list(each))


def prepared(inputs: int, seeds: Sequence[int], arms: Sequence[Arm]) -> Replicates:
    each = lambda numbers: np.repeat(np.array(numbers, "float32"), len(seeds))
    replicas = Replicates(penalised_perceptron(inputs, HIDDEN, 10), tuple(seeds) * len(arms), paired=True)
    replicas.compile(
        keras.optimizers.Adam(RATE),
        sparse_categorical_crossentropy,
        loss_arguments={"label_smoothing": each([arm.smoothing for arm in arms])},
        optimizer_arguments={"learning_rate": each([RATE * arm.rate for arm in arms])},
        penalty_scale=each([arm.penalty for arm in arms]),
    )
    return replicas


def epochs_to_reach(course: Course) -> dict[str, np.ndarray]:
    """The first epoch at which a training is about as good as the plain one comes to be, [A, S] by measure.

    The aim is each seed's own, of the plain training, arm 0, by epoch `AIM`: its accuracy then less half a
    point, and its least loss and five per cent. A training that never gets there counts as one that does at
    the end, which flatters it. The "last accuracy" is the plain training's own at its end, in full.
    Accuracies are averaged over the last `WINDOW` epochs.
    """
    accuracy, loss, _ = course
    steady = np.stack([accuracy[max(0, e - WINDOW) : e].mean(0) for e in range(1, len(accuracy) + 1)])
    there = {
        "accuracy": steady >= steady[AIM - 1, 0] - ACCURACY_SLACK,
        "likelihood": loss <= LOSS_SLACK * loss[:AIM, 0].min(0),
        "last accuracy": steady >= steady[-1, 0],
    }
    return {name: first(reached) for name, reached in there.items()}


def first(reached: np.ndarray) -> np.ndarray:
    """The number, from 1, of the first epoch of [E, …] that is true; E where none is."""
    return np.where(reached.any(0), reached.argmax(0) + 1, len(reached))
