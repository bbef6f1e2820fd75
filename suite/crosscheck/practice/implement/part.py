"""The first part in a folder: marks the files that a learner has written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crosscheck.practice.card import Card, Mark, could_not_look
from crosscheck.practice.folder import run_file
from crosscheck.practice.implement.exercises import EXERCISES
from crosscheck.practice.implement.marking import failures_of
from crosscheck.practice.shielding import limited

NAME = "implement"


def card_of(folder: Path, only: Sequence[str] = ()) -> Card:
    """The marks of all exercises, or of those named."""
    return Card(tuple(mark_of(folder / NAME, name) for name in EXERCISES if not only or name in only))


def mark_of(folder: Path, name: str) -> Mark:
    """One point where no check fails; else the first failure in full, and the names of the others."""
    try:
        with limited():
            failures = failures_of(EXERCISES[name], vars(run_file(folder / f"{name}.py")))
    except FileNotFoundError as error:
        return could_not_look(NAME, name, str(error))
    except Exception as error:
        return Mark(NAME, name, 0, 1, "failed", (f"the file cannot be run: {type(error).__name__}: {error}",))
    if not failures:
        return Mark(NAME, name, 1, 1, "passed")
    others = [failure.check for failure in failures[1:]]
    more = [f"and {len(others)} more: {', '.join(others)}"] if others else []
    return Mark(NAME, name, 0, 1, "failed", (*failures[0].lines(), *more))
