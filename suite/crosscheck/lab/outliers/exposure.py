"""A classifier, and copies of it fine-tuned with auxiliary outliers: every arm and seed in one program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from crosscheck.lab.outliers.arms import INSIDE, Arm
from crosscheck.losses import (
    energy,
    energy_margin,
    energy_margins,
    inlier_crossentropy,
    role_weights,
    uniform_crossentropy,
)
from crosscheck.replicates import Replicates


class Examples(Protocol):
    """What `data.Roles` offers: in-distribution examples, and auxiliary outliers by kind."""

    @property
    def x_train(self) -> np.ndarray: ...
    @property
    def y_train(self) -> np.ndarray: ...
    @property
    def x_validation(self) -> np.ndarray: ...
    @property
    def auxiliary(self) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class Schedule:
    """Adam's rate, examples a step, epochs; inliers and outliers that a replicate sees, at most."""

    rate: float
    batch: int
    epochs: int
    inliers: int
    outliers: int


def role_loss(
    y_true: Any, logits: Any, margin_in: Any, margin_out: Any, weight: Any, exposure: Any, turned: Any
) -> Any:
    """Cross-entropy of inliers + λ margins on the energy + μ cross-entropy of outliers to the uniform.

    `turned` is 1 where the margins take inliers for outliers and the other way round, else 0.
    Nats per example, [...]; every argument is one number.
    """
    other = 1 - ops.max(y_true, axis=-1, keepdims=True) + ops.zeros_like(y_true)
    straight, exchanged = (energy_margin(y, logits, margin_in, margin_out) for y in (y_true, other))
    penalty = (1 - turned) * straight + turned * exchanged
    exposed = exposure * uniform_crossentropy(y_true, logits)
    return inlier_crossentropy(y_true, logits) + weight * penalty + exposed


def classifiers(build: Callable[[], keras.Model], seeds: Sequence[int], rate: float) -> Replicates:
    """Classifiers under plain cross-entropy, untrained, one a seed."""
    replicas = Replicates(build, seeds)
    replicas.compile(keras.optimizers.Adam(rate), inlier_crossentropy)
    return replicas


def self_normalised(
    build: Callable[[], keras.Model],
    seeds: Sequence[int],
    rate: float,
    examples: Examples,
    batch: int,
    epochs: int,
    weight: float = 0.1,
) -> list[np.ndarray]:
    """The weights of such classifiers, trained under cross-entropy + `weight` · E², which holds E near 0.

    Source: Devlin et al. 2014, who call it self-normalisation.
    """
    replicas = Replicates(build, seeds)
    replicas.compile(
        keras.optimizers.Adam(rate),
        lambda y_true, logits: inlier_crossentropy(y_true, logits) + weight * ops.square(energy(logits)),
    )
    y = one_hot(examples.y_train, examples)
    replicas.fit(examples.x_train, y, batch_size=batch, epochs=epochs)
    return replicas.get_weights()


def stages(
    replicas: Replicates,
    examples: Examples,
    batch: int,
    epochs: Sequence[int],
    sets: Mapping[str, np.ndarray],
) -> list[dict[str, np.ndarray]]:
    """Train classifiers, in place, in stages of so many epochs each.

    Returns:
        Their logits by kind, as of `logits_by_kind`, at the start and at the end of each stage.
    """
    logits = [logits_by_kind(replicas, sets)]
    y = one_hot(examples.y_train, examples)
    for count in epochs:
        replicas.fit(examples.x_train, y, batch_size=batch, epochs=count)
        logits.append(logits_by_kind(replicas, sets))
    return logits


def logits_by_kind(replicas: Replicates, sets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Logits of inputs that all replicates share, [N, D], by kind: float64 [R, N, K]."""
    ends = np.cumsum([len(x) for x in sets.values()])[:-1]
    x = np.concatenate(list(sets.values()))
    logits = replicas.predict(x, batch_size=len(x)).astype("float64")
    return dict(zip(sets, np.split(logits, ends, axis=1), strict=True))


def logits_by_arm(
    tuned: Replicates, arms: Sequence[str], sets: Mapping[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Logits of `fine_tuned` classifiers by arm and kind: float64 [S, N, K]."""
    parts = {kind: np.split(z, len(arms)) for kind, z in logits_by_kind(tuned, sets).items()}
    return {arm: {kind: z[i] for kind, z in parts.items()} for i, arm in enumerate(arms)}


def fine_tuned(
    build: Callable[[], keras.Model],
    trained: Replicates,
    examples: Examples,
    arms: Mapping[str, Arm],
    schedule: Schedule,
) -> Replicates:
    """Copies of the trained classifiers, arm by arm, fine-tuned on inliers and the arm's outliers.

    Margins follow `energy_margins`, from each classifier's own energies of validation examples and of the
    arm's outliers. All arms of a seed share the order of batches and the inliers.

    Args:
        build: as the classifiers were built.
        trained: the classifiers, [S].
        examples: in and out of distribution.
        arms: by name, A of them.
        schedule: of fine-tuning.

    Returns:
        A · S replicates.
    """
    seeds = trained.seeds
    replicas = Replicates(build, seeds * len(arms), paired=True)
    replicas.set_weights([np.concatenate([array] * len(arms)) for array in trained.get_weights()])
    replicas.compile(
        keras.optimizers.Adam(schedule.rate),
        role_loss,
        loss_arguments=arguments(margins(trained, examples, arms), arms, len(seeds)),
    )
    sets = (mixture(examples, arm, schedule, seed) for arm in arms.values() for seed in seeds)
    x, y = map(np.stack, zip(*sets, strict=True))
    weights = role_weights(y)
    replicas.fit(x, y, batch_size=schedule.batch, epochs=schedule.epochs, sample_weight=weights)
    return replicas


def margins(
    trained: Replicates, examples: Examples, arms: Mapping[str, Arm]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(m_in, m_out) of every arm, [S] each; exchanged where the arm says so."""
    kinds = sorted({kind for arm in arms.values() for kind in arm.auxiliary})
    sets = {"validation": examples.x_validation, **{kind: pool(examples, kind) for kind in kinds}}
    energies = {kind: ops.convert_to_numpy(energy(z)) for kind, z in logits_by_kind(trained, sets).items()}
    pairs = []
    for arm in arms.values():
        outside = np.concatenate([energies[kind] for kind in arm.auxiliary], axis=1)
        low, high = energy_margins(energies["validation"], outside)
        pairs.append((high, low) if arm.swapped else (low, high))
    return pairs


def arguments(
    pairs: list[tuple[np.ndarray, np.ndarray]], arms: Mapping[str, Arm], seeds: int
) -> dict[str, np.ndarray]:
    """The arguments of `role_loss`, one number a replicate, [A · S] each, from margins [S] arm by arm."""
    low, high = (np.concatenate(part) for part in zip(*pairs, strict=True))
    values = {
        "margin_in": low,
        "margin_out": high,
        "weight": np.repeat([arm.weight for arm in arms.values()], seeds),
        "exposure": np.repeat([arm.exposure for arm in arms.values()], seeds),
        "turned": np.repeat([float(arm.reversed) for arm in arms.values()], seeds),
    }
    return {name: value.astype("float32") for name, value in values.items()}


def mixture(examples: Examples, arm: Arm, schedule: Schedule, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A seed's inliers and the arm's outliers, whose labels are zero: [N, D], [N, K]."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(examples.x_train))[: schedule.inliers]
    labels = examples.y_train[chosen]
    if arm.shuffled:
        labels = rng.permutation(labels)
    share = schedule.outliers // len(arm.auxiliary)
    outside = np.concatenate([drawn(rng, pool(examples, kind), share) for kind in arm.auxiliary])
    y = np.pad(one_hot(labels, examples), ((0, len(outside)), (0, 0)))
    return np.concatenate([examples.x_train[chosen], outside]), y


def one_hot(labels: np.ndarray, examples: Examples) -> np.ndarray:
    """Labels of training examples, float32 [N, K]."""
    return np.eye(examples.y_train.max() + 1, dtype="float32")[labels]


def pool(examples: Examples, kind: str) -> np.ndarray:
    return examples.x_train if kind == INSIDE else examples.auxiliary[kind]


def drawn(rng: np.random.Generator, x: np.ndarray, count: int) -> np.ndarray:
    """Some rows, each at most once."""
    return x[rng.permutation(len(x))[:count]]
