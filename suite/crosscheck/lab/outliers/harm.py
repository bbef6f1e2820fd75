"""Margins on auxiliary outliers that do not cover the test's, at a size at which they do great harm.

Fashion-MNIST in distribution, MNIST as test outliers, 16 × 16 pixels; the auxiliary outliers are mixtures of
pairs of in-distribution images. Loss and margins are this package's own, as in the rest of `ood_energy`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from crosscheck import data, detection, models
from crosscheck.lab.outliers import detecting, exposure
from crosscheck.lab.outliers.arms import WEIGHT, Arm

HIDDEN, RATE, BATCH, EPOCHS = [128, 128], 2e-3, 64, 12
TUNING_RATE, TUNING_EPOCHS, SHARE = 1e-3, 10, 0.4  # of the images, as outliers
TESTED = 1500  # of either kind
PAIRS = "pairs mixed"
ARMS = {
    "λ = 0": Arm((PAIRS,), 0.0),
    PAIRS: Arm((PAIRS,), WEIGHT),
    "mnist": Arm(("mnist",), WEIGHT),
    "mnist, wrong sign": Arm(("mnist",), WEIGHT, reversed=True),
}


def measured(seeds: Sequence[int], images: int) -> tuple[dict[str, np.ndarray], list[pd.DataFrame]]:
    """AUROC of the energy by way of fine-tuning, [S] each; and rows for the table.

    Args:
        seeds: of the networks.
        images: of Fashion-MNIST; a fifth of them sets margins, the others are trained on.
    """
    logits, y_test = trained(seeds, images)
    separated = {arm: detection.separations("energy", kinds) for arm, kinds in logits.items()}
    name = f"fashion_mnist, {images:,} images"
    shown = [detecting.separation_rows(name, seeds, kinds, "energy", arm) for arm, kinds in separated.items()]
    areas = {arm: kinds["mnist"]["AUROC"] for arm, kinds in separated.items()}
    return areas, [*shown, *detecting.quality_rows(name, seeds, logits, y_test)]


def trained(seeds: Sequence[int], images: int) -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray]:
    """Logits by arm and kind, "before" any fine-tuning too, [S, N, K] each; and the test labels."""
    roles = data.roles("fashion_mnist", images)
    count = round(SHARE * len(roles.x_train))
    auxiliary = {PAIRS: mixed(roles.x_train)[:count], "mnist": data.roles("mnist", images).x_train[:count]}
    roles = dataclasses.replace(roles, auxiliary=auxiliary)
    sets = {"in": roles.x_test[:TESTED], "mnist": roles.outliers["mnist"][:TESTED]}
    build = models.perceptron(roles.x_train.shape[1], HIDDEN, len(roles.cast.classes))
    classifiers = exposure.classifiers(build, seeds, RATE)
    before = exposure.stages(classifiers, roles, BATCH, [EPOCHS], sets)[-1]
    schedule = exposure.Schedule(TUNING_RATE, BATCH, TUNING_EPOCHS, len(roles.x_train), count)
    tuned = exposure.fine_tuned(build, classifiers, roles, ARMS, schedule)
    logits = {"before": before, **exposure.logits_by_arm(tuned, list(ARMS), sets)}
    return logits, roles.y_test[:TESTED]


def mixed(x: np.ndarray) -> np.ndarray:
    """The mean of each image and another, drawn at random: [N, D]."""
    rng = np.random.default_rng(0)
    return (x[rng.permutation(len(x))] + x[rng.permutation(len(x))]) / 2
