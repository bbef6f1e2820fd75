"""What the report says of a study in a line, and of all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from crosscheck.claims.claim import POPULATIONS, Published
from crosscheck.claims.judged import CheckRecord
from crosscheck.claims.words import BEST_FIRST, Verdict
from crosscheck.report import path_matrix, tables
from crosscheck.report.records import VerdictRecord

NARROW = 1.5  # half-widths between an estimate and its margin; below, a verdict is called narrow


@dataclass(frozen=True)
class Headline:
    """Why a study's verdict is what it is; `check` is the id of the check that decides, if one does."""

    check: str
    text: str


def headline(record: VerdictRecord) -> Headline:
    """The check that decides a study's verdict, if one does, and what it says."""
    checks = [check for check in record.checks if not check.unrun] or record.checks
    if record.verdict is Verdict.HOLDS:
        return Headline("", f"all {len(checks)} checks hold" if len(checks) > 1 else "its one check holds")
    if record.verdict is Verdict.OPEN:
        return Headline("", "what was run here agrees with the reference, which rests on more")
    scoped = record.verdict is Verdict.SCOPED
    word = Verdict.FAILS if scoped else record.verdict
    alike = [check for check in checks if check.verdict is word]
    deciding = [check for check in alike if (check.kind == "scope") == scoped]
    first, others = (deciding or alike or checks)[0], len(deciding) - 1
    more = f"; and {others} more check{'s' if others > 1 else ''}" if others > 0 else ""
    return Headline(first.id, why(first, record.verdict) + more)


def why(check: CheckRecord, verdict: Verdict) -> str:
    """What a check says that gave its study this verdict."""
    broken = f"does not hold: {check.statement.removesuffix('.')}"
    if verdict is Verdict.SCOPED:
        return path_matrix.counted(check.scope) or broken
    return broken if verdict is Verdict.FAILS else check.reason or str(check.verdict)


def absent(record: VerdictRecord) -> list[str]:
    """Data sets and backends that the run lacked."""
    return sorted({name for check in record.checks for name in check.absent})


def deciding_part(check: CheckRecord) -> str:
    """The setting or path whose estimate is shown for the whole check, where there are several."""
    shown = check.estimate, check.interval, check.n
    same = (part.setting for part in check.parts if (part.estimate, part.interval, part.n) == shown)
    return next(same, "") if len(check.parts) > 1 else ""


def notes(check: CheckRecord) -> list[str]:
    """What stands beside a check's verdict: what it speaks of, how clear it is, how it was registered."""
    if check.unrun or not check.n:
        return []
    lines = [f"speaks of {POPULATIONS[check.population]}"] if check.population in POPULATIONS else []
    clearances = [(part.clearance, part.setting) for part in check.parts if isinstance(part.clearance, float)]
    nearest, setting = min(clearances, default=(NARROW, ""))
    if nearest < NARROW:
        at = f" at {setting}" if len(check.parts) > 1 else ""
        lines.append(f"narrow: {tables.number(nearest, 2)} half-widths from the margin{at}")
    return [*lines, *other_examples(check), registration(check)]


def other_examples(check: CheckRecord) -> list[str]:
    """Where the verdict would be another if the noise of the examples were in the interval."""
    turned = [part for part in check.parts if part.two_way_verdict not in (UNSET, part.verdict)]
    return [
        f"on other examples of the kind it would be {part.two_way_verdict}"
        + (f" at {part.setting}" if len(check.parts) > 1 else "")
        for part in turned
    ]


def registration(check: CheckRecord) -> str:
    """Whether the design was fixed before the run."""
    if check.registered is UNSET:
        return "a pilot: its design is not registered"
    if check.registered.changed:
        return "its design has changed since it was confirmed"
    seeds = f"seeds {check.registered.seeds}, " if check.registered.seeds else ""
    return f"registered: {seeds}block {check.registered.block}" if seeds else "registered"


def tally(records: Sequence[VerdictRecord]) -> str:
    """`3 hold, 1 fails and 2 are undecided`."""
    count = Counter(record.verdict for record in records)
    parts = [verdict.tally(count[verdict]) for verdict in BEST_FIRST if count[verdict]]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def counted(records: Sequence[VerdictRecord]) -> list[tuple[Verdict, int]]:
    """Of every verdict that occurs, how many studies have it."""
    count = Counter(record.verdict for record in records)
    return [(verdict, count[verdict]) for verdict in Verdict if count[verdict]]


def sureness(records: Sequence[VerdictRecord]) -> dict[str, Any]:
    """Chances of a wrong verdict, ends of intervals and level; where runs differ, the weaker promise."""
    runs = [record.provenance for record in records]
    has_rate = any(run.error_rate for run in runs)
    return {
        "error_rate": chance_of_error(records) if has_rate else None,
        "at_first": chance_of_error(records, anew=False) if has_rate else None,
        "level": min((run.level for run in runs if run.level), default=None),
        "tails": max((run.tails for run in runs if run.tails), default=None),
    }


def chance_of_error(records: Sequence[VerdictRecord], anew: bool = True) -> float:
    """The most by which any end of an interval misses: the sum over all, each at the level it was judged at.

    Studies of another run may have been judged when there were fewer, at a level of their own. With `anew`
    each block of seeds that a check was confirmed on is a further chance.
    """
    checks = [check for record in records for check in record.checks]
    return sum(tails(c) * (1 - (c.level or 1)) / 2 * (blocks(c) if anew else 1) for c in checks)


def tails(check: CheckRecord) -> int:
    """The ends of a check's intervals that could have made it come out wrong, as it was judged."""
    if check.level in (None, 1) or check.region is UNSET:
        return 0
    return len(check.parts) * sum(end is not None for end in check.region)


def blocks(check: CheckRecord) -> int:
    return 1 if check.registered is UNSET else check.registered.block


@dataclass(frozen=True)
class Beside:
    """Numbers that others have published, each beside the check that holds ours against it."""

    study: str
    title: str
    published: Published
    numbers: list[tuple[str, float, CheckRecord]]  # what it is of, theirs, ours


def published(records: Sequence[VerdictRecord]) -> list[Beside]:
    return [beside(record, record.published) for record in records if record.published]


def beside(record: VerdictRecord, published: Published) -> Beside:
    checks = {check.id: check for check in record.checks}
    numbers = [(number.of, number.value, checks[number.check]) for number in published.numbers]
    return Beside(record.study, record.title, published, numbers)
