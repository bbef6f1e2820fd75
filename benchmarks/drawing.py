"""The figure: speed-up over the loop, a compiled step beside the limit, growth, ordinary models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from benchmarks.settings import examples, steps
from crosscheck.report import figures, tables

Entries = Sequence[Mapping[str, Any]]
Spread = tuple[float, float, float]  # median, least, most
Fit = Callable[[Sequence[float], Sequence[float]], tuple[float, float] | None]
GOALS = {32: 40, 256: 120}  # times faster than the loop of fit, compilation included
AXES: dict[str, tuple[str, Callable[[Mapping[str, Any]], int]]] = {
    "R": ("replicates R", lambda setting: setting["R"]),
    "N": ("examples N", examples),
    "D": ("features D", lambda setting: setting["inputs"][0]),
}


def figure(entries: Entries, fit: Fit) -> Figure:
    canvas, axes = figures.panels(columns=2, rows=5, height=3.4)
    draw_total(axes[0], [entry for entry in entries if entry["bench"] == "total"])
    draw_steady(axes[1], [entry for entry in entries if entry["bench"] in ("steady", "limit")])
    for ax, axis in zip(axes[2:5], AXES, strict=True):
        draw_time(ax, entries, axis, fit)
    draw_memory(axes[5], entries, fit)
    draw_losses(axes[6], entries, "XLA", ("tensorflow", "jax"))
    draw_losses(axes[7], entries, "PyTorch", ("torch",))
    ordinary = [entry for entry in entries if entry["bench"] == "ordinary"]
    models = list(dict.fromkeys(entry["setting"]["model"] for entry in ordinary))
    half = (len(models) + 1) // 2
    for ax, part in zip(axes[8:], (models[:half], models[half:]), strict=True):
        draw_ordinary(ax, [entry for entry in ordinary if entry["setting"]["model"] in part], part)
    return canvas


def draw_ordinary(ax: Axes, entries: Entries, models: Sequence[str]) -> None:
    """How much faster than a loop of fit each model's replicates are, a line a model, a colour a backend."""
    if not models:
        ax.set_axis_off()
        return
    backends = list(dict.fromkeys(entry["subject"] for entry in entries))
    for i, subject in enumerate(backends):
        mine = [entry for entry in entries if entry["subject"] == subject]
        middle, least, most = np.array([times_faster(entry["ratio"]) for entry in mine]).T
        y = [models.index(entry["setting"]["model"]) + (i - 1) * 0.22 for entry in mine]
        style: Any = {"marker": "o", "capsize": 2, "elinewidth": 1, "linestyle": "none", "markersize": 4}
        label = subject.removeprefix("Replicates, ")
        ax.errorbar(middle, y, xerr=[middle - least, most - middle], label=label, **style)
    ax.axvline(1, color=figures.THEORY, linestyle="--", zorder=0)
    ax.set(xscale="log", title="Ordinary models, R = 8, in all", xlabel="times faster than a loop of fit")
    for i, model in enumerate(models):  # inside: names as ticks would narrow all panels
        ax.text(0.02, i, model, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.set(yticks=[], xlim=(0.12, None), ylim=(len(models) - 0.5, -0.5))
    ax.set_xticks((1, 2, 5), ("1", "2", "5"))
    ax.minorticks_off()
    ax.grid(visible=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=len(backends), fontsize=8)


def times_faster(ratio: Mapping[str, float]) -> Spread:
    """Times faster, of a ratio of times: median, least, most."""
    return 1 / ratio["median"], 1 / ratio["max"], 1 / ratio["min"]


def draw_losses(ax: Axes, entries: Entries, compiler: str, backends: Sequence[str]) -> None:
    """Our losses' time over that of Keras' from logits, by size; below 1 ours is faster."""
    measured = [entry for entry in entries if entry["bench"] == "losses"]
    entries = [entry for entry in measured if entry["subject"].endswith(tuple(backends))]
    series: dict[str, dict[int, Spread]] = {}
    shapes: dict[int, str] = {}
    for entry in entries:
        n, (k,) = examples(entry["setting"]), entry["setting"]["inputs"]
        shapes[n * k] = f"{n} × {k}"
        name = f"{entry['setting']['loss']}, {entry['subject'].removeprefix('crosscheck.losses, ')}"
        ratio = entry["ratio"]
        series.setdefault(name, {})[n * k] = (ratio["median"], ratio["min"], ratio["max"])
    sizes = grouped(ax, series)
    levels(ax, sizes, dict.fromkeys(sizes, (1.0, "")), "as fast as Keras")
    ax.set_xticks(range(len(sizes)), [shapes[size] for size in sizes])
    ax.set(title=f"Our losses over Keras', by {compiler}", xlabel="logits", ylabel="ratio of times")


def draw_total(ax: Axes, entries: Entries) -> None:
    """Speed-up over the loop of fit, with the goals."""
    series: dict[str, dict[int, Spread]] = {}
    for entry in entries:
        series.setdefault(way(entry), {})[entry["setting"]["R"]] = times_faster(entry["ratio"])
    sizes = grouped(ax, series)
    goals = {r: (GOALS[r], f"goal {GOALS[r]}×") for r in sizes if r in GOALS}
    levels(ax, sizes, goals, "goal")
    ax.set(title="Replicates against a loop of fit, in all", ylabel="times faster")


def way(entry: Mapping[str, Any]) -> str:
    backend = entry["subject"].removeprefix("Replicates, ")
    ours = entry["setting"].get("loss") == "crosscheck.losses"
    return f"{backend}, {'loss of crosscheck.losses' if ours else 'loss of Keras'}"


def draw_steady(ax: Axes, entries: Entries) -> None:
    """Milliseconds a step of each contender; the limit is a line, with the share of it that is reached."""
    series: dict[str, dict[int, Spread]] = {}
    limits: dict[int, tuple[float, str]] = {}
    for entry in entries:
        r, seconds = entry["setting"]["R"], entry["seconds"]
        if entry["bench"] == "limit":
            share = tables.percent(round(1 / entry["ratio"]["median"], 2))
            limits[r] = (seconds["against"]["median"] * 1e3, f"{share} reached")
            continue
        for side in ("subject", "against"):
            # Ours is timed beside each of the others; the first will do.
            series.setdefault(entry[side], {}).setdefault(
                r, scaled(seconds[side], 1e3 / steps(entry["setting"]))
            )
    levels(ax, grouped(ax, series, limits), limits, "the machine's limit")
    ax.set(title="A step, once compiled", ylabel="milliseconds")


def scaled(seconds: Mapping[str, float], factor: float) -> Spread:
    return seconds["median"] * factor, seconds["min"] * factor, seconds["max"] * factor


def grouped(ax: Axes, series: Mapping[str, Mapping[int, Spread]], also: Mapping[int, Any] = {}) -> list[int]:
    """Medians with least and most, side by side at each R, a colour each; the R of the groups."""
    sizes = sorted({r for points in series.values() for r in points} | set(also))
    for i, (label, points) in enumerate(series.items()):
        at = [sizes.index(r) + (i + 0.5 - len(series) / 2) * 0.8 / len(series) for r in points]
        bars(ax, at, list(points.values()), label=label, linestyle="none")
        for x, (middle, _, most) in zip(at, points.values() if len(series) < 5 else (), strict=False):
            place: Any = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "fontsize": 7.5}
            place["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            place["zorder"] = 10  # lines pass behind
            ax.annotate(tables.number(middle, 2 if middle < 100 else 3), (x, most), **place)
    ax.set(xlabel="replicates R", xlim=(-0.5, max(len(sizes), 1) - 0.5), yscale="log")
    ax.set_xticks(range(len(sizes)), map(str, sizes))
    ax.grid(visible=False, axis="x")
    plain(ax, "y")
    return sizes


def levels(ax: Axes, sizes: Sequence[int], at: Mapping[int, tuple[float, str]], label: str) -> None:
    """A line across each group, with its own words, and the legend of all below the panel."""
    for i, (r, (value, words)) in enumerate(at.items()):
        x = sizes.index(r)
        figures.theory_line(ax, [x - 0.45, x + 0.45], value, label if i == 0 else "")
        place: Any = {
            "xytext": (0, 3),
            "textcoords": "offset points",
            "ha": "right",
            "fontsize": 7.5,
            "color": figures.THEORY,
        }
        ax.annotate(words, (x + 0.45, value), **place)
    ax.margins(y=0.12)
    if sizes:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=1, fontsize=8)


def bars(ax: Axes, x: Sequence[float], values: Sequence[Spread], **style: Any) -> None:
    middle, least, most = np.array(values).T
    ax.errorbar(x, middle, [middle - least, most - middle], marker="o", capsize=3, elinewidth=1.2, **style)


def sweep(entries: Entries, axis: str) -> tuple[list[int], list[Mapping[str, float]]]:
    """The points along an axis, and the seconds of an epoch at each."""
    points = sorted(along(entries, axis), key=lambda entry: AXES[axis][1](entry["setting"]))
    return [AXES[axis][1](entry["setting"]) for entry in points], [
        entry["seconds"]["subject"] for entry in points
    ]


def along(entries: Entries, axis: str) -> list[Mapping[str, Any]]:
    return [entry for entry in entries if entry["bench"] == f"growth in {axis}"]


def draw_time(ax: Axes, entries: Entries, axis: str, fit: Fit) -> None:
    x, seconds = sweep(entries, axis)
    fixed = along(entries, axis)[0]["setting"] if x else {}
    others = [f"{name} = {of(fixed)}" for name, (_, of) in AXES.items() if x and name != axis]
    draw_growth(ax, x, [scaled(spread, 1e3) for spread in seconds], fit)
    title = f"An epoch against {axis}" + (f" ({', '.join(others)})" if others else "")
    ax.set(title=title, xlabel=AXES[axis][0], ylabel="milliseconds")


def draw_memory(ax: Axes, entries: Entries, fit: Fit) -> None:
    """What the work adds to the libraries' own memory, of which no replicate has a part."""
    points = sorted(along(entries, "R"), key=lambda entry: entry["setting"]["R"])
    added = [(entry["peak_bytes"] - entry.get("base_bytes", 0)) / 1e6 for entry in points]
    draw_growth(ax, [entry["setting"]["R"] for entry in points], [(value,) * 3 for value in added], fit)
    ax.set(title="Peak memory beyond the libraries' own", xlabel=AXES["R"][0], ylabel="MB")


def draw_growth(ax: Axes, x: Sequence[int], values: Sequence[Spread], fit: Fit) -> None:
    """Values on logarithmic axes, and the slope of the last three."""
    ax.set(xscale="log", yscale="log")
    if not x:
        return
    bars(ax, x, values, label="median, least, most" if len(set(values[0])) > 1 else "peak")
    line = fit(x, [middle for middle, _, _ in values])
    if line:
        x_fitted = np.array(x[-3:], float)
        figures.theory_line(
            ax, x_fitted, np.exp(line[1]) * x_fitted ** line[0], f"slope {line[0]:.2f}, last three"
        )
    ax.set_xticks(x, map(str, x))
    ax.xaxis.minorticks_off()
    plain(ax, "y")
    ax.legend(loc="upper left")


def plain(ax: Axes, which: str) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, written out: few powers lie in view."""
    axis = ax.yaxis if which == "y" else ax.xaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    ax.minorticks_off()
