"""Proximal steps on the whole training set, at a rate that falls to 0."""

import keras

from crosscheck.models import perceptron
from crosscheck.optimizers import Proximal
from crosscheck.replicates import Replicates

STEPS = 300


def solve(task):
    replicas = Replicates(perceptron(64, [32], 10), seeds=task.seeds)
    rate = keras.optimizers.schedules.CosineDecay(0.03, STEPS)
    replicas.compile(
        Proximal(keras.optimizers.Adam(rate), l1=1.2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    replicas.fit(task.x_train, task.y_train, batch_size=task.x_train.shape[1], epochs=STEPS)
    return replicas.get_weights()
