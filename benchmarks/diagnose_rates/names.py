"""Which row of the table of faults a seeded fault belongs to, and which checks name it rightly.

Several answers may be right: of a learning rate a thousand times too high, that the rate is too high, or that
the loss is not finite. A check is listed where its ✗ sends the reader to what was broken.
"""

from __future__ import annotations

# name of the fault: (row of the table in diagnose.md, checks that name it)
NAMES: dict[str, tuple[str, str]] = {}


def row_of(fault: str) -> str:
    return NAMES[fault][0]


def names_of(fault: str) -> tuple[str, ...]:
    return tuple(NAMES[fault][1].split())
