"""Networks trained on images whose classes are rarer and rarer, looked at again and again on even classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from crosscheck import data

CLASSES = 10
ARMS = {  # τ of adjusted logits, whether classes are weighted, γ of focal loss, λ of an L2 penalty
    "plain": (0.0, False, 0.0, 0.0),
    "weighted": (0.0, True, 0.0, 0.0),
    "adjusted": (1.0, False, 0.0, 0.0),
    "focal": (0.0, False, 2.0, 0.0),
    "plain, L2": (0.0, False, 0.0, 1e-2),
    "weighted, L2": (0.0, True, 0.0, 1e-2),
}
COMPARED = ("plain", "weighted")  # on all seeds; the others on a few


class Tail(NamedTuple):
    """Images [N, D] of classes [N] with the shares π [K] to train on, and even ones to look at."""

    x: np.ndarray
    y: np.ndarray
    shares: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def sizes(most: int, ratio: float) -> np.ndarray:
    """How many images each class has, falling geometrically from `most` to `most` / `ratio`: [K]."""
    return np.round(most * ratio ** (-np.arange(CLASSES) / (CLASSES - 1))).astype("int64")


def tail(name: str, most: int, ratio: float, tested: int) -> Tail:
    """The first images of each class of a set, ever fewer, and as many held-out ones of every class.

    Args:
        name: of the set; images larger than the digits are averaged to 7 × 7.
        most, ratio: as in `sizes`.
        tested: held-out images of each class, at most.
    """
    images = data.load(name)
    x, x_test = images.x_train, images.x_test
    y, y_test = images.y_train, images.y_test
    if name == "digits":  # half to train on, the rest is held out
        x, y = np.concatenate([x, x_test]), np.concatenate([y, y_test])
        x, x_test, y, y_test = x[: len(x) // 2], x[len(x) // 2 :], y[: len(y) // 2], y[len(y) // 2 :]
    else:
        x, x_test = (data.averaged(part, images.shape, 8) for part in (x, x_test))
    kept = np.concatenate([np.flatnonzero(y == k)[:n] for k, n in enumerate(sizes(most, ratio))])
    even = min(tested, np.bincount(y_test).min())
    held_out = np.concatenate([np.flatnonzero(y_test == k)[:even] for k in range(CLASSES)])
    shares = np.bincount(y[kept], minlength=CLASSES) / len(kept)
    return Tail(x[kept], y[kept], shares, x_test[held_out], y_test[held_out])


def followed(
    seeds: Sequence[int], few: int, images: Tail, looks: Sequence[int], hidden: int, rate: float
) -> dict[str, np.ndarray]:
    """Held-out logits [E, S, M, K] of each of the `ARMS` after so many epochs, all from the same weights.

    Args:
        seeds: of those that are `COMPARED`; `few`: the others have so many of the first.
        images: to train on, and to look at.
        looks: after how many epochs.
        hidden, rate: units of the perceptron; Adam's rate.
    """
    import keras

    from crosscheck.lab.overtraining import penalised_perceptron
    from crosscheck.replicates import Replicates

    own = [tuple(seeds if arm in COMPARED else seeds[:few]) for arm in ARMS]
    counts = [len(each) for each in own]
    tau, weighted, gamma, penalty = (np.repeat(part, counts) for part in zip(*ARMS.values(), strict=True))
    build = penalised_perceptron(images.x.shape[1], hidden, CLASSES)
    replicas = Replicates(build, sum(own, ()), paired=True)
    arguments = {"tau": tau.astype("float32"), "gamma": gamma.astype("float32")}
    loss = adjusted_focal(np.log(images.shares).astype("float32"))
    replicas.compile(keras.optimizers.Adam(rate), loss, loss_arguments=arguments, penalty_scale=penalty)
    weights = np.where(weighted[:, None], (1 / (CLASSES * images.shares))[images.y], 1.0).astype("float32")
    seen, done = [], 0
    for epochs in looks:
        replicas.fit(images.x, images.y, batch_size=64, epochs=epochs - done, sample_weight=weights)
        logits, done = replicas.predict(images.x_test), epochs
        seen.append(logits)
    return dict(zip(ARMS, np.split(np.stack(seen), np.cumsum(counts)[:-1], axis=1), strict=True))


def adjusted_focal(log_shares: np.ndarray) -> Any:
    """A loss of integer labels and logits: −(1 − p_y)^γ ln p_y with p = softmax(z + τ ln π)."""
    from keras import ops

    def loss(y: Any, z: Any, tau: Any, gamma: Any) -> Any:
        moved = z + tau * ops.convert_to_tensor(log_shares)
        own = ops.one_hot(ops.cast(ops.reshape(y, (-1,)), "int32"), CLASSES)
        total = ops.logsumexp(moved, axis=-1)
        surprise = total - ops.sum(own * moved, axis=-1)
        log_rest = ops.logsumexp(moved - 1e9 * own, axis=-1) - total  # ln(1 − p_y), of the other classes
        return ops.exp(gamma * log_rest) * surprise

    return loss


def balanced_accuracy(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The mean over classes of the share that is right, of logits [..., M, K]: [...]. Classes are even."""
    return (logits.argmax(-1) == y).mean(-1)


def recall_of_rare(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same over the rarer half of the classes."""
    rare = y >= CLASSES // 2
    return balanced_accuracy(logits[..., rare, :], y[rare])
