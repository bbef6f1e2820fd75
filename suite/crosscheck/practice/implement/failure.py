"""What a mark of the first part says: one check that failed, where, why, and a hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A check that a solution fails.

    Attributes:
        check: its name.
        at: the smallest input at which it fails, as one would type it.
        measured, expected: the numbers there; None where there are none.
        cause: in a line, where it was recognised.
        hint: where to look next; never the solution.
    """

    check: str
    at: str
    measured: Any = None
    expected: Any = None
    cause: str = ""
    hint: str = ""

    def lines(self) -> list[str]:
        """For the score card."""
        numbers = "" if self.expected is None else f"gives {shown(self.measured)}, not {shown(self.expected)}"
        words = {"": numbers, "cause: ": self.cause, "hint: ": self.hint}
        return [f"{self.check}: {self.at}", *(f"{head}{text}" for head, text in words.items() if text)]


def shown(number: Any) -> str:
    return f"{number:.7g}" if isinstance(number, float) else str(number)
