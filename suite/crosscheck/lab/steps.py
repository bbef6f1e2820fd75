"""What steps of training move: weights, and how far two trainings end apart, or logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import mpmath
import numpy as np
from scipy import special

from crosscheck import losses, models
from crosscheck.replicates import Replicates

REACH = 0.3  # of the weights at the start, about that of Keras' Dense layer


def distance(
    one: Sequence[np.ndarray], other: Sequence[np.ndarray], start: Sequence[np.ndarray]
) -> np.ndarray:
    """Returns how far apart two trainings of the same replicates end, relative to how far the second moved.

    Args:
        one, other, start: stacked weights as `Replicates.get_weights` gives them, [R, …] each.

    Returns:
        ‖one − other‖ / ‖other − start‖ over all weights of a replicate, [R], without unit.
    """
    apart, moved = (
        np.sqrt(sum(((a - b) ** 2).reshape(len(a), -1).sum(1) for a, b in zip(*pair, strict=True)))
        for pair in ((one, other), (other, start))
    )
    return apart / moved


def stepped(
    model: keras.Model, optimizer: keras.Optimizer, loss: Any, x: np.ndarray, y: np.ndarray, batch_size: int
) -> list[np.ndarray]:
    """Returns how far each weight moves in one epoch of Keras' own steps over the examples as they stand.

    The steps run eagerly, because tracing would take longer than a few of them. The model is left trained.

    Args:
        model: a built model; `compile` is called on it.
        optimizer, loss: as in `keras.Model.compile`.
        x, y: N examples and labels, in the order in which they are taken.
        batch_size: examples a step.

    Returns:
        A move for each weight, in the order and the shapes of `model.get_weights()`.
    """
    start = model.get_weights()
    model.compile(optimizer, loss, run_eagerly=True)
    for first in range(0, len(x), batch_size):
        model.train_on_batch(x[first : first + batch_size], y[first : first + batch_size])
    return [after - before for after, before in zip(model.get_weights(), start, strict=True)]


OPTIONS: dict[str, dict[str, float]] = {  # of Keras' optimisers, where they are not as they come
    "SGD, momentum": {"momentum": 0.9},
    "AdamW, no decay": {"weight_decay": 0.0},
    "Muon, no decay": {"weight_decay": 0.0, "adam_weight_decay": 0.0},
}


def optimizer_of(name: str) -> keras.Optimizer:
    """Keras' optimiser of that name, before the comma, with the `OPTIONS` of the whole."""
    return getattr(keras.optimizers, name.partition(",")[0])(**OPTIONS.get(name, {}))


def weight_moves(
    optimizer: keras.Optimizer, loss: Any, x: np.ndarray, y: np.ndarray, batch_size: int
) -> np.ndarray:
    """How far each weight of a linear model of ten classes goes in one pass over x [N, D] and y [N]: [W].

    It always sets out from the same weights, on any backend. Linear, for where a dark pixel meets a dead unit
    Adafactor (Keras 3.15) divides 0 by 0. A plain model: some optimisers look at a whole layer, which
    replicates in one stack would share.
    """
    keras.utils.set_random_seed(0)
    model, start = models.perceptron(x.shape[1], [], 10)(), np.random.default_rng(0)
    model.set_weights([start.uniform(-REACH, REACH, w.shape) for w in model.get_weights()])
    return np.concatenate([w.ravel() for w in stepped(model, optimizer, loss, x, y, batch_size)])


def raised_logits(
    build: Callable[[], keras.Model], weights: list[np.ndarray], x: np.ndarray, y: np.ndarray, rate: float
) -> np.ndarray:
    """Which logits of its batch a step of gradient descent on sparse cross-entropy raises, in each replicate.

    Args:
        build: makes the model.
        weights: of the R replicates, with a leading axis R.
        x, y: a batch each, [R, B, D], and its labels, [R, B].
        rate: of the step.

    Returns:
        bool [R, B, K].
    """
    replicas = Replicates(build, range(len(x)))
    replicas.set_weights(weights)
    # One step is over before a compiled program has begun.
    replicas.compile(keras.optimizers.SGD(rate), losses.sparse_categorical_crossentropy, jit_compile=False)
    before = replicas.predict(x)
    replicas.fit(x, y, batch_size=x.shape[1])
    return replicas.predict(x) > before


# --- whose logits a step on a batch raises ---

TRIALS = 8  # batches a seed
RATE = 0.1  # of the step
HIDDEN = 64
STEPS = ("true labels", "other labels", "one class")  # what a step is taken on


def after_an_epoch(
    seeds: Sequence[int], x: np.ndarray, y: np.ndarray, hidden: Sequence[int] = (HIDDEN,)
) -> Replicates:
    """Classifiers of x [N, D] and classes y [N], trained for an epoch; linear ones without `hidden`."""
    trained = Replicates(models.perceptron(x.shape[1], hidden, int(y.max()) + 1), seeds)
    trained.compile(keras.optimizers.Adam(1e-3), losses.sparse_categorical_crossentropy)
    trained.fit(x, y, batch_size=64)
    return trained


def last_layer_only(inputs: int, outputs: int) -> Callable[[], keras.Model]:
    """Returns a builder of the same network, of which training moves the last layer alone."""

    def build() -> keras.Model:
        model = models.perceptron(inputs, (HIDDEN,), outputs)()
        model.layers[0].trainable = False
        return model

    return build


def batches(
    seeds: Sequence[int], y: np.ndarray, size: int, of_one_class: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """TRIALS batches a seed: places of examples, and for each a class that is not its own, [R, B] each."""
    generators = [np.random.default_rng((seed, trial)) for seed in seeds for trial in range(TRIALS)]
    pool = lambda rng: np.flatnonzero(y == rng.integers(y.max() + 1)) if of_one_class else len(y)
    chosen = np.stack([rng.choice(pool(rng), size, replace=False) for rng in generators])
    away = np.stack([rng.integers(1, y.max() + 1, size) for rng in generators])
    return chosen, (y[chosen] + away) % (y.max() + 1)


def rising_shares(
    trained: Replicates,
    x: np.ndarray,
    y: np.ndarray,
    size: int,
    steps: Sequence[str] = STEPS,
    build: Any = None,
) -> list[np.ndarray]:
    """The share of (example, wrong class) pairs of batches whose logit a step on the batch raises.

    Args:
        trained: S networks, each of which gets TRIALS batches.
        x, y: examples to choose from, [N, D], and their classes, [N].
        size: examples a batch.
        steps: kinds of batches and of steps, of `STEPS`.
        build: another model of the same weights to take the step with.

    Returns:
        Of each kind, one number a seed, [S].
    """
    seeds = trained.seeds
    drawn = [batches(seeds, y, size, step == "one class") for step in steps]
    chosen = np.concatenate([places for places, _ in drawn])  # [A · R, B]
    taken_on = [
        others if step == "other labels" else y[places]
        for step, (places, others) in zip(steps, drawn, strict=True)
    ]
    weights = [np.concatenate([np.repeat(w, TRIALS, axis=0)] * len(steps)) for w in trained.get_weights()]
    up = raised_logits(build or trained.build, weights, x[chosen], np.concatenate(taken_on), RATE)
    wrong = y[chosen][..., None] != np.arange(up.shape[-1])  # by the true labels
    return list(up[wrong].reshape(len(steps), len(seeds), -1).mean(2))


# --- whose probability a step on the logits raises ---


def changes(z: np.ndarray, push: np.ndarray, rates: Sequence[float]) -> np.ndarray:
    """softmax(z − η push) − softmax(z) at each rate η, for logits and a push [N, K]: [rates, N, K]."""
    after = np.stack([special.softmax(z - rate * push, axis=1) for rate in rates])
    return after - special.softmax(z, axis=1)


def gain(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dp/dη at η = 0 of the step z − η (p − y): p_j (Σ p² − p_y − p_j) for the wrong classes; [..., K]."""
    lead = y - p
    return p * (lead - (p * lead).sum(-1, keepdims=True))


def gain_at(j: int, z: tuple[float, ...] = (-1.0, 2.0, 0.5)) -> float:
    """The gain of class j where the label is class 0."""
    return float(gain(special.softmax(z), np.eye(len(z))[0])[j])


def gain_by_differentiation(j: int, z: tuple[float, ...] = (-1.0, 2.0, 0.5)) -> float:
    """The same: the softmax after the step, differentiated by its rate at 50 digits."""
    with mpmath.workdps(50):
        powers = [mpmath.exp(mpmath.mpf(logit)) for logit in z]
        push = [(k == 0) - power / mpmath.fsum(powers) for k, power in enumerate(powers)]
        moved = lambda rate, k: powers[k] * mpmath.exp(rate * push[k])
        chance = lambda rate: moved(rate, j) / mpmath.fsum(moved(rate, k) for k in range(len(z)))
        return float(mpmath.diff(chance, 0))


def gain_by_complex_step(z: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The same of logits [N, K] and a step [N, K]: Im softmax(z + i h step) / h, which subtracts nothing."""
    h = 1e-30
    powers = np.exp(z - z.max(-1, keepdims=True) + 1j * h * step)
    return (powers / powers.sum(-1, keepdims=True)).imag / h
