"""Where a check holds and where it breaks, made short: counts, and for execution paths a matrix.

A check's scope has a verdict by label; a label is a setting, `setting · path`, or a path, whose parts are the
values of `AXES`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.claims.words import BEST_FIRST, Verdict

AXES = ("loss", "backend", "device", "mode", "policy", "head", "entry", "implementation")
ROW_AXES = ("loss", "backend", "device", "head", "entry", "policy")
COLUMN_AXES = ("implementation", "mode")
FEW = 6  # so many labels are named one by one

Scope = Mapping[str, Verdict]
Point = dict[str, str]  # the value at each axis
Line = tuple[tuple[str, ...], tuple["Cell", ...]]  # heads and cells


@dataclass(frozen=True)
class Cell:
    """The settings that fall on one path of the matrix: the worst verdict, and how many share it."""

    verdict: Verdict | None
    share: int
    total: int

    def __str__(self) -> str:
        if self.verdict is None:
            return ""
        count = f" {self.share}/{self.total}" if self.share < self.total else ""
        return self.verdict.symbol + count


@dataclass(frozen=True)
class Matrix:
    """Rows and columns are the axes that vary; `fixed` names what does not."""

    fixed: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Line, ...]


def counted(scope: Scope) -> str:
    """`holds on 96 of 150 paths, fails on 54`; empty where there is but one point."""
    if len(scope) < 2:
        return ""
    noun = "paths" if any(point_of(label) for label in scope) else "settings"
    tally = Counter(scope.values())
    best, *others = [verdict for verdict in BEST_FIRST if tally[verdict]]
    if not others:
        return f"{best.predicate} on all {len(scope)} {noun}"
    rest = ", ".join(f"{verdict.predicate} on {tally[verdict]}" for verdict in others)
    return f"{best.predicate} on {tally[best]} of {len(scope)} {noun}, {rest}"


def named(scope: Scope) -> list[tuple[Verdict, list[str]]]:
    """Each verdict with its labels, best first, where they are few enough to be read."""
    if not 2 <= len(scope) <= FEW:
        return []
    groups = {verdict: [label for label in scope if scope[label] == verdict] for verdict in BEST_FIRST}
    return [(verdict, labels) for verdict, labels in groups.items() if labels]


def matrix(scope: Scope) -> Matrix | None:
    """The paths as a table, where the labels are paths and more than can be named."""
    points = [(point_of(label), verdict) for label, verdict in scope.items()]
    if len(scope) <= FEW or not all(point for point, _ in points):
        return None
    varying = {axis for axis in AXES if len({point[axis] for point, _ in points}) > 1}
    row_axes = tuple(axis for axis in ROW_AXES if axis in varying)
    column_axes = tuple(axis for axis in COLUMN_AXES if axis in varying)
    columns = unique(points, column_axes)
    verdicts: dict[Any, list[Verdict]] = {}
    for point, verdict in points:
        verdicts.setdefault((at(point, row_axes), at(point, column_axes)), []).append(verdict)
    lines = [
        (heads, tuple(cell(verdicts.get((heads, column), [])) for column in columns))
        for heads in unique(points, row_axes)
    ]
    fixed = ", ".join(f"{axis} {points[0][0][axis]}" for axis in AXES if axis not in varying)
    names = tuple(", ".join(column) or "all" for column in columns)
    return Matrix(fixed, row_axes, names, merged(lines))


def merged(lines: list[Line]) -> tuple[Line, ...]:
    """Lines that say the same and differ in one head alone become one, which names all its values."""
    for i in reversed(range(len(lines[0][0]))):
        groups: dict[Any, list[str]] = {}
        for heads, cells in lines:
            groups.setdefault((heads[:i], heads[i + 1 :], cells), []).append(heads[i])
        lines = [
            ((*before, ", ".join(values), *after), cells) for (before, after, cells), values in groups.items()
        ]
    return tuple(lines)


def point_of(label: str) -> Point:
    """The path in a label `setting · path`, by axis; empty where it has none."""
    values = label.rpartition(" · ")[2].split("/")
    return dict(zip(AXES, values, strict=True)) if len(values) == len(AXES) else {}


def unique(points: Sequence[tuple[Point, Verdict]], axes: tuple[str, ...]) -> list[tuple[str, ...]]:
    return sorted({at(point, axes) for point, _ in points})


def at(point: Point, axes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(point[axis] for axis in axes)


def cell(verdicts: Sequence[Verdict]) -> Cell:
    worst = min(verdicts, key=lambda verdict: verdict.rank, default=None)
    return Cell(worst, sum(verdict is worst for verdict in verdicts), len(verdicts))
