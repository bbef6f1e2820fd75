"""Panels on the detection of outliers, from the rows of `crosscheck.lab.outliers.detecting`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crosscheck.report import figures


def draw_density(
    ax, rows: pd.DataFrame, quantity: str, arm: str, title: str, kinds: Sequence[str], inside: str
) -> None:
    part = rows[(rows["quantity"] == f"{quantity} density") & (rows["path"] == arm)]
    for kind, colour in zip(kinds, figures.PALETTE, strict=False):
        each = part[part["setting"] == kind]
        label = f"in: {inside}" if kind == "in" else f"out: {kind}"
        ax.plot(each["x"], each["value"], color=colour, label=label)
        ax.fill_between(each["x"], each["value"], color=colour, alpha=0.15, linewidth=0)
    names = {"energy": "energy E (nats)", "sureness": "−log₁₀(1 − max p)"}
    ax.set(title=title, xlabel=names[quantity], ylabel="density", ylim=(0, None))
    ax.legend(fontsize=8)


def draw_roc(ax, rows: pd.DataFrame, rocs: Sequence[tuple[str, str]], title: str) -> None:
    for arm, score in rocs:
        part = rows[(rows["quantity"] == "ROC") & (rows["setting"] == f"{arm}, {score}")]
        name = {"mixed": "margins", "exposure": "exposure"}.get(arm, arm)
        ax.plot(part["value"], part["x"], label=f"{name}, {score}")
    figures.theory_line(ax, [0, 1], [0.95, 0.95], "95 % of inliers", linewidth=1)
    ax.set(xlim=(0, 0.4), ylim=(0.6, 1.01))
    ax.set(
        title=title,
        xlabel="share of outliers let in",
        ylabel="share of inliers let in",
    )
    ax.legend(fontsize=8, loc="lower right")


def draw_training(ax, rows: pd.DataFrame, name: str, kinds: Sequence[str], inside: str) -> None:
    part = rows[rows["quantity"] == "energy while training"]
    for kind in ("in", *kinds):
        label = f"in: {inside}" if kind == "in" else kind
        figures.curve(ax, part[part["setting"] == f"{name}: {kind}"], label)
    ax.set(title=f"Plain training on the {name}", xlabel="share of training", ylabel="mean energy (nats)")
    ax.legend(fontsize=8)


def draw_matrix(
    ax, rows: pd.DataFrame, name: str, shown: str, cast: Any, family: Callable[[str], str]
) -> None:
    """AUROC of λ = 0, and its gain by auxiliary and test kind; accuracy and calibration error beside it."""
    lines = ["λ = 0", *cast.auxiliary, "mixed"]
    known = rows[rows["quantity"].isin(("AUROC, energy", "accuracy", "ECE"))]
    mean = known.groupby(["quantity", "path", "setting"])["value"].mean()
    if ("accuracy", "mixed", name) in mean:
        area = np.array([[mean["AUROC, energy", a, f"{name}: {t}"] for t in cast.outliers] for a in lines])
        gain = area - area[0]
        texts = [[f"{each:.2f}" for each in area[0]]]
        for a, line in zip(lines[1:], gain[1:], strict=True):
            seen = {family(kind) for kind in (cast.mixed if a == "mixed" else (a,))}
            told = zip(cast.outliers, line, strict=True)
            texts.append([f"({g:+.2f})" if family(t) in seen else f"{g:+.2f}" for t, g in told])
        beside = [[f"{mean[quantity, a, name]:.3f}" for quantity in ("accuracy", "ECE")] for a in lines]
        texts = [text + more for text, more in zip(texts, beside, strict=True)]
        columns = [short(kind) for kind in (*cast.outliers, "accu- racy", "ECE")]
        figures.matrix(ax, gain, texts, list(map(short, lines)), columns, limit=1.2)
    else:
        ax.text(0.5, 0.5, "not prepared here", transform=ax.transAxes, ha="center")
    ax.set(title=f"AUROC gain: {shown}", xlabel="(in brackets: trained on, not judged)")


def short(kind: str) -> str:
    return kind.replace("_", " ").replace(", ", ",").replace("λ = 0", "λ=0")
