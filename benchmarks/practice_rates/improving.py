"""The controls of the third part: a reference solution passes; the baseline, under other seeds, does not."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from types import ModuleType
from typing import Any

import keras

from crosscheck.practice.improve import part
from crosscheck.practice.improve.judging import GOALS, LEVEL, is_passed, judged

SEED = 20261129  # of a folder
OTHER = 10**6  # added to the seeds of the baseline that is held against itself


@dataclass(frozen=True)
class Control:
    """How one program came out: its goals with estimate, interval and verdict."""

    exercise: str
    program: str
    passes: bool
    goals: tuple[tuple[str, float, float, float, str], ...]

    @property
    def as_it_should(self) -> bool:
        return self.passes == (self.program == "reference")


def with_other_seeds(baseline: ModuleType) -> ModuleType:
    """The baseline, whose networks begin elsewhere; that of the paths has no seeds, and stays."""
    if not hasattr(baseline, "solve"):
        return baseline
    other = ModuleType(f"{baseline.__name__}_again")
    other.solve = lambda task: baseline.solve(  # type: ignore[attr-defined]
        replace(task, seeds=tuple(seed + OTHER for seed in task.seeds))
    )
    return other


def control(exercise: str, program: str) -> Control:
    """Marks the reference solution of an exercise, or its baseline under other seeds."""
    if program == "reference":
        module = importlib.import_module(f"benchmarks.practice_rates.solutions.{exercise}")
    else:
        module = with_other_seeds(importlib.import_module(f"{part.BASELINES}.{exercise}"))
    theirs, others, _ = part.numbers_of(module, exercise, SEED)
    found = judged(GOALS[exercise], theirs, others)
    goals = tuple((str(goal), e.value, e.lo, e.hi, str(verdict)) for goal, e, verdict in found)
    return Control(exercise, program, is_passed(found), goals)


def controls(report: Callable[[str], Any], exercises: Sequence[str] = tuple(GOALS)) -> list[Control]:
    """Both programs of every exercise."""
    found = []
    for exercise in exercises:
        for program in ("reference", "baseline"):
            found.append(control(exercise, program))
            report(f"{exercise}, {program}: {'passes' if found[-1].passes else 'does not pass'}")
    return found


def to_json(found: Sequence[Control]) -> str:
    record = {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "seed": SEED,
        "level": LEVEL,
        "controls": [asdict(one) for one in found],
    }
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def to_markdown(found: Sequence[Control]) -> str:
    rows = [
        f"| {one.exercise} | {one.program} | {'yes' if one.passes else 'no'} | {goal} | {value:.4f} "
        f"| {low:.4f} to {high:.4f} | {verdict} |"
        for one in found
        for goal, value, low, high, verdict in one.goals
    ]
    lines = [
        f"# The baselines' controls, on {keras.backend.backend()} with Keras {keras.__version__}",
        "",
        f"Medians over paired seeds, intervals at {LEVEL:.0%}. A reference solution must pass; the baseline "
        "under other seeds of initial weights and batches must not.",
        "",
        "| Exercise | Program | Passes | Goal | Gained | Interval | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]
    return "\n".join(lines) + "\n"
