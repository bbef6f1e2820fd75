"""Where a check holds and where it breaks, made short: counts, and for execution paths a matrix."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from crosscheck.claims.verdicts import RANK

AXES = ("loss", "backend", "device", "mode", "policy", "head", "entry", "implementation")
ROW_AXES = ("loss", "backend", "device", "head", "entry", "policy")
COLUMN_AXES = ("implementation", "mode")
SYMBOLS = {"holds": "✓", "scoped": "◐", "fails": "✗", "undecided": "?", "open": "◌", "invalid": "⊘"}
FEW = 6  # so many labels are named one by one

Point = dict[str, str]
Line = tuple[tuple[str, ...], tuple["Cell", ...]]


@dataclass(frozen=True)
class Cell:
    """The settings that fall on one path of the matrix: the worst verdict, and how many share it."""

    verdict: str
    share: int
    total: int

    def __str__(self) -> str:
        if not self.total:
            return ""
        counted = f" {self.share}/{self.total}" if self.share < self.total else ""
        return SYMBOLS[self.verdict] + counted


@dataclass(frozen=True)
class Matrix:
    """Rows and columns are the axes that vary; `fixed` names what does not."""

    fixed: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Line, ...]


def counted(scope: dict[str, str]) -> str:
    """`holds on 96 of 150 paths, fails on 54`; empty where there is but one point."""
    if len(scope) < 2:
        return ""
    noun = "paths" if any(point_of(label) for label in scope) else "settings"
    tally = Counter(scope.values())
    found = [verdict for verdict in reversed(RANK) if tally[verdict]]
    if len(found) == 1:
        return f"{shown(found[0])} on all {len(scope)} {noun}"
    first, *others = found
    rest = ", ".join(f"{shown(verdict)} on {tally[verdict]}" for verdict in others)
    return f"{shown(first)} on {tally[first]} of {len(scope)} {noun}, {rest}"


def shown(verdict: str) -> str:
    return f"is {verdict}" if verdict in ("undecided", "invalid", "scoped") else verdict


def named(scope: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Each verdict with its labels, best first, where they are few enough to be read."""
    if not 2 <= len(scope) <= FEW:
        return []
    groups = {verdict: [label for label in scope if scope[label] == verdict] for verdict in reversed(RANK)}
    return [(verdict, labels) for verdict, labels in groups.items() if labels]


def matrix(scope: dict[str, str]) -> Matrix | None:
    """The paths as a table, where the labels are paths and more than can be named."""
    found = [(point_of(label), verdict) for label, verdict in scope.items()]
    points = [(point, verdict) for point, verdict in found if point]
    if len(scope) <= FEW or len(points) < len(scope):
        return None
    varying = {axis for axis in AXES if len({point[axis] for point, _ in points}) > 1}
    heads = tuple(axis for axis in ROW_AXES if axis in varying)
    across = tuple(axis for axis in COLUMN_AXES if axis in varying)
    columns = unique(points, across)
    groups: dict[Any, list[str]] = {}
    for point, verdict in points:
        groups.setdefault((at(point, heads), at(point, across)), []).append(verdict)
    lines = [
        (line, tuple(cell(groups.get((line, column), [])) for column in columns))
        for line in unique(points, heads)
    ]
    fixed = ", ".join(f"{axis} {points[0][0][axis]}" for axis in AXES if axis not in varying)
    named = tuple(", ".join(column) or "all" for column in columns)
    return Matrix(fixed, heads, named, merged(lines))


def merged(lines: list[Line]) -> tuple[Line, ...]:
    """Lines that say the same and differ in one head alone become one, which names all its values."""
    for i in reversed(range(len(lines[0][0]))):
        groups: dict[Any, list[str]] = {}
        for line, cells in lines:
            groups.setdefault((line[:i], line[i + 1 :], cells), []).append(line[i])
        lines = [((*a, ", ".join(values), *b), cells) for (a, b, cells), values in groups.items()]
    return tuple(lines)


def point_of(label: str) -> Point:
    """The path in a label `setting · path`, by axis; empty where it has none."""
    parts = label.rpartition(" · ")[2].split("/")
    return dict(zip(AXES, parts, strict=True)) if len(parts) == len(AXES) else {}


def unique(points: list[tuple[Point, str]], axes: tuple[str, ...]) -> list[tuple[str, ...]]:
    return sorted({at(point, axes) for point, _ in points})


def at(point: Point, axes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(point[axis] for axis in axes)


def cell(here: list[str]) -> Cell:
    worst = min(here, key=RANK.index, default="")
    return Cell(worst, here.count(worst), len(here))
