"""Whether a program passes: `Exceeds` over paired seeds on the reserve, and what the reserve tells.

Source of the limit: Blum & Hardt 2015, The Ladder. What is told is told again until it is bettered by a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crosscheck.claims.criteria import Exceeds, judge
from crosscheck.claims.estimates import Estimate
from crosscheck.claims.words import Verdict

LEVEL = 0.99
ANSWERS = 5  # of the reserve, to each exercise
STEP = 0.01
Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Goal:
    """What one number is to reach.

    Attributes:
        number: its name; `sign` is −1 where less is better.
        margin: by which it is to exceed what it is held against.
        against: the "baseline", the "closed form", or "nothing".
    """

    number: str
    sign: int
    margin: float
    against: str

    def __str__(self) -> str:
        better = "above" if self.sign > 0 else "below"
        if self.against == "nothing":
            return f"{self.number} ≥ {self.margin:g}"
        if self.margin < 0:
            return f"{self.number} no worse than {-self.margin:g} {self.against_words}"
        return f"{self.number} {better} {self.against_words} by ≥ {self.margin:g}"

    @property
    def against_words(self) -> str:
        return f"{'beyond ' if self.margin < 0 else ''}the {self.against}"


SAME_ACCURACY = Goal("accuracy", 1, -0.01, "baseline")
GOALS: dict[str, tuple[Goal, ...]] = {
    "temperature": (Goal("loss", -1, 0.05, "baseline"), Goal("accuracy", 1, -0.001, "baseline")),
    "balance": (Goal("balanced error", -1, -0.01, "closed form"),),
    "zeros": (Goal("zeros", 1, 0.8, "nothing"), SAME_ACCURACY),
    "paths": (Goal("share of the gradient left", 1, 0.9, "nothing"),),
    "f1": (Goal("F1", 1, -0.01, "closed form"),),
    "outliers": (Goal("FPR95", -1, 0.05, "baseline"), SAME_ACCURACY),
}


def estimated(goal: Goal, theirs: Values, others: Mapping[str, Values]) -> tuple[Estimate, Verdict]:
    """The median over seeds of what is gained, and whether all of its interval exceeds the margin."""
    value = goal.sign * np.asarray(theirs[goal.number], "float64")
    reference = np.zeros_like(value)
    if goal.against != "nothing":
        reference = goal.sign * np.asarray(others[goal.against][goal.number], "float64")
    criterion = Exceeds(goal.margin)
    rows = pd.DataFrame(
        {"seed": np.arange(len(value)), "value": value, "reference": reference, "trials": np.nan}
    )
    estimate = criterion.estimate(rows, LEVEL)
    return estimate, judge(estimate, criterion.region)


def judged(
    goals: tuple[Goal, ...], theirs: Values, others: Mapping[str, Values]
) -> list[tuple[Goal, Estimate, Verdict]]:
    return [(goal, *estimated(goal, theirs, others)) for goal in goals]


def is_passed(found: list[tuple[Goal, Estimate, Verdict]]) -> bool:
    return all(verdict == Verdict.HOLDS for _, _, verdict in found)


def laddered(found: list[tuple[Goal, Estimate, Verdict]], told: list[Any]) -> list[str]:
    """What is said: of the primary number what is gained, in steps, and only where it betters the last word.

    `told` are the numbers that were said before, and gets this one.
    """
    goal, estimate, verdict = found[0]
    best = max(told, default=None)
    rounded = float(np.round(estimate.value / STEP) * STEP)
    said = rounded if best is None or rounded >= best + STEP else best
    told.append(said)
    words = "reached" if verdict == Verdict.HOLDS else "not reached"
    lines = [f"{goal}: {words}; gained {said:.2f}{'' if said == rounded else ', as before'}"]
    lines += [
        f"{other}: {'kept' if outcome == Verdict.HOLDS else 'not kept'}" for other, _, outcome in found[1:]
    ]
    return lines
