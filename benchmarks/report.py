"""Table and figure from the entries of bench.json alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import drawing
from benchmarks.settings import examples
from crosscheck.report import figures, tables

Entries = Sequence[Mapping[str, Any]]
LAST = 3  # points of a sweep that the slope is fitted to: before them, what does not grow weighs more


def write(entries: Entries, folder: Path) -> None:
    """Writes table.csv, table.md, table.tex, figure.svg and figure.png beside bench.json."""
    tables.save(table(entries), folder)
    with figures.theme():
        figures.save(drawing.figure(entries, slope), folder)


def table(entries: Entries) -> pd.DataFrame:
    """One line an entry; of a sweep in R, N or D, the last three points' slope in each of its lines."""
    lines = ({**line(entry), "slope": time_slope(entries, entry["bench"])} for entry in entries)
    return pd.DataFrame(lines).astype({"R": "Int64", "examples": "Int64"})  # the whole suite has neither


def line(entry: Mapping[str, Any]) -> dict[str, Any]:
    setting, seconds = entry["setting"], entry["seconds"]
    return {
        "bench": entry["bench"],
        "R": setting.get("R"),
        "examples": examples(setting) if "R" in setting else None,
        "inputs, or model": setting.get("model") or "×".join(map(str, setting.get("inputs", ()))),
        "loss": setting.get("loss", "keras") if "R" in setting else "",
        "subject": entry["subject"],
        "against": entry["against"],
        "seconds": seconds["subject"]["median"],
        "against, s": seconds.get("against", {}).get("median"),
        "first run, s": entry.get("first_run_seconds", {}).get("subject"),
        "against, first run, s": entry.get("first_run_seconds", {}).get("against"),
        "CPU, s": entry.get("cpu_seconds"),
        "times faster": 1 / entry["ratio"]["median"],
        "least": 1 / entry["ratio"]["max"],
        "most": 1 / entry["ratio"]["min"],
        "peak, MB": entry["peak_bytes"] / 1e6 if "peak_bytes" in entry else None,
        "libraries alone, MB": entry["base_bytes"] / 1e6 if "base_bytes" in entry else None,
        "note": entry.get("note", ""),
    }


def time_slope(entries: Entries, bench: str) -> float | None:
    """The power of R, N or D by which an epoch's time grows; None for a bench that is no such sweep."""
    if not bench.startswith("growth in "):
        return None
    x, seconds = drawing.sweep(entries, bench.removeprefix("growth in "))
    line = slope(x, [spread["median"] for spread in seconds])
    return line[0] if line else None


def slope(x: Sequence[float], y: Sequence[float]) -> tuple[float, float] | None:
    """Least squares of ln y = a ln x + b over the last three points: (a, b); None for fewer points."""
    if len(x) < LAST:
        return None
    a, b = np.polyfit(np.log(x[-LAST:]), np.log(y[-LAST:]), 1)
    return float(a), float(b)
