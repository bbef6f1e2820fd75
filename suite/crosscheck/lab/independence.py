"""What independence costs: independent and joint outputs trained side by side, and the gap in their losses.

One model has all L + 2^L logits: the first L are of single labels, the others of their joint outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from scipy import special

from crosscheck import information
from crosscheck.losses import binary_crossentropy, joint_crossentropy
from crosscheck.models import side_by_side
from crosscheck.replicates import Replicates


def both_losses(y_true: Any, logits: Any) -> Any:
    """The loss of independent labels plus the joint one, nats per example, [...].

    The labels are [..., L], the logits [..., L + 2^L]. With outputs that share no weight, and an optimiser
    that acts element by element, either part trains as if alone.
    """
    labels = y_true.shape[-1]
    alone = binary_crossentropy(y_true, logits[..., :labels])
    return labels * alone + joint_crossentropy(y_true, logits[..., labels:])


def both_outputs(inputs: int, hidden: Sequence[int], labels: int) -> Callable[[], keras.Model]:
    """A builder of two perceptrons that share the input alone, their L + 2^L logits one after the other."""
    return side_by_side(inputs, hidden, (labels, 2**labels))


def trained_on_counts(seeds: Sequence[int], counts: np.ndarray, rate: float, steps: int) -> np.ndarray:
    """Logits of linear models of a one-hot feature, trained by Adam on whole tables of counts.

    N examples of one feature and one outcome are one example of weight N, so that thousands of tables are
    affordable.

    Args:
        seeds: of the initial weights; the tables take them in turn.
        counts: how often each of F features occurs with each outcome, [R, F, 2^L].
        rate, steps: of Adam.

    Returns:
        The logits at each feature, float64 [R, F, L + 2^L].
    """
    runs, features, outcomes = counts.shape
    y = information.outcomes(outcomes.bit_length() - 1)
    build = both_outputs(features, [], y.shape[1])
    replicas = Replicates(build, np.resize(seeds, runs).tolist(), paired=True)
    replicas.compile(keras.optimizers.Adam(rate), both_losses)
    one_hot = np.eye(features, dtype="float32")
    x, y = np.repeat(one_hot, outcomes, axis=0), np.tile(y, (features, 1))
    weights = counts.reshape(runs, -1) / counts.mean((1, 2))[:, None]
    replicas.fit(x, y, batch_size=len(x), epochs=steps, shuffle=False, sample_weight=weights)
    return replicas.predict(one_hot).astype("float64")


def fitted_to_counts(counts: np.ndarray) -> np.ndarray:
    """About the same optimum in closed form: logits of the labels', logarithms of the outcomes' frequencies.

    Half an example is added to every outcome, so that none has a chance of 0 (Krichevsky & Trofimov 1981).

    Args:
        counts: how often each outcome occurs, [..., 2^L].

    Returns:
        [..., L + 2^L].
    """
    outcomes = information.outcomes(counts.shape[-1].bit_length() - 1)
    share = (counts + 0.5) / (counts + 0.5).sum(-1, keepdims=True)
    on, off = share @ outcomes, share @ (1 - outcomes)
    return np.concatenate([np.log(on) - np.log(off), np.log(share)], -1)


def gaps_of_counts(
    seeds: Sequence[int],
    counts: Sequence[np.ndarray],
    laws: Sequence[np.ndarray],
    seen: Sequence[np.ndarray],
    rate: float,
    steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Gaps over the population after training on tables of counts, and by their fit in closed form: [R] each.

    Args:
        seeds, rate, steps: as in `trained_on_counts`.
        counts: R tables, [F, 2^L].
        laws: P(y | feature) of each table's population, [F, 2^L].
        seen: P(feature), [F].
    """
    tables, law, share = (np.stack(part) for part in (counts, laws, seen))
    models = trained_on_counts(seeds, tables, rate, steps), fitted_to_counts(tables)
    trained, fitted = (gap(logits, law) * share for logits in models)  # [R, F]
    return trained.sum(-1), fitted.sum(-1)


def marginal_error(logits: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Root mean square distance of the independent outputs' probabilities from each label's own chance.

    Of logits [..., F, L + 2^L] and the chance of a label at each feature, [F]: [...].
    """
    labels = (logits.shape[-1] - 1).bit_length() - 1
    off = special.expit(logits[..., :labels]) - chances[:, None]
    return np.sqrt((off**2).mean((-1, -2)))


def log_likelihoods(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ln P of every outcome by the independent and by the joint outputs: [..., 2^L] each."""
    labels = (logits.shape[-1] - 1).bit_length() - 1
    outcomes = information.outcomes(labels)
    alone = special.log_expit(logits[..., None, :labels] * (2 * outcomes - 1)).sum(-1)
    return alone, special.log_softmax(logits[..., labels:], axis=-1)


def gap(logits: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Mean loss of the independent outputs minus that of the joint ones, outcomes having the law p: [...]."""
    alone, joint = log_likelihoods(logits)
    return ((joint - alone) * p).sum(-1)


def held_out_gaps(
    seeds: Sequence[int],
    x: np.ndarray,
    y: np.ndarray,
    arms: Sequence[str],
    hidden: Sequence[int] = (),
    batch_size: int = 64,
    steps: int = 500,
    rate: float = 0.01,
) -> tuple[np.ndarray, np.ndarray]:
    """Gaps on the held-out third of random splits, one a seed, after training by Adam, all in one program.

    Args:
        seeds: S, of splits, initial weights and batches.
        x, y: every example's features, [N, D], and labels, [N, L].
        arms: A, what is hidden or shuffled among the examples; see `arranged`.
        hidden: widths of hidden layers.
        batch_size, steps, rate: of Adam; the steps are made up of whole epochs.

    Returns:
        Nats per example, and their standard errors for this held-out set: [A, S] each.
    """
    first, labels = examples_to_train(len(y), batch_size), y.shape[1]
    arrangements = (arranged(x, y, seed, arm) for arm in arms for seed in seeds)
    x, y = map(np.stack, zip(*arrangements, strict=True))  # [R, N, D], [R, N, L], R = A × S
    replicas = Replicates(both_outputs(x.shape[-1], hidden, labels), tuple(seeds) * len(arms), paired=True)
    replicas.compile(keras.optimizers.Adam(rate), both_losses)
    epochs = round(steps * batch_size / first)
    replicas.fit(x[:, :first], y[:, :first], batch_size=batch_size, epochs=epochs)
    logits = replicas.predict(x[:, first:]).astype("float64")
    held_out, laws = information.outcome_of(y[:, first:]), np.eye(2**labels)
    by_run = [gap(z, laws[outcomes]) for z, outcomes in zip(logits, held_out, strict=True)]
    gaps = np.reshape(by_run, (len(arms), len(seeds), -1))  # [A, S, held out]
    return gaps.mean(-1), gaps.std(-1, ddof=1) / np.sqrt(gaps.shape[-1])


def examples_to_train(n: int, batch_size: int) -> int:
    """How many of n examples are trained on: two thirds, in whole batches; the rest is held out."""
    return 2 * n // (3 * batch_size) * batch_size


def arranged(x: np.ndarray, y: np.ndarray, seed: int, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """The examples in the seed's random order, the same for every arm; what the arm names is hidden.

    "mean": every example has the mean features; "features", and whatever begins so: they are shuffled among
    the examples, each time otherwise; "labels": each label is shuffled on its own; "told": the labels stand
    in place of the first features; "": nothing. With "caused" in it the labels are those of a cause in the
    features: whether their mean is over the median, each label mistaken in a tenth of the examples.
    """
    order = np.random.default_rng(seed).permutation(len(x))
    x, y, rng = x[order], y[order], np.random.default_rng([seed, len(arm)])
    if "caused" in arm:
        y = caused(x, y, rng)
    if arm == "mean":
        x = np.broadcast_to(x.mean(0), x.shape)
    if arm.startswith("features"):
        x = rng.permutation(x)
    if arm == "labels":
        y = rng.permuted(y, axis=0)
    if arm == "told":
        x = np.concatenate([y.astype(x.dtype), x[:, y.shape[1] :]], axis=1)
    return x, y


def caused(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels like y that depend on each other through the features alone."""
    cause = x.mean(1) > np.median(x.mean(1))
    return (cause[:, None] ^ (rng.random(y.shape) < 0.1)).astype(y.dtype)
