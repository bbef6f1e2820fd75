"""Wrong labels: laws of the noise, and what models come to predict that are trained on them.

T_ij is the chance that an example of class i carries label j. A clean law η becomes Tᵀη.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize, special

CLASSES = 3
CENTRES = 1.5 * np.array([[1, 0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])  # of even Gaussians N(c, I)


# --- laws ----------------------------------------------------------------------------------------------


def uniform(classes: int, share: float) -> np.ndarray:
    """T of labels that are wrong in this share, every wrong class alike: [K, K]."""
    wrong = np.full((classes, classes), share / (classes - 1))
    return wrong + (1 - share - wrong[0, 0]) * np.eye(classes)


def pair_flip(classes: int, share: float) -> np.ndarray:
    """T of labels of which this share are those of the next class: [K, K]."""
    return (1 - share) * np.eye(classes) + share * np.roll(np.eye(classes), 1, axis=1)


def least_at(loss: Callable[[np.ndarray], np.ndarray], chances: np.ndarray) -> np.ndarray:
    """The p at which Σ_k chances_k loss_k(p) is least, by SciPy's search over logits, z₀ = 0: [K]."""
    p_of = lambda free: special.softmax(np.concatenate([[0], free]))
    mean = lambda free: float(chances @ loss(p_of(free)))
    starts = (np.zeros(len(chances) - 1), np.log(chances[1:] / chances[0]))
    tries = [optimize.minimize(mean, start, method="BFGS", options={"gtol": 1e-10}) for start in starts]
    return p_of(min(tries, key=lambda tried: tried.fun).x)


def plain_by_search(noise: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Where cross-entropy on noisy labels is least, the mean being taken over both draws."""
    return least_at(lambda p: -(noise @ np.log(p)), eta)


def forward_by_search(noise: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Where the forward-corrected loss is least on noisy labels."""
    return least_at(lambda p: -(noise @ np.log(p @ noise)), eta)


def right_threshold(missed: float, invented: float) -> float:
    """The chance of a noisy 1 at which clean classes are even: (1 − ρ₊ + ρ₋)/2."""
    return (1 - missed + invented) / 2


def threshold_by_scan(missed: float, invented: float) -> float:
    """The same by cost: the cut on the noisy chance with the least clean error, η even on [0, 1]."""
    eta = (np.arange(200_000) + 0.5) / 200_000
    seen = (1 - missed) * eta + invented * (1 - eta)
    gained = np.cumsum(1 - 2 * eta)  # of what is below the cut, decided for 0
    return float(seen[np.argmax(gained)])


# --- training on a mixture whose clean law is known --------------------------------------------------------


def sampled(seeds: Sequence[int], examples: int, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features [S, N, 2] of the mixture and their noisy labels [S, N]; the noise is drawn apart."""
    x, y = [], []
    for seed in seeds:
        rng, flips = np.random.default_rng(seed), np.random.default_rng([seed, 1])
        clean = rng.integers(0, CLASSES, examples)
        x.append(CENTRES[clean] + rng.standard_normal((examples, 2)))
        y.append(relabelled(clean, noise, flips))
    return np.stack(x).astype("float32"), np.stack(y).astype("int32")


def relabelled(clean: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A label of each example of these classes, drawn from its row of the noise: [N]."""
    rows = noise[clean]
    return np.minimum((rng.random((len(clean), 1)) > rows.cumsum(1)).sum(1), rows.shape[1] - 1)


def posterior(x: np.ndarray) -> np.ndarray:
    """η of the mixture at x [..., 2]: [..., K]."""
    return special.softmax(x.astype("float64") @ CENTRES.T, -1)  # the centres have one length


def trained(
    seeds: Sequence[int],
    x: np.ndarray,
    y: np.ndarray,
    noise: np.ndarray | None,
    looked_at: np.ndarray,
    hidden: Sequence[int],
    classes: int = CLASSES,
    epochs: int = 20,
    rate: float = 0.01,
    batch_size: int = 128,
) -> np.ndarray:
    """Predictions [R, M, K] of perceptrons trained on x [R, N, D], y [R, N].

    Args:
        seeds: R, of initial weights and batches; they may repeat.
        noise: T that the loss is forward-corrected for; None for plain cross-entropy.
        looked_at: inputs, [M, D] or [R, M, D].
    """
    import keras

    from crosscheck import losses
    from crosscheck.models import perceptron
    from crosscheck.replicates import Replicates

    replicas = Replicates(perceptron(x.shape[-1], hidden, classes), tuple(seeds), paired=True)
    steps = epochs * -(-x.shape[1] // batch_size)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    corrected = lambda y, z: losses.forward_corrected_crossentropy(y, z, noise)
    replicas.compile(optimizer, losses.sparse_categorical_crossentropy if noise is None else corrected)
    replicas.fit(x, y, batch_size=batch_size, epochs=epochs)
    return special.softmax(replicas.predict(looked_at).astype("float64"), -1)


def rms(p: np.ndarray, law: np.ndarray) -> np.ndarray:
    """√ of the mean over examples and classes of (p − law)², of [R, M, K]: [R]."""
    return np.sqrt(((p - law) ** 2).mean((-2, -1)))


# --- people: every image has its own noise -----------------------------------------------------------------


def by_class(shares: np.ndarray) -> np.ndarray:
    """T: the mean of people's shares [N, K] over the images of each class, which is what most choose."""
    clean = shares.argmax(1)
    return np.stack([shares[clean == k].mean(0) for k in range(shares.shape[1])])


def one_label_each(shares: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """A label of every example, drawn from shares of its own, [S, N, K]: [S, N]."""
    classes = np.arange(shares.shape[1])
    pairs = zip(shares, seeds, strict=True)
    drawn = [relabelled(classes, law, np.random.default_rng([seed, 3])) for law, seed in pairs]
    return np.stack(drawn).astype("int32")


def nearest_mixture(noise: np.ndarray, law: np.ndarray, steps: int = 200) -> np.ndarray:
    """The Tᵀp nearest to each law [N, K] of all distributions p: whatever a model says, no nearer: [N, K].

    By projected gradient steps of length 1/σ², σ the largest singular value of T.
    """
    p, rate = np.full_like(law, 1 / law.shape[1]), np.linalg.norm(noise, 2) ** -2
    for _ in range(steps):
        p = onto_simplex(p - rate * (p @ noise - law) @ noise.T)
    return p @ noise


def floors(noise: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
    """Root mean square distances of shares [S, M, K] from the nearest Tᵀp: [S] each.

    "people" is over all images, "disputed" over the half whose greatest share is least.
    """
    off = np.stack([((nearest_mixture(noise, q) - q) ** 2).mean(1) for q in shares])  # [S, M]
    order = shares.max(-1).argsort(1)[:, : shares.shape[1] // 2]
    half = np.take_along_axis(off, order, 1)
    return {name: np.sqrt(part.mean(1)) for name, part in (("people", off), ("disputed", half))}


def redrawn(
    noise: np.ndarray, shares: np.ndarray, judges: int, seeds: Sequence[int], part: int
) -> np.ndarray:
    """Shares of so many people who err by the class alone, that of the greatest share: [S, M, K]."""
    laws = noise[shares.argmax(-1)]
    laws = laws / laws.sum(-1, keepdims=True)
    generators = (np.random.default_rng([seed, 4, part]) for seed in seeds)
    pairs = zip(generators, laws, strict=True)
    return np.stack([rng.multinomial(judges, law) for rng, law in pairs]) / judges


def onto_simplex(points: np.ndarray) -> np.ndarray:
    """The distributions nearest to points [N, K]."""
    falling = -np.sort(-points, axis=1)
    excess = (falling.cumsum(1) - 1) / np.arange(1, points.shape[1] + 1)
    last = (falling > excess).sum(1) - 1
    return np.maximum(points - excess[np.arange(len(points)), last][:, None], 0)
