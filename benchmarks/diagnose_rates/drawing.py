"""The figure: what becomes of each seeded fault, and how that depends on its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from crosscheck.report import figures

Record = Mapping[str, Any]
SHOWN = {
    "named": ("named rightly", "#009e73"),
    "otherwise": ("✗ of another name", "#56b4e9"),
    "undecided": ("undecided", "#e69f00"),
    "noted": ("a note", "#f2d6a2"),
    "missed": ("missed", "#d55e00"),
    "refused": ("could not look", "#9a9a9a"),
    "crashed": ("crashed", "#333333"),
}
INCH_A_LINE = 0.24
WIDTH = 0.24  # of a bar that stands for one size
CAUGHT, NOT_CAUGHT = "0.4", "0.88"  # greys, since the colours stand for outcomes


def figure(record: Record) -> Figure:
    """Exact faults on the left; statistical ones on the right, above their sizes; where there are any."""
    exact = [fault for fault in record["faults"] if fault["decided"] == "exact" and fault["of"]]
    trained = [fault for fault in record["faults"] if fault["decided"] == "statistical" and fault["of"]]
    lines = max(len(exact), 2 * len(trained), 12)
    columns = max(1, bool(exact) + bool(trained))
    canvas = Figure(figsize=(6.5 * columns + 1.5, 2.0 + INCH_A_LINE * lines), layout="constrained")
    grid = canvas.add_gridspec(2, columns)
    if exact or not trained:
        draw_outcomes(canvas.add_subplot(grid[:, 0]), exact, f"Exact faults{of_all(record['exact'])}")
    if trained:
        title = f"Statistical faults{of_all(record['statistical'])}"
        draw_outcomes(canvas.add_subplot(grid[0, -1]), trained, title)
        draw_sizes(canvas.add_subplot(grid[1, -1]), trained)
    asked = ", by exact checks alone" if record["exact_checks_alone"] else ""
    canvas.suptitle(headline(record["healthy"]) + asked, x=0.01, ha="left", fontsize=11)
    handles = [Patch(color=colour, label=label) for label, colour in SHOWN.values()]
    canvas.legend(handles=handles, loc="outside lower center", ncols=4)
    return canvas


def headline(healthy: Record) -> str:
    alarms = healthy["false_alarms"]
    low, high = alarms["interval"]
    return (
        f"False alarms: {alarms['count']} of {alarms['of']} healthy programs "
        f"({low:.1%} to {high:.1%} at 95 %)"
    )


def of_all(rates: Record) -> str:
    missed, of = rates["missed"]["count"], rates["missed"]["of"]
    return f": {missed} of {of} missed"


def draw_outcomes(ax: Axes, faults: Sequence[Record], title: str) -> None:
    """One bar a fault: the shares of its outcomes, and how many mutants there are."""
    places = np.arange(len(faults))[::-1]
    start = np.zeros(len(faults))
    for outcome, (label, colour) in SHOWN.items():
        share = np.array([fault[outcome] / fault["of"] for fault in faults])
        ax.barh(places, share, 0.75, start, color=colour, label=label)
        start += share
    ax.set_yticks(places, [f"{fault['fault']} ({fault['of']})" for fault in faults])
    ax.set(title=title, xlim=(0, 1), ylim=(-0.6, len(faults) - 0.4))
    ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    ax.grid(False)


def draw_sizes(ax: Axes, faults: Sequence[Record]) -> None:
    """One line a fault, one bar a size: how full it is says the share of the faults that was caught."""
    places = np.arange(len(faults))[::-1]
    for y, fault in zip(places, faults, strict=True):
        for x, size in enumerate(fault["sizes"]):
            draw_size(ax, x, y, size)
    ax.set_yticks(places, [f"{fault['fault']}, {fault['unit']}" for fault in faults])
    ax.set(title="Caught by size (left: smallest)", xlim=(-0.1, 4.0), ylim=(-0.6, len(faults) - 0.4))
    ax.set_xticks([])
    ax.grid(False)


def draw_size(ax: Axes, x: int, y: int, size: Record) -> None:
    caught = size["caught"]
    if caught["of"]:
        share = WIDTH * caught["rate"]
        ax.barh(y, share, 0.55, x, color=CAUGHT)
        ax.barh(y, WIDTH - share, 0.55, x + share, color=NOT_CAUGHT)
        words = f"{size['size']:g}: {caught['count']}/{caught['of']}"
    else:
        words = f"{size['size']:g}: harmless" if size["seeded"] else f"{size['size']:g}: –"
    ax.annotate(
        words, (x + (WIDTH + 0.03 if caught["of"] else 0), y), va="center", fontsize=6.5, color=figures.THEORY
    )
