"""Likelihood. A fifth of the labels is wrong, and the network has learnt them by heart: it is too sure.

Better the mean negative log-likelihood on reserved rows by 0.05, at the same accuracy.
Budget: one training; the held-out rows are yours to choose with.
"""

import keras

from crosscheck.models import perceptron
from crosscheck.practice.improve.trying import try_out
from crosscheck.replicates import Replicates


def trained(task):
    """The networks, one a seed."""
    replicas = Replicates(perceptron(64, [64], 10), seeds=task.seeds)
    replicas.compile(
        keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    replicas.fit(task.x_train, task.y_train, batch_size=50, epochs=60)
    return replicas


def solve(task):
    """Logits of the reserved inputs, [R, N, 10]."""
    return trained(task).predict(task.x_test)


if __name__ == "__main__":
    try_out("temperature", solve)
