"""The three parts: how each is laid out, what its exercises are called, and how it is marked."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from crosscheck.errors import UsageError
from crosscheck.practice import folder as folders
from crosscheck.practice.card import Card, together

HERE = Path(__file__).parent
PARTS = ("implement", "diagnose", "improve")


def lay_out(folder: Path, parts: Sequence[str], seed: int | None, report: Callable[[str], None]) -> None:
    """Lays parts out in a folder, and says what to do next.

    Raises:
        UsageError: where a part is there already, or nothing can be written.
    """
    drawn = folders.begin(folder, parts, seed)
    for part in parts:
        if part == "diagnose":
            programs = importlib.import_module("crosscheck.practice.diagnose.part")
            programs.lay_out(folder / part, drawn, report)
        else:
            sheets = "stubs" if part == "implement" else "baselines"
            folders.copy_files(folders.sheets(HERE / part / sheets), folder / part)
        report(next_step(folder, part))


def next_step(folder: Path, part: str) -> str:
    """What a learner does first, and how it is marked."""
    where = "" if folder == Path("practice") else f" --folder {folder}"
    check = f"crosscheck practice {part} --check{where}"
    first = {
        "implement": f"Write the function in {folder / part / 'binary.py'}, then: {check} --only binary",
        "diagnose": f"Read {folder / part / 'README.md'}, fill in answers.toml, then: {check}",
        "improve": f"Run {folder / part / 'temperature.py'}, change it, then: {check} --only temperature",
    }
    return first[part]


def check(folder: Path, parts: Sequence[str], only: Sequence[str]) -> Card:
    """The score card of parts, or of the exercises named.

    Raises:
        UsageError: where the folder is none, a part was never laid out, or no exercise has such a name.
    """
    folders.read_state(folder)
    missing = [part for part in parts if not (folder / part).is_dir()]
    if missing:
        raise UsageError(
            f"{folder / missing[0]} is not there: `crosscheck practice {missing[0]}` lays it out."
        )
    rooms = {part: importlib.import_module(f"crosscheck.practice.{part}.part") for part in parts}
    cards = [room.card_of(folder, only) for room in rooms.values()]
    known = {mark.exercise for card in cards for mark in card.marks}
    if strange := [name for name in only if name not in known]:
        raise UsageError(f"No exercise of {', '.join(parts)} is called {strange[0]!r}.")
    return together(cards)
