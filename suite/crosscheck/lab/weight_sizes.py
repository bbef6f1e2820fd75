"""Sizes of the weights of linear models, and how many are exactly zero: the rows, their table and panels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from crosscheck.claims.rows import tidy
from crosscheck.report import figures

NAMES = {
    "none": "cross-entropy alone",
    "L2": "Keras' L2",
    "L1": "Keras' L1",
    "proximal": "L1, proximal step",
    "factors": "L2 on two factors",
    "scikit-learn": "scikit-learn's L1",
}


def shown_rows(w, true: np.ndarray, optimiser: str, cases: list) -> Iterator[pd.DataFrame]:
    """Shares of exact and of near zeros, distances, and the weights of the first seed."""
    names, seeds = zip(*cases, strict=True)
    first = [(i, name) for i, (name, seed) in enumerate(cases) if seed == min(seeds)]
    for penalty, kernels in w.items():
        path = f"{optimiser}, {penalty}"
        columns: dict[str, Any] = {"setting": names, "seed": seeds, "path": path}
        yield tidy(quantity="exactly zero", value=(kernels == 0).mean(1), **columns)
        yield tidy(quantity="below 0.001", value=(np.abs(kernels) < 1e-3).mean(1), **columns)
        off = np.linalg.norm(kernels - true, axis=1) / np.linalg.norm(true, axis=1)
        yield tidy(quantity="distance", value=off, **columns)
        for i, name in first:
            columns = {"setting": name, "seed": min(seeds), "path": path}
            yield tidy(quantity="weight", x=np.arange(kernels.shape[1]), value=kernels[i], **columns)


def draw_sizes(ax, rows: pd.DataFrame, name: str) -> None:
    """Sorted |w| of one seed under Adam; exact zeros have no place on a logarithmic axis."""
    part = rows[(rows["setting"] == name) & (rows["quantity"] == "weight")]
    for i, (penalty, label) in enumerate(NAMES.items()):
        size = np.sort(part.loc[part["path"] == f"Adam, {penalty}", "value"].abs())[::-1]
        size = size[size > 0]
        style: dict[str, Any] = {"linewidth": 5, "alpha": 0.7} if penalty == "proximal" else {}
        if penalty == "scikit-learn":
            style = {"color": figures.THEORY, "marker": "x", "linestyle": ""}
        ax.plot(np.arange(1, len(size) + 1), size, **{"color": figures.PALETTE[i], **style}, label=label)
    ax.set(
        title=f"Sizes of weights, {name}", xlabel="rank", ylabel="|w|, Adam", yscale="log", ylim=(1e-11, 20)
    )
    ax.legend(fontsize=7)


def draw_zeros(ax, rows: pd.DataFrame, name: str) -> None:
    part = rows[(rows["setting"] == name) & (rows["quantity"] == "exactly zero")]
    share = part.groupby("path")["value"].mean() * 100
    for i, optimiser in enumerate(("SGD", "Adam")):
        percent = [share.get(f"{optimiser}, {penalty}", np.nan) for penalty in list(NAMES)[:-1]]
        bars = ax.barh(np.arange(len(percent)) + 0.2 * (2 * i - 1), percent, 0.36, label=optimiser)
        ax.bar_label(bars, fmt="%.3g", padding=2, fontsize=8)
    ax.axvline(share["Adam, scikit-learn"], color=figures.THEORY, linestyle="--", label="scikit-learn's L1")
    ax.set_yticks(np.arange(len(NAMES) - 1), list(NAMES.values())[:-1])
    ax.invert_yaxis()
    ax.set(title=f"Exactly zero, {name}", xlabel="% of weights", xlim=(0, 100))
    ax.legend(fontsize=8)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Zeros and distances, set by set: percent of weights, and percent of the solution's length."""
    shown = rows[rows["quantity"].isin(["exactly zero", "below 0.001", "distance"])]
    percent = shown.assign(percent=100 * shown["value"])
    wide = percent.pivot_table("percent", ["setting", "path"], "quantity", sort=False).reset_index()
    optimiser, penalty = wide["path"].str.split(", ", n=1).str[0], wide["path"].str.split(", ", n=1).str[1]
    return pd.DataFrame(
        {
            "Data": wide["setting"],
            "Optimiser": optimiser.where(penalty != "scikit-learn", "liblinear"),
            "Penalty": penalty.map(NAMES),
            "Exactly zero (%)": wide["exactly zero"],
            "Below 0.001 (%)": wide["below 0.001"],
            "Off the L1 optimum (%)": wide["distance"],
        }
    ).drop_duplicates(ignore_index=True)
