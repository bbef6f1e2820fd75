"""What is timed: each contender makes a job from a setting, and a job can be run again and again.

All train the same perceptron on the same batches in the same order, so that they do the same work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

from benchmarks import ordinary
from benchmarks.machine import cpp_compiler
from benchmarks.settings import Setting
from crosscheck import losses
from crosscheck.autodiff import gradient
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates, batch_order

Job = Callable[[], Any]
RATE = 1e-3
FUNCTIONS = {
    "binary": (losses.binary_crossentropy, keras.losses.binary_crossentropy),
    "categorical": (losses.categorical_crossentropy, keras.losses.categorical_crossentropy),
    "sparse": (losses.sparse_categorical_crossentropy, keras.losses.sparse_categorical_crossentropy),
}


def examples(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """The handwritten digits, or random numbers of the size asked for, or of the kind that a model takes."""
    if "model" in setting:
        return ordinary.examples(builder(setting)(), setting["examples"])
    if setting["data"] == "digits":
        digits = load_digits()
        return (digits.data / 16).astype("float32"), digits.target.astype("int32")
    rng = np.random.default_rng(0)
    shape = (setting["examples"], *setting["inputs"])
    return rng.normal(size=shape).astype("float32"), rng.integers(0, 10, shape[0])


def builder(setting: Setting) -> Callable[[], keras.Model]:
    if "model" in setting:
        return ordinary.MODELS[setting["model"]]
    if len(setting["inputs"]) == 1:
        return perceptron(setting["inputs"][0], [setting["hidden"]], 10)

    def build() -> keras.Model:
        layers = keras.layers
        body = [layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D()]
        body += [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
        return keras.Sequential([keras.Input(setting["inputs"]), *body, layers.Dense(10)])

    return build


def loss(setting: Setting) -> keras.losses.Loss:
    """Keras' own, or ours: both sides of a comparison have the same."""
    if setting.get("loss") == "crosscheck.losses":
        return losses.SparseCategoricalCrossentropy()
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(setting: Setting) -> Replicates:
    replicas = Replicates(builder(setting), range(setting["R"]), mode=setting.get("mode", "auto"))
    replicas.compile(keras.optimizers.Adam(RATE), loss(setting))
    return replicas


def replicates_total(setting: Setting) -> Job:
    """From nothing to trained, initial weights and compilation included."""
    x, y = examples(setting)
    return lambda: compiled(setting).fit(x, y, setting["batch"], setting["epochs"])


def fit_total(setting: Setting) -> Job:
    """A loop of `keras.Model.fit` over as many seeds as `sample` says."""
    x, y = examples(setting)

    def job() -> None:
        for seed in range(setting["sample"]):
            keras.utils.set_random_seed(seed)
            model = builder(setting)()
            model.compile(keras.optimizers.Adam(RATE), loss(setting))
            model.fit(x, y, setting["batch"], setting["epochs"], verbose=0)

    return job


def replicates_steady(setting: Setting) -> Job:
    """More epochs of replicates that are compiled."""
    x, y = examples(setting)
    replicas = compiled(setting)
    return lambda: replicas.fit(x, y, setting["batch"], setting["epochs"]).history["loss"]


def our_loss(setting: Setting) -> Job:
    """Value and gradient of this package's loss on logits."""
    return value_and_gradient(setting, FUNCTIONS[setting["loss"]][0])


def keras_loss(setting: Setting) -> Job:
    """The same of Keras' built-in from logits."""
    function = FUNCTIONS[setting["loss"]][1]
    return value_and_gradient(setting, lambda y, z: function(y, z, from_logits=True))


def value_and_gradient(setting: Setting, loss: Callable[[Any, Any], Any]) -> Job:
    """Mean loss and its gradient by the logits [B, K], as one program where the backend compiles."""
    shape = setting["examples"], *setting["inputs"]
    rng = np.random.default_rng(0)
    z, classes = rng.normal(size=shape).astype("float32"), rng.integers(0, shape[1], shape[0])
    one_hot = np.eye(shape[1], dtype="float32")[classes]
    y = {"binary": one_hot, "categorical": one_hot, "sparse": classes.astype("int32")}[setting["loss"]]
    labels, logits = keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(z)
    run = compiled_pair(lambda z: keras.ops.mean(loss(labels, z)), logits)
    return lambda: [run() for _ in range(setting["repeats"])]


def compiled_pair(value: Callable[[Any], Any], z: Any) -> Job:
    """(value, gradient) at z, compiled; returns once they are there."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        program = jax.jit(jax.value_and_grad(value))
        return lambda: jax.block_until_ready(program(z))
    if backend == "torch":
        return compiled_by_torch(value, z)
    import tensorflow as tf

    slope = gradient(value)
    program = tf.function(lambda z: (value(z), slope(z)), jit_compile=True, autograph=False)
    return lambda: [tensor.numpy() for tensor in program(z)]


def compiled_by_torch(value: Callable[[Any], Any], z: Any) -> Job:
    import torch

    # PyTorch takes all these jobs for one function, and after eight of them falls back to eager unasked.
    torch._dynamo.config.recompile_limit = 64
    run = torch.compile(value, dynamic=False) if cpp_compiler() else value
    z = z.requires_grad_()

    def job() -> tuple[Any, Any]:
        loss = run(z)
        return loss, *torch.autograd.grad(loss, z)

    return job


def batch_orders(setting: Setting, epoch: int, n: int) -> np.ndarray:
    return np.stack([batch_order(seed, epoch, n) for seed in range(setting["R"])]).astype("int32")


def initial_weights(setting: Setting) -> list[np.ndarray]:
    return Replicates(builder(setting), range(setting["R"])).get_weights()


def jax_steady(setting: Setting) -> Job:
    """As written by hand: `vmap` of the gradient, Adam on stacked weights, `scan` over batches, one `jit`."""
    from benchmarks import by_hand

    x, y = examples(setting)
    train = by_hand.training(by_hand.perceptron, initial_weights(setting), x, y, setting["batch"])
    state = {"epoch": 0}

    def job() -> list[np.ndarray]:
        history = []
        for _ in range(setting["epochs"]):
            history.append(train(batch_orders(setting, state["epoch"], len(x))))
            state["epoch"] += 1
        return history

    return job


def torch_steady(setting: Setting) -> Job:
    """As written by hand: `torch.func.vmap` of the gradient, Adam on stacked weights, `torch.compile`."""
    import torch

    x, y = (torch.as_tensor(per_replicate) for per_replicate in examples(setting))
    y = y.long()
    weights = [torch.tensor(per_replicate) for per_replicate in initial_weights(setting)]
    m, v = ([torch.zeros_like(w) for w in weights] for _ in range(2))

    def value(weights: Any, x: Any, y: Any) -> Any:
        first, bias, last, offset = weights
        logits = torch.relu(x @ first + bias) @ last + offset
        loss = -torch.log_softmax(logits, 1).gather(1, y[:, None]).mean()
        return loss, loss

    per_replicate = torch.func.vmap(torch.func.grad(value, has_aux=True))

    def step(weights: Any, m: Any, v: Any, batch: Any, rate: Any) -> Any:
        g, losses = per_replicate(weights, x[batch], y[batch])
        for w, a, b, slope in zip(weights, m, v, g, strict=True):
            a.mul_(0.9).add_(slope, alpha=0.1)
            b.mul_(0.999).addcmul_(slope, slope, value=0.001)
            w.sub_(rate * a / (b.sqrt() + 1e-7))
        return losses

    # One program for whole batches and one for the last: a program for any size would be slower.
    run = torch.compile(step, dynamic=False) if cpp_compiler() else step
    state: dict[str, int] = {"t": 0, "epoch": 0}

    def job() -> list[np.ndarray]:
        history = []
        for _ in range(setting["epochs"]):
            order = torch.as_tensor(batch_orders(setting, state["epoch"], len(x)))
            total = torch.zeros(setting["R"])
            for batch in order.split(setting["batch"], dim=1):
                state["t"] += 1
                rate = RATE * (1 - 0.999 ** state["t"]) ** 0.5 / (1 - 0.9 ** state["t"])
                total += run(weights, m, v, batch, torch.tensor(rate)) * batch.shape[1]
            history.append((total / len(x)).numpy())
            state["epoch"] += 1
        return history

    return job
