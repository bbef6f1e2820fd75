"""Training carried on past the least held-out loss: what held-out halves say along the way, and temperatures.

Whatever is chosen (an epoch, a smoothing, a temperature) is chosen on one half of the held-out examples and
measured on the other, both ways round, and the two results are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from scipy import special

from crosscheck import calibration, metrics
from crosscheck.losses import sparse_categorical_crossentropy
from crosscheck.replicates import Replicates


class Course(NamedTuple):
    """Held-out measures at E looks of R trainings on the 2 halves of the held-out examples: [E, R, 2] each.

    Attributes:
        loss: cross-entropy, in nats.
        accuracy: share that is right.
        squared: squared calibration error of the top label, debiased.
        plug_in: the plug-in calibration error, which chance raises to about its `floor`.
        floor: see `crosscheck.metrics.calibration_floor`.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    squared: np.ndarray
    plug_in: np.ndarray
    floor: np.ndarray

    def at(self, look: np.ndarray, measure: str) -> np.ndarray:
        """A measure at a look of each training and half, [R, 2], averaged over the halves: [R]."""
        values = np.take_along_axis(getattr(self, measure), look[None], 0)[0]
        return values.mean(-1)

    def best(self) -> np.ndarray:
        """The look at which the loss is least on the half that is not measured: [R, 2]."""
        return self.loss[..., ::-1].argmin(0)

    def of(self, trainings: slice) -> Course:
        """The course of some of the trainings."""
        return Course(*(values[:, trainings] for values in self))


def halves(examples: int) -> tuple[slice, slice]:
    return slice(examples // 2), slice(examples // 2, None)


def measured(logits: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """What `Course` holds, of logits [R, N, K] and labels [N], or [R, N] of each training: [R, 2] each."""
    y = np.broadcast_to(labels, logits.shape[:2])
    by_half = [half_measured(logits[:, half], y[:, half]) for half in halves(logits.shape[1])]
    return [np.stack(pair, -1) for pair in zip(*by_half, strict=True)]


def half_measured(logits: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    log_p = special.log_softmax(np.asarray(logits, "float64"), -1)
    p, right = np.exp(log_p), log_p.argmax(-1) == y
    return (
        -np.take_along_axis(log_p, y[..., None], -1)[..., 0].mean(-1),
        right.mean(-1),
        metrics.squared_calibration_error(p, y),
        metrics.calibration_gap(p.max(-1), right),
        metrics.calibration_floor(p),
    )


def penalised_perceptron(inputs: int, hidden: int, outputs: int) -> Callable[[], keras.Model]:
    """A builder of a perceptron whose kernels carry a penalty Σw², for a `penalty_scale`."""

    def build() -> keras.Model:
        square = keras.regularizers.L2(1.0)
        dense = keras.layers.Dense(hidden, activation="relu", kernel_regularizer=square)
        head = keras.layers.Dense(outputs, kernel_regularizer=square)
        return keras.Sequential([keras.Input((inputs,)), dense, head])

    return build


def followed(
    seeds: Sequence[int],
    arms: Sequence[tuple[float, float]],
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    looks: Sequence[int],
    hidden: int = 64,
    rate: float = 3e-3,
) -> tuple[Course, np.ndarray, Any]:
    """Trains by Adam, each arm from every seed's weights, and looks at held-out examples after some epochs.

    Args:
        seeds: S.
        arms: A pairs: label smoothing α, and λ of an L2 penalty on the kernels.
        x, y: examples [N, D] and their labels, [A, S, N].
        x_test, y_test: the held-out ones.
        looks: E numbers of epochs, rising.
        hidden, rate: width of the hidden layer, and Adam's rate.

    Returns:
        The course of all A · S trainings, arm by arm; the first arm's held-out logits [E, S, M, K]; and the
        trained replicates.
    """
    trainings, (smoothing, penalty) = len(arms) * len(seeds), np.repeat(arms, len(seeds), 0).T
    build = penalised_perceptron(x.shape[1], hidden, 10)
    replicas = Replicates(build, tuple(seeds) * len(arms), paired=True)
    arguments = {"label_smoothing": smoothing.astype("float32")}
    optimizer, loss = keras.optimizers.Adam(rate), sparse_categorical_crossentropy
    replicas.compile(optimizer, loss, loss_arguments=arguments, penalty_scale=penalty)
    images = np.broadcast_to(x, (trainings, *x.shape))
    course, first, done = [], [], 0
    for epochs in looks:
        replicas.fit(images, y.reshape(trainings, -1), batch_size=64, epochs=epochs - done)
        logits, done = replicas.predict(x_test), epochs
        course.append(measured(logits, y_test))
        first.append(logits[: len(seeds)])
    return Course(*(np.stack(values) for values in zip(*course, strict=True))), np.stack(first), replicas


def flipped(y: np.ndarray, seed: int, share: float) -> np.ndarray:
    """The labels, of which about a share are replaced by one of the nine others at random."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(y)) < share, (y + rng.integers(1, 10, len(y))) % 10, y)


def temperatures(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The temperature that suits the half that is *not* measured: of logits [R, N, K], [R, 2]."""
    first, second = halves(len(labels))
    fitted = [calibration.fit_temperature(logits[:, half], labels[half]) for half in (second, first)]
    return np.stack(fitted, -1)


def scaled(logits: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Logits [R, N, K], each half divided by its own temperature, [R, 2]."""
    first, second = halves(logits.shape[1])
    parts = [logits[:, half] / temperature[:, i, None, None] for i, half in enumerate((first, second))]
    return np.concatenate(parts, 1)


def drawn(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels drawn from the probabilities of logits [R, N, K], which are then calibrated: [R, N]."""
    p = special.softmax(np.asarray(logits, "float64"), -1)
    return np.minimum((rng.random((*p.shape[:2], 1)) > p.cumsum(-1)).sum(-1), p.shape[-1] - 1)
