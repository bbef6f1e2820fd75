"""What a check makes of rows that something was done to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pandas as pd

from crosscheck.claims import Check, register, verdicts
from crosscheck.claims.rows import gathered

LEVEL = verdicts.interval_level([register.load(name) for name in register.NAMES])


def came_out(check: Check, frames: Iterable[pd.DataFrame] | pd.DataFrame, **changes: Any) -> list[str]:
    """The verdicts on the claim's rows, on the control that must fail, and on the one that must hold."""
    rows = gathered(frames)
    record = verdicts.judge_check(
        dataclasses.replace(check, **changes), rows[rows["check"] == check.id], LEVEL
    )
    part = min((part.verdict for part in record.parts), key=lambda verdict: verdict.rank)
    return [str(part), str(record.control.verdict), str(record.positive.verdict)]


SOUND, BROKEN = ["holds", "fails", "holds"], ["fails", "fails", "holds"]
