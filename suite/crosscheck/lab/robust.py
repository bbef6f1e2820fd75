"""Losses made for wrong labels, at chosen logits and in training: bounded ones, and the two corrections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
from scipy import special

from crosscheck.lab import noise

STEPS = 500  # of full-batch Adam, at a rate that falls to zero
DIGITS = 50
EPS = float(np.finfo("float64").eps)
CLIP = 1e-7  # at which Keras clips a probability


# --- generalised cross-entropy ---------------------------------------------------------------------------


def sharpened(eta: np.ndarray, q: float) -> np.ndarray:
    """η^(1/(1−q)), normalised: where the expected loss is least, [..., K]."""
    return special.softmax(np.log(eta) / (1 - q), -1)


def sharpened_by_search(eta: np.ndarray, q: float) -> np.ndarray:
    return noise.least_at(lambda p: (1 - p**q) / q, eta)


def trained_biases(
    eta: np.ndarray, powers: Sequence[float], seeds: Sequence[int], examples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of labels drawn from η [K], [S, K], and logits of biases trained on them, [1 + Q, S, K].

    The first are those of cross-entropy, then of generalised cross-entropy by its power q. Labels are
    counted, and every class is one example whose `sample_weight` is its count.
    """
    import keras

    from crosscheck.models import perceptron
    from crosscheck.replicates import Replicates

    share = np.stack([np.random.default_rng(seed).multinomial(examples, eta) for seed in seeds]) / examples
    q = np.repeat([0.0, *powers], len(seeds)).astype("float32")
    replicas = Replicates(perceptron(1, [], len(eta)), range(len(q)))
    rate = keras.optimizers.schedules.CosineDecay(0.1, STEPS)
    replicas.compile(keras.optimizers.Adam(rate), generalised_or_plain, loss_arguments={"q": q})
    mass = np.tile(share * len(eta), (1 + len(powers), 1)).astype("float32")
    y, x = np.broadcast_to(np.arange(len(eta)), mass.shape), np.zeros((*mass.shape, 1), "float32")
    replicas.fit(x, y, batch_size=len(eta), epochs=STEPS, shuffle=False, sample_weight=mass)
    bias = replicas.get_weights()[1].astype("float64")
    return share, bias.reshape(1 + len(powers), len(seeds), -1)


def generalised_or_plain(y: Any, z: Any, q: Any) -> Any:
    """Generalised cross-entropy of a power q > 0; cross-entropy for q = 0."""
    from keras import ops

    from crosscheck import losses

    is_plain = ops.cast(ops.equal(q, 0), z.dtype)
    generalised = losses.generalised_crossentropy(y, z, q + is_plain)
    return is_plain * losses.sparse_categorical_crossentropy(y, z) + (1 - is_plain) * generalised


# --- sums over all labels ----------------------------------------------------------------------------------


def logits(classes: int) -> np.ndarray:
    """Mild and large ones, [60, K]."""
    z = np.random.default_rng(classes).standard_normal((60, classes))
    return z * np.repeat([1.0, 5.0, 30.0], 20)[:, None]


def summed(name: str, z: np.ndarray, q: float = 0.5) -> np.ndarray:
    """Σ_j of a loss of label j at logits [N, K], computed in Keras and float64: [N]."""
    import keras
    from keras import ops

    from crosscheck import autodiff, losses

    classes = z.shape[1]
    functions = {
        "absolute": lambda y, z: classes * keras.losses.mean_absolute_error(y, ops.softmax(z)),
        "cross-entropy": losses.categorical_crossentropy,
        "generalised": lambda y, z: losses.generalised_crossentropy(y, z, q),
    }
    label = lambda j: np.tile(np.eye(classes)[j], (len(z), 1))
    values = [functions[name](*autodiff.tensors(label(j), z)) for j in range(classes)]
    return np.sum([autodiff.numbers(value) for value in values], axis=0)


# --- corrections -------------------------------------------------------------------------------------------


def backward(loss: np.ndarray, law: np.ndarray) -> np.ndarray:
    """T⁻¹ℓ of losses by label, [N, K]."""
    return loss @ np.linalg.inv(law).T


def forward_in_tails() -> dict[str, tuple[np.ndarray, ...]]:
    """Of the corrected loss's value and gradient: ours, through probabilities, SciPy's, exact, and an ulp."""
    parts = [in_tails(law) for law in (noise.uniform(3, 0.3), noise.pair_flip(3, 0.3))]
    return {
        what: tuple(np.concatenate([part[i][j].ravel() for part in parts]) for j in range(5))
        for i, what in enumerate(("value", "gradient"))
    }


def in_tails(law: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """The same for one T, at logits from 1 to 10⁴ in size."""
    from crosscheck import autodiff, losses

    rng = np.random.default_rng(0)
    z = rng.uniform(-1, 1, (50, 3)) * np.repeat(10.0 ** np.arange(5), 10)[:, None]
    y = np.eye(3)[np.arange(50) % 3]
    ours = lambda y, z: losses.forward_corrected_crossentropy(y, z, law)
    value, gradient = (
        np.stack(part) for part in zip(*(exact(*case, law) for case in zip(z, y, strict=True)), strict=True)
    )
    low = z - z.max(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        joint = low + np.log(law[:, y.argmax(1)]).T
    by_scipy = (
        special.logsumexp(low, -1) - special.logsumexp(joint, -1),
        special.softmax(low, -1) - special.softmax(joint, -1),
    )
    clipped = through_probabilities(law)
    values = (autodiff.numbers(loss(*autodiff.tensors(y, z))) for loss in (ours, clipped))
    slopes = (autodiff.logit_gradient(loss, y, z) for loss in (ours, clipped))
    return [
        (*values, by_scipy[0], value, EPS * np.maximum(1, value)),
        (*slopes, by_scipy[1], gradient, EPS * np.maximum(1, moved_by_rounding(z, joint))),
    ]


def moved_by_rounding(z: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """Σ_j |∂²L/∂z_i∂z_j| |z_j| at most: what relative errors of an ulp in the logits do to the gradient."""
    total = np.zeros_like(z)
    for p in (special.softmax(z, -1), special.softmax(joint, -1)):
        hessian = p[:, :, None] * (np.eye(z.shape[1]) - p[:, None, :])
        total += np.einsum("nij,nj->ni", np.abs(hessian), np.abs(z))
    return total


def exact(z: np.ndarray, y: np.ndarray, law: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient of the forward-corrected loss of one example at 50 digits."""
    with mpmath.workdps(DIGITS):
        top = mpmath.mpf(float(z.max()))
        e = [mpmath.exp(mpmath.mpf(float(at)) - top) for at in z]
        mass = [part * mpmath.mpf(float(t)) for part, t in zip(e, law[:, int(y.argmax())], strict=True)]
        slope = [a / mpmath.fsum(e) - b / mpmath.fsum(mass) for a, b in zip(e, mass, strict=True)]
        return float(mpmath.log(mpmath.fsum(e) / mpmath.fsum(mass))), np.array([float(s) for s in slope])


def through_probabilities(law: np.ndarray) -> Any:
    """The forward-corrected loss as it is mostly written: −ln of (Tᵀ softmax(z))_y, clipped."""
    from keras import ops

    def loss(y: Any, z: Any) -> Any:
        mixed = ops.matmul(ops.softmax(z), ops.convert_to_tensor(law, dtype=z.dtype))
        return -ops.sum(y * ops.log(ops.clip(mixed, CLIP, 1 - CLIP)), -1)

    return loss


IMAGES, SHARE, EPOCHS = 300, 0.4, 60


def trained_backward(seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """Training losses, [S] each, of digits with 40 % flipped labels under the backward loss.

    "network" and "little" (a linear model of four grey values) are trained; "by heart" is the same loss of a
    logit of 20 for every label and 0 for the others.
    """
    from crosscheck import data
    from crosscheck.lab import memorising, overtraining

    digits = data.load("digits")
    x, y = digits.x_train[:IMAGES], digits.y_train[:IMAGES]
    law = noise.uniform(10, SHARE)
    noisy = np.stack([overtraining.flipped(y, seed, SHARE) for seed in seeds])
    ends = {
        "network": last_loss(seeds, x, noisy, law, (64,)),
        "little": last_loss(seeds, memorising.coarse(x, 2), noisy, law, ()),
    }
    by_label = -special.log_softmax(20 * np.eye(10)[noisy], -1)  # [S, N, K]
    own = np.take_along_axis(backward(by_label, law), noisy[..., None], -1)
    return {**ends, "by heart": own.mean((1, 2))}


def last_loss(
    seeds: Sequence[int], x: np.ndarray, noisy: np.ndarray, law: np.ndarray, hidden: Sequence[int]
) -> np.ndarray:
    """The last epoch's mean backward loss of perceptrons trained on x [N, D] and labels [S, N]: [S]."""
    import keras

    from crosscheck.models import perceptron
    from crosscheck.replicates import Replicates

    replicas = Replicates(perceptron(x.shape[1], hidden, 10), seeds)
    replicas.compile(keras.optimizers.Adam(3e-3), backward_crossentropy(law))
    history = replicas.fit(x, noisy, batch_size=32, epochs=EPOCHS)
    return history.history["loss"][-1]


def backward_crossentropy(law: np.ndarray) -> Any:
    """A loss of integer labels and logits: Σ_j (T⁻¹)_yj (−ln softmax(z)_j)."""
    from keras import ops

    inverse = np.linalg.inv(law).astype("float32")

    def loss(y: Any, z: Any) -> Any:
        one_hot = ops.one_hot(ops.cast(ops.reshape(y, (-1,)), "int32"), len(inverse), dtype=z.dtype)
        return -ops.sum(ops.matmul(one_hot, ops.convert_to_tensor(inverse)) * ops.log_softmax(z), -1)

    return loss
