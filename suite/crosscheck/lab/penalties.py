"""Networks on the digits with an L2 penalty of a coefficient for each replicate: what they come to.

With Σw² in the model, a `penalty_scale` of `crosscheck.replicates` is each replicate's λ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from scipy import special

from crosscheck import data, losses
from crosscheck.lab import optima, steps, trajectories
from crosscheck.replicates import Replicates

BATCH, EPOCHS, ADAM_RATE = 64, 40, 3e-3


def penalised(
    *hidden: int, kernels: bool = True, biases: bool = True, behind: str = ""
) -> Callable[[], keras.Model]:
    """A builder of a perceptron on the digits with Σw² over its kernels and biases, for `penalty_scale`.

    `behind` names a layer of Keras that follows each Dense one, before its activation.
    """

    def build() -> keras.Model:
        kernel, bias = (keras.regularizers.L2(1.0) if some else None for some in (kernels, biases))
        layers = [keras.Input((64,))]
        for width in (*hidden, 10):
            layers.append(keras.layers.Dense(width, kernel_regularizer=kernel, bias_regularizer=bias))
            layers += [getattr(keras.layers, behind)()] if behind else []
            layers += [keras.layers.ReLU()] if width in hidden else []
        return keras.Sequential(layers)

    return build


def penalised_replicates(
    build: Callable[[], keras.Model],
    seeds: Sequence[int],
    optimizer: keras.Optimizer,
    penalties: Sequence[float],
) -> Replicates:
    """One replicate a pair (λ, seed), λ by λ: the same seeds start from the same weights."""
    replicas = Replicates(build, tuple(seeds) * len(penalties), paired=True)
    scale = np.repeat(penalties, len(seeds))
    replicas.compile(optimizer, losses.sparse_categorical_crossentropy, penalty_scale=scale)
    return replicas


def after_training(
    build: Callable[[], keras.Model], seeds: Sequence[int], penalties: Sequence[float]
) -> dict[str, np.ndarray]:
    """Largest logit and mean residual on the training digits, accuracy on the test digits: [λ, S] each."""
    digits = data.load("digits")
    replicas = penalised_replicates(build, seeds, keras.optimizers.Adam(ADAM_RATE), penalties)
    replicas.fit(digits.x_train, digits.y_train, batch_size=BATCH, epochs=EPOCHS)
    z = replicas.predict(digits.x_train).astype("float64")  # [R, N, K]
    off = 1 - np.take_along_axis(special.softmax(z, -1), digits.y_train[None, :, None], -1)[..., 0]
    correct = replicas.predict(digits.x_test).argmax(-1) == digits.y_test
    measured = (np.abs(z).max((1, 2)), off.mean(1), correct.mean(1))
    by_penalty = (numbers.reshape(len(penalties), len(seeds)) for numbers in measured)
    return dict(zip(("largest logit", "mean residual", "accuracy"), by_penalty, strict=True))


def own_digits(seeds: Sequence[int], examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Each seed's own choice of the training digits, [S, N, D], and their labels, [S, N]."""
    digits = data.load("digits")
    every = len(digits.x_train)
    chosen = np.stack([np.random.default_rng(seed).permutation(every)[:examples] for seed in seeds])
    return digits.x_train[chosen], digits.y_train[chosen]


def optimum_weights(
    seeds: Sequence[int],
    optimizer: keras.Optimizer,
    penalties: Sequence[float],
    x: np.ndarray,
    y: np.ndarray,
    steps: int,
) -> np.ndarray:
    """Softmax regression after so many steps on all of x [S, N, D]: with the biases, [λ, S, D + 1, K]."""
    replicas = penalised_replicates(penalised(), seeds, optimizer, penalties)
    each, labels = (np.concatenate([part] * len(penalties)) for part in (x, y))
    replicas.fit(each, labels, batch_size=x.shape[1], epochs=steps, shuffle=False)
    kernel, bias = replicas.get_weights()
    weights = np.concatenate([kernel, bias[:, None]], axis=1).astype("float64")
    return weights.reshape(len(penalties), len(seeds), *weights.shape[1:])


def normalised(layer: str, z: np.ndarray, **options: float) -> np.ndarray:
    """What a normalisation layer of Keras makes of its inputs [N, D] in training, in float64."""
    training = {"training": True} if layer == "BatchNormalization" else {}
    made = getattr(keras.layers, layer)(dtype="float64", **options)(z, **training)
    return keras.ops.convert_to_numpy(made)  # PyTorch leaves a gradient with it


def normalised_plainly(layer: str, z: np.ndarray) -> np.ndarray:
    """The same without ε: over the batch, or over the features."""
    axis = 0 if layer == "BatchNormalization" else 1
    return (z - z.mean(axis, keepdims=True)) / z.std(axis, keepdims=True)


def decayed_against_by_hand(seeds: Sequence[int], rate: float, penalty: float, examples: int) -> np.ndarray:
    """How far a linear model with weight_decay = 2λ ends from NumPy's steps along loss and penalty, [S]."""
    start = Replicates(penalised(), seeds).get_weights()
    decaying = keras.optimizers.SGD(rate, weight_decay=2 * penalty)
    (decay,) = trajectory_ends(penalised(), seeds, decaying, (0.0,), examples)
    by_hand = optima.descended(start, seeds, rate, penalty, trajectories.BATCH, trajectories.EPOCHS, examples)
    return steps.distance(decay, by_hand, start)


def trajectory_ends(
    build: Callable[[], keras.Model],
    seeds: Sequence[int],
    optimizer: keras.Optimizer,
    penalties: Sequence[float],
    examples: int,
) -> list[list[np.ndarray]]:
    """Weights after a few epochs on the digits, penalty by penalty: stacked over the seeds.

    So short a training is over before a compiled one has begun.
    """
    loss = losses.sparse_categorical_crossentropy
    return trajectories.ends(build, seeds, optimizer, loss, penalties, jit_compile=False, examples=examples)
