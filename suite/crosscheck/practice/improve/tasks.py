"""The data of each exercise: rows to train on and to choose with, one draw a seed, and reserved inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.data import averaged, load, make_outliers

SHAPE = (8, 8, 1)
RESERVED = 500
SEEDS = 32
NOISE = 0.2  # share of labels that are drawn anew
FEW = 0.05  # of the rare classes' rows, beside those of the others
SEEN, UNSEEN = ("uniform noise", "gaussian noise", "pixels shuffled"), ("inverted", "blurred", "rotated")
OUTLIERS = 400


@dataclass(frozen=True)
class Task:
    """What a program gets. R seeds, each with its own rows; the labels of the reserve are not in it.

    Attributes:
        seeds: R numbers, for initial weights and batches.
        x_train, y_train: [R, N, D] and [R, N] or [R, N, L].
        x_held, y_held: [R, M, D] and [R, M] or [R, M, L]: rows to choose anything with.
        x_test: reserved inputs, [N, D], the same for all seeds.
        outliers: auxiliary ones, [N, D], where there are any.
    """

    seeds: tuple[int, ...]
    x_train: np.ndarray
    y_train: np.ndarray
    x_held: np.ndarray
    y_held: np.ndarray
    x_test: np.ndarray
    outliers: np.ndarray | None = None


@dataclass(frozen=True)
class Sheet:
    """How an exercise draws its rows.

    Attributes:
        train, held: rows of a seed.
        noisy: whether a fifth of the labels is drawn anew, everywhere.
        rare: whether classes 0 to 4 are rare in training.
        blocks: pixels are averaged to so many a side; 0 for none.
        labels: whether classes are given as ten labels, [R, N, 10].
        outliers: whether there are auxiliary outliers, and unseen kinds among the reserved inputs.
    """

    train: int
    held: int
    noisy: bool = False
    rare: bool = False
    blocks: int = 0
    labels: bool = False
    outliers: bool = False


SHEETS: dict[str, Sheet] = {
    "temperature": Sheet(400, 200, noisy=True),
    "balance": Sheet(500, 200, rare=True),
    "zeros": Sheet(300, 200),
    "f1": Sheet(600, 300, blocks=2, labels=True),
    "outliers": Sheet(500, 200, outliers=True),
}


def rows_of(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All inputs and labels in the order of a folder's seed: the first `RESERVED` are the reserve."""
    sheet, found = SHEETS[name], load("digits")
    x = np.concatenate([found.x_train, found.x_test]).astype("float32")
    y = np.concatenate([found.y_train, found.y_test]).astype("int64")
    rng = np.random.default_rng([seed, 2])
    order = rng.permutation(len(x))
    x, y = x[order], y[order]
    if sheet.blocks:
        x = averaged(x, SHAPE, sheet.blocks).astype("float32")
    if sheet.noisy:
        y = np.where(rng.random(len(y)) < NOISE, rng.integers(0, 10, len(y)), y)
    return x, y


def task_of(name: str, seed: int, seeds: Sequence[int]) -> tuple[Task, np.ndarray]:
    """The task for these seeds, and the labels of the reserve, [N] or [N, L].

    With outliers the reserve is the inliers, and the unseen kinds behind them, whose label is −1.
    """
    sheet = SHEETS[name]
    x, y = rows_of(name, seed)
    x_test, y_test = x[:RESERVED], y[:RESERVED]
    drawn = np.stack([draw(sheet, y[RESERVED:], of) for of in seeds]) + RESERVED
    targets = np.eye(10, dtype="float32")[y] if sheet.labels else y
    trained, held = drawn[:, : sheet.train], drawn[:, sheet.train :]
    outliers = None
    if sheet.outliers:
        outliers = kinds(SEEN, seed, x[RESERVED:][:OUTLIERS])
        unseen = kinds(UNSEEN, seed, x_test[:OUTLIERS])
        x_test = np.concatenate([x_test, unseen])
        y_test = np.concatenate([y_test, np.full(len(unseen), -1)])
    elif sheet.labels:
        y_test = targets[:RESERVED]
    task = Task(tuple(seeds), x[trained], targets[trained], x[held], targets[held], x_test, outliers)
    return task, y_test


def draw(sheet: Sheet, y: np.ndarray, seed: int) -> np.ndarray:
    """Rows of one seed: to train on, then to choose with; of the rare classes few to train on."""
    order = np.random.default_rng([seed, 3]).permutation(len(y))
    if not sheet.rare:
        return order[: sheet.train + sheet.held]
    held, rest = order[: sheet.held], order[sheet.held :]
    rare, common = rest[y[rest] < 5], rest[y[rest] >= 5]
    few = round(sheet.train * FEW)
    return np.concatenate([common[: sheet.train - few], rare[:few], held])


def kinds(names: Sequence[str], seed: int, x: np.ndarray) -> np.ndarray:
    """Outliers of these kinds made of images, one after another."""
    return np.concatenate([make_outliers(name, seed, x, SHAPE) for name in names])


def practised(name: str, seed: int = 0, seeds: Sequence[int] = range(8)) -> tuple[Task, Any]:
    """The task and labels for a learner's own trials: other rows are reserved than the marker's."""
    return task_of(name, seed, seeds)
