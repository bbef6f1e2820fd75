"""Panels of the study `hierarchy`: mistakes by the weight or by the decision, and what the weight trades.

Rows are the study's. Nothing here trains, so that figures may be drawn without Keras.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from crosscheck.report import figures

LINES = {  # check, arm
    ("coarse_rises", "claim"): "coarse",
    ("coarse_rises", "control"): "coarse, weight on a random tree",
    ("fine_falls", "claim"): "fine",
    ("fine_falls", "positive"): "fine, weight on a random tree",
}


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
    """Coarse and fine accuracy along the weight."""
    for (check, arm), label in LINES.items():
        part = rows[(rows["check"] == check) & (rows["arm"] == arm)]
        weights = pd.Index(sorted(part["x"].unique()))
        places = part.assign(x=weights.get_indexer(part["x"]))
        figures.curve(ax, places, label, marker="o", linestyle="-" if arm == "claim" else ":")
    ax.set(title="Ten queries an intent, 8 components", ylabel="accuracy")
    weight_axis(ax, weights)
