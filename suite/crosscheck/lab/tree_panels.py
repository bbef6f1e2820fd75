"""Panels of the study `hierarchy`: mistakes by the weight or by the decision, and what the weight trades.

Rows are the study's. Nothing here trains, so that figures may be drawn without Keras.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from crosscheck.report import figures


def weight_axis(ax: Any, weights: pd.Index) -> None:
    """Weights at equal distances: they are powers of four, and 0."""
    ax.set_xticks(range(len(weights)), [f"{w:g}" for w in weights])
    ax.set_xlabel("weight w of the coarse part")
    ax.legend(fontsize=7)


def draw_distances(ax: Any, rows: pd.DataFrame) -> None:
    """The likeliest class's mean distance along the weight, beside that of the nearest without a weight."""
    part = rows[rows["quantity"] == "distance"]
    for setting, at in part.groupby("setting", sort=False):
        weights = at["path"].str.extract(r"^w = (\d+), likeliest$")[0].astype(float)
        mean = at["value"].groupby(weights).mean()
        (line,) = ax.plot(range(len(mean)), mean, "o-", label=f"likeliest class, {setting}")
        nearest = at[at["path"] == "w = 0, nearest"]["value"].mean()
        look = {"color": line.get_color(), "label": f"least distance, w = 0, {setting}"}
        figures.theory_line(ax, [0, len(mean) - 1], nearest, **look)
    ax.set(title="Mistakes: by the weight, or by the decision", ylabel="mean tree distance, all examples")
    weight_axis(ax, mean.index)


def draw_trade(ax: Any, rows: pd.DataFrame) -> None:
    """How much coarse and fine accuracy change by a weight of 4, on either tree."""
    shown = rows[rows["quantity"].isin(["coarse", "fine"])]
    wide = shown.pivot_table("value", ["quantity", "setting", "seed"], "path")
    gains = {
        "published tree": wide["w = 4"] - wide["w = 0"],
        "random tree": wide["random, w = 4"] - wide["w = 0"],
    }
    figures.intervals(ax, pd.concat(gains))
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set(title="What a weight of 4 changes", xlabel="accuracy, less that without a weight")
