"""Does a fresh run still say what the reference says? Verdict by verdict, estimate by estimate.

Two estimates agree when they differ by no more than the half-widths h of their intervals together allow:
|e₁ − e₂| ≤ √(h₁² + h₂²). Runs that share their seeds share what is drawn from them, so that this is generous.

Where nothing is random there is no interval, and the estimates have to be equal to rounding. The deviation of
an identity is counted in units in the last place: two deviations within the criterion's 4 units are rounding,
and which of them came out is the doing of a compiler. Any other number may differ by `ROUNDING` of itself, or
of the criterion's margin where it is smaller than that: float32 rounds at 6e−8, and a sum of a thousand such
numbers, in another order, moves by no more than a thousand times that.

Everything here reads records and trains nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import msgspec
from msgspec import UNSET

from crosscheck.claims import chapter
from crosscheck.claims.chapter import ChapterRecord, SentenceRecord
from crosscheck.claims.judged import CheckRecord, Ends, PartRecord
from crosscheck.report.records import VerdictRecord

Verdicts = Mapping[str, VerdictRecord]  # by study

ROUNDING = 1e-4
NONE = "—"  # in place of a verdict, where one side has no such check or setting


@dataclass(frozen=True)
class Line:
    """One compared number or verdict.

    Attributes:
        id: `study/check`, and the setting where the check has several.
        reference, now: the two estimates; None where there is none.
        moved: their distance in joint standard errors; None where nothing is random.
        verdicts: then and now.
        drift: why this counts as moved; empty where it does not.
    """

    id: str
    reference: float | None
    now: float | None
    moved: float | None
    verdicts: tuple[str, str]
    drift: str


Judged = CheckRecord | PartRecord


def compare(reference: Verdicts, now: Verdicts) -> list[Line]:
    """Every check of both sides, in the order of the reference."""
    names = dict.fromkeys(chain(reference, now))
    return [line for name in names for line in compare_study(name, reference.get(name), now.get(name))]


def compare_study(name: str, reference: VerdictRecord | None, now: VerdictRecord | None) -> Iterator[Line]:
    old, new = checks_of(reference), checks_of(now)
    for check in dict.fromkeys(chain(old, new)):
        yield from compare_check(f"{name}/{check}", old.get(check), new.get(check))


def checks_of(record: VerdictRecord | None) -> dict[str, CheckRecord]:
    return {check.id: check for check in record.checks} if record else {}


def compare_check(id: str, old: CheckRecord | None, new: CheckRecord | None) -> Iterator[Line]:
    """A check's settings one by one, then its own verdict where only that has moved: the control's doing."""
    if old is None or new is None:
        yield one_sided(id, old, new)
        return
    if any(side.unrun and side.absent for side in (old, new)):
        return  # for want of data or a backend: `left_out` names it
    lines = list(compare_parts(id, old, new))
    yield from lines
    if any(line.drift for line in lines):
        return
    if comparable(old, new) and old.verdict != new.verdict:
        yield line_of(id, old, new, "verdict")


def compare_parts(id: str, old: CheckRecord, new: CheckRecord) -> Iterator[Line]:
    """The settings that both sides could judge; one whose data set or backend either lacks is passed over."""
    absent = {*old.absent, *new.absent}
    old_parts, new_parts = parts_of(old), parts_of(new)
    for label in dict.fromkeys(chain(old_parts, new_parts)):
        if setting_of(label) in absent:
            continue
        place = f"{id} [{label}]" if label else id
        if label in old_parts and label in new_parts:
            parts = old_parts[label], new_parts[label]
            yield line_of(place, *parts, drift(*parts, region_of(old)))
        else:
            yield one_sided(place, old_parts.get(label), new_parts.get(label))


def parts_of(check: CheckRecord) -> dict[str, PartRecord]:
    return {part.setting: part for part in check.parts}


def setting_of(label: str) -> str:
    """A part is labelled `setting · path`."""
    return label.split(" · ")[0]


def comparable(old: CheckRecord, new: CheckRecord) -> bool:
    """Whether both verdicts were reached over the same settings; an invalid one is never explained away."""
    return set(old.absent) == set(new.absent) or new.verdict == "invalid"


def one_sided(id: str, old: Judged | None, new: Judged | None) -> Line:
    """What only one of the two runs has."""
    estimates = old.estimate if old else None, new.estimate if new else None
    verdicts = old.verdict if old else NONE, new.verdict if new else NONE
    return Line(id, *estimates, None, verdicts, "missing now" if new is None else "new")


def line_of(id: str, old: Judged, new: Judged, drift: str) -> Line:
    return Line(id, old.estimate, new.estimate, joint_errors(old, new), (old.verdict, new.verdict), drift)


def drift(old: Judged, new: Judged, region: Ends = (None, None)) -> str:
    """Why two parts do not agree; empty where they do."""
    if old.verdict != new.verdict:
        return "verdict"
    if old.estimate is None or new.estimate is None:
        if old.estimate is new.estimate:
            return ""
        return "no longer a number" if new.estimate is None else "a number only now"
    exact = old.level == new.level == 1
    if exact:
        allowed = rounding(old.estimate, new.estimate, region)
    else:
        allowed = math.hypot(half_width(old), half_width(new))
    if abs(new.estimate - old.estimate) <= allowed:
        return ""
    return "beyond rounding" if exact else "estimate"


def rounding(old: float, new: float, region: Ends) -> float:
    """How far two estimates in which nothing is random may differ.

    Args:
        old, new: the estimates.
        region: of the criterion.
    """
    lo, hi = region
    margin = next((abs(end) for end in (hi, lo) if end is not None), 0.0)
    identity = lo is None and hi is not None  # a deviation in units in the last place, at most so many
    return max(margin if identity else 0.0, ROUNDING * max(abs(old), abs(new), margin))


def region_of(check: CheckRecord) -> Ends:
    """The region of a check's criterion; from records that lack it, by what the criterion says."""
    return region_said(check.criterion) if check.region is UNSET else check.region


def region_said(criterion: str) -> Ends:
    """The region that a criterion's words state; (None, None) where they state none."""
    said = re.search(r"(≤|±|≥) (-?[\d.]+(?:e[-+]?\d+)?)", criterion)
    if not said:
        return None, None
    margin = float(said[2])
    return {"≤": (None, margin), "±": (-margin, margin), "≥": (margin, None)}[said[1]]


def half_width(part: Judged) -> float:
    """Half the interval; infinite where it has no end."""
    lo, hi = part.interval
    return math.inf if lo is None or hi is None else (hi - lo) / 2


def joint_errors(old: Judged, new: Judged) -> float | None:
    """(new − old) / √(SE₁² + SE₂²), each standard error from the spread between its seeds."""
    one, other = standard_error(old), standard_error(new)
    if one is None or other is None or old.estimate is None or new.estimate is None:
        return None
    return (new.estimate - old.estimate) / math.hypot(one, other) if one or other else None


def standard_error(part: Judged) -> float | None:
    return part.seed_sd / math.sqrt(part.n) if isinstance(part.seed_sd, float) and part.n else None


def compare_chapters(old: ChapterRecord, new: ChapterRecord, studies: Collection[str]) -> Iterator[Line]:
    """The sentences whose checks are all of these studies: their verdicts, and what they come to in Keras.

    One that either side judged on less, for want of a data set or backend, is passed over, and so is one of
    which no check is there yet.
    """
    before, after = ({one.id: one for one in side.sentences} for side in (old, new))
    for id in dict.fromkeys(chain(before, after)):
        then, now = before.get(id), after.get(id)
        if comparable_sentences([one for one in (then, now) if one], studies):
            words = then.said if then else NONE, now.said if now else NONE
            yield Line(f"chapter/{id}", None, None, None, words, "verdict" if words[0] != words[1] else "")
            kept = then.in_keras if then else "", now.in_keras if now else ""
            if kept[0] != kept[1]:
                keras = kept[0] or NONE, kept[1] or NONE
                yield Line(f"chapter/{id} in Keras", None, None, None, keras, "in Keras")


def comparable_sentences(sides: list[SentenceRecord], studies: Collection[str]) -> bool:
    needed = {
        check.id.partition("/")[0] for one in sides for check in one.checks if check.verdict != chapter.WANTED
    }
    return bool(needed) and needed <= set(studies) and not any(one.absent or one.unrun for one in sides)


def left_out(reference: Verdicts, now: Verdicts) -> list[str]:
    """Data sets and backends that one of the two runs lacked: named, and not counted as drift."""
    checks = (check for record in chain(reference.values(), now.values()) for check in record.checks)
    return sorted({name for check in checks for name in check.absent})


def changes(reference: Verdicts, now: Verdicts) -> list[str]:
    """What differs between the circumstances of the two runs: versions, backend, device, data."""
    old, new = circumstances(reference), circumstances(now)
    return [
        f"{key} {old.get(key, NONE)} → {new.get(key, NONE)}"
        for key in dict.fromkeys(chain(old, new))
        if old.get(key) != new.get(key)
    ]


def circumstances(verdicts: Verdicts) -> dict[str, str]:
    """Versions, data, backend and device over all studies, flattened to text."""
    values: dict[str, set[str]] = {}
    for record in verdicts.values():
        facts = msgspec.to_builtins(record.provenance)
        single = {key: facts[key] for key in ("backend", "device") if key in facts}
        for key, value in {**facts.get("versions", {}), **facts.get("data", {}), **single}.items():
            values.setdefault(key, set()).add(str(value))
    return {key: ", ".join(sorted(names)) for key, names in values.items()}
