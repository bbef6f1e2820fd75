"""Small networks of many kinds of layers, examples for them, and both ways to train them."""

from __future__ import annotations

import keras
import numpy as np

from crosscheck import losses
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates, batch_order

SEEDS = (3, 5, 8)
# Where XLA is not what is tested: tracing alone takes a third of the time.
QUICK = {"jit_compile": False} if keras.backend.backend() == "tensorflow" else {}


def dense():
    return perceptron(6, [8], 4)()


def penalised(strength=0.01):
    layers = keras.layers
    hidden = layers.Dense(8, "relu", kernel_regularizer=keras.regularizers.L2(strength))
    return keras.Sequential([keras.Input((6,)), hidden, layers.Dense(4)])


def normalised():
    """No bias before the normalisation: its gradient is rounding alone, which Adam scales up to a step."""
    layers = keras.layers
    hidden = [layers.Dense(8, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(4)])


def convolutional():
    layers = keras.layers
    body = [layers.Reshape((3, 2, 1)), layers.Conv2D(4, 2, activation="relu"), layers.MaxPooling2D((2, 1))]
    return keras.Sequential([keras.Input((6,)), *body, layers.Flatten(), layers.Dense(4)])


def functional():
    """Two branches, a layer normalisation, a frozen layer."""
    x = keras.Input((6,))
    frozen = keras.layers.Dense(8, "tanh", trainable=False)
    left = keras.layers.LayerNormalization()(keras.layers.Dense(8, "relu")(x))
    return keras.Model(x, keras.layers.Dense(4)(keras.layers.Add()([left, frozen(x)])))


def embedded():
    layers = keras.layers
    body = [layers.Lambda(lambda x: keras.ops.cast(keras.ops.abs(x) * 3, "int32")), layers.Embedding(20, 5)]
    return keras.Sequential([keras.Input((6,)), *body, layers.GlobalAveragePooling1D(), layers.Dense(4)])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = keras.layers.Dense(8, "relu"), keras.layers.Dense(4)

    def call(self, x):
        return self.head(self.hidden(x))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 6), "float32"))
    return model


MODELS = (dense, penalised, normalised, convolutional, functional, embedded, subclassed)


def examples(n=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 6)).astype("float32"), rng.integers(0, 4, n).astype("int32")


class Epochs(keras.utils.PyDataset):
    """Batches in another order each epoch, as the replicate of a seed takes them; x, y may be trees."""

    def __init__(self, x, y, seed, batch_size):
        super().__init__()
        self.x, self.y, self.seed, self.batch_size, self.epoch = x, y, seed, batch_size, 0
        self.n = len(keras.tree.flatten(y)[0])

    def __len__(self):
        return -(-self.n // self.batch_size)

    def __getitem__(self, i):
        order = batch_order(self.seed, self.epoch, self.n)
        batch = order[i * self.batch_size : (i + 1) * self.batch_size]
        return keras.tree.map_structure(lambda array: array[batch], (self.x, self.y))

    def begins(self):
        """Sets the epoch: on JAX and PyTorch, Keras begins once more than there are epochs, to build."""
        return keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(self, "epoch", epoch)
        )


def plainly_fitted(build, seed, optimizer, x, y, epochs, batch_size, loss=None, **options):
    keras.utils.set_random_seed(seed)
    model = build()
    eagerly = keras.backend.backend() == "tensorflow"  # a dozen steps: tracing them would take longer
    model.compile(optimizer, loss or losses.sparse_categorical_crossentropy, run_eagerly=eagerly)
    batches = Epochs(x, y, seed, batch_size)
    options["callbacks"] = [batches.begins(), *options.get("callbacks", ())]
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0, **options)
    return model


def trained(build, seeds, x, y, optimizer=None, epochs=3, batch_size=16, mode="auto", **compiled):
    replicas = Replicates(build, seeds, mode=mode)
    loss = compiled.pop("loss", losses.sparse_categorical_crossentropy)
    replicas.compile(optimizer or keras.optimizers.SGD(0.1), loss, **{**QUICK, **compiled})
    replicas.fit(x, y, batch_size, epochs)
    return replicas


def assert_same(stacked, r, model, tolerance):
    for mine, theirs in zip(stacked.get_weights(), model.variables, strict=True):
        np.testing.assert_allclose(mine[r], keras.ops.convert_to_numpy(theirs), rtol=0, atol=tolerance)


def compiled(build=dense, seeds=SEEDS, optimizer=None, loss=losses.sparse_categorical_crossentropy, **more):
    mode, more = more.pop("mode", "auto"), {**QUICK, **more}
    replicas = Replicates(build, seeds, mode=mode)
    replicas.compile(optimizer or keras.optimizers.SGD(0.1), loss, **more)
    return replicas


def plain(build=dense, seed=SEEDS[0], optimizer=None, loss=losses.sparse_categorical_crossentropy, **more):
    keras.utils.set_random_seed(seed)
    model = build()
    eagerly = keras.backend.backend() == "tensorflow"  # a dozen steps: tracing them would take longer
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, run_eagerly=eagerly, **more)
    return model


def in_order_of(seed, epoch, *arrays):
    order = batch_order(seed, epoch, len(arrays[0]))
    return tuple(array[order] for array in arrays)
