"""The table and the panels on the detection of outliers, from the rows of `lab.outliers.detecting`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crosscheck.report import figures

MEASURES = {  # as rows and as tables have them
    "AUROC": "AUROC",
    "AUPR in": "AUPR (in positive)",
    "AUPR out": "AUPR (out positive)",
    "FPR95 in": "FPR95 (in positive)",
    "FPR95 out": "FPR95 (out positive)",
}
QUALITY = {"accuracy": "Accuracy", "ECE": "ECE (15 bins)"}
KEYS = {"setting": "In distribution: outliers", "path": "Fine-tuned", "score": "Detector"}
TITLES = {**KEYS, **MEASURES, **QUALITY}


def detection_table(
    rows: pd.DataFrame, settings: Collection[str], detectors: Collection[tuple[str, str]]
) -> pd.DataFrame:
    """Means over seeds, a line a setting and detector, with the columns of `TITLES`; no line without rows.

    Args:
        rows: with those of `separation_rows` and `quality_rows`.
        settings: `<name>: <kind>`, in any order: lines stand in the order of the rows.
        detectors: pairs of an arm and a score.
    """
    separations = rows[rows["quantity"].str.contains(", ") & rows["setting"].isin(settings)]
    if separations.empty:
        return pd.DataFrame(columns=list(TITLES.values()))
    measure, score = (separations["quantity"].str.split(", ").str[i] for i in (0, 1))
    wide = separations.assign(measure=measure, score=score).pivot_table(
        "value", ["setting", "path", "score"], "measure", sort=False
    )
    wide = wide.loc[[key for key in wide.index if key[1:] in detectors], list(MEASURES)].reset_index()
    names = wide["setting"].str.split(": ").str[0]
    for quantity in QUALITY:
        mean = rows[rows["quantity"] == quantity].groupby(["setting", "path"])["value"].mean()
        wide[quantity] = [mean[pair] for pair in zip(names, wide["path"], strict=True)]
    return wide.rename(columns=TITLES).rename_axis(None, axis=1)


DENSITIES = (
    ("energy", "before", "Energy before"),
    ("energy", "mixed", "Energy after, mixed auxiliary"),
    ("sureness", "before", "Confidence before"),
    ("sureness", "mixed", "Confidence after"),
)


def draw_densities(axes: Sequence[Any], rows: pd.DataFrame, kinds: Sequence[str], inside: str) -> None:
    """Energy and sureness, before fine-tuning with mixed outliers and after, on four axes."""
    for ax, (quantity, arm, title) in zip(axes, DENSITIES, strict=True):
        draw_density(ax, rows, quantity, arm, title, kinds, inside)


def draw_density(
    ax, rows: pd.DataFrame, quantity: str, arm: str, title: str, kinds: Sequence[str], inside: str
) -> None:
    """Distributions of the "energy" or of the "sureness", kind by kind; `inside` names the inliers."""
    densities = rows[(rows["quantity"] == f"{quantity} density") & (rows["path"] == arm)]
    for kind, colour in zip(kinds, figures.PALETTE, strict=False):
        part = densities[densities["setting"] == kind]
        label = f"in: {inside}" if kind == "in" else f"out: {kind}"
        ax.plot(part["x"], part["value"], color=colour, label=label)
        ax.fill_between(part["x"], part["value"], color=colour, alpha=0.15, linewidth=0)
    names = {"energy": "energy E (nats)", "sureness": "−log₁₀(1 − max p)"}
    ax.set(title=title, xlabel=names[quantity], ylabel="density", ylim=(0, None))
    ax.legend(fontsize=8)


def draw_roc(ax, rows: pd.DataFrame, rocs: Sequence[tuple[str, str]], title: str) -> None:
    """The ROC of every pair of an arm and a score, where it matters: few outliers, most inliers let in."""
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
    """Mean energy of inliers and of every kind of outliers while a set is trained on plainly."""
    energies = rows[rows["quantity"] == "energy while training"]
    for kind in ("in", *kinds):
        label = f"in: {inside}" if kind == "in" else kind
        figures.curve(ax, energies[energies["setting"] == f"{name}: {kind}"], label)
    ax.set(title=f"Plain training on the {name}", xlabel="share of training", ylabel="mean energy (nats)")
    ax.legend(fontsize=8)


def draw_matrices(
    axes: Sequence[Any],
    rows: pd.DataFrame,
    titles: Mapping[str, str],
    casts: Mapping[str, Any],
    family: Callable[[str], str],
) -> None:
    """`draw_matrix` of every set in `titles`, each on axes of its own; `casts` are by the set's name."""
    for ax, (name, title) in zip(axes, titles.items(), strict=True):
        draw_matrix(ax, rows, name, title, casts[name], family)


def draw_matrix(
    ax, rows: pd.DataFrame, name: str, shown: str, cast: Any, family: Callable[[str], str]
) -> None:
    """AUROC of λ = 0, and its gain by auxiliary and test kind; accuracy and calibration error beside it.

    Args:
        ax, rows: where to draw, and what.
        name: of the set; `shown` in the title.
        cast: the set's kinds of outliers, `data.Cast`.
        family: of a kind; what was trained on a kind of the same family stands in brackets.
    """
    arms = ["λ = 0", *cast.auxiliary, "mixed"]
    part = rows[rows["quantity"].isin(("AUROC, energy", "accuracy", "ECE"))]
    mean = part.groupby(["quantity", "path", "setting"])["value"].mean()
    if ("accuracy", "mixed", name) in mean:
        area = np.array(
            [[mean["AUROC, energy", arm, f"{name}: {kind}"] for kind in cast.outliers] for arm in arms]
        )
        gain = area - area[0]
        texts = [[f"{value:.2f}" for value in area[0]]]
        for arm, values in zip(arms[1:], gain[1:], strict=True):
            seen = {family(kind) for kind in (cast.mixed if arm == "mixed" else (arm,))}
            pairs = zip(cast.outliers, values, strict=True)
            texts.append([f"({g:+.2f})" if family(kind) in seen else f"{g:+.2f}" for kind, g in pairs])
        quality = [[f"{mean[quantity, arm, name]:.3f}" for quantity in QUALITY] for arm in arms]
        texts = [line + more for line, more in zip(texts, quality, strict=True)]
        columns = [short(kind) for kind in (*cast.outliers, "accu- racy", "ECE")]
        figures.matrix(ax, gain, texts, list(map(short, arms)), columns, limit=1.2)
    else:
        ax.text(0.5, 0.5, "not prepared here", transform=ax.transAxes, ha="center")
    ax.set(title=f"AUROC gain: {shown}", xlabel="(in brackets: trained on, not judged)")


def short(kind: str) -> str:
    return kind.replace("_", " ").replace(", ", ",").replace("λ = 0", "λ=0")
