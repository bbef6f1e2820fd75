"""Labels as tables of counts: sampled, with something shuffled, or split at random and learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosscheck import data, information
from crosscheck.lab import independence


def sampled(cause: data.CommonCause, examples: int, seed: int, shuffle: str) -> np.ndarray:
    """Counts of the outcomes at each feature, [3, 2^L], of labels with a common cause.

    With `shuffle`, "label" or "features", the first label or the features are shuffled among the examples.
    """
    rng = np.random.default_rng(seed)
    x, y = cause.sample(rng, examples)
    if shuffle == "label":
        y[:, 0] = rng.permutation(y[:, 0])
    if shuffle == "features":
        x = rng.permutation(x)
    return np.stack([information.counts(y[seen == 1]) for seen in x.T])


def population(cause: data.CommonCause, shuffle: str) -> np.ndarray:
    """P(y | feature), [3, 2^L], of what `sampled` samples."""
    table = cause.joint_given_feature()
    if shuffle == "features":
        return np.broadcast_to(cause.joint().ravel(), table.shape)
    return information.first_apart(table, cause.joint().ravel()) if shuffle else table


def gaps_of_causes(
    causes: Sequence[data.CommonCause], seeds: Sequence[int], examples: int, rate: float, steps: int
) -> np.ndarray:
    """Gaps over the population after training on samples: [causes, 4, S].

    The second axis: as sampled, with a label shuffled, with the features shuffled; and as sampled, fitted in
    closed form.
    """
    cases = [(cause, shuffle) for cause in causes for shuffle in ("", "label", "features")]
    tables = [sampled(cause, examples, seed, how) for cause, how in cases for seed in seeds]
    laws = [population(*case) for case in cases for _ in seeds]
    seen = [cause.feature_probabilities() for cause, _ in cases for _ in seeds]
    both = independence.gaps_of_counts(seeds, tables, laws, seen, rate, steps)
    trained, fitted = (gaps.reshape(len(causes), 3, len(seeds)) for gaps in both)
    return np.concatenate([trained, fitted[:, :1]], axis=1)


def drawn_and_shuffled(
    law: np.ndarray, examples: int, seeds: Sequence[int], few: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of samples of a law [2^L], [S, 2^L], and of the first few with the first label shuffled."""
    generators = [np.random.default_rng(seed) for seed in seeds]
    counts = np.stack([rng.multinomial(examples, law) for rng in generators])
    pairs = zip(generators[:few], counts[:few], strict=True)
    return counts, np.stack([information.first_shuffled(*pair) for pair in pairs])


def enumerated(labels: int, strength: float, revealed: float) -> float:
    """Labels' conditional total correlation from the table: Σ_x P(x) (Σ_l H(Y_l|x) − H(Y|x))."""
    cause = data.CommonCause(labels, strength, revealed)
    tables = cause.joint_given_feature().reshape(3, *[2] * labels)
    return float(cause.feature_probabilities() @ [information.total_correlation(p) for p in tables])


# --- laws of two labels and a feature, P(x, y) -------------------------------------------------------------


def gaps_of_laws(
    laws: Sequence[np.ndarray], seeds: Sequence[int], examples: int, rate: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gaps over the population after training on samples of laws, and by a fit in closed form: [laws, S]."""
    tables = [drawn(law, examples, seed) for law in laws for seed in seeds]
    given = [given_feature(law) for law in laws for _ in seeds]
    seen = [law.sum(1) for law in laws for _ in seeds]
    trained, fitted = independence.gaps_of_counts(seeds, tables, given, seen, rate, steps)
    return trained.reshape(len(laws), -1), fitted.reshape(len(laws), -1)


def trained_on_laws(
    laws: Sequence[np.ndarray], seeds: Sequence[int], examples: int, rate: float, steps: int
) -> np.ndarray:
    """Logits after training on samples of laws: [laws, S, F, L + 2^L]."""
    tables = np.stack([drawn(law, examples, seed) for law in laws for seed in seeds])
    logits = independence.trained_on_counts(seeds, tables, rate, steps)
    return logits.reshape(len(laws), len(seeds), *logits.shape[1:])


def exclusive_or_information(wrong: float) -> float:
    """I(Y₁;Y₂ | X) of a feature Y₁ ⊕ Y₂ that is wrong in a share of the examples: ln 2 − H(wrong)."""
    return float(np.log(2) - information.entropy(np.array([wrong, 1 - wrong])))


def exclusive_or(wrong: float) -> np.ndarray:
    """P(x, y), [2, 4]: fair, independent labels, a feature that is y₁ ⊕ y₂ but for a share of them."""
    odd = information.outcomes(2).sum(1) % 2 == 1
    return np.stack([np.where(odd, wrong, 1 - wrong), np.where(odd, 1 - wrong, wrong)]) / 4


def of_probabilities(chances: Sequence[float], alike: bool) -> np.ndarray:
    """P(x, y), [F, 4]: equally likely features, each with a chance of both labels, alike or independent."""
    p = np.array(chances)[:, None]
    on = information.outcomes(2)
    apart = np.prod(np.where(on, p[..., None], 1 - p[..., None]), axis=-1)
    same = np.where((on[:, 0] == on[:, 1])[None], np.where(on[:, 0], p, 1 - p), 0)
    return (same if alike else apart) / len(chances)


def flipped(law: np.ndarray, share: float) -> np.ndarray:
    """The law after each label is flipped, by itself, in a share of the examples."""
    change = np.array([[1 - share, share], [share, 1 - share]])
    return law @ np.kron(change, change)


def given_feature(law: np.ndarray) -> np.ndarray:
    """P(y | x) of P(x, y)."""
    return law / law.sum(-1, keepdims=True)


def drawn(law: np.ndarray, examples: int, seed: int) -> np.ndarray:
    """Counts of a sample of P(x, y), in its shape."""
    return np.random.default_rng(seed).multinomial(examples, law.ravel()).reshape(law.shape)


def conditional_information(law: np.ndarray) -> float:
    """Σ_x P(x) I(Y₁;Y₂ | X = x) of P(x, y), from the table."""
    tables = given_feature(law).reshape(-1, 2, 2)
    return float(law.sum(1) @ [information.total_correlation(table) for table in tables])


def held_out_gaps(
    seeds: Sequence[int], y: np.ndarray, batch_size: int, rate: float, steps: int
) -> np.ndarray:
    """Gaps on the held-out third of random splits of labels [N, L], learned from without features.

    `batch_size` only says how many examples are trained on, as in `independence.examples_to_train`; the
    training itself is `independence.trained_on_counts`.

    Returns:
        In nats, of the labels as they are, and with the first one shuffled: [2, S].
    """
    whole, first = information.counts(y), independence.examples_to_train(len(y), batch_size)
    tables, kept = [], []
    for shuffle in (False, True):
        for rng in map(np.random.default_rng, seeds):
            tables.append(information.first_shuffled(rng, whole) if shuffle else whole)
            kept.append(rng.multivariate_hypergeometric(tables[-1], first))
    logits = independence.trained_on_counts(seeds, np.stack(kept)[:, None], rate, steps)[:, 0]
    held_out = (np.stack(tables) - kept) / (len(y) - first)
    return independence.gap(logits, held_out).reshape(2, -1)
