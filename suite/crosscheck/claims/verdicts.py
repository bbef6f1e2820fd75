"""From rows to verdicts: every check and control on its own interval, at a shared error rate.

The chance of any wrong `holds` or `fails` in the whole suite is at most `ERROR_RATE`: Bonferroni over all
intervals of all checks and controls in the register, whether or not they are run.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscheck.claims import criteria
from crosscheck.claims.claim import Check, Study
from crosscheck.claims.criteria import Equal
from crosscheck.claims.estimates import Estimate, seeds_needed

if TYPE_CHECKING:
    import pandas as pd

ERROR_RATE = 0.01
MANY = 10_000  # seeds; where more would be needed, the truth lies all but on the margin
OPEN = "open"  # what would decide was not run on this machine; what was run agrees with the reference
RANK = (
    "invalid",
    "fails",
    "undecided",
    OPEN,
    "scoped",
    "holds",
)  # the first that occurs is the study's verdict


def interval_count(studies: Iterable[Study]) -> int:
    """Intervals over which the error rate is split."""
    return sum(check.intervals for study in studies for check in study.CHECKS)


def interval_level(studies: Iterable[Study]) -> float:
    """Coverage of each single interval: 1 − ERROR_RATE / number of intervals."""
    return 1 - ERROR_RATE / max(1, interval_count(studies))


@dataclass(frozen=True)
class Part:
    """A check at one setting and on one path."""

    label: str
    verdict: str
    estimate: Estimate
    reference: float
    evaluation_error: float

    def clearance(self, region: tuple[float, float]) -> float:
        """How far the interval lies inside the region; negative by as much as it reaches outside."""
        return min(self.estimate.lo - region[0], region[1] - self.estimate.hi)


def judge_study(
    study: Study, rows: pd.DataFrame, level: float, absent: Collection[str] = (), scale: str = "full"
) -> dict[str, Any]:
    """The verdict on a study and on each of its checks, ready for JSON.

    Args:
        study: the study's module.
        rows: its rows, as the store returns them.
        level: coverage of each interval, from `interval_level`.
        absent: data sets and backends that are not there; their settings are left out and named, and a
            check that has no other does not count.
        scale: that of the rows; checks that belong to others alone do not count.
    """
    checks = [judge_or_name(check, rows, level, absent, scale) for check in study.CHECKS]
    return {"verdict": combine([check for check in checks if not check.get("unrun")]), "checks": checks}


def judge_or_name(
    check: Check, rows: pd.DataFrame, level: float, absent: Collection[str], scale: str
) -> dict[str, Any]:
    """The check judged, or named as not run: at this scale, or on a machine without what it needs."""
    if scale not in check.scales:
        return unrun(check, rows.iloc[:0], level, scale)
    judged = judge_check(check, rows[rows["check"] == check.id], level, absent)
    if set(check.settings) <= set(absent):
        reason = f"not run here: {', '.join(check.settings)}"
        return {**judged, "verdict": OPEN, "reason": reason, "unrun": True}
    return judged


def unrun(check: Check, nothing: pd.DataFrame, level: float, scale: str) -> dict[str, Any]:
    """A check that this scale does not run: undecided, and why."""
    why = f"not run at the {scale} scale, only at: {', '.join(check.scales)}"
    return {**judge_check(check, nothing, level, check.settings), "reason": why, "absent": [], "unrun": True}


def combine(checks: list[dict[str, Any]]) -> str:
    """The study's verdict: the worst of its checks, where a failing scope check only narrows the claim."""
    verdicts = {
        "scoped" if check["kind"] == "scope" and check["verdict"] == "fails" else check["verdict"]
        for check in checks
    }
    return next((verdict for verdict in RANK if verdict in verdicts), OPEN)


def judge_check(
    check: Check, rows: pd.DataFrame, level: float, absent: Collection[str] = ()
) -> dict[str, Any]:
    """One check with its control: the estimate shown is that of the setting and path that decides."""
    here = [setting for setting in check.settings if setting not in absent]
    claim = judge_parts(check, rows[rows["arm"] == "claim"], here, level)
    control = judge_parts(check, rows[rows["arm"] == "control"], here, level)
    region = check.criterion.region
    worst = min(claim, key=lambda part: (RANK.index(part.verdict), part.clearance(region)), default=None)
    closest = max(control, key=lambda part: (RANK.index(part.verdict), part.clearance(region)), default=None)
    return {
        "id": check.id,
        "statement": check.statement,
        "kind": check.kind,
        "criterion": str(check.criterion),
        "formula": check.theory,
        **described(check, worst),
        "verdict": check_verdict(worst, closest),
        "reason": reason(worst, closest, check, region),
        "scope": {part.label: part.verdict for part in claim},
        "parts": [
            {"setting": part.label, "verdict": part.verdict, **described(check, part)} for part in claim
        ],
        "absent": [setting for setting in check.settings if setting in absent],
        "control": {
            "statement": check.control,
            **described(check, closest),
            "verdict": closest.verdict if closest else "undecided",
        },
    }


def judge_parts(check: Check, rows: pd.DataFrame, settings: list[str], level: float) -> list[Part]:
    """The check at each setting, and on each path where the rows name paths."""
    return [
        judge_part(check, " · ".join(filter(None, (setting, path))), group, level)
        for setting in settings
        for path, group in by_path(rows[rows["setting"] == setting])
    ]


def by_path(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows grouped by path; a setting without rows stays as one empty group, not to be overlooked."""
    return [(str(path), group) for path, group in rows.groupby("path", sort=False)] or [("", rows)]


def judge_part(check: Check, label: str, rows: pd.DataFrame, level: float) -> Part:
    if rows.empty:
        nothing = Estimate(math.nan, -math.inf, math.inf, level, 0)
        return Part(label, "undecided", nothing, math.nan, math.nan)
    if not check.exact and criteria.is_exact(rows):
        raise ValueError(
            f"Check {check.id!r} draws on the error rate, but its rows at {label!r} have no seeds."
        )
    estimate = check.criterion.estimate(rows, level)
    error = float(np.sqrt((rows["resolution"] ** 2).mean())) if not check.exact else math.nan
    verdict = criteria.judge(estimate, check.criterion.region)
    return Part(label, verdict, estimate, float(rows["reference"].mean()), error)


def check_verdict(claim: Part | None, control: Part | None) -> str:
    """The claim's verdict, unless there is nothing to judge or the control did not fail."""
    if claim is None or control is None or claim.estimate.n == 0 or control.estimate.n == 0:
        return "undecided"
    return claim.verdict if control.verdict == "fails" else "invalid"


def reason(claim: Part | None, control: Part | None, check: Check, region: tuple[float, float]) -> str:
    """In one line why a check is undecided or invalid; empty otherwise."""
    verdict = check_verdict(claim, control)
    if verdict == "invalid":
        assert control is not None
        told = f"; {enough(control, region)}" if control.verdict == "undecided" else ""
        return f"the control did not fail: {control.label or check.control} ({control.verdict}{told})"
    if verdict != "undecided":
        return ""
    if claim is None:
        return "nothing that it needs is installed or prepared here"
    if claim.estimate.n == 0 or control is None or control.estimate.n == 0:
        return "rows are missing: a unit failed, or was not run"
    if not math.isfinite(claim.estimate.value):
        return f"a measured value is not a finite number at {claim.label or 'its setting'}"
    return f"the interval straddles the margin: {enough(claim, region)}"


def enough(part: Part, region: tuple[float, float]) -> str:
    """How many seeds would decide."""
    need = seeds_needed(part.estimate, *region) or MANY
    return f"about {need} seeds would decide" if need < MANY else "it lies too close to call"


def described(check: Check, part: Part | None) -> dict[str, Any]:
    """A part's numbers for JSON; for `equal`, on the scale of the quantity itself."""
    if part is None:
        return {"theory": None, "estimate": None, "interval": [None, None], "level": None, "n": 0}
    e = part.estimate
    shift = part.reference if isinstance(check.criterion, Equal) else 0.0
    return {
        "theory": finite(part.reference) if isinstance(check.criterion, Equal) else None,
        "estimate": finite(e.value + shift),
        "interval": [finite(e.lo + shift), finite(e.hi + shift)],
        "level": e.level,
        "n": e.n,
        **({} if check.exact else spread(part)),
    }


def spread(part: Part) -> dict[str, float | None]:
    """Seed noise, evaluation noise, and what could have been detected."""
    return {
        "seed_sd": finite(part.estimate.sd),
        "evaluation_error": finite(part.evaluation_error),
        "detectable": finite(part.estimate.detectable),
    }


def finite(value: float) -> float | None:
    """JSON has no NaN or infinity: they become null."""
    return float(value) if math.isfinite(value) else None
