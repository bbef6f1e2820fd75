"""What a baseline imports: the task for one's own trials, and the number that is to be bettered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck.practice.improve.numbers import NUMBERS
from crosscheck.practice.improve.tasks import Task, task_of

__all__ = ["Task", "try_out"]

OWN_SEED, OWN_SEEDS = 0, range(8)  # other reserved rows than the marker's


def try_out(exercise: str, solve: Callable[[Task], Any]) -> None:
    """Runs a program on eight seeds and prints the median of its number, and of its accuracy.

    The rows that play the reserve are others than the marker's: it may be asked as often as one likes.
    """
    task, y_test = task_of(exercise, OWN_SEED, OWN_SEEDS)
    for name, values in NUMBERS[exercise](solve(task), y_test, task).items():
        print(f"{name}: {np.median(values):.4f} ({np.min(values):.4f} … {np.max(values):.4f})")
