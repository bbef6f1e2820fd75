"""What judging returns: typed records, written to verdict.json key by key in the order of their fields.

`None` stands where JSON has no number: an end of an interval or region that is infinite, an estimate that is
not finite or that nothing was measured for. A field that is `UNSET` is left out of the file.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from crosscheck.claims.words import Verdict

Ends = tuple[float | None, float | None]  # lower and upper end
Spread = float | None | UnsetType  # UNSET where nothing is random


class PartRecord(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A check at one setting, and on one path.

    Attributes:
        setting: the setting, or `setting · path`.
        theory: the value that it is held against, where the criterion is an equality.
        estimate, interval, level, n: as in `crosscheck.claims.estimates.Estimate`; level 1 where nothing is
            random, None where nothing was measured.
        seed_sd: standard deviation between seeds.
        evaluation_error: standard error of one measurement.
        detectable: the smallest effect that would have been found with a probability of 80 %.
        clearance: from estimate to margin, in half-widths of the interval; None where it has no width.
        two_way: the interval with the noise of evaluation in it, and the verdict that it would give.
    """

    setting: str
    verdict: Verdict
    theory: float | None = None
    estimate: float | None
    interval: Ends
    level: float | None
    n: int
    seed_sd: Spread = UNSET
    evaluation_error: Spread = UNSET
    detectable: Spread = UNSET
    clearance: Spread = UNSET
    two_way: Ends | UnsetType = UNSET
    two_way_verdict: Verdict | UnsetType = UNSET


class ControlRecord(Struct, kw_only=True, frozen=True):
    """A check's control at the setting where it came closest to holding; `statement` is what was changed."""

    statement: str
    theory: float | None
    estimate: float | None
    interval: Ends
    level: float | None
    n: int
    seed_sd: Spread = UNSET
    evaluation_error: Spread = UNSET
    detectable: Spread = UNSET
    verdict: Verdict


class Registered(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """How a check's design stands to what was registered before it was run.

    Attributes:
        design: a hash of what it states, how it is judged and what measures it, as it is now.
        block: how many blocks of seeds the study has had; `seeds`: those used of the last, none where
            nothing is random or where it ran on a pilot's.
        changed: the design is not the one that was registered.
    """

    design: str
    block: int
    seeds: str = ""
    changed: bool = False


class CheckRecord(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A check with its verdict; the numbers are those of the part that decides.

    Attributes:
        kind: that of the criterion, or `scope` for a check that only narrows the claim where it fails.
        criterion: in words, and `region` in numbers: where the interval has to lie. Records written
            before there was a region lack it.
        scope: the verdict at each part, by its label.
        formula: the theory, in LaTeX.
        reason: why it is undecided or invalid; empty otherwise.
        absent: settings left out because what they need is not installed or prepared; of a check that was
            not run at all, the data sets and backends themselves.
        unrun: this scale, or this machine for want of what the check needs, does not run it.
        positive: a case in which the check must hold, where one was measured.
        population: what its intervals speak of.
        registered: how its design stands to what was registered; left out where its study is not.
    """

    id: str
    statement: str
    kind: str
    criterion: str
    theory: float | None
    estimate: float | None
    interval: Ends
    level: float | None
    n: int
    verdict: Verdict
    scope: dict[str, Verdict]
    control: ControlRecord
    region: Ends | UnsetType = UNSET
    formula: str
    reason: str
    absent: list[str]
    parts: list[PartRecord]
    seed_sd: Spread = UNSET
    evaluation_error: Spread = UNSET
    detectable: Spread = UNSET
    unrun: bool = False
    positive: ControlRecord | UnsetType = UNSET
    population: str = ""
    registered: Registered | UnsetType = UNSET


class StudyVerdict(Struct, kw_only=True, frozen=True):
    """The verdict on a study, and its checks in the study's order."""

    verdict: Verdict
    checks: list[CheckRecord]
