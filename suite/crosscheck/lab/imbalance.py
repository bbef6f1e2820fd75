"""Two classes of unequal shares: what weights, adjusted logits and focal loss make of laws and boundaries.

The classes are N(∓d/2, 1) along one feature, class 1 with the share ρ. A model is a line, a x + b, taken as
log-odds; what it is worth follows from the line in closed form, so that nothing is sampled to judge it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import integrate, optimize, special

from crosscheck import data

APART = 2.0  # d
NODES = 81  # of a grid of x on which examples are counted
STEPS = 600  # of full-batch Adam, at a rate that falls to zero


# --- laws ----------------------------------------------------------------------------------------------


def weighted_law(eta: Any, weights: Any) -> np.ndarray:
    """w η / Σ w η, the law at which cross-entropy weighted by the class is least: [..., K]."""
    tilted = np.asarray(weights, "float64") * np.asarray(eta, "float64")
    return tilted / tilted.sum(-1, keepdims=True)


def weighted_law_by_search(eta: Any, weights: Any) -> np.ndarray:
    """The same by SciPy's search for the logits of least −Σ w η ln softmax(z), z₀ = 0: [K]."""
    mass = np.asarray(weights) * np.asarray(eta)
    log_p = lambda free: special.log_softmax(np.concatenate([[0], free]))
    found = optimize.minimize(lambda free: -mass @ log_p(free), np.zeros(len(mass) - 1), tol=1e-12)
    return np.exp(log_p(found.x))


def balanced_error(share: float, correction: float = 0.0) -> float:
    """½ Φ(−d/2 + s) + ½ Φ(−d/2 − s) where class 1 is decided for beyond s = (logit(1 − ρ) − c)/d.

    Args:
        share: ρ.
        correction: c, what is added to the log-odds: 0 is the decision of least error, and logit(1 − ρ) that
            of least balanced error.
    """
    return float(error_of_line(APART, special.logit(share) + correction))


def balanced_error_by_quadrature(share: float, correction: float = 0.0) -> float:
    """The same by integrating each class's density where its log-odds, found point by point, are wrong."""
    odds = lambda x: log_density(x, 1) - log_density(x, 0) + np.log(share / (1 - share)) + correction
    edge = optimize.brentq(odds, -30, 30, xtol=1e-13)
    missed = integrate.quad(lambda x: np.exp(log_density(x, 1)), -30, edge, epsabs=1e-13)[0]
    invented = integrate.quad(lambda x: np.exp(log_density(x, 0)), edge, 30, epsabs=1e-13)[0]
    return (missed + invented) / 2


def log_density(x: Any, label: int) -> Any:
    return -((x - (label - 0.5) * APART) ** 2) / 2 - np.log(2 * np.pi) / 2


def error_of_line(slope: Any, offset: Any) -> Any:
    """The balanced error of the decision a x + b > 0, a > 0."""
    edge = -offset / slope
    return (special.ndtr(edge - APART / 2) + special.ndtr(-edge - APART / 2)) / 2


# --- lines, trained in Keras on examples that are counted on a grid ---------------------------------------


class Lines(NamedTuple):
    """Slopes a and offsets b of R lines, [R] each."""

    slope: np.ndarray
    offset: np.ndarray

    def moved(self, correction: Any) -> Lines:
        """The lines with something added to their log-odds."""
        return Lines(self.slope, self.offset + correction)

    def at(self, x: np.ndarray) -> np.ndarray:
        """Log-odds at x [X]: [R, X]."""
        return self.slope[:, None] * x + self.offset[:, None]

    @property
    def balanced_error(self) -> np.ndarray:
        return error_of_line(self.slope, self.offset)


def grid() -> np.ndarray:
    """The values of x, [X]: even and symmetric, so that the log-odds on it are d x + logit ρ exactly."""
    return np.linspace(-6, 6, NODES)


def counted(share: float, seeds: Sequence[int], examples: int, part: int = 0) -> np.ndarray:
    """How often each label and value of x occurs among so many examples drawn for each seed: [S, 2, X].

    A seed has several sets of examples, numbered by `part`.
    """
    x = grid()
    law = np.exp(np.stack([log_density(x, 0), log_density(x, 1)]))
    law = np.array([1 - share, share])[:, None] * law / law.sum(1, keepdims=True)
    generators = (np.random.default_rng([seed, round(1000 * share), part]) for seed in seeds)
    return np.stack([rng.multinomial(examples, law.ravel()) for rng in generators]).reshape(-1, 2, len(x))


def fitted_lines(
    counts: np.ndarray, weight: Any = 1.0, shift: Any = 0.0, gamma: Any = 0.0, feature: Any = None
) -> Lines:
    """Lines of least mean loss on counted examples [R, 2, X], each with arguments of its own, [R] or one.

    Args:
        counts: how often each label and value of x occurs.
        weight: of class 1, class 0 has 1; handed to Keras as `sample_weight`.
        shift: what is added to the log-odds in training alone.
        gamma: of focal loss, −(1 − p_y)^γ ln p_y.
        feature: what the line is given in place of the grid's x, [R, X].
    """
    import keras

    from crosscheck.models import perceptron
    from crosscheck.replicates import Replicates

    many = len(counts)
    vector = lambda value: np.broadcast_to(value, many).astype("float32")
    x = np.broadcast_to(grid() if feature is None else feature, (many, counts.shape[-1]))
    inputs = np.concatenate([x, x], 1)[..., None].astype("float32")  # [R, 2 X, 1]
    labels = np.repeat([0, 1], x.shape[1])[None, :, None].astype("float32")
    mass = counts * np.stack([vector(1.0), vector(weight)], 1)[..., None]
    mass = mass.reshape(many, -1) / mass.mean((1, 2))[:, None]
    replicas = Replicates(perceptron(1, [], 1), range(many))
    replicas.set_weights([np.zeros_like(weights) for weights in replicas.get_weights()])
    rate = keras.optimizers.schedules.CosineDecay(0.1, STEPS)
    arguments = {"shift": vector(shift), "gamma": vector(gamma)}
    replicas.compile(keras.optimizers.Adam(rate), focal_binary, loss_arguments=arguments)
    replicas.fit(
        inputs,
        np.broadcast_to(labels, inputs.shape),
        batch_size=inputs.shape[1],
        epochs=STEPS,
        shuffle=False,
        sample_weight=mass.astype("float32"),
    )
    kernel, bias = (weights.astype("float64") for weights in replicas.get_weights())
    return Lines(kernel[:, 0, 0], bias[:, 0])


def focal_binary(y: Any, z: Any, shift: Any, gamma: Any) -> Any:
    """−(1 − p_y)^γ ln p_y, with p = σ(z + shift), of labels and logits [B, 1]: [B]."""
    from keras import ops

    own = (2 * y - 1) * (z + shift)
    wrong = -ops.log_sigmoid(own)
    return ops.squeeze(ops.exp(-gamma * (wrong + own)) * wrong, -1)


def trained_laws(laws: np.ndarray, weights: np.ndarray, seeds: Sequence[int], examples: int) -> np.ndarray:
    """Logits of models of biases alone, trained on so many labels drawn from laws [L, K]: [L, S, K].

    Labels are counted, and every class is one example whose `sample_weight` is its count times its weight.

    Args:
        laws, weights: η and w of L cases, [L, K].
        seeds: S.
        examples: N.
    """
    from crosscheck.lab import posteriors
    from crosscheck.losses import sparse_categorical_crossentropy

    draws = [
        np.random.default_rng([seed, i]).multinomial(examples, law)
        for i, law in enumerate(laws)
        for seed in seeds
    ]
    classes = laws.shape[1]
    mass = np.array(draws) * np.repeat(weights, len(seeds), 0)
    mass = (mass / mass.mean(1, keepdims=True)).astype("float32")
    y = np.broadcast_to(np.arange(classes), mass.shape)
    x, nothing = np.zeros((*mass.shape, 1), "float32"), np.zeros(len(mass))
    _, bias = posteriors.trained(x, y, sparse_categorical_crossentropy, nothing, classes, mass)
    return bias.reshape(len(laws), len(seeds), classes)


# --- how a line ranks examples of many features ------------------------------------------------------------


def rankings(
    seeds: Sequence[int], share: float, dim: int, examples: int, weight: float
) -> dict[str, np.ndarray]:
    """AUROC over the population of linear models, by what they were trained on, or with.

    Scores are normal in either class, so that it is Φ(d w₀ / (‖w‖ √2)): [S] each.
    """
    from crosscheck.lab import posteriors
    from crosscheck.losses import binary_crossentropy

    mixture = data.GaussianMixture(APART, dim, share)
    x, y = data.samples([mixture], seeds, examples)
    shuffled = np.stack(
        [np.random.default_rng(seed).permutation(row) for seed, row in zip(seeds, y, strict=True)]
    )
    doubled = np.stack([balanced_repeats(row, seed) for seed, row in zip(seeds, y, strict=True)])
    arms = {
        "plain": (y, np.ones_like(y)),
        "weighted": (y, np.where(y == 1, weight, 1)),
        "shuffled": (shuffled, np.where(shuffled == 1, weight, 1)),
        "oversampled": (y, doubled),
    }
    labels, masses = (np.concatenate([pair[i] for pair in arms.values()]) for i in (0, 1))
    repeated = np.concatenate([x] * len(arms))
    kernel, _ = posteriors.trained(
        repeated,
        labels[..., None].astype("float32"),
        binary_crossentropy,
        np.zeros(len(repeated)),
        sample_weight=(masses / masses.mean(1, keepdims=True)).astype("float32"),
    )
    towards = kernel[:, 0, 0] / np.linalg.norm(kernel[..., 0], axis=1)
    areas = special.ndtr(APART * towards / np.sqrt(2)).reshape(len(arms), -1)
    return dict(zip(arms, areas, strict=True))


def balanced_repeats(y: np.ndarray, seed: int) -> np.ndarray:
    """How often each example occurs when the rarer class is drawn, with replacement, up to the other: [N]."""
    rng, repeats = np.random.default_rng([seed, 1]), np.ones(len(y), "int64")
    rare = np.flatnonzero(y == 1)
    repeats[rare] = np.bincount(rng.integers(0, len(rare), (y == 0).sum()), minlength=len(rare))
    return repeats


# --- repeating examples -----------------------------------------------------------------------------------


def oversampled(seeds: Sequence[int], times: int) -> dict[str, np.ndarray]:
    """‖θ − θ_weighted‖ / ‖θ_weighted‖ of linear models on 180 examples of class 0 and 20 of class 1: [S].

    "as many": class 1 repeated so often as its weight says, "one less": once less, "scikit-learn": weighted.
    All are trained in one program, in which who is not there has the weight 0.
    """
    from sklearn.linear_model import LogisticRegression

    sets = [uneven(seed) for seed in seeds]
    x, y = (np.stack(part) for part in zip(*sets, strict=True))
    weight = np.where(y == 1, float(times), 1.0)
    more = lambda count: np.concatenate([np.ones_like(y), *[y] * (count - 1)], 1)  # 1 for who is there
    arms = {"as many": more(times), "one less": np.concatenate([more(times - 1), 0 * y], 1)}
    arms["weighted"] = np.concatenate([weight, *[0 * y] * (times - 1)], 1)
    there = np.concatenate(list(arms.values()))  # [A · S, times · N]
    again = lambda part: np.tile(part, (len(arms), times, *[1] * (part.ndim - 2)))
    theta = converged(again(x), again(y), there / there.mean(1, keepdims=True))
    by_arm = dict(zip(arms, np.split(theta, len(arms)), strict=True))
    weighted = by_arm.pop("weighted")
    solver = LogisticRegression(C=1e8, class_weight={0: 1, 1: times}, tol=1e-10, max_iter=10_000)
    fits = (solver.fit(*pair) for pair in zip(x, y, strict=True))
    by_arm["scikit-learn"] = np.array([[*fit.coef_[0], *fit.intercept_] for fit in fits])
    return {name: distances(theta, weighted) for name, theta in by_arm.items()}


def distances(theta: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(theta - other, axis=1) / np.linalg.norm(other, axis=1)


def uneven(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """180 examples of class 0 and 20 of class 1, in two dimensions."""
    rng, y = np.random.default_rng(seed), (np.arange(200) < 20).astype("float32")
    x = rng.standard_normal((200, 2)) + np.outer(y - 0.5, [APART, 0])
    return x.astype("float32"), y


def converged(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Kernel and bias of linear models on x [S, N, D], in Keras: [S, D + 1]."""
    from crosscheck.lab import posteriors
    from crosscheck.losses import binary_crossentropy

    masses, nothing = weight.astype("float32"), np.zeros(len(x))
    parts = posteriors.trained(x, y[..., None], binary_crossentropy, nothing, sample_weight=masses)
    return np.concatenate([parts[0][..., 0], parts[1]], axis=1)


# --- separable points: where does the boundary go? ---------------------------------------------------------


def gap_of_two(norm: float, weight: float) -> float:
    """By how much a weight moves the best threshold b/w between x = ±1 at a given slope: [ln B]/w.

    B = e^b solves B² − u (W − 1) B − W = 0, u = e^(−w): about ln(W)/(2w) once w is large.
    """
    spread = np.exp(-norm) * (weight - 1)
    return float(np.log((spread + np.sqrt(spread**2 + 4 * weight)) / 2) / norm)


def gap_of_two_by_search(norm: float, weight: float) -> float:
    loss = lambda b: weight * np.logaddexp(0, -norm - b) + np.logaddexp(0, b - norm)
    return float(optimize.minimize_scalar(loss, bracket=(0, 3), tol=1e-12).x / norm)


class Boundaries(NamedTuple):
    """Lines in the plane along the descent: ‖w‖ and their distance from the plain one, [T, S] by arm."""

    steps: np.ndarray
    norm: dict[str, np.ndarray]
    gap: dict[str, np.ndarray]


PLAIN, WEIGHTED, ADDED, MULTIPLIED = "plain", "weights", "margin added", "margin multiplied"
POINTS, MARGIN, STRIDE, RATE = 32, 0.3, 100, 0.1


def boundaries(seeds: Sequence[int], weight: float, looks: int) -> Boundaries:
    """Descent by steps divided by the loss on separable points, T looks 100 steps apart.

    The step of rate × ∇L / L is that of ln L, which is what Keras is given to minimise. Class 1 has a weight,
    or the logarithm of it taken off its margins (Cao et al. 2019), or its margins halved (Kini et al. 2021).
    """
    import keras

    from crosscheck.models import perceptron
    from crosscheck.replicates import Replicates

    sets = [data.separable(np.random.default_rng(seed), POINTS, margin=MARGIN) for seed in seeds]
    x, y = (np.stack(part) for part in zip(*sets, strict=True))
    arms = {
        PLAIN: (1, 0, 1),
        WEIGHTED: (weight, 0, 1),
        ADDED: (1, np.log(weight), 1),
        MULTIPLIED: (1, 0, 0.5),
    }
    numbers = np.repeat(np.array(list(arms.values()), "float32"), len(seeds), 0).T
    replicas = Replicates(perceptron(2, [], 1), tuple(seeds) * len(arms), paired=True)
    arguments = dict(zip(("weight", "shift", "scale"), numbers, strict=True))
    replicas.compile(keras.optimizers.SGD(RATE), log_mean_loss, loss_arguments=arguments)
    inputs = np.tile(x, (len(arms), STRIDE, 1))
    labels = np.tile(y, (len(arms), STRIDE))[..., None].astype("float32")
    seen = []
    for _ in range(looks):
        replicas.fit(inputs, labels, batch_size=POINTS, shuffle=False)
        seen.append([part.astype("float64") for part in replicas.get_weights()])
    kernel, bias = (
        np.stack(part).reshape(looks, len(arms), len(seeds), -1) for part in zip(*seen, strict=True)
    )
    length = np.linalg.norm(kernel, axis=-1)
    distance = (np.einsum("snd,tasd->tasn", x.astype("float64"), kernel) + bias) / length[..., None]
    off = np.abs(distance - distance[:, :1]).mean(-1)  # [T, A, S]
    by_arm = lambda values: {arm: values[:, i] for i, arm in enumerate(arms)}
    return Boundaries(STRIDE * np.arange(1, looks + 1), by_arm(length), by_arm(off))


def log_mean_loss(y: Any, z: Any, weight: Any, shift: Any, scale: Any) -> Any:
    """ln of the batch's mean weighted cross-entropy: its gradient is that of the mean divided by the mean.

    A margin m of class 1 counts as scale × (m − shift). ln ln(1 + e^(−m)) is −m where m is large, so that
    nothing underflows.
    """
    from keras import ops

    own = ops.where(y > 0.5, scale * (z - shift), -z)  # the margin
    small = own > 15
    near = ops.log(ops.softplus(-ops.where(small, ops.zeros_like(own), own)))
    log_loss = ops.where(small, -own, near) + ops.where(y > 0.5, ops.log(weight), ops.zeros_like(own))
    return ops.logsumexp(log_loss) - float(np.log(POINTS))


def power(norm: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """The least-squares slope of ln gap on ln ‖w‖ over the last nine tenths of the steps: [T, S] to [S]."""
    late = slice(len(norm) // 10, None)
    pairs = zip(np.log(norm[late]).T, np.log(gap[late]).T, strict=True)
    return np.array([np.polyfit(across, along, 1)[0] for across, along in pairs])
