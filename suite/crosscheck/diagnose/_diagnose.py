"""The order of the work: exact checks, one step, seconds of training, history; mended copies in between."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from crosscheck.diagnose._findings import Finding, Findings
from crosscheck.diagnose._program import Data, Program
from crosscheck.diagnose.checks import EXACT


def diagnose(model: keras.Model, x: Any, y: Any, **arguments: Any) -> Findings:
    """Says what is wrong with training this model on these data. (Skeleton: see ../shared/diagnose.md.)"""
    return examine(Program(model, Data(x, y), **arguments))


def examine(program: Program) -> Findings:
    """All checks of a program, in order."""
    return Findings(tuple(run(program, EXACT)))


def run(program: Program, checks: Iterable[Any]) -> Iterable[Finding]:
    for check in checks:
        yield from check(program)
