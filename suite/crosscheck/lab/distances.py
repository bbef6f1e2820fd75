"""The panel for trainings that should end at the same weights: how far apart they end, check by check.

It stands apart from `crosscheck.lab.trajectories`, so that another look of it trains nothing anew.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from crosscheck.claims import Check, Equal
from crosscheck.report import figures


def draw_distances(
    ax, rows: pd.DataFrame, places: Mapping[str, tuple[Check, str]], claim: str, control: str
) -> None:
    """One column of points a check, a point a seed: the claim's on the left, the control's on the right.

    Args:
        ax: where to draw, on a logarithmic scale.
        rows: a study's; their values are distances, as `crosscheck.lab.steps.distance` gives them.
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
