"""From rows to verdicts: every check and control on its own interval, at a shared error rate.

The chance of any wrong `holds` or `fails` in the whole suite is at most `ERROR_RATE`: Bonferroni over every
end of an interval that can make a check come out wrong, of all checks in the register, whether or not they
are run. Smoke runs have too few seeds for that, and are no evidence: see `SMOKE_LEVEL`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import UNSET
from msgspec.structs import replace

from crosscheck.claims import criteria
from crosscheck.claims.claim import Check, Study
from crosscheck.claims.criteria import Equal
from crosscheck.claims.estimates import Estimate, seeds_needed
from crosscheck.claims.judged import CheckRecord, ControlRecord, Ends, PartRecord, StudyVerdict
from crosscheck.claims.words import Verdict

if TYPE_CHECKING:
    import pandas as pd

ERROR_RATE = 0.01
SMOKE_LEVEL = 0.95  # an interval, uncorrected: six seeds decide, and one verdict in twenty may be wrong
MANY = 10_000  # seeds; where more would be needed, the truth lies all but on the margin


def tail_count(studies: Iterable[Study]) -> int:
    """Ends of intervals over which the error rate is split."""
    return sum(check.tails for study in studies for check in study.CHECKS)


def interval_level(studies: Iterable[Study], scale: str = "standard") -> float:
    """Coverage of each single interval: each of its two ends may miss with ERROR_RATE / number of ends."""
    if scale == "smoke":
        return SMOKE_LEVEL
    return 1 - 2 * ERROR_RATE / max(2, tail_count(studies))


@dataclass(frozen=True)
class Part:
    """A check at one setting and on one path."""

    label: str
    verdict: Verdict
    estimate: Estimate
    reference: float
    evaluation_error: float

    def inside(self, region: tuple[float, float]) -> float:
        """How far the interval lies inside the region; negative by as much as it reaches outside."""
        return min(self.estimate.lo - region[0], region[1] - self.estimate.hi)

    def clearance(self, region: tuple[float, float]) -> float:
        """From the estimate to the nearest edge of the region, in half-widths of the interval."""
        half = (self.estimate.hi - self.estimate.lo) / 2
        distance = min(abs(self.estimate.value - edge) for edge in region if math.isfinite(edge))
        return distance / half if half else math.inf

    def with_evaluation(self) -> Estimate:
        """The estimate with the noise of evaluation in its interval: examples drawn anew, not seeds alone.

        All seeds are judged on the same examples, so that their noise does not shrink with more seeds.
        """
        from scipy import special

        at, reach = self.estimate, special.ndtri((1 + self.estimate.level) / 2) * self.evaluation_error
        return replace_dataclass(
            at,
            lo=at.value - math.hypot(at.value - at.lo, reach),
            hi=at.value + math.hypot(at.hi - at.value, reach),
        )


def judge_study(
    study: Study,
    rows: pd.DataFrame,
    level: float,
    absent: Collection[str] = (),
    scale: str = "full",
    lacking: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> StudyVerdict:
    """The verdict on a study and on each of its checks.

    Args:
        study: the study's module.
        rows: its rows, as the store returns them.
        level: coverage of each interval, from `interval_level`.
        absent: data sets and backends that are not there; their settings are left out and named, and a
            check that has no other does not count.
        scale: that of the rows; checks that belong to others alone do not count.
        lacking: by check, the data sets and backends for want of which nothing could be measured for it,
            whatever its settings are called; it is named as not run, if indeed it has no rows.

    Raises:
        ValueError: where rows of a statistical check have no seeds.
    """
    checks = [
        judge_or_name(check, rows, level, absent, scale, lacking.get(check.id, ())) for check in study.CHECKS
    ]
    return StudyVerdict(verdict=combine([check for check in checks if not check.unrun]), checks=checks)


def judge_or_name(
    check: Check,
    rows: pd.DataFrame,
    level: float,
    absent: Collection[str],
    scale: str,
    lacking: Collection[str] = (),
) -> CheckRecord:
    """The check judged, or named as not run: at this scale, or on a machine without what it needs."""
    own = rows[rows["check"] == check.id]
    if scale not in check.scales:
        reason = f"not run at the {scale} scale, only at: {', '.join(check.scales)}"
        return unrun(check, own.iloc[:0], level, reason)
    nowhere = set(check.settings) <= set(absent)
    needed = list(check.settings) if nowhere else list(lacking) if own.empty else []
    if needed:
        named = unrun(check, own.iloc[:0], level, f"not run here: {', '.join(needed)}")
        return replace(named, verdict=Verdict.OPEN, absent=needed)
    return judge_check(check, own, level, absent)


def unrun(check: Check, no_rows: pd.DataFrame, level: float, reason: str) -> CheckRecord:
    """A check that was not run: undecided, and why."""
    judged = judge_check(check, no_rows, level, check.settings)
    return replace(judged, reason=reason, absent=[], unrun=True)


def combine(checks: Sequence[CheckRecord]) -> Verdict:
    """The study's verdict: the worst of its checks, where a failing scope check only narrows the claim.

    Without a check, as where a scale runs none, it is `undecided`.
    """
    verdicts = map(verdict_on_study, checks)
    return min(verdicts, key=lambda verdict: verdict.rank, default=Verdict.UNDECIDED)


def verdict_on_study(check: CheckRecord) -> Verdict:
    """What one check makes of its study, if no other makes it worse."""
    narrows = check.kind == "scope" and check.verdict is Verdict.FAILS
    return Verdict.SCOPED if narrows else check.verdict


def at_settings(check: CheckRecord, labels: Collection[str]) -> CheckRecord | None:
    """A judged check as it comes out at some of its settings alone; None where it was judged at none of them.

    One that is invalid stays so: its control, too, was judged over all of them.
    """
    parts = [part for part in check.parts if part.setting in labels]
    if not parts or len(parts) == len(check.parts):
        return check if parts else None
    worst = min((part.verdict for part in parts), key=lambda verdict: verdict.rank)
    verdict = check.verdict if check.verdict is Verdict.INVALID else worst
    return replace(check, verdict=verdict, parts=parts, scope={part.setting: part.verdict for part in parts})


def judge_check(check: Check, rows: pd.DataFrame, level: float, absent: Collection[str] = ()) -> CheckRecord:
    """One check with its control: the estimate shown is that of the setting and path that decides.

    Raises:
        ValueError: where the check is a statistical one and its rows have no seeds.
    """
    settings = [setting for setting in check.settings if setting not in absent]
    parts = judge_parts(check, rows[rows["arm"] == "claim"], settings, level)
    control_parts = judge_parts(check, rows[rows["arm"] == "control"], settings, level)
    region = check.criterion.region
    worst, closest = last_to_hold(parts, region), first_to_hold(control_parts, region)
    positive = last_to_hold(positive_parts(check, rows[rows["arm"] == "positive"], settings, level), region)
    return CheckRecord(
        id=check.id,
        statement=check.statement,
        kind=check.kind,
        criterion=str(check.criterion),
        **numbers(check, worst),
        verdict=check_verdict(check, worst, closest, positive),
        scope={part.label: part.verdict for part in parts},
        control=control_record(check, check.control, closest),
        positive=control_record(check, check.positive, positive) if check.positive else UNSET,
        population=population(check),
        region=ends(region),
        formula=check.theory,
        reason=reason(worst, closest, positive, check),
        absent=[setting for setting in check.settings if setting in absent],
        parts=[
            PartRecord(
                setting=part.label,
                verdict=part.verdict,
                **numbers(check, part),
                **beside(check, part),
            )
            for part in parts
        ],
    )


def population(check: Check) -> str:
    return check.population or ("formula" if check.exact else "")


def control_record(check: Check, statement: str, part: Part | None) -> ControlRecord:
    verdict = part.verdict if part else Verdict.UNDECIDED
    return ControlRecord(statement=statement, **numbers(check, part), verdict=verdict)


def beside(check: Check, part: Part) -> dict[str, Any]:
    """What stands beside a verdict: how clear it is, and whether it would stand on other examples."""
    if check.exact or not math.isfinite(part.estimate.hi - part.estimate.lo):
        return {}
    clear = {"clearance": finite(part.clearance(check.criterion.region))}
    if population(check) != "these data sets" or not math.isfinite(part.evaluation_error):
        return clear
    wider = part.with_evaluation()
    shift = part.reference if isinstance(check.criterion, Equal) else 0.0
    verdict = criteria.judge(wider, check.criterion.region)
    return {**clear, "two_way": ends((wider.lo + shift, wider.hi + shift)), "two_way_verdict": verdict}


def last_to_hold(parts: list[Part], region: tuple[float, float]) -> Part | None:
    """The part with the worst verdict; of those, the one whose interval reaches furthest outside."""
    return min(parts, key=lambda part: (part.verdict.rank, part.inside(region)), default=None)


def first_to_hold(parts: list[Part], region: tuple[float, float]) -> Part | None:
    return max(parts, key=lambda part: (part.verdict.rank, part.inside(region)), default=None)


def judge_parts(check: Check, rows: pd.DataFrame, settings: list[str], level: float) -> list[Part]:
    """The check at each setting, and on each path where the rows name paths."""
    return [
        judge_part(check, " · ".join(filter(None, (setting, path))), group, level)
        for setting in settings
        for path, group in by_path(rows[rows["setting"] == setting])
    ]


def positive_parts(check: Check, rows: pd.DataFrame, settings: list[str], level: float) -> list[Part]:
    """The control that must hold, at the settings at which it was measured; one is enough."""
    measured = [setting for setting in settings if (rows["setting"] == setting).any()]
    return judge_parts(check, rows, measured, level)


def by_path(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The numbers grouped by path; a setting without rows stays as one empty group, not to be overlooked."""
    from crosscheck.claims.rows import NUMBERS  # with pandas, which reading verdicts does without

    numbers = rows[["seed", *NUMBERS]]  # a group's copy of its texts would cost more than judging it
    return [(str(path), group) for path, group in numbers.groupby(rows["path"], sort=False)] or [("", rows)]


def judge_part(check: Check, label: str, rows: pd.DataFrame, level: float) -> Part:
    if rows.empty:
        nothing = Estimate(math.nan, -math.inf, math.inf, level, 0)
        return Part(label, Verdict.UNDECIDED, nothing, math.nan, math.nan)
    if not check.exact and criteria.is_exact(rows):
        raise ValueError(
            f"Check {check.id!r} draws on the error rate, but its rows at {label!r} have no seeds."
        )
    estimate = check.criterion.estimate(rows, level)
    error = float(np.sqrt((rows["resolution"] ** 2).mean())) if not check.exact else math.nan
    verdict = criteria.judge(estimate, check.criterion.region)
    return Part(label, verdict, estimate, float(rows["reference"].mean()), error)


def check_verdict(check: Check, claim: Part | None, control: Part | None, positive: Part | None) -> Verdict:
    """The claim's verdict, unless there is nothing to judge or a control did not do what it must.

    The one that must fail has to, always. The one that must hold has to where the claim fails, and must not
    fail where the claim holds.
    """
    needed = (claim, control, positive) if check.positive else (claim, control)
    if any(part is None or part.estimate.n == 0 for part in needed):
        return Verdict.UNDECIDED
    assert claim is not None and control is not None
    if control.verdict is not Verdict.FAILS:
        return Verdict.INVALID
    if positive is None or claim.verdict is Verdict.UNDECIDED or positive.verdict is Verdict.HOLDS:
        return claim.verdict
    unshown = claim.verdict is Verdict.FAILS or positive.verdict is Verdict.FAILS
    return Verdict.INVALID if unshown else claim.verdict


def reason(claim: Part | None, control: Part | None, positive: Part | None, check: Check) -> str:
    """In one line why a check is undecided or invalid; empty otherwise."""
    verdict = check_verdict(check, claim, control, positive)
    if verdict is Verdict.INVALID:
        assert control is not None
        if control.verdict is not Verdict.FAILS:
            return f"the control did not fail: {of_control(control, check.control, check)}"
        assert positive is not None
        return f"the control that must hold did not: {of_control(positive, check.positive, check)}"
    if verdict is not Verdict.UNDECIDED:
        return ""
    if claim is None:
        return "nothing that it needs is installed or prepared here"
    needed = (claim, control, positive) if check.positive else (claim, control)
    if any(part is None or part.estimate.n == 0 for part in needed):
        return "rows are missing: a unit failed, or was not run"
    if not math.isfinite(claim.estimate.value):
        return f"a measured value is not a finite number at {claim.label or 'its setting'}"
    return f"the interval straddles the margin: {enough(claim, check.criterion.region)}"


def of_control(part: Part, statement: str, check: Check) -> str:
    """A control that did not do what it must, in words."""
    seeds = f"; {enough(part, check.criterion.region)}" if part.verdict is Verdict.UNDECIDED else ""
    return f"{part.label or statement} ({part.verdict}{seeds})"


def enough(part: Part, region: tuple[float, float]) -> str:
    """How many seeds would decide. They have to be others: another look at the same is another chance."""
    if not math.isfinite(part.estimate.hi - part.estimate.lo):
        return f"{part.estimate.n} seeds are too few for any interval at this level"
    seeds = seeds_needed(part.estimate, *region) or MANY
    return f"about {seeds} fresh seeds would decide" if seeds < MANY else "it lies too close to call"


def numbers(check: Check, part: Part | None) -> dict[str, Any]:
    """The numbers of a part, as fields of a record; for `Equal`, on the scale of the quantity itself."""
    if part is None:
        return {"theory": None, "estimate": None, "interval": (None, None), "level": None, "n": 0}
    estimate, equality = part.estimate, isinstance(check.criterion, Equal)
    shift = part.reference if equality else 0.0
    return {
        "theory": finite(part.reference) if equality else None,
        "estimate": finite(estimate.value + shift),
        "interval": ends((estimate.lo + shift, estimate.hi + shift)),
        "level": estimate.level,
        "n": estimate.n,
        **({} if check.exact else spread(part)),
    }


def spread(part: Part) -> dict[str, float | None]:
    """Seed noise, evaluation noise, and what could have been detected."""
    return {
        "seed_sd": finite(part.estimate.sd),
        "evaluation_error": finite(part.evaluation_error),
        "detectable": finite(part.estimate.detectable),
    }


def ends(interval: tuple[float, float]) -> Ends:
    lo, hi = interval
    return finite(lo), finite(hi)


def finite(value: float) -> float | None:
    """JSON has no NaN or infinity: they become null."""
    return float(value) if math.isfinite(value) else None
