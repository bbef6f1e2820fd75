"""What a study's check makes of rows that a test has in hand, with both of its controls."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from crosscheck.claims import Check, register, verdicts
from crosscheck.claims.judged import CheckRecord
from crosscheck.claims.rows import gathered

LEVEL = verdicts.interval_level([register.load(name) for name in register.NAMES])


def judged(check: Check, frames: pd.DataFrame | Iterable[pd.DataFrame]) -> CheckRecord:
    """The check's record, at those of its settings that the rows have."""
    rows = gathered(frames)[lambda rows: rows["check"] == check.id]
    absent = set(check.settings) - set(rows["setting"])
    return verdicts.judge_check(check, rows, LEVEL, absent)


def arms(check: Check, frames: pd.DataFrame | Iterable[pd.DataFrame]) -> tuple[str, str, str]:
    """Verdicts of the check, of the control that must fail and of the one that must hold."""
    record = judged(check, frames)
    return record.verdict, record.control.verdict, record.positive.verdict
