"""Panels of the gap between independent and joint losses: along dependence, features, labels, on real sets.

They stand apart from what is measured, so that another look trains nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crosscheck.report import figures

DOTS: Any = {"marker": "o", "linestyle": ""}  # of what is measured, beside the lines of theory
Information = Callable[[int, float, float], float]  # of so many labels, of a strength, revealed so often


def draw_strengths(ax, claim: pd.DataFrame, information: Information) -> None:
    strength = np.linspace(0, 1, 101)
    figures.theory_line(ax, strength, [information(2, s, 0.0) for s in strength], "I(Y₁;Y₂)")
    figures.curve(ax, claim[claim["check"].isin(["zero", "gap"])], "trained gap", **DOTS)
    ax.set(title="No features", xlabel="strength of dependence", ylabel="independent − joint loss (nats)")


def draw_features(ax, claim: pd.DataFrame, information: Information, strength: float) -> None:
    revealed, unconditional = np.linspace(0, 1, 101), information(2, strength, 0.0)
    figures.theory_line(ax, revealed, (1 - revealed) * unconditional, "conditional I(Y₁;Y₂ | X)")
    ax.axhline(unconditional, color=figures.PALETTE[1], label="I(Y₁;Y₂), as the chapter has it")
    figures.curve(ax, claim[(claim["check"] == "conditional") & claim["x"].notna()], "trained gap", **DOTS)
    ax.set(title="Features reveal the cause", xlabel="probability that the cause is seen", ylim=(0, 0.28))


def draw_many(
    ax, claim: pd.DataFrame, information: Information, strength: float, labels: Sequence[int]
) -> None:
    figures.theory_line(ax, labels, [information(n, strength, 0.0) for n in labels], "total correlation")
    figures.curve(ax, of_shared_seeds(claim[claim["check"] == "many"]), "trained gap", **DOTS)
    cost = of_shared_seeds(claim[claim["quantity"] == "excess"])
    cost = cost.assign(value=100 * cost["value"])
    figures.curve(ax, cost, "joint outputs' cost × 100", marker="s", linestyle=":")
    ax.set(title="More labels", xlabel="number of labels L", ylabel="independent − joint loss (nats)")
    ax.set(xticks=labels, ylim=(0, None))


def of_shared_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of the seeds that every x has: few labels have more."""
    times = rows.groupby("seed")["x"].nunique()
    return rows[rows["seed"].isin(times.index[times == times.max()])]


def draw_real(ax, claim: pd.DataFrame) -> None:
    """Gaps without, with shuffled and with features, two standard errors about the mean over splits."""
    real = claim[claim["check"] == "real"]
    theory = real.groupby("setting", sort=False)["reference"].first()
    places = np.arange(len(theory))
    ax.axhline(0, color="#999999", linewidth=0.8)
    ax.hlines(theory, places - 0.3, places + 0.3, color=figures.THEORY, label="total correlation")
    shown = {
        "no features": real,
        "features shuffled": claim[claim["quantity"] == "shuffled features"],
        "features": claim[claim["check"] == "real_joint"],
    }
    for shift, (label, part) in zip((-0.15, 0, 0.15), shown.items(), strict=True):
        gaps = part.groupby("setting")["value"].agg(["mean", "sem"]).reindex(theory.index)
        ax.errorbar(places + shift, gaps["mean"], 2 * gaps["sem"], fmt="o", label=label)
    ax.set(title="Real labels, held out", ylabel="independent − joint loss (nats)")
    ax.set_xticks(places, theory.index)
