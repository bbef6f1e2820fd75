"""The third part in a folder: runs the learner's programs on reserved rows, a limited number of times."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from crosscheck.practice.card import Card, Mark, could_not_look
from crosscheck.practice.folder import read_state, run_file, write_state
from crosscheck.practice.improve import closed, gradients
from crosscheck.practice.improve.judging import ANSWERS, GOALS, Values, is_passed, judged, laddered
from crosscheck.practice.improve.numbers import NUMBERS
from crosscheck.practice.improve.tasks import SEEDS, task_of

NAME = "improve"
BASELINES = "crosscheck.practice.improve.baselines"
TIMES, SECONDS = 20, 60.0  # the budget: so many times the baseline's seconds, and some
FAR = 1000  # between the seeds of folders


def card_of(folder: Path, only: Sequence[str] = ()) -> Card:
    """A point an exercise, for those named or for all."""
    return Card(tuple(mark_of(folder, name) for name in GOALS if not only or name in only))


def mark_of(folder: Path, name: str) -> Mark:
    """Asks the reserve about a program, unless it is the baseline as it stands, or has asked too often."""
    state = read_state(folder)
    told = state.setdefault("told", {}).setdefault(name, [])
    path = folder / NAME / f"{name}.py"
    try:
        if is_baseline(path, name):
            return Mark(
                NAME, name, 0, 1, "failed", ("it is the baseline as it stands; the reserve was not asked",)
            )
        if len(told) >= ANSWERS:
            return could_not_look(
                NAME, name, f"the reserve has answered {ANSWERS} times; another folder has another reserve"
            )
        program = run_file(path)
        theirs, others, seconds = numbers_of(program, name, state["seed"])
    except FileNotFoundError as error:
        return could_not_look(NAME, name, str(error))
    except Exception as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return Mark(NAME, name, 0, 1, "failed", (f"{words} (the reserve was not asked)",))
    found = judged(GOALS[name], theirs, others)
    lines = laddered(found, told)
    write_state(folder, state)
    if seconds:
        lines.append(seconds)
    passed = is_passed(found) and not seconds
    left = f"the reserve answers {ANSWERS - len(told)} times more"
    return Mark(NAME, name, int(passed), 1, "passed" if passed else "failed", (*lines, left))


def is_baseline(path: Path, name: str) -> bool:
    """Whether the learner's file is what was laid out.

    Raises:
        FileNotFoundError: where it is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: lay a folder out again with `crosscheck practice`.")
    source = Path(__file__).parent / "baselines" / path.name
    return path.read_text(encoding="utf-8") == source.read_text(encoding="utf-8")


def numbers_of(program: ModuleType, name: str, seed: int) -> tuple[Values, dict[str, Values], str]:
    """A program's numbers, those that they are held against, and what is to be said of its budget.

    The folder's seed draws the reserve; the 32 seeds of training are its own, too, and the same for all.
    """
    seeds = range(FAR * (seed % 2**20), FAR * (seed % 2**20) + SEEDS)
    if name == "paths":
        shares = gradients.kept(program.head, program.loss, seeds)
        return {GOALS[name][0].number: np.min(list(shares.values()), axis=0)}, {}, ""
    task, y_test = task_of(name, seed, seeds)
    baseline = importlib.import_module(f"{BASELINES}.{name}")
    theirs, took = timed(lambda: NUMBERS[name](program.solve(task), y_test, task))
    if any(goal.against == "closed form" for goal in GOALS[name]):
        return theirs, {"closed form": closed.numbers_of(name, task, y_test)}, ""
    others, usual = timed(lambda: NUMBERS[name](baseline.solve(task), y_test, task))
    budget = TIMES * usual + SECONDS
    over = f"it took {took:.0f} s, over the budget of {budget:.0f} s" if took > budget else ""
    return theirs, {"baseline": others}, over


def timed(function: Callable[[], Values]) -> tuple[Values, float]:
    start = time.perf_counter()
    return function(), time.perf_counter() - start
