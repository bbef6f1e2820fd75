"""Panels that show trainings. They stand apart so that another look of them trains nothing anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crosscheck.claims import Check
from crosscheck.report import figures

FLIPPED, BORDERLINE = "on flipped labels", "on borderline ones"


def draw_shares(ax: Any, rows: pd.DataFrame, sets: tuple[str, ...]) -> None:
    """Where Σ|p − y| lies, by the epoch: flipped labels against borderline examples, a colour a set."""
    for name, colour in zip(sets, figures.PALETTE, strict=False):
        for quantity, line in ((FLIPPED, "-"), (BORDERLINE, ":")):
            part = rows[(rows["quantity"] == quantity) & (rows["setting"] == name)]
            if len(part):
                figures.curve(ax, part, name if line == "-" else "", color=colour, linestyle=line)
    for label, line in ((FLIPPED, "-"), (BORDERLINE, ":")):
        ax.plot([], [], color="0.4", linestyle=line, label=label)
    ax.set(title="The gradient, a tenth flipped", xlabel="epoch", ylabel="share of Σ|p − y|", ylim=(0, 1.2))
    ax.set_xscale("symlog", base=2, linthresh=1)
    ax.set_xticks([0, 1, 2, 4, 8, 16, 32], [0, 1, 2, 4, 8, 16, 32])
    ax.set_xlim(left=-0.2)
    ax.minorticks_off()
    ax.legend(loc="upper right", ncols=2, fontsize=7, handlelength=1.4, columnspacing=1)


def draw_dropped(ax: Any, rows: pd.DataFrame, check: Any) -> None:
    """What it does to test accuracy to drop the quiet examples half way, and to turn half of their labels."""
    part = rows[(rows["check"] == check.id) & (rows["arm"] != "positive")]
    sets = list(dict.fromkeys(part["setting"]))
    for arm, label, shift in (("claim", "dropped", -0.1), ("control", "half turned", 0.1)):
        own = part[part["arm"] == arm]
        place = own["setting"].map(sets.index) + shift
        ax.plot(place, 100 * (own["value"] - own["reference"]), "o", alpha=0.4, label=label)
    figures.theory_line(ax, [-0.5, len(sets) - 0.5], 0, "")
    ax.set(title="Quiet examples, from half way", ylabel="change of test accuracy (points)")
    ax.set_yscale("symlog", linthresh=1)
    ax.set_xticks(range(len(sets)), sets, fontsize=8)
    ax.legend(loc="lower left", fontsize=7.5, handletextpad=0.2)


def draw_recovery(
    ax: Any, rows: pd.DataFrame, laws: Mapping[Check, tuple[str, Callable[[Any], Any]]]
) -> None:
    """Steps until p = ½ against the bias, in the unit in which all examples lie on one curve."""
    b = np.linspace(1, 7, 61)
    for check, (label, law) in laws.items():
        part = rows[(rows["check"] == check.id) & (rows["arm"] == "claim")]
        scale = np.exp(part["value"] - part["reference"]) * law(part["x"].to_numpy())
        ax.plot(part["x"], scale, "o", alpha=0.6, label=label)
        figures.theory_line(ax, b, law(b), "gradient flow" if law is list(laws.values())[-1][1] else "")
    ax.set(title="Recovery from a wrong bias −b", xlabel="b", ylabel="steps × η (1 + ‖x‖²)", yscale="log")
    ax.legend()


def draw_descent(
    ax: Any, rows: pd.DataFrame, quantity: str, kinds: tuple[str, ...], law: Any, span: tuple[float, float]
) -> None:
    """A quantity along the time of descent, a curve a kind of set, beside a law over a span of time."""
    for kind in kinds:
        figures.curve(ax, rows[(rows["quantity"] == quantity) & (rows["setting"] == kind)], kind)
    t = np.geomspace(*span, 10)
    label, value = law
    figures.theory_line(ax, t, value(t), label)
    ax.set(xlabel="time t = steps × rate", xscale="log")
    ax.legend(fontsize=8)


def draw_interval(ax: Any, rows: pd.DataFrame) -> None:
    """How far the sigmoid is from 1: exactly, and in floats, where the distance ends."""
    part = rows[rows["quantity"] == "distance"]
    z = np.arange(61)
    figures.theory_line(ax, z, np.exp(-z) / (1 + np.exp(-z)), "exact")
    for dtype, marker in (("float64", "s"), ("float32", "o")):
        own = part[(part["setting"] == dtype) & (part["value"] > 0)]
        ax.plot(own["x"], own["value"], marker, markersize=3.5, label=dtype)
    ax.set(title="1 − σ(z)", xlabel="logit z", ylabel="distance from 1", yscale="log")
    ax.legend()


def draw_chain_rule(ax: Any, rows: pd.DataFrame) -> None:
    """The gradient at y = 0 by the chapter's chain rule in floats, as far as it is a number."""
    z = np.linspace(-10, 60, 141)
    figures.theory_line(ax, z, 1 / (1 + np.exp(-z)), "p − y")
    for dtype, marker in (("float64", "s"), ("float32", "o")):
        own = rows[(rows["quantity"] == "chain rule y=0") & (rows["setting"] == dtype)]
        own = own[own["x"].between(-10, 60) & np.isfinite(own["value"])].sort_values("x")
        ax.plot(own["x"], own["value"], marker, markersize=3.5, label=f"{dtype}, to z = {own['x'].max():g}")
    ax.set(title="The chain rule, y = 0", xlabel="logit z", ylabel="factor by factor")
    ax.legend(loc="lower right", fontsize=8)
