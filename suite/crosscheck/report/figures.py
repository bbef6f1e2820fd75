"""The one place for the look of figures: studies prepare numbers, and what is here draws them alike.

A study draws on `panels`, and need not set anything: `report.records` draws and saves it in `theme()`.
Points by the thousand are drawn with `rasterized=True`, or the SVG outgrows the repository.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from crosscheck._files import write_atomically
from crosscheck.claims import estimates
from crosscheck.report import svg

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Okabe & Ito's colours, told apart by all common kinds of sight; without the yellow, which white swallows.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b6b6b")
THEORY = "#1a1a1a"
LEVEL = 0.95  # of the bands in figures; verdicts use the far stricter level of `crosscheck.claims.verdicts`
WIDTHS = {1: 6.0, 2: 8.0, 3: 10.0}  # inches
LOOK: Any = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same letters on every machine
    "font.size": 9.5,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#999999",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "grid.color": "#e4e6ea",
    "grid.linewidth": 0.7,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "crosscheck",
    "path.simplify": True,
}


@contextmanager
def theme() -> Iterator[None]:
    """The look, for as long as the block lasts, whatever a user's own matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(LOOK)
        yield


def panels(columns: int = 1, rows: int = 1, height: float = 3.2, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row. It belongs to nobody else: there is nothing to close.

    Args:
        columns: at most three, or the letters get too small.
        rows: number of rows.
        height: of one row, in inches.
        shared: `sharex`, `sharey`, `width_ratios`, … as in `Figure.subplots`.
    """
    figure = Figure(figsize=(WIDTHS[columns], height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **shared).flat)


def median_with_interval(
    ax: Axes, x: np.ndarray, values: np.ndarray, label: str = "", level: float = LEVEL, **line: Any
) -> None:
    """The median over seeds along `x` with its band of coverage `level` at each point.

    Args:
        ax: where to draw.
        x: [X].
        values: one row a seed, [S, X]. With under six seeds there is no band at 95 %.
        label: for the legend.
        level: coverage at each single x.
        line: further properties of the line (`color`, `marker`, …).
    """
    points = [estimates.median(column, level) for column in np.asarray(values, dtype=float).T]
    (drawn,) = ax.plot(x, [p.value for p in points], label=label or None, **line)
    if np.isfinite([p.lo for p in points]).all():
        interval_band(ax, x, [p.lo for p in points], [p.hi for p in points], drawn.get_color())


def interval_band(ax: Axes, x: Any, lo: Any, hi: Any, colour: Any) -> None:
    ax.fill_between(x, lo, hi, color=colour, alpha=0.18, linewidth=0)


def curve(ax: Axes, rows: pd.DataFrame, label: str = "", **line: Any) -> None:
    """`median_with_interval` from tidy rows: their values by seed, along their `x`."""
    wide = rows.pivot_table("value", "seed", "x")
    median_with_interval(ax, wide.columns.to_numpy(), wide.to_numpy(), label, **line)


def intervals(ax: Axes, values: pd.Series, level: float = LEVEL) -> None:
    """Medians over seeds with their intervals, one above the other: a colour a name, a row a case.

    Args:
        ax: where to draw.
        values: over an index of a name for the legend, whatever makes up the case, and the seed. Where there
            are none the panel says that nothing was run.
        level: coverage of each interval.
    """
    if values.empty:
        not_run(ax)
        return
    samples: dict[str, dict[str, list[float]]] = {}
    for (name, *case, _), value in zip(values.index.tolist(), values, strict=True):
        samples.setdefault(name, {}).setdefault("\n".join(case), []).append(value)
    cases = list(dict.fromkeys(case for by_case in samples.values() for case in by_case))
    for i, (name, by_case) in enumerate(samples.items()):
        points = [estimates.median(np.array(sample), level) for sample in by_case.values()]
        heights = [cases.index(case) + 0.16 * (i - (len(samples) - 1) / 2) for case in by_case]
        reach = [[p.value - p.lo for p in points], [p.hi - p.value for p in points]]
        ax.errorbar([p.value for p in points], heights, xerr=reach, fmt="os^D"[i], label=name)
    ax.set_yticks(range(len(cases)), cases, fontsize=8)
    ax.invert_yaxis()
    if len(samples) > 1:
        ax.legend()


def not_run(ax: Axes) -> None:
    """Says in an empty panel why it is empty: what it shows needs data or a scale that this run had not."""
    ax.text(0.5, 0.5, "not run here", ha="center", transform=ax.transAxes)
    ax.set(xticks=[], yticks=[])


def theory_line(ax: Axes, x: Any, y: Any, label: str = "theory", **line: Any) -> None:
    """Theory looks the same in every figure: dark, dashed, above the data. `y` may be one number."""
    style: dict[str, Any] = {"color": THEORY, "linestyle": (0, (4, 2.2)), "linewidth": 1.4, "zorder": 5}
    ax.plot(x, np.broadcast_to(y, np.shape(x)), label=label or None, **{**style, **line})


def reliability_diagram(
    ax: Axes, confidence: np.ndarray, accuracy: np.ndarray, count: np.ndarray, label: str = "", **line: Any
) -> None:
    """Accuracy against confidence, bin by bin, beside the diagonal of honest confidence.

    Args:
        ax: where to draw; drawn on twice, it holds two models.
        confidence: means of the bins, [bins]; NaN where a bin is empty, which then is not drawn.
        accuracy: the same.
        count: of examples; a point's area is its bin's share of them.
        label: for the legend.
        line: further properties (`color`, …).
    """
    if not ax.lines:
        theory_line(ax, [0, 1], [0, 1], "honest")
        ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    filled = count > 0
    x, y, share = confidence[filled], accuracy[filled], count[filled] / count.sum()
    (drawn,) = ax.plot(x, y, label=label or None, **{"linewidth": 1.2, **line})
    ax.scatter(x, y, s=400 * share, color=drawn.get_color(), alpha=0.5, linewidth=0, zorder=3)


# Relative errors from 1e−8 to 1: calm as far as half precision rounds, glowing where a gradient is lost.
ERRORS = {0: "#f0f5f7", 0.4: "#cfe1e6", 0.65: "#a3c5ce", 0.8: "#f3c26b", 0.9: "#dd6b4d", 1: "#a3182f"}
NOT_A_NUMBER = "#26102e"


def error_map(ax: Axes, x: np.ndarray, y: np.ndarray, errors: np.ndarray) -> Any:
    """Relative errors as cells between the edges x and y, on one scale wherever they are shown.

    What is not a finite number stands out from all of them.
    """
    colours = LinearSegmentedColormap.from_list("errors", list(ERRORS.items())).with_extremes(
        over=NOT_A_NUMBER
    )
    norm = LogNorm(1e-8, 1)
    shown = np.where(np.isfinite(errors), np.clip(errors, 1e-8, 1), 10)
    return ax.pcolormesh(
        x, y, shown, cmap=colours, norm=norm, edgecolor="white", linewidth=0.25, rasterized=True
    )


def matrix(
    ax: Axes, shade: np.ndarray, texts: list[list[str]], lines: list[str], columns: list[str], limit: float
) -> None:
    """A table of texts whose first columns are shaded from red, −limit, over white, 0, to blue, limit.

    Args:
        ax: where to draw.
        shade: numbers that decide the colours, [lines, shaded columns].
        texts: what stands in every cell, [lines][columns].
        lines, columns: names; blanks become line breaks.
        limit: the number at which the colour is full.
    """
    height, width = shade.shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(shade, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", extent=extent)
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(height - 0.5, -0.5))
    ax.set_xticks(range(len(columns)), [name.replace(" ", "\n") for name in columns])
    ax.set_yticks(range(height), [name.replace(" ", "\n") for name in lines])
    ax.tick_params(labelsize=7)
    ax.grid(False)
    for i, line in enumerate(texts):
        for j, text in enumerate(line):
            ax.text(j, i, text, ha="center", va="center", fontsize=7.5)


def save(figure: Figure, folder: Path) -> None:
    """Write figure.svg and figure.png, the same bytes whenever the figure is the same.

    Its parts are placed for each: letters are wider in one than in the other, and those at the edge were cut.
    """
    with theme():
        write_atomically(folder / "figure.svg", rendered(figure, "svg", {"Date": None, "Creator": None}))
        write_atomically(folder / "figure.png", rendered(figure, "png", {"Software": None}))


def release(figure: Figure) -> None:
    """Close a figure that a study has made by pyplot, which would keep it; `panels` does without pyplot."""
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(figure)


NOT_PACKED = {"pil_kwargs": {"compress_level": 0}}  # as it is read again at once, see `in_a_palette`


def rendered(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    stream = io.BytesIO()
    options: dict[str, Any] = NOT_PACKED if kind == "png" else {}
    with laid_out_once(figure):
        figure.savefig(stream, format=kind, metadata=metadata, **options)
    return svg.shortened(stream.getvalue()) if kind == "svg" else in_a_palette(stream)


@contextmanager
def laid_out_once(figure: Figure) -> Iterator[None]:
    """Leave out the drawing of a figure's first round within the block, which only lays it out.

    Matplotlib draws a figure with a layout engine twice: blind, for the engine to place its parts, and then
    with a placeholder for the engine.
    """
    draw = figure.draw

    def layout_or_drawing(renderer: Any) -> None:
        engine = figure.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine):
            engine.execute(figure)
        else:
            draw(renderer)

    figure.draw = layout_or_drawing  # type: ignore[method-assign]
    try:
        yield
    finally:
        del figure.draw


def in_a_palette(png: io.BytesIO) -> bytes:
    """In 256 colours of its own, a third of the bytes; a colour bar may show steps, which the SVG has not.

    With fewer colours whole areas change theirs visibly.
    """
    stream = io.BytesIO()
    picture = Image.open(png)
    few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(stream, format="png", optimize=True, dpi=picture.info.get("dpi", (150, 150)))
    return stream.getvalue()
