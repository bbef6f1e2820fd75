"""Table and figure from the entries of bench.json alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suite import figures, tables

GOALS = {32: 40, 256: 120}  # times faster than the loop of fit, compilation included


def write(entries: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Writes table.csv, table.md, table.tex, figure.svg and figure.png beside bench.json."""
    tables.save(table(entries), folder)
    with figures.theme():
        figures.save(figure(entries), folder)


def table(entries: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "bench": entry["bench"],
            "R": entry["setting"]["R"],
            "examples": entry["setting"].get("examples", 1797),
            "inputs": "×".join(map(str, entry["setting"]["inputs"])),
            "loss": entry["setting"].get("loss", "keras"),
            "subject": entry["subject"],
            "against": entry["against"],
            "seconds": entry["seconds"]["subject"]["median"],
            "first run, s": entry.get("first_run_seconds", {}).get("subject"),
            "against, s": entry["seconds"].get("against", {}).get("median"),
            "ratio": entry["ratio"]["median"],
            "ratio, least": entry["ratio"]["min"],
            "ratio, most": entry["ratio"]["max"],
            "times faster": None if entry["bench"].startswith("growth") else 1 / entry["ratio"]["median"],
            "peak, MB": entry["peak_bytes"] / 1e6 if "peak_bytes" in entry else None,
        }
        for entry in entries
    )


def figure(entries: Sequence[Mapping[str, Any]]) -> Any:
    panels = {
        draw_total: ("total",),
        draw_steady: ("steady", "limit"),
        draw_time: ("growth in R",),
        draw_memory: ("growth in R",),
    }
    chosen = {draw: [e for e in entries if e["bench"] in names] for draw, names in panels.items()}
    drawn = [(draw, some) for draw, some in chosen.items() if some]
    canvas, axes = figures.panels(columns=2, rows=max(1, -(-len(drawn) // 2)))
    for ax, (draw, some) in zip(axes, drawn, strict=False):
        draw(ax, some)
    for ax in axes[len(drawn) :]:
        ax.set_axis_off()
    return canvas


def draw_total(ax: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    """Speed-up over the loop of fit, with the goals."""
    for kind in dict.fromkeys(map(way, entries)):
        mine = sorted((e for e in entries if way(e) == kind), key=lambda e: e["setting"]["R"])
        times = np.array([[1 / e["ratio"][k] for k in ("median", "max", "min")] for e in mine])
        x = [entry["setting"]["R"] for entry in mine]
        bars = np.abs(times[:, 1:].T - times[:, 0])
        ax.errorbar(x, times[:, 0], bars, marker="o", capsize=3, label=kind)
    ax.set_ylim(1.5, 300)
    ax.plot(list(GOALS), list(GOALS.values()), "_", color=figures.THEORY, markersize=18, label="goal")
    ax.set(
        title="Against a loop of fit",
        xlabel="replicates R",
        ylabel="times faster",
        xscale="log",
        yscale="log",
    )
    ticks(ax, sorted({entry["setting"]["R"] for entry in entries}))
    ax.legend(loc="lower right", fontsize=7)


def way(entry: Mapping[str, Any]) -> str:
    backend = entry["subject"].removeprefix("Replicates, ")
    return f"{backend}, {'our loss' if entry['setting'].get('loss') == 'suite.losses' else 'Keras loss'}"


def draw_steady(ax: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    """Milliseconds a step of each contender, with the limit."""
    sizes = sorted({entry["setting"]["R"] for entry in entries})
    seen: dict[str, dict[int, float]] = {}
    for entry in entries:
        r = entry["setting"]["R"]
        steps = 1 if entry["bench"] == "limit" else 29 * entry["setting"]["epochs"]
        for side in ("subject", "against"):
            milliseconds = entry["seconds"][side]["median"] / steps * 1e3
            seen.setdefault(entry[side], {}).setdefault(r, milliseconds)
    width = 0.8 / max(len(seen), 1)
    for i, (label, by_size) in enumerate(seen.items()):
        at = np.arange(len(by_size)) + (i - (len(seen) - 1) / 2) * width
        bars = ax.bar(at, list(by_size.values()), width, label=label)
        ax.bar_label(bars, fmt="%.2g", fontsize=7, padding=1)
    ax.set(title="Compiled: a step", ylabel="milliseconds", yscale="log", xlabel="replicates R")
    ax.set_xticks(range(len(sizes)), map(str, sizes))
    ax.set_ylim(0.1, 300)
    ax.legend(fontsize=7, loc="upper left")


def draw_time(ax: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    """Seconds an epoch against R on logarithmic axes, and the slope of the last three."""
    x = [entry["setting"]["R"] for entry in entries]
    seconds = [entry["seconds"]["subject"]["median"] for entry in entries]
    ax.plot(x, seconds, "o-")
    if len(x) > 2:
        slope, level = np.polyfit(np.log(x[-3:]), np.log(seconds[-3:]), 1)
        at = np.array(x[-3:], float)
        figures.theory_line(ax, at, np.exp(level) * at**slope, f"slope {slope:.2f}")
        ax.legend()
    ax.set(title="Time", xlabel="replicates R", ylabel="seconds an epoch", xscale="log", yscale="log")
    ticks(ax, x)


def draw_memory(ax: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    """Peak memory of a process of its own against R, and what one more replicate takes."""
    x = np.array([entry["setting"]["R"] for entry in entries], float)
    megabytes = np.array([entry["peak_bytes"] / 1e6 for entry in entries])
    ax.plot(x, megabytes, "o")
    if len(x) > 2:
        slope, level = np.polyfit(x, megabytes, 1)
        figures.theory_line(ax, x, level + slope * x, f"{slope:.2f} MB a replicate")
        ax.legend(loc="lower right")
    ax.set(title="Memory", xlabel="replicates R", ylabel="peak of the process, MB", ylim=(0, None))


def ticks(ax: Any, sizes: Sequence[int]) -> None:
    ax.set_xticks(sizes, map(str, sizes))
    ax.minorticks_off()
