"""Panels of the study `hierarchy`: mistakes by the weight or by the decision, and what the weight trades.

Rows are the study's. Nothing here trains, so that figures may be drawn without Keras.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from crosscheck.report import figures

DECIDED = {  # what is compared with the likeliest class of the model without a weight
    "weight 1": "w = 1, likeliest",
    "weight 4": "w = 4, likeliest",
    "least distance": "w = 0, nearest",
    "least distance in a random tree": "w = 0, nearest in a random tree",
}
WEIGHTED = {"published tree": "w = 4", "random tree": "random, w = 4"}


def draw_distances(ax: Any, rows: pd.DataFrame) -> None:
    """What the mean distance over all examples changes by a weight, and by another decision without one."""
    wide = rows[rows["quantity"] == "distance"].pivot_table("value", ["setting", "seed"], "path")
    show_changes(ax, wide, DECIDED, "w = 0, likeliest")
    ax.set(title="Milder mistakes, by weight or by decision", xlabel="change of the mean tree distance")


def draw_trade(ax: Any, rows: pd.DataFrame) -> None:
    """How much coarse and fine accuracy change by a weight of 4, on either tree."""
    shown = rows[rows["quantity"].isin(["coarse", "fine"])]
    wide = shown.pivot_table("value", ["quantity", "setting", "seed"], "path")
    show_changes(ax, wide, WEIGHTED, "w = 0")
    ax.set(title="What a weight of 4 changes", xlabel="accuracy, less that without a weight")


def show_changes(ax: Any, wide: pd.DataFrame, paths: dict[str, str], plain: str) -> None:
    """Medians with intervals of what each path, a column by its name in the legend, changes of the plain one.

    The index ends with the seed.
    """
    if wide.empty:
        figures.not_run(ax)
        return
    figures.intervals(ax, pd.concat({name: wide[path] - wide[plain] for name, path in paths.items()}))
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.locator_params(axis="x", nbins=5)
    ax.legend(fontsize=7, loc="center right", framealpha=0.9)
