"""Contests of losses and of kinds of labels: models trained alike, to be compared on held-out examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crosscheck import data, losses, replicates
from crosscheck.lab import scores
from crosscheck.models import perceptron

LOSSES = {"cross-entropy": losses.categorical_crossentropy, "brier": losses.categorical_brier}
IMAGES = {"digits": (1297, 500), "fashion_mnist_h": (4000, 2000)}  # trained on and held out, anew each seed
MANY = (6000, 4000)  # of the other sets
MODELS = {  # the grid that an image is averaged to, hidden layers, Adam's first rate, epochs
    "small": (2, (), 0.05, 20),  # four grey values: misspecified
    "wide": (8, (64,), 0.005, 15),
    "people": (8, (), 0.02, 20),
}
BIAS_RATE, BIAS_STEPS = 0.2, 300  # of Adam on all labels at once
LIKE = {0: 0.7, 1: 0.2, 3: 0.1}  # share of people who take the digit y for y + 0, 1 or 3: a known truth


def images(name: str, model: str, seeds: Sequence[int]) -> data.Splits:
    """Each seed's split of a set, averaged to the model's grid, with its classes.

    For the model `people`, with people's shares of the classes; those of `LIKE` where the set has none.
    """
    whole = data.load(name)
    y = np.concatenate([whole.y_train, whole.y_test])
    if model == "people" and y.ndim == 1:
        y = np.sum([share * scores.one_hot((y + step) % 10, 10) for step, share in LIKE.items()], axis=0)
    grids = [data.averaged(x, whole.shape, MODELS[model][0]) for x in (whole.x_train, whole.x_test)]
    return data.random_splits(np.concatenate(grids), y, seeds, *IMAGES.get(name, MANY))


def held_out_logits(
    model: str, seeds: Sequence[int], split: data.Splits, labels: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Held-out logits [S, N, K] by `kind, loss`: of each kind of labels and each loss, from the same start.

    Args:
        model: one of `MODELS`.
        seeds: S, of the initial weights.
        split: the images of each seed.
        labels: by kind, distributions [S, N, K].
    """
    _, hidden, rate, epochs = MODELS[model]
    arms = {f"{kind}, {loss}": (LOSSES[loss], y) for loss in LOSSES for kind, y in labels.items()}
    build = perceptron(split.x.shape[-1], hidden, 10)
    return replicates.compare(build, seeds, arms, split.x, split.x_test, rate, epochs)


def trained_chances(by_name: Mapping[str, Any], labels: np.ndarray) -> dict[str, np.ndarray]:
    """What models of a single bias come to predict, trained by each loss on binary labels [R, N, 1]: [R]."""
    arms = {name: (loss, labels) for name, loss in by_name.items()}
    x, build, runs = np.zeros_like(labels), perceptron(1, [], 1), range(len(labels))
    logits = replicates.compare(build, runs, arms, x, x[:, :1], BIAS_RATE, BIAS_STEPS, labels.shape[1])
    return {name: 1 / (1 + np.exp(-z[:, 0, 0].astype("float64"))) for name, z in logits.items()}
