"""The rates of the marker: wrong solutions rejected, by the check named and at all; right ones accepted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
from scipy import stats

from benchmarks.practice_rates.right import RIGHT
from benchmarks.practice_rates.wrong import WRONG
from crosscheck.practice.implement import EXERCISES, failures_of

LEVEL = 0.95


@dataclass(frozen=True)
class Trial:
    """A solution that was marked.

    Attributes:
        exercise, name: which.
        is_wrong: in truth, on this backend.
        check: that is to reject it; "" for a right one.
        failed: the checks that rejected it.
        at: the first failure, in a line.
    """

    exercise: str
    name: str
    is_wrong: bool
    check: str
    failed: tuple[str, ...]
    at: str = ""

    @property
    def as_it_should(self) -> bool:
        return self.check in self.failed if self.is_wrong else not self.failed


def solutions() -> Iterator[tuple[str, str, bool, str, dict[str, Any]]]:
    """(exercise, name, whether wrong on this backend, check, functions) of all."""
    for exercise, right in RIGHT.items():
        for name, functions in right.items():
            yield exercise, name, False, "", functions
    for wrong in WRONG:
        is_wrong = keras.backend.backend() not in wrong.right_on
        yield wrong.exercise, wrong.name, is_wrong, wrong.check if is_wrong else "", wrong.functions


def run_trials(report: Callable[[str], Any]) -> list[Trial]:
    """Marks every solution; `report` gets a line for each that does not come out as it should."""
    trials = []
    for exercise, name, is_wrong, check, functions in solutions():
        failures = failures_of(EXERCISES[exercise], functions)
        failed = tuple(failure.check for failure in failures)
        at = "; ".join(failures[0].lines()[:2]) if failures else ""
        trials.append(Trial(exercise, name, is_wrong, check, failed, at))
        if not trials[-1].as_it_should:
            report(f"{exercise}, {name}: {', '.join(failed) or 'accepted'}; to be: {check or 'accepted'}")
    return trials


def rate(count: int, of: int) -> dict[str, Any]:
    """The share with its exact interval, after Clopper and Pearson (1934)."""
    interval = stats.binomtest(count, of).proportion_ci(LEVEL, "exact")
    return {"count": count, "of": of, "rate": count / of, "interval": [interval.low, interval.high]}


def summary(trials: Sequence[Trial]) -> dict[str, Any]:
    """The content of rates.json."""
    wrong, right = ([t for t in trials if t.is_wrong == which] for which in (True, False))
    return {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "level": LEVEL,
        "killed": rate(sum(bool(t.failed) for t in wrong), len(wrong)),
        "killed by the named check": rate(sum(t.as_it_should for t in wrong), len(wrong)),
        "right ones accepted": rate(sum(not t.failed for t in right), len(right)),
        "exercises": {name: of_exercise([t for t in trials if t.exercise == name]) for name in EXERCISES},
        "solutions": [asdict(trial) for trial in trials],
    }


def of_exercise(trials: Sequence[Trial]) -> dict[str, Any]:
    wrong = [trial for trial in trials if trial.is_wrong]
    return {
        "wrong": len(wrong),
        "killed": sum(bool(trial.failed) for trial in wrong),
        "killed by the named check": sum(trial.as_it_should for trial in wrong),
        "right": len(trials) - len(wrong),
        "accepted": sum(not trial.failed for trial in trials if not trial.is_wrong),
    }


def to_json(trials: Sequence[Trial]) -> str:
    return json.dumps(summary(trials), indent=1, ensure_ascii=False) + "\n"


def to_markdown(trials: Sequence[Trial]) -> str:
    record = summary(trials)
    lines = [
        f"# How often the marker is wrong, on {record['backend']} with Keras {record['keras']}",
        "",
        "Canonical wrong solutions of the eight exercises, each with the check that is to reject it, and "
        f"right ones. Intervals at {LEVEL:.0%}, after Clopper and Pearson: exact for solutions "
        "drawn at random, and these are not.",
        "",
        "| What | Count | Rate | Interval |",
        "| --- | --- | --- | --- |",
        *(rate_line(name, record[name]) for name in RATES),
        "",
        "| Exercise | Wrong | Rejected | By the named check | Right | Accepted |",
        "| --- | --- | --- | --- | --- | --- |",
        *(f"| {name} | {' | '.join(map(str, row.values()))} |" for name, row in record["exercises"].items()),
        "",
        "| Exercise | Solution | Check | Rejected by |",
        "| --- | --- | --- | --- |",
        *map(solution_line, trials),
    ]
    return "\n".join(lines) + "\n"


RATES = ("killed", "killed by the named check", "right ones accepted")


def rate_line(name: str, numbers: dict[str, Any]) -> str:
    low, high = numbers["interval"]
    share = f"{numbers['count']} of {numbers['of']} | {numbers['rate']:.1%}"
    return f"| {name} | {share} | {low:.1%} to {high:.1%} |"


def solution_line(trial: Trial) -> str:
    name = trial.name.replace("|", "\\|")
    return f"| {trial.exercise} | {name} | {trial.check or 'right'} | {', '.join(trial.failed) or '–'} |"
