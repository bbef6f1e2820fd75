"""The score card: a mark an exercise, the share that passed, and the exit code."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MARK = 0.75  # of the points of all that was marked
SIGNS = {"passed": "✓", "failed": "✗", "could not look": "?"}


@dataclass(frozen=True)
class Mark:
    """What an exercise got.

    Attributes:
        part, exercise: which.
        points, of: reached, and possible.
        verdict: "passed", "failed" or "could not look".
        lines: what is to be said of it.
    """

    part: str
    exercise: str
    points: float
    of: float
    verdict: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """All marks of a check, with remarks on each part."""

    marks: tuple[Mark, ...]
    remarks: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        return sum(mark.points for mark in self.marks)

    @property
    def of(self) -> float:
        return sum(mark.of for mark in self.marks)

    @property
    def needed(self) -> int:
        """Points from which on the mark is reached: three quarters, rounded up."""
        return math.ceil(MARK * self.of)

    @property
    def exit_code(self) -> int:
        """0 from the mark on, 1 below it, 2 where something could not be looked at."""
        if any(mark.verdict == "could not look" for mark in self.marks):
            return 2
        return 0 if self.points >= self.needed else 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        totals = {"points": self.points, "of": self.of, "needed": self.needed, "exit_code": self.exit_code}
        return {**totals, "marks": [asdict(mark) for mark in self.marks], "remarks": list(self.remarks)}

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        for mark in self.marks:
            points = "" if mark.of == 1 else f", {mark.points:g} of {mark.of:g} points"
            yield f"{SIGNS[mark.verdict]} {mark.part} {mark.exercise}{points}"
            yield from (f"    {line}" for line in mark.lines)
        yield from self.remarks
        yield f"{self.points:g} of {self.of:g} points; the mark is {self.needed}"


def could_not_look(part: str, exercise: str, reason: str) -> Mark:
    return Mark(part, exercise, 0, 1, "could not look", (reason,))


def together(cards: Sequence[Card]) -> Card:
    """Several parts as one card."""
    marks = tuple(mark for card in cards for mark in card.marks)
    return Card(marks, tuple(line for card in cards for line in card.remarks))
