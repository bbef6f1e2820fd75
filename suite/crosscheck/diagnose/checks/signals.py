"""Do labels follow from inputs at all? And what the classes' frequencies alone make a model do.

A probe reads labels off a row's nearest neighbours and off a linear fit. How well it does is compared with
how well it does on permuted labels, which is exact. That it finds nothing proves no fault, for there are
signals that no probe sees. That it finds nothing as the rows stand, but does where labels are moved by one
row, does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np

from crosscheck.diagnose._chance import permutation_chance
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._rows import scalable
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose._task import classes_of
from crosscheck.diagnose._words import across, rounded

ROWS, PERMUTATIONS, NEIGHBOURS, FEATURES = 256, 4999, 5, 64
SHIFTS = (1, -1)
UNSEEN = 0.05  # a chance above it: the probe finds nothing
RIDGE = 1.0


def labels_follow(lab: Laboratory) -> Iterator[Suspicion]:
    """Whether labels follow from their own row's inputs, and not from those of the row before or after."""
    data = lab.program.training
    y = np.asarray(data.y)[:ROWS]
    targets = centred_targets(lab, y)
    if targets is None or np.ptp(targets, 0).max() == 0:
        return
    probe = probe_of(features_of(lab, keras.tree.map_structure(lambda a: np.asarray(a)[:ROWS], data.x)))
    rng = np.random.default_rng(0)
    permuted = statistics(probe, np.stack([rng.permutation(len(y)) for _ in range(PERMUTATIONS)]), targets)
    moved = np.stack([np.roll(np.arange(len(y)), shift) for shift in (0, *SHIFTS)])
    own, *others = (permutation_chance(value, permuted) for value in statistics(probe, moved, targets))
    best = int(np.argmin(others))
    chance = min(1.0, len(SHIFTS) * others[best]) if own > UNSEEN else 1.0
    yield Suspicion(
        "labels-follow-inputs",
        np.zeros((1, len(lab.seeds)), bool),
        Finding(
            "labels-follow-inputs",
            "✗" if own > UNSEEN else "✓",
            f"a probe of {len(y)} rows finds labels in their own inputs (p = {rounded(own)}), in those of "
            f"the row {'after' if SHIFTS[best] > 0 else 'before'} p = {rounded(others[best])}",
            "statistical",
            why="labels stand one row off their inputs.",
            fix=f"y = np.roll(y, {SHIFTS[best]}, axis=0)",
            repair=lambda program: moved_labels(program, SHIFTS[best]),
        ),
        limit=limit_of_rows(len(y), chance < UNSEEN, SHIFTS[best]),
        chance=chance,
        sound=own,
    )


def limit_of_rows(rows: int, is_seen: bool, shift: int) -> str:
    """Why labels are not called misplaced; "" where they may be.

    Who forecasts the next row from this one has labels that stand in the row after, and must not move them.
    """
    if not is_seen:
        return f"neither neighbours nor a linear fit show a signal in {rows} rows"
    return "so does a forecast of the row after, which is none" if shift > 0 else ""


def moved_labels(program: Program, shift: int) -> Program:
    """Returns the program with labels moved by some rows."""
    y = np.roll(np.asarray(program.training.y), shift, axis=0)
    return replace(program, training=replace(program.training, y=y))


def centred_targets(lab: Laboratory, y: np.ndarray) -> np.ndarray | None:
    """Returns what the probe is to find, [N, T]: classes as columns of mean 0; None for places in a row."""
    if len(lab.outputs) > 2:
        return None
    if lab.task.kind == "classes":
        classes = classes_of(y, lab.task.width)
        values = (classes[:, None] == np.unique(classes)[:20]).astype("float64")
    else:
        values = y.reshape(len(y), -1)[:, :20].astype("float64")
    deviation = values.std(0)
    return (values - values.mean(0)) / np.where(deviation > 0, deviation, 1)


def features_of(lab: Laboratory, x: object) -> np.ndarray:
    """Returns standardised features of every row, [N, F]: numbers, or how often a symbol occurs."""
    columns = []
    for array in keras.tree.flatten(x):
        flat = np.asarray(array).reshape(len(array), -1).astype("float64")
        if not scalable(lab.program.model, array):
            flat = np.stack([np.bincount(row.astype("int64") % 512, minlength=512) for row in flat]).astype(
                "float64"
            )
        deviation = flat.std(0)
        columns.append(((flat - flat.mean(0)) / np.where(deviation > 0, deviation, 1))[:, deviation > 0])
    features = np.concatenate(columns, 1)
    if features.shape[1] > FEATURES:  # the directions in which rows differ most, labels unseen
        u, s, _ = np.linalg.svd(features, full_matrices=False)
        features = u[:, :FEATURES] * s[:FEATURES]
    return features


def probe_of(features: np.ndarray) -> np.ndarray:
    """Returns how other rows' labels tell a row's: by its neighbours, and by a ridge fit, [N, N]."""
    n = len(features)
    if not features.size:
        return np.zeros((n, n))
    squares = (features**2).sum(1)
    distances = squares[:, None] + squares - 2 * features @ features.T
    np.fill_diagonal(distances, np.inf)
    near = np.zeros((n, n))
    count = min(NEIGHBOURS, n - 1)
    np.put_along_axis(near, np.argpartition(distances, count - 1, 1)[:, :count], 1 / count, 1)
    gram = features @ features.T
    linear = gram @ np.linalg.inv(gram + RIDGE * n * np.eye(n))
    np.fill_diagonal(linear, 0)
    return near / np.linalg.norm(near) + linear / max(np.linalg.norm(linear), 1e-30)


def statistics(probe: np.ndarray, orders: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns tr(YᵀAY) for labels in each order, [P]: how far the probe tells them."""
    values = []
    for block in np.array_split(orders, max(1, len(orders) // 250)):
        y = targets[block]  # [p, N, T]
        values.append(np.einsum("pnt,pnt->p", y, np.matmul(probe, y)))
    return np.concatenate(values)


def initial_loss(lab: Laboratory) -> Iterator[Finding]:
    """Notes a loss before training that is far above that of saying the frequencies."""
    y, weights = lab.y[lab.splits[1]], lab.row_weights[lab.splits[1]]
    before = zip(y, lab.as_it_is.initial_outputs, weights, strict=True)
    losses = np.array([lab.task.loss_of(*row) for row in before])
    shape = lab.as_it_is.initial_outputs.shape[1:]
    prior = np.array([lab.task.loss_of_prior(*row) for row in zip(y, [shape] * len(y), weights, strict=True)])
    if lab.task.kind != "numbers" and np.all(losses > 3 * prior) and prior.min() > 0:
        yield Finding(
            "initial-loss",
            "note",
            f"loss before training {across(losses)} over {len(losses)} draws of the weights; "
            f"{rounded(float(np.median(prior)))} for saying the frequencies",
            "heuristic",
            why="the first steps unlearn confident guesses; by itself no fault.",
            fix="standardise the inputs, or draw the last layer's weights smaller",
        )


def prior_alone(lab: Laboratory) -> Iterator[Finding]:
    """Notes a model that decides for the most frequent class whatever it sees."""
    if lab.task.kind != "classes" or not np.isfinite(lab.as_it_is.outputs).all():
        return
    shares = lab.task.shares(lab.y)
    decided = lab.as_it_is.outputs.argmax(-1).reshape(len(lab.seeds), -1)
    if (decided == shares.argmax()).all():
        yield Finding(
            "prior-alone",
            "note",
            f"after {lab.steps} steps all held-out rows are given class {shares.argmax()}, which "
            f"{shares.max():.0%} of the labels are, under each of {len(lab.seeds)} seeds",
            "heuristic",
            why="recall of every other class is 0.",
            fix="weights of classes in training, or logits corrected by the log-prior after it",
        )
