"""A fix, tried: mended and unmended copies trained side by side, paired by seed."""

from __future__ import annotations

import numpy as np

from crosscheck.diagnose._chance import sign_chance
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._outcomes import Outcome
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._words import rounded
from crosscheck.errors import UsageError

SECONDS = 20.0  # for each of the two


def try_repair(finding: Finding, program: Program, seconds: float = SECONDS) -> str:
    """Returns what a finding's fix changes, in one line: held-out loss and errors before and after, by seed.

    Args:
        finding: with a `repair`; without one the line is empty.
        program: unmended; neither it nor its model is changed.
        seconds: that the trainings on either side may take.
    """
    if finding.repair is None:
        return ""
    try:
        mended = Laboratory(finding.repair(program), seconds=seconds)
    except UsageError as error:
        return f"not tried: {error}"
    try:
        before = Laboratory(program, seconds=seconds)
        before.steps = mended.steps = min(before.steps, mended.steps)
        unmended = before.as_it_is
    except UsageError as error:
        return alone(mended, str(error))
    try:
        return compared(unmended, mended.as_it_is, mended.steps)
    except UsageError as error:
        return f"not tried: {error}"


def alone(mended: Laboratory, error: str) -> str:
    """Returns what the mended program does where the other one cannot be trained."""
    try:
        loss = rounded(float(np.median(mended.as_it_is.held_out_loss)))
    except UsageError as second:
        return f"not tried: {second}"
    return (
        f"loss on held-out rows after {mended.steps} steps: {loss}; unmended it cannot be trained ({error})"
    )


def compared(before: Outcome, after: Outcome, steps: int) -> str:
    """Returns medians over seeds before and after, and under how many seeds it is lower."""
    parts = [part("loss", before.held_out_loss, after.held_out_loss)]
    if not np.isnan(np.concatenate([before.held_out_error, after.held_out_error])).any():
        parts.append(part("errors", before.held_out_error, after.held_out_error))
    return f"on held-out rows after {steps} steps, {', '.join(parts)}"


def part(name: str, before: np.ndarray, after: np.ndarray) -> str:
    """Returns one measure's medians, and how many seeds it is lower under, with the chance of so many."""
    lower, n = int(np.sum(after < before)), len(before)
    medians = f"{rounded(float(np.median(before)))} → {rounded(float(np.median(after)))}"
    return f"{name} {medians} (lower under {lower} of {n} seeds, p = {rounded(sign_chance(lower, n))})"
