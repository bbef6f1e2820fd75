"""Tags of real examples: heads trained side by side, pairs of annotators, thresholds, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from scipy import special

from crosscheck import data, information, losses, replicates
from crosscheck.lab import contests, independence, tags
from crosscheck.models import perceptron

PAIRS = 32  # of annotators that each image is shown to: what the 67 people of Fashion-MNIST-H make
SETS: dict[str, dict[str, Any]] = {  # examples to train on and held out, Adam's first rate, epochs
    "emotions": {"sizes": (394, 199), "rate": 0.01, "epochs": 20},
    "yeast": {"sizes": (1600, 817), "rate": 0.01, "epochs": 20},
    "goemotions": {"sizes": (6000, 6000), "rate": 0.03, "epochs": 15},
}
COMPONENTS = 32  # principal ones, of a bag of words
BINS = 15


def binary_losses(y: Any, z: Any) -> Any:
    """The sum of the tags' binary losses."""
    return y.shape[-1] * losses.binary_crossentropy(y, z)


LOSS = {
    "sigmoids": binary_losses,
    "multi-hot": losses.categorical_crossentropy,
    "normalised": losses.categorical_crossentropy,
}
Arms = Mapping[str, tuple[str, np.ndarray]]  # by name, a head and its targets [S, N, L]


def held_out(
    seeds: Sequence[int], x: np.ndarray, x_test: np.ndarray, arms: Arms, rate: float, epochs: int
) -> dict[str, np.ndarray]:
    """Held-out probabilities [S, M, L] of linear models that differ in head and targets alone, by arm."""
    pairs = {arm: (LOSS[head], y.astype("float32")) for arm, (head, y) in arms.items()}
    (_, y), *_ = pairs.values()
    build = perceptron(x.shape[-1], [], y.shape[-1])
    logits = replicates.compare(build, seeds, pairs, x, x_test, rate, epochs)
    return {arm: tags.probabilities(arms[arm][0], z.astype("float64")) for arm, z in logits.items()}


# --- two annotators an image -------------------------------------------------------------------------------


def sets_of_two(q: np.ndarray, rng: np.random.Generator, pairs: int) -> np.ndarray:
    """What two people see in each of N images whose shares are q [N, L]: [N, pairs, L] of 0 and 1."""
    ends = np.cumsum(q, -1)[:, None, None]  # [N, 1, 1, L]
    seen = (rng.random((len(q), pairs, 2, 1)) > ends / ends[..., -1:]).sum(-1)
    return np.eye(q.shape[-1])[seen].max(2)


def annotated(
    seeds: Sequence[int], name: str, pairs: int = PAIRS
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Held-out probabilities of heads that learn from pairs of annotators, and from the laws themselves.

    A loss is linear in its target, so that the mean target of an image's pairs stands for all of them.

    Returns:
        Probabilities [S, M, L] by arm, and people's own shares of the held-out images, [S, M, L].
    """
    split = contests.images(name, "people", seeds)
    drawn = [sets_of_two(q, np.random.default_rng(s), pairs) for q, s in zip(split.y, seeds, strict=True)]
    others = [np.random.default_rng(s).permutation(y) for y, s in zip(drawn, seeds, strict=True)]
    multi, shared = (
        np.stack([tags.targets(head, y).mean(1) for y in drawn]) for head in ("multi-hot", "normalised")
    )
    once = 1 - np.square(1 - split.y)
    arms = {
        "normalised": ("normalised", shared),
        "normalised, another's": (
            "normalised",
            np.stack([tags.targets("normalised", y).mean(1) for y in others]),
        ),
        "normalised, q": ("normalised", split.y),
        "multi-hot": ("multi-hot", multi),
        "multi-hot, law": ("multi-hot", once),
        "sigmoids": ("sigmoids", multi),
        "sigmoids, law": ("sigmoids", once),
        "sigmoids, q": ("sigmoids", split.y),
    }
    _, _, rate, epochs = contests.MODELS["people"]
    return held_out(seeds, split.x, split.x_test, arms, rate, epochs), split.y_test


def variation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """½ Σ_k |p_k − q_k|, the mean over examples of [S, M, L]: [S]."""
    return np.abs(p - q).sum(-1).mean(-1) / 2


def binned(x: np.ndarray, y: np.ndarray, bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Means of x and y, of one shape and in [0, 1], by equal ranges of x, of those that are not empty."""
    member = np.clip((x * bins).astype(int), 0, bins - 1).ravel()
    count, total_x, total_y = (np.bincount(member, w, bins) for w in (None, x.ravel(), y.ravel()))
    filled = count > 0
    return total_x[filled] / count[filled], total_y[filled] / count[filled]


# --- sets of tagged examples -------------------------------------------------------------------------------


def examples_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and all tags of a set; a bag of words by its principal components."""
    whole = data.load(name)
    most = sum(SETS[name]["sizes"])
    x = np.concatenate([whole.x_train[:most], whole.x_test])[:most]
    y = np.concatenate([whole.y_train[:most], whole.y_test])[:most]
    return (data.principal_components(x, COMPONENTS) if name == "goemotions" else x), y


def one_of(y: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Tags [S, N, L] of which one an example is kept, at random."""
    noise = np.stack([np.random.default_rng(s).random(part.shape) for s, part in zip(seeds, y, strict=True)])
    kept = np.argmax(np.where(y > 0, noise, -1), -1)
    return np.eye(y.shape[-1])[kept] * (y.sum(-1, keepdims=True) > 0)


def split_of(name: str, seeds: Sequence[int]) -> data.Splits:
    x, y = examples_of(name)
    return data.random_splits(x, y, seeds, *SETS[name]["sizes"])


def heads_of(seeds: Sequence[int], name: str, split: data.Splits) -> dict[str, np.ndarray]:
    """Held-out probabilities of every head, of all tags and (", one") of one an example: [S, M, L]."""
    cases = {"": split.y, ", one": one_of(split.y, seeds)}
    arms = {head + case: (head, tags.targets(head, y)) for head in tags.HEADS for case, y in cases.items()}
    how = {key: SETS[name][key] for key in ("rate", "epochs")}
    return held_out(seeds, split.x, split.x_test, arms, **how)


def calibration_error(p: np.ndarray, y: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The root of the mean over tags of Σ_b (n_b / N) (share_b − mean p_b)², without chance's bias: [S].

    As in `metrics.squared_calibration_error`, with tag k's probability and presence in place of the top
    label's, of [S, M, L]; the root of 0 where the estimate is below 0.
    """
    gap, member = y - p, np.clip(np.ceil(p * bins) - 1, 0, bins - 1)
    total = np.zeros((len(p), p.shape[-1]))
    for b in range(bins):
        inside = np.where(member == b, gap, 0)
        count = (member == b).sum(1)
        pairs = np.square(inside.sum(1)) - np.square(inside).sum(1)
        total += count * pairs / np.maximum(count * (count - 1), 1)
    return np.sqrt(np.maximum(total.mean(-1) / p.shape[1], 0))


def first_choice(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision at 1, and recall at 1 over the examples that have a tag, of [S, M, L]: [S] each."""
    hit = np.take_along_axis(y, p.argmax(-1)[..., None], -1)[..., 0]
    size = y.sum(-1)
    return hit.mean(-1), (hit / np.maximum(size, 1)).sum(-1) / (size > 0).sum(-1)


# --- thresholds --------------------------------------------------------------------------------------------


def best_threshold(p: np.ndarray, y: np.ndarray) -> float:
    """The threshold at which F1 of all pairs of example and tag is greatest: halfway to the next p below."""
    order = np.argsort(-p, kind="stable")
    hits, chosen = np.cumsum(y[order]), np.arange(1, len(p) + 1)
    best = int(np.argmax(2 * hits / (chosen + y.sum())))
    return float(p[order[best : best + 2]].mean())


def f1(p: np.ndarray, y: np.ndarray, threshold: float) -> float:
    """2 TP / (chosen + present) over all pairs; 0 where nothing is either."""
    chosen = p >= threshold
    return float(2 * (chosen & (y > 0)).sum() / max(chosen.sum() + y.sum(), 1))


def macro_f1(p: np.ndarray, y: np.ndarray, threshold: float) -> float:
    """The mean over tags of each tag's F1, [M, L]; 0 of a tag that is neither chosen nor present."""
    return float(np.mean([f1(p[:, k], y[:, k], threshold) for k in range(p.shape[-1])]))


def threshold_and_f1(p: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The best threshold on the first half of N pairs, and its F1 on the second."""
    half = len(p) // 2
    best = best_threshold(p[:half], y[:half])
    return best, f1(p[half:], y[half:], best)


def regrets(p: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """What F1 on the second half of [M, L] gains by F*/2, and by F* itself, over the first half's best."""
    half = len(p) // 2
    (p, p_test), (y, y_test) = ((part[:half].ravel(), part[half:].ravel()) for part in (p, y))
    best = best_threshold(p, y)
    reached = f1(p_test, y_test, best)
    highest = f1(p, y, best)
    at_half_of_it, at_it = (f1(p_test, y_test, t) for t in (highest / 2, highest))
    return at_half_of_it - reached, at_it - reached


def expected_f1(threshold: float, a: float, b: float) -> float:
    """2 E[p; p ≥ t] / (P(p ≥ t) + E[p]) of posteriors p from Beta(a, b), by incomplete beta functions."""
    mean = a / (a + b)
    return float(
        2 * mean * special.betaincc(a + 1, b, threshold) / (special.betaincc(a, b, threshold) + mean)
    )


# --- whole sets of tags ------------------------------------------------------------------------------------


def exact_matches(
    seeds: Sequence[int], x: np.ndarray, y: np.ndarray, arms: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Held-out shares of examples whose whole set is right, by sigmoids and by a softmax over all sets.

    Args:
        seeds: S, of splits, initial weights and batches.
        x, y: [N, D] and [N, L].
        arms: A, what is shuffled; see `independence.arranged`.

    Returns:
        [A, S] each.
    """
    first, tags_ = independence.examples_to_train(len(y), 64), y.shape[1]
    arranged = (independence.arranged(x, y, seed, arm) for arm in arms for seed in seeds)
    x, y = map(np.stack, zip(*arranged, strict=True))
    build = independence.both_outputs(x.shape[-1], [], tags_)
    replicas = replicates.Replicates(build, [*seeds] * len(arms), paired=True)
    replicas.compile(keras.optimizers.Adam(0.01), independence.both_losses)
    replicas.fit(x[:, :first], y[:, :first], batch_size=64, epochs=20)
    alone, joint = decisions(replicas.predict(x[:, first:]), tags_)
    truth = information.outcome_of(y[:, first:])
    shares = ((decided == truth).mean(-1).reshape(len(arms), -1) for decided in (alone, joint))
    return tuple(shares)


def decisions(logits: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """The set that each decides for, as its place among the outcomes: of [..., L + 2^L], [...] each."""
    alone = information.outcome_of((logits[..., :labels] > 0).astype(int))
    return alone, logits[..., labels:].argmax(-1)
