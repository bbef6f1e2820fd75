"""Networks trained on images some of whose labels were flipped, looked at as they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from crosscheck import data
from crosscheck.lab import overtraining

LOSSES = ("cross-entropy", "generalised")
ARMS = {  # loss, share of flipped labels
    "cross-entropy": ("cross-entropy", 0.4),
    "generalised": ("generalised", 0.4),
    "fewer flipped": ("cross-entropy", 0.2),
    "generalised, fewer flipped": ("generalised", 0.2),
    "right labels": ("cross-entropy", 0.4),  # trained on right ones, and only looked at on flipped ones
}
POWER = 0.7  # q of the generalised loss, as published


class Course(NamedTuple):
    """At E looks, by arm and seed, [E, A, S]: shares of the flipped examples, and of the gradient.

    Attributes:
        true: of the flipped, how many are taken for what they are.
        memorised: of the flipped, how many are taken for what they are labelled.
        gradient: share of Σ ‖dL/dz‖ over the training examples that the flipped ones have.
        test: accuracy on held-out images.
    """

    true: np.ndarray
    memorised: np.ndarray
    gradient: np.ndarray
    test: np.ndarray


def images(name: str, trained: int, tested: int) -> tuple[np.ndarray, ...]:
    """The first images to train on and to test, with labels; large ones averaged to 7 × 7."""
    whole = data.load(name)
    x, x_test = whole.x_train, whole.x_test
    if name != "digits":
        x, x_test = (data.averaged(part, whole.shape, 8) for part in (x, x_test))
    return x[:trained], whole.y_train[:trained], x_test[:tested], whole.y_test[:tested]


def followed(
    seeds: Sequence[int],
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    looks: Sequence[int],
    hidden: Sequence[int],
    rate: float,
) -> Course:
    """Trains each arm from every seed's weights, by Adam, and looks after so many epochs."""
    import keras

    from crosscheck.models import perceptron
    from crosscheck.replicates import Replicates

    kinds = [loss for loss, _ in ARMS.values()]
    noisy = np.stack([[overtraining.flipped(y, seed, share) for seed in seeds] for _, share in ARMS.values()])
    replicas = Replicates(perceptron(x.shape[1], hidden, 10), tuple(seeds) * len(ARMS), paired=True)
    weights = {
        f"of_{i}": np.repeat([kind == own for own in kinds], len(seeds)) for i, kind in enumerate(LOSSES)
    }
    arguments = {name: weight.astype("float32") for name, weight in weights.items()}
    replicas.compile(keras.optimizers.Adam(rate), mixed, loss_arguments=arguments)
    inputs = np.broadcast_to(x, (len(replicas), *x.shape))
    told = [[y] * len(seeds) if arm == "right labels" else own for arm, own in zip(ARMS, noisy, strict=True)]
    labels = np.reshape(told, (len(replicas), -1))
    seen, done = [], 0
    for epochs in looks:
        if epochs > done:
            replicas.fit(inputs, labels, batch_size=64, epochs=epochs - done)
        logits, held_out = replicas.predict(x), replicas.predict(x_test)
        shape = len(ARMS), len(seeds)
        right = (held_out.argmax(-1) == y_test).mean(-1)
        by_arm = logits.reshape(*shape, *logits.shape[1:])
        seen.append([*looked(kinds, by_arm, y, noisy), right.reshape(shape)])
        done = epochs
    return Course(*(np.stack(values) for values in zip(*seen, strict=True)))


def mixed(y, z, **weights):
    """The sum of both losses, of which one has the weight 1 and the other 0."""
    from keras import ops

    from crosscheck import losses

    one_hot = ops.one_hot(ops.cast(ops.reshape(y, (-1,)), "int32"), 10)
    parts = (
        losses.categorical_crossentropy(one_hot, z),
        losses.generalised_crossentropy(one_hot, z, POWER),
    )
    return sum(weights[f"of_{i}"] * part for i, part in enumerate(parts))


def looked(
    kinds: Sequence[str], logits: np.ndarray, y: np.ndarray, noisy: np.ndarray
) -> tuple[np.ndarray, ...]:
    """What `Course` holds of logits [A, S, N, K], but for the test: [A, S] each."""
    flipped, decided = noisy != y, logits.argmax(-1)
    count = flipped.sum(-1)
    true = ((decided == y) & flipped).sum(-1) / count
    memorised = ((decided == noisy) & flipped).sum(-1) / count
    size = np.stack([gradient_sizes(*case) for case in zip(kinds, logits, noisy, strict=True)])  # [A, S, N]
    return true, memorised, (size * flipped).sum(-1) / size.sum(-1)


def gradient_sizes(kind: str, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """‖dL/dz‖ of each example, in closed form: p − y, or p_y^q (p − y): [..., N]."""
    p = special.softmax(logits.astype("float64"), -1)
    off = p - np.eye(p.shape[-1])[labels]
    if kind == "generalised":
        off = off * np.take_along_axis(p, labels[..., None], -1) ** POWER
    return np.linalg.norm(off, axis=-1)


def coarse(x: np.ndarray, side: int) -> np.ndarray:
    """Square images [N, H · H] as the means of about square blocks, `side` a side: [N, side²]."""
    edge = round(x.shape[1] ** 0.5)
    cuts = np.array_split(np.arange(edge), side)
    square = x.reshape(-1, edge, edge)
    return np.stack([square[:, a][:, :, b].mean((1, 2)) for a in cuts for b in cuts], axis=1)
