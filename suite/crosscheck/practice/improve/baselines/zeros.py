"""Exact zeros. Make 80 % of the kernels' weights exactly 0, at 0.01 of accuracy.

Keras' own L1 penalty pulls weights towards zero and leaves none there. The network stays 64–32–10.
"""

import keras

from crosscheck.practice.improve.trying import try_out
from crosscheck.replicates import Replicates


def build():
    l1 = keras.regularizers.L1(5e-4)
    hidden = keras.layers.Dense(32, activation="relu", kernel_regularizer=l1)
    return keras.Sequential([keras.Input((64,)), hidden, keras.layers.Dense(10, kernel_regularizer=l1)])


def solve(task):
    """The weights [kernel, bias, kernel, bias], each [R, …]."""
    replicas = Replicates(build, seeds=task.seeds)
    replicas.compile(
        keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    replicas.fit(task.x_train, task.y_train, batch_size=50, epochs=30)
    return replicas.get_weights()


if __name__ == "__main__":
    try_out("zeros", solve)
