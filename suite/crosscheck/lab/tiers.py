"""Classes in a tree of two levels: losses that weigh its coarse level, decisions by distance, training.

A tree is the number of each class's domain, [K]. The distance of two classes is 0 where they are one, 1 in
one domain, 2 in two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy import optimize, special

from crosscheck import autodiff, data, losses
from crosscheck.data import Splits
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates, compare

CLINC = np.arange(150) // 15  # the published domain of each of CLINC150's intents, ten of fifteen
SIX = np.arange(6) // 2


# --- one softmax over the leaves ---------------------------------------------------------------------------


def in_blocks(tree: np.ndarray) -> bool:
    """Whether all domains have as many classes, one domain after the other."""
    return bool((tree == np.arange(len(tree)) // (len(tree) // (tree.max() + 1))).all())


def coarse_logits(z: Any, tree: np.ndarray) -> Any:
    """ln Σ_{k ∈ c} e^(z_k) of every domain c: [..., K] to [..., C]."""
    domains = int(tree.max()) + 1
    if in_blocks(tree):
        return ops.logsumexp(ops.reshape(z, (*z.shape[:-1], domains, -1)), axis=-1)
    groups = [np.flatnonzero(tree == c) for c in range(domains)]
    return ops.stack([ops.logsumexp(ops.take(z, group, axis=-1), axis=-1) for group in groups], axis=-1)


def coarse_loss(y: Any, z: Any, tree: np.ndarray) -> Any:
    """The cross-entropy of the domain, of targets and logits [..., K]."""
    return losses.categorical_crossentropy(ops.matmul(y, one_hot(tree, y.dtype)), coarse_logits(z, tree))


def one_hot(tree: np.ndarray, dtype: Any = "float64") -> Any:
    """Which class belongs to which domain, [K, C]."""
    return ops.convert_to_tensor(np.eye(int(tree.max()) + 1)[tree], dtype=dtype)


def weighted_loss(y: Any, z: Any, weight: Any, tree: np.ndarray) -> Any:
    """(CE(fine) + w CE(coarse)) / (1 + w): the weight does not change the rate of learning."""
    return (losses.categorical_crossentropy(y, z) + weight * coarse_loss(y, z, tree)) / (1 + weight)


def block_loss(y: Any, z: Any, weight: Any, domains: int) -> Any:
    """`weighted_loss` of integer labels [...], where equally large domains come one after the other.

    (1 + w) ln Σ e^z − z_y − w z_{c(y)}, all over 1 + w: one exponential a logit, for classes by the hundred.
    """
    classes = z.shape[-1]
    nodes = ops.logsumexp(ops.reshape(z, (*z.shape[:-1], domains, -1)), axis=-1)
    own = ops.sum(z * ops.one_hot(y, classes, dtype=z.dtype), axis=-1)
    parent = ops.sum(nodes * ops.one_hot(y // (classes // domains), domains, dtype=z.dtype), axis=-1)
    return ops.logsumexp(nodes, axis=-1) - (own + weight * parent) / (1 + weight)


def coarse_gradient(z: np.ndarray, label: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """p_k − 1[k ∈ c*] p_k / p_{c*} for the domain c* of each label: [N, K]."""
    p = special.softmax(np.asarray(z, np.float64), axis=-1)
    within = tree == tree[label][:, None]
    return p - within * p / (p * within).sum(-1, keepdims=True)


def coarse_gradient_by_differences(z: np.ndarray, label: int, tree: np.ndarray) -> np.ndarray:
    """The same, [K], from −ln p_{c*} at logits a little to either side."""
    cost = lambda at: -np.log(special.softmax(at)[tree == tree[label]].sum())
    step = 1e-6 * np.eye(len(z))
    return np.array([(cost(z + d) - cost(z - d)) / 2e-6 for d in step])


def least_weighted(eta: np.ndarray, weight: float, tree: np.ndarray) -> np.ndarray:
    """Where E_η[CE(fine) + w CE(coarse)] is least, by searching the logits: [K]."""
    member = np.eye(int(tree.max()) + 1)[tree]

    def risk(z: np.ndarray) -> float:
        p = special.softmax(z)
        return float(-(eta * np.log(p)).sum() - weight * ((eta @ member) * np.log(p @ member)).sum())

    return special.softmax(optimize.minimize(risk, np.zeros(len(eta)), method="BFGS", tol=1e-10).x)


def logits_and_labels(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Fifty examples of K classes."""
    rng = np.random.default_rng(size)
    return rng.normal(0, 4, (50, size)), rng.integers(0, size, 50)


def log_softmax(z: np.ndarray) -> np.ndarray:
    """ln softmax(z) in more digits than the dtype has."""
    wide = z.astype(np.longdouble)
    shifted = wide - wide.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def log_tree(z: np.ndarray, tree: np.ndarray, node=None) -> np.ndarray:
    """ln p_{c(k)} + ln p_{k | c(k)} of every class, [N, K]; `node` gives other logits of domains."""
    nodes = autodiff.numbers((node or coarse_logits)(ops.convert_to_tensor(z), tree))
    inner = np.empty_like(z)
    for c in range(nodes.shape[-1]):
        inner[:, tree == c] = autodiff.numbers(ops.log_softmax(ops.convert_to_tensor(z[:, tree == c])))
    return special.log_softmax(nodes, -1)[:, tree] + inner


def mean_logits(z, tree: np.ndarray):
    """The mean of the classes' logits in place of ln Σ e^z."""
    member = one_hot(tree, "float64")
    return ops.matmul(z, member) / ops.sum(member, 0)


def cost_by_tree(z: np.ndarray, label: np.ndarray, tree: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """The domain's cross-entropy by one tree plus the class's within its domain by another, [N]."""
    y = np.eye(len(tree))[label]
    targets, logits = autodiff.tensors(y, z)
    domain = autodiff.numbers(coarse_loss(targets, logits, coarse))
    masked = np.where(tree == tree[label][:, None], z, -1e30)
    return domain + autodiff.numbers(losses.categorical_crossentropy(y, masked))


# --- decisions ---------------------------------------------------------------------------------------------


def distances(tree: np.ndarray) -> np.ndarray:
    """[K, K]: 0 on the diagonal, 1 within a domain, 2 elsewhere."""
    return 2 - (tree[:, None] == tree) - np.eye(len(tree))


def domain_chances(p: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """Σ_{k ∈ c} p_k, [..., C]."""
    return p @ np.eye(int(tree.max()) + 1)[tree]


def coarse_accuracy(p: np.ndarray, y: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """How often the likeliest domain is right, [S, N, K] to [S]; `tree` is [K], or [S, K]."""
    own = np.broadcast_to(tree, (len(p), p.shape[-1]))
    pairs = [
        (domain_chances(at, t).argmax(-1) == t[truth]).mean() for at, truth, t in zip(p, y, own, strict=True)
    ]
    return np.array(pairs)


def nearest(p: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """The class at the least expected distance: argmax_k p_k + p_{c(k)}, [..., K] to [...]."""
    return (p + domain_chances(p, tree)[..., tree]).argmax(-1)


def nearest_by_enumeration(p: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """The same from the expected distance of every decision."""
    return (p @ distances(tree)).argmin(-1)


def drawn_from(p: np.ndarray) -> np.ndarray:
    """Classes drawn from chances [..., K], always the same ones: [...]."""
    point = np.random.default_rng(0).random((*p.shape[:-1], 1))
    return (np.cumsum(p, -1) < point).sum(-1).clip(max=p.shape[-1] - 1)


THREE, TWO_DOMAINS = np.array([0.3, 0.3, 0.4]), np.array([0, 0, 1])


def gain_of_three(seeds: Sequence[int], examples: int = 4000) -> np.ndarray:
    """What the mean distance gains by the nearest class, of classes drawn from `THREE`: [S]; 0.1 expected."""
    y = np.stack([np.random.default_rng(seed).choice(3, examples, p=THREE) for seed in seeds])
    likeliest, chosen = (np.full(y.shape, at) for at in (THREE.argmax(), nearest(THREE, TWO_DOMAINS)))
    return mean_distance(likeliest, y, TWO_DOMAINS) - mean_distance(chosen, y, TWO_DOMAINS)


def mean_distance(decided: np.ndarray, y: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """Over all examples: [..., N] to [...]."""
    return distances(tree)[decided, y].mean(-1)


def mean_distance_of_mistakes(decided: np.ndarray, y: np.ndarray, tree: np.ndarray) -> np.ndarray:
    """Over the examples that are decided wrongly alone; a better model's are harder (Karthik et al. 2021)."""
    return distances(tree)[decided, y].mean(-1, where=decided != y)


# --- training ----------------------------------------------------------------------------------------------

Arms = Mapping[str, tuple[float, np.ndarray]]  # by name: the weight w, and targets [S, N, K] or labels [S, N]


def trained(
    seeds: Sequence[int],
    arms: Arms,
    x: np.ndarray,
    x_test: np.ndarray,
    tree: np.ndarray,
    rate: float,
    epochs: int,
    batch_size: int = 64,
) -> dict[str, np.ndarray]:
    """Held-out probabilities [S, M, K] of linear softmaxes that differ in weight and targets alone, by arm.

    Adam, at a rate that falls to 0 along a cosine. A seed has the same weights, examples and batches in every
    arm. x is [S, N, D]; labels in place of targets want domains of one size, one after the other.
    """
    build, domains = perceptron(x.shape[-1], [], len(tree)), int(tree.max()) + 1
    replicas = Replicates(build, [*seeds] * len(arms), paired=True)
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * -(-x.shape[1] // batch_size))
    y = np.concatenate([targets for _, targets in arms.values()])
    of_labels = lambda y, z, weight: block_loss(y, z, weight, domains)
    of_targets = lambda y, z, weight: weighted_loss(y, z, weight, tree)
    weights = np.repeat([weight for weight, _ in arms.values()], len(seeds))
    loss = of_labels if y.ndim == 2 else of_targets
    replicas.compile(keras.optimizers.Adam(schedule), loss, loss_arguments={"weight": weights})
    repeat = lambda examples: np.concatenate([examples] * len(arms))
    y = y.astype("int32" if y.ndim == 2 else "float32")
    replicas.fit(repeat(x), y, batch_size=batch_size, epochs=epochs)
    logits = replicas.predict(repeat(x_test))
    p = special.softmax(logits, -1).reshape(len(arms), len(seeds), *logits.shape[1:])
    return dict(zip(arms, p, strict=True))


def smoothed_by_distance(tree: np.ndarray, beta: float) -> np.ndarray:
    """s_j(k) ∝ e^(−β d(j, k)), the soft target of class j: [K, K] (Bertinetto et al. 2020)."""
    return special.softmax(-beta * distances(tree), axis=-1)


def biases(seeds: Sequence[int], counts: np.ndarray, targets: Sequence[np.ndarray]) -> np.ndarray:
    """What biases learn from samples [S, K] of classes whose targets are [K, K], one kind after the other.

    Returns:
        Probabilities [kinds, S, K].
    """
    kinds, size = len(targets), counts.shape[1]
    replicas = Replicates(perceptron(1, [], size), [*seeds] * kinds, paired=True)
    rate = keras.optimizers.schedules.CosineDecay(0.05, 400)
    replicas.compile(keras.optimizers.Adam(rate), losses.categorical_crossentropy)
    y = np.repeat(np.asarray(targets, "float32"), len(seeds), axis=0)
    weights = np.concatenate([counts / counts.mean(-1, keepdims=True)] * kinds)
    x = np.zeros((size, 1), "float32")
    replicas.fit(x, y, batch_size=size, epochs=400, shuffle=False, sample_weight=weights)
    logits = replicas.predict(x[:1])[:, 0].astype("float64")
    return special.softmax(logits, -1).reshape(kinds, len(seeds), size)


# --- examples ----------------------------------------------------------------------------------------------

CENTRES = np.array([[-2, 0], [-1, 0.5], [1, 1.5], [1.5, 0.5], [0.5, -1.5], [1, -2]])  # of `SIX`, one a class


def gaussian_tree(seeds: Sequence[int], draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Features on a grid of 64 points, [S, 64, 2], and shares of classes in draws at each, [S, 64, 6].

    Classes are drawn from `gaussian_posterior`, so that a linear softmax can express the truth. A loss is
    linear in its target, so that a point's shares stand for all its draws.
    """
    line = np.linspace(-2.5, 2.5, 8)
    x = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    eta = gaussian_posterior(x)
    shares = [np.random.default_rng(seed).multinomial(draws, eta) / draws for seed in seeds]
    return np.broadcast_to(x.astype("float32"), (len(seeds), *x.shape)), np.stack(shares)


def gaussian_posterior(x: np.ndarray) -> np.ndarray:
    """P(class | x) ∝ e^(μ·x − |μ|²/2), which a linear softmax can express: [..., 2] to [..., 6]."""
    return special.softmax(x @ CENTRES.T - np.square(CENTRES).sum(1) / 2, axis=-1)


def queries(seeds: Sequence[int], components: int, each: int, held_out: int) -> Splits:
    """CLINC150 by its principal components: so many examples of each intent to train on, and held out.

    Of 130 an intent, drawn anew for every seed; directions are those of all of them.
    """
    whole = data.load("clinc_oos")
    x = data.principal_components(np.concatenate([whole.x_train, whole.x_test]), components)
    y = np.concatenate([whole.y_train, whole.y_test])
    by_class = np.stack([np.flatnonzero(y == k) for k in range(whole.classes)])  # [K, 130]
    order = np.stack([np.random.default_rng(s).permuted(by_class, axis=1) for s in seeds])
    first, rest = order[..., :each].reshape(len(seeds), -1), order[..., each:][..., :held_out]
    rest = rest.reshape(len(seeds), -1)
    return Splits(x[first], y[first], x[rest], y[rest])


def softened_by_search(eta: np.ndarray, beta: float, tree: np.ndarray) -> np.ndarray:
    """Where the expected cross-entropy of softened targets is least, by searching the logits: [K]."""

    def risk(z: np.ndarray) -> float:
        total = 0.0
        for j, chance in enumerate(eta):
            weights = [
                np.exp(-beta * (0 if j == k else 1 if tree[j] == tree[k] else 2)) for k in range(len(eta))
            ]
            total -= chance * np.dot(weights, special.log_softmax(z)) / sum(weights)
        return float(total)

    return special.softmax(optimize.minimize(risk, np.zeros(len(eta)), method="BFGS", tol=1e-10).x)


# --- random trees, and a sigmoid a node --------------------------------------------------------------------


def relabelled(seeds: Sequence[int], tree: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each seed's random order of classes, and the tree that has class order_j in place j: [S, K] each."""
    orders = np.stack([np.random.default_rng([seed, 2]).permutation(len(tree)) for seed in seeds])
    return orders, tree[np.argsort(orders, axis=1)]


def reordered(p: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """The last axis of [S, N, K] in each seed's order, [S, K]."""
    return np.take_along_axis(p, orders[:, None], -1)


def binary_losses(y: Any, z: Any) -> Any:
    """The sum of the nodes' binary losses."""
    return y.shape[-1] * losses.binary_crossentropy(y, z)


def excess_of_children(p: np.ndarray, nodes: np.ndarray, trees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much some class exceeds its own domain, max_k p_k − p_{c(k)}, and how often.

    Args:
        p, nodes: chances of classes [S, N, K] and of domains [S, N, C].
        trees: of each seed, [S, K].

    Returns:
        The mean excess, and the share of pairs of example and class in which there is one: [S] each.
    """
    parents = np.take_along_axis(nodes, np.broadcast_to(trees[:, None], p.shape), -1)
    return (p - parents).max(-1).mean(-1), (p > parents).mean((1, 2))


def sigmoids_and_softmax(
    seeds: Sequence[int], split: Splits, trees: Sequence[np.ndarray], rate: float, epochs: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Held-out chances of a sigmoid for each class and each domain, a tree after the other, and of a softmax.

    Trees are [S, K]; chances are [S, M, K + C] each, and [S, M, K].
    """
    fine = np.eye(trees[0].shape[1])[split.y]  # [S, N, K]
    domains = [np.eye(int(tree.max()) + 1)[np.take_along_axis(tree, split.y, 1)] for tree in trees]
    arms: dict[str, Any] = {
        str(i): (binary_losses, np.concatenate([fine, domain], -1)) for i, domain in enumerate(domains)
    }
    arms["softmax"] = (leaves_alone, arms["0"][1])
    width, classes = arms["0"][1].shape[-1], fine.shape[-1]
    build = perceptron(split.x.shape[-1], [], width)
    z = compare(build, seeds, arms, split.x, split.x_test, rate, epochs)
    return [special.expit(z[str(i)]) for i in range(len(trees))], special.softmax(
        z["softmax"][..., :classes], -1
    )


def leaves_alone(y: Any, z: Any) -> Any:
    """The cross-entropy of the 150 classes, whose logits come before the domains'."""
    classes = len(CLINC)
    return losses.categorical_crossentropy(y[..., :classes], z[..., :classes])
