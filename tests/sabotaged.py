"""What a check makes of rows from a measurement that was tampered with, at the level that the suite uses."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from crosscheck.claims import Check, register, verdicts
from crosscheck.claims.judged import CheckRecord
from crosscheck.claims.rows import gathered

STUDIES = [register.load(name) for name in register.NAMES]
LEVEL = verdicts.interval_level(STUDIES)
QUICK = verdicts.SMOKE_LEVEL  # for measurements with few seeds: six decide


def judged(check: Check, frames: pd.DataFrame | Iterable[pd.DataFrame], level: float = LEVEL) -> CheckRecord:
    """The check as it comes out on its rows among these, at the settings that they have."""
    rows = gathered(frames)
    own = rows[rows["check"] == check.id]
    return verdicts.judge_check(check, own, level, set(check.settings) - set(own["setting"]))


def words(record: CheckRecord) -> tuple[str, str, str]:
    """Its verdict, that of the control that must fail, and that of the one that must hold."""
    return str(record.verdict), str(record.control.verdict), str(record.positive.verdict)
