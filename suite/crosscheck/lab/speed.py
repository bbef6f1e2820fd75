"""How soon trainings reach what a plain one comes to: a held-out accuracy, a held-out likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
BETTER = np.log(1.25)  # a fifth fewer epochs
MEASURES = ("accuracy", "likelihood")
NAMES = ("plain", "changed", "slow", "fast")


@dataclass(frozen=True)
class Arm:
    """How a training differs from the plain one: label smoothing α, λ of an L2 penalty, times the rate."""

    smoothing: float = 0.0
    penalty: float = 0.0
    rate: float = 1.0


PLAIN, SLOW, FAST = Arm(), Arm(rate=0.5), Arm(rate=3.0)


def held_out(seeds: Sequence[int], arms: Sequence[Arm]) -> tuple[np.ndarray, np.ndarray]:
    """Trains a perceptron on the digits by Adam, every arm from each seed's weights and in its batches.

    Returns:
        After every epoch the accuracy and the mean loss on the test digits: [E, A, S] each.
    """
    digits = data.load("digits")
    replicas = prepared(digits.x_train.shape[1], seeds, arms)
    accuracy, loss, y = [], [], digits.y_test
    for _ in range(EPOCHS):
        replicas.fit(digits.x_train, digits.y_train, batch_size=BATCH, epochs=1)
        log_p = special.log_softmax(replicas.predict(digits.x_test).astype("float64"), -1)  # [R, N, K]
        accuracy.append((log_p.argmax(-1) == y).mean(-1))
        loss.append(-log_p[:, np.arange(len(y)), y].mean(-1))
    by_arm = (EPOCHS, len(arms), len(seeds))
    return np.reshape(accuracy, by_arm), np.reshape(loss, by_arm)


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


def epochs_to_reach(accuracy: np.ndarray, loss: np.ndarray) -> dict[str, np.ndarray]:
    """The first epoch at which a training is about as good as the plain one comes to be, [A, S] by measure.

    The aim is each seed's own, of the plain training, arm 0, by epoch `AIM`: its accuracy then less half a
    point, and its least loss and five per cent. A training that never gets there counts as one that does at the
    end, which flatters it.

    Args:
        accuracy, loss: after every epoch, [E, A, S]. The accuracy is averaged over the last `WINDOW` epochs.
    """
    steady = np.stack([accuracy[max(0, e - WINDOW) : e].mean(0) for e in range(1, len(accuracy) + 1)])
    there = {
        "accuracy": steady >= steady[AIM - 1, 0] - ACCURACY_SLACK,
        "likelihood": loss <= LOSS_SLACK * loss[:AIM, 0].min(0),
    }
    return {name: first(reached) for name, reached in there.items()}


def first(reached: np.ndarray) -> np.ndarray:
    """The number, from 1, of the first epoch of [E, …] that is true; E where none is."""
    return np.where(reached.any(0), reached.argmax(0) + 1, len(reached))
