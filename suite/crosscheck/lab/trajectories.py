"""Trainings that should end at the same weights: where they end, and the panel of how far apart they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from crosscheck import data
from crosscheck.claims import Check, Equal
from crosscheck.replicates import Replicates
from crosscheck.report import figures

BATCH, EPOCHS = 64, 5


def ends(
    build: Callable[[], keras.Model],
    seeds: Sequence[int],
    optimizer: keras.Optimizer,
    loss: Callable[..., Any],
    penalties: Sequence[float] | np.ndarray,
    loss_arguments: Mapping[str, np.ndarray] | None = None,
    jit_compile: bool | str = "auto",
) -> list[list[np.ndarray]]:
    """Train on the digits for a few epochs, once for each penalty, all runs as one program.

    Args:
        build: makes the model, whose own penalty has coefficient 1.
        seeds: those of each run, the same for all.
        optimizer: of all runs.
        loss: of labels, logits and the `loss_arguments`.
        penalties: coefficients of the model's penalty, one a run.
        loss_arguments: one number a run for each.
        jit_compile: as `Replicates.compile` takes it.

    Returns:
        The weights at the end, by run: stacked over the seeds, [S, …] each.
    """
    digits, count = data.load("digits"), len(penalties)
    arguments = {name: np.repeat(numbers, len(seeds)) for name, numbers in (loss_arguments or {}).items()}
    replicas = Replicates(build, tuple(seeds) * count, paired=True)
    replicas.compile(
        optimizer,
        loss,
        loss_arguments=arguments,
        penalty_scale=np.repeat(penalties, len(seeds)),
        jit_compile=jit_compile,
    )
    replicas.fit(digits.x_train, digits.y_train, batch_size=BATCH, epochs=EPOCHS)
    by_weight = (np.split(stacked, count) for stacked in replicas.get_weights())
    return [list(run) for run in zip(*by_weight, strict=True)]


def draw_distances(
    ax, rows: pd.DataFrame, places: Mapping[str, tuple[Check, str]], claim: str, control: str
) -> None:
    """One column of points a check, a point a seed: the claim's on the left, the control's on the right.

    Args:
        ax: where to draw, on a logarithmic scale.
        rows: a study's; their values are distances, as `crosscheck.models.distance` gives them.
        places: by the name under a column, the check and the setting that stand in it. All their criteria
            are `Equal` with one margin, which is drawn as a line.
        claim, control: the arms' names in the legend.
    """
    arms = (("claim", claim, -0.12), ("control", control, 0.12))
    for (arm, label, shift), colour in zip(arms, figures.PALETTE, strict=False):
        for i, (check, setting) in enumerate(places.values()):
            part = rows[(rows["check"] == check.id) & (rows["setting"] == setting) & (rows["arm"] == arm)]
            column, name = np.full(len(part), i + shift), label if i == 0 else ""
            ax.plot(column, part["value"], "o", alpha=0.4, color=colour, label=name)
    (margin,) = {check.criterion.margin for check, _ in places.values() if isinstance(check.criterion, Equal)}
    figures.theory_line(ax, [-0.5, len(places) - 0.5], margin, "margin")
    ax.set(ylabel="distance of weights / way", yscale="log")
    ax.set_xticks(range(len(places)), list(places), rotation=20, ha="right")
