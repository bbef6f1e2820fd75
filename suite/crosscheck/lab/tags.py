"""Several tags at once: laws of sets of tags, and heads trained on tables of how often each set occurs.

A head is one sigmoid a tag, or one softmax over all tags whose target is the set as it stands ("multi-hot")
or divided by its size ("normalised"; Menon, Rawat, Reddi & Kumar 2019). Sets stand in the order of
`information.outcomes`. The empty set has no share to divide: it costs a softmax nothing, and teaches none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import optimize, special

from crosscheck import information

HEADS = ("sigmoids", "multi-hot", "normalised")
RATE, STEPS = 0.05, 400  # of Adam on all sets at once: a convex problem, run to its optimum


# --- laws of sets, P(S) [2^L] ------------------------------------------------------------------------------


def law_of(chances: Mapping[str, float], tags: str) -> np.ndarray:
    """The law in which each set, written as a word of its tags, has this chance."""
    member = information.outcomes(len(tags))
    words = ["".join(tag for tag, on in zip(tags, row, strict=True) if on) for row in member]
    return np.array([chances.get(word, 0.0) for word in words])


def independent(marginals: Any) -> np.ndarray:
    """Every tag by itself, with its own chance, [L]."""
    member, p = information.outcomes(len(marginals)), np.array(marginals)
    return np.where(member, p, 1 - p).prod(1)


def nested(marginals: Sequence[float]) -> np.ndarray:
    """As dependent as can be: the tags whose chance exceeds one uniform number."""
    p = np.array(marginals)
    ends = np.unique([0.0, *p, 1.0])
    law = np.zeros(2 ** len(p))
    for low, high in pairwise(ends):
        law[information.outcome_of((p > (low + high) / 2).astype(int))] += high - low
    return law


def dependent(marginals: Sequence[float], share: float) -> np.ndarray:
    """So large a share of `nested`, the rest `independent`: the same marginals at any share."""
    return share * nested(marginals) + (1 - share) * independent(marginals)


def thinned(law: np.ndarray, kept: float) -> np.ndarray:
    """The law of what is seen where each tag that is there is written down with this chance only."""
    change = np.array([[1.0, 0.0], [1 - kept, kept]])
    whole = np.ones((1, 1))
    for _ in range((len(law) - 1).bit_length()):
        whole = np.kron(whole, change)
    return law @ whole


def marginals_of(law: np.ndarray) -> np.ndarray:
    """π_k = P(k ∈ S), [L]."""
    return law @ information.outcomes((len(law) - 1).bit_length())


# --- where the expected loss of a head is least ------------------------------------------------------------


def targets(head: str, y: np.ndarray) -> np.ndarray:
    """What a head is trained on, of multi-hot tags [..., L]."""
    return y / np.maximum(y.sum(-1, keepdims=True), 1) if head == "normalised" else y * 1.0


def optimum(head: str, law: np.ndarray) -> np.ndarray:
    """Where the expected loss is least: π, π / Σπ, or E[1[k ∈ S] / |S|] given that S is not empty; [L]."""
    mean = law @ targets(head, information.outcomes((len(law) - 1).bit_length()))
    return mean if head == "sigmoids" else mean / mean.sum()


def optimum_by_search(head: str, law: np.ndarray) -> np.ndarray:
    """The same by searching the logits, with the loss of every set written out tag by tag."""
    sets = [np.flatnonzero(row) for row in information.outcomes((len(law) - 1).bit_length())]
    tags = (len(law) - 1).bit_length()

    def risk(z: np.ndarray) -> float:
        if head == "sigmoids":
            present = [sum(-special.log_expit(z[k]) for k in s) for s in sets]
            absent = [sum(-special.log_expit(-z[k]) for k in range(tags) if k not in s) for s in sets]
            return float(law @ np.add(present, absent))
        cost = -special.log_softmax(z)
        size = (lambda s: max(len(s), 1)) if head == "normalised" else (lambda s: 1)
        return float(sum(chance * cost[s].sum() / size(s) for chance, s in zip(law, sets, strict=True)))

    z = optimize.minimize(risk, np.zeros(tags), method="BFGS", tol=1e-10).x
    return special.expit(z) if head == "sigmoids" else special.softmax(z)


def projected(point: np.ndarray) -> np.ndarray:
    """The nearest distribution: max(x − τ, 0), with the τ for which it sums to 1 (Held et al. 1974)."""
    falling = np.sort(point)[::-1]
    level = (np.cumsum(falling) - 1) / np.arange(1, len(point) + 1)
    return np.maximum(point - level[np.flatnonzero(falling > level)[-1]], 0)


def projected_by_search(point: np.ndarray) -> np.ndarray:
    """The same by SciPy's search for the distribution at the least squared distance."""
    return optimize.minimize(
        lambda p: np.square(p - point).sum(),
        np.full(len(point), 1 / len(point)),
        bounds=[(0, 1)] * len(point),
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        tol=1e-12,
    ).x


def furthest(p: np.ndarray, law: Any) -> np.ndarray:
    """max_k |p_k − law_k|, [..., L] to [...]."""
    return np.abs(p - law).max(-1)


# --- training ----------------------------------------------------------------------------------------------


def either_loss(y: Any, z: Any, sigmoids: Any) -> Any:
    """The sum of the tags' binary losses where `sigmoids` is 1, the loss of one softmax where it is 0."""
    from crosscheck import losses

    summed = y.shape[-1] * losses.binary_crossentropy(y, z)
    return sigmoids * summed + (1 - sigmoids) * losses.categorical_crossentropy(y, z)


def probabilities(head: str, z: np.ndarray) -> np.ndarray:
    """What the head makes of its logits [..., L]."""
    return special.expit(z) if head == "sigmoids" else special.softmax(z, axis=-1)


def trained(seeds: Sequence[int], cases: Sequence[tuple[str, np.ndarray]], examples: int) -> np.ndarray:
    """Probabilities after training on samples: of each case, a head and a law, at each seed: [cases, S, L].

    All cases of a seed draw from generators of their own. A set that occurs n times is one example of weight
    n; the model is a bias for each tag.
    """
    import keras

    from crosscheck.models import perceptron
    from crosscheck.replicates import Replicates

    counts = np.stack([drawn(law, examples, seed) for _, law in cases for seed in seeds])  # [R, 2^L]
    member = information.outcomes((counts.shape[-1] - 1).bit_length())
    y = np.repeat([targets(head, member) for head, _ in cases], len(seeds), axis=0)
    sigmoids = np.repeat([float(head == "sigmoids") for head, _ in cases], len(seeds))
    replicas = Replicates(perceptron(1, [], member.shape[1]), [*seeds] * len(cases), paired=True)
    rate = keras.optimizers.schedules.CosineDecay(RATE, STEPS)
    replicas.compile(keras.optimizers.Adam(rate), either_loss, loss_arguments={"sigmoids": sigmoids})
    x, weights = np.zeros((len(member), 1), "float32"), counts / counts.mean(-1, keepdims=True)
    replicas.fit(x, y, batch_size=len(x), epochs=STEPS, shuffle=False, sample_weight=weights)
    logits = replicas.predict(x[:1])[:, 0].astype("float64").reshape(len(cases), len(seeds), -1)
    return np.stack([probabilities(head, z) for (head, _), z in zip(cases, logits, strict=True)])


def drawn(law: np.ndarray, examples: int, seed: int) -> np.ndarray:
    """How often each set occurs in a sample, [2^L]."""
    return np.random.default_rng(seed).multinomial(examples, law)


# --- gradients, and TensorFlow's kernels -------------------------------------------------------------------


def points(dtype: str, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits [60, L] and sets of one tag to `largest`."""
    rng = np.random.default_rng(0)
    z, size = rng.normal(0, 5, (60, 4)), rng.integers(1, largest + 1, 60)
    return z.astype(dtype), (rng.random((60, 4)).argsort(1) < size[:, None]).astype(dtype)


def slopes(loss: Any, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """∂L/∂z of a loss, float64 [N, L]."""
    from crosscheck import autodiff

    return autodiff.logit_gradient(loss, y, z).astype("float64")


def set_slope(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """|S| p − y."""
    return y.sum(1, keepdims=True) * special.softmax(z.astype("float64"), axis=1) - y


def slope_place(y: np.ndarray, dtype: str) -> dict[str, Any]:
    """Columns of rows of gradients: as many units in the last place as the set has tags."""
    resolution = np.finfo(dtype).eps * np.broadcast_to(y.sum(1, keepdims=True), y.shape)
    return {"setting": dtype, "quantity": "gradient", "resolution": resolution}


@contextlib.contextmanager
def kernels(deterministic: bool) -> Iterator[None]:
    """TensorFlow's deterministic kernels, or those that it comes with, within the block.

    Where on, `tf.nn.softmax_cross_entropy_with_logits` is −Σ y ln softmax(z), differentiated; else a
    kernel that returns p − y as its gradient, right for labels that sum to 1. The suite's workers do.
    """
    from tensorflow.python.framework import config

    switch = {True: config.enable_op_determinism, False: config.disable_op_determinism}
    before = config.is_op_determinism_enabled()
    switch[deterministic]()
    try:
        yield
    finally:
        switch[before]()


def descended(seeds: Sequence[int], loss: Any, law: np.ndarray, examples: int) -> np.ndarray:
    """Where plain gradient descent on a softmax loss of multi-hot sets ends, after as many steps: [S, L]."""
    import keras

    from crosscheck.models import perceptron
    from crosscheck.replicates import Replicates

    counts = np.stack([drawn(law, examples, seed) for seed in seeds])
    member = information.outcomes((len(law) - 1).bit_length()).astype("float32")
    replicas = Replicates(perceptron(1, [], member.shape[1]), seeds)
    replicas.compile(keras.optimizers.SGD(1.0), loss)
    x, weights = np.zeros((len(member), 1), "float32"), counts / counts.mean(-1, keepdims=True)
    replicas.fit(x, member, batch_size=len(x), epochs=STEPS, shuffle=False, sample_weight=weights)
    return special.softmax(replicas.predict(x[:1])[:, 0].astype("float64"), axis=-1)
