"""The verdict on every sentence of the chapter, judged from the records of its checks.

A sentence is `true` if all checks that decide it hold, `true if …` if one of its conditions fails besides,
`false` if one that decides it fails, `half` if one of its parts stands and another does not. An invalid
check decides nothing, nor does one that fails although its positive control failed too; what is missing
leaves the sentence `open`.

Records of today have one control, which must fail. A failure then rests on that alone, and the
sentence says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from msgspec import UNSET, Struct

from crosscheck.claims import evidence, in_keras
from crosscheck.claims.judged import CheckRecord
from crosscheck.claims.sentences import CONTROL, Half, Register, Sentence
from crosscheck.claims.words import Truth, Verdict

IDENTITY, THEOREM = "identity", "theorem, checked"
SIMULATION, DATA = "simulation, fresh data", "these data sets"
WANTED, NOT_RUN = "wanted", "not run"  # in place of a check's verdict
ONE_CONTROL = "no case in which the failing check must hold was measured"
OTHER_EXAMPLES = "with other examples of the same kind it would not be decided"
CHANGED = "the design has changed since it was confirmed"

Checks = Mapping[str, CheckRecord]  # by full id


class CheckBehind(Struct, kw_only=True, frozen=True):
    """A check behind a sentence: its full id, what it is to the sentence, and what it came to."""

    id: str
    role: str
    verdict: str


class PartJudged(Struct, kw_only=True, frozen=True):
    """A part of a sentence; `stands` is None where it is not decided."""

    says: str
    stands: bool | None


class SentenceRecord(Struct, kw_only=True, frozen=True):
    """A sentence with all that the report says of it; what does not apply is empty.

    Attributes:
        section: its title; `text`: the sentence in our words.
        provided: the conditions of `true if`.
        in_keras: `everywhere`, `from logits` or `not as shipped`; `paths`: on how many.
        known: how it is known; `data`: the sets, where it is known of these alone.
        evidence: a plain line with its number.
        correct: what may be taught in its place.
        reason: why it is open.
        doubts: what speaks against the checks that decided.
        absent: data sets and backends that its checks were judged without.
        unrun: something that decides was not run here.
    """

    id: str
    section: str
    text: str
    verdict: Truth
    provided: list[str]
    in_keras: str
    paths: str
    known: str
    data: list[str]
    evidence: str
    correct: str
    reason: str
    parts: list[PartJudged]
    checks: list[CheckBehind]
    doubts: list[str]
    absent: list[str]
    unrun: bool

    @property
    def said(self) -> str:
        """The verdict as it is read: with its condition."""
        return f"{self.verdict} {' and '.join(self.provided)}" if self.provided else str(self.verdict)


class ChapterRecord(Struct, kw_only=True, frozen=True):
    """Every sentence in the chapter's order, and the checks that none of them names."""

    sentences: list[SentenceRecord]
    beyond: list[str]


def judge_chapter(checks: Checks, sets: Collection[str], register: Register) -> ChapterRecord:
    """The chapter, from the records of checks by full id, and the data sets that they were measured on."""
    sentences = [judge(sentence, checks, sets, register) for sentence in register.sentences]
    return ChapterRecord(sentences=sentences, beyond=list(register.beyond.checks))


def judge(sentence: Sentence, checks: Checks, sets: Collection[str], register: Register) -> SentenceRecord:
    findings = [finding(half, checks, register.wanted) for half in sentence.halves]
    provided = broken_conditions(sentence, checks)
    unmeasured = open_conditions(sentence, checks, register.wanted) if not provided else []
    verdict = truth(sentence, findings, provided, unmeasured)
    is_open, is_bent = verdict is Truth.OPEN, verdict in (Truth.TRUE_IF, Truth.HALF, Truth.FALSE)
    behind = [] if verdict is Truth.NOT_TESTABLE else deciding(sentence, findings, verdict)
    lacking = [one for each in findings for one in each.lacking] + unmeasured
    word, paths = in_keras.in_keras(sentence, checks)
    known, data = ("", []) if is_open or not behind else how_known(sentence, behind, checks, sets)
    return SentenceRecord(
        id=sentence.id,
        section=register.sections[sentence.section],
        text=sentence.text,
        verdict=verdict,
        provided=provided if verdict is Truth.TRUE_IF else [],
        in_keras=word,
        paths=paths,
        known=known,
        data=data,
        evidence=evidence.line(sentence.evidence, checks),
        correct=sentence.correct if is_bent else "",
        reason=reasons(lacking) if is_open else "",
        parts=[
            PartJudged(says=part.says, stands=each.stands)
            for part, each in zip(sentence.parts, findings, strict=False)
        ],
        checks=list(checks_behind(sentence, checks, register.wanted)),
        doubts=[] if is_open else doubts(behind, checks, register),
        absent=sorted({name for id, _ in sentence.roles() if id in checks for name in checks[id].absent}),
        unrun=is_open and any(one.is_unrun for one in lacking),
    )


# --- the words ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lack:
    """Why a check decides nothing.

    Attributes:
        reason: in words; of a check that is wanted, what it would measure.
        is_wanted: the check is not there yet; `is_unrun`: it was simply not run here.
    """

    reason: str
    is_wanted: bool = False
    is_unrun: bool = False


def reasons(lacking: Iterable[Lack]) -> str:
    """All of them in a line, what is wanted together at its end."""
    others = list(dict.fromkeys(each.reason for each in lacking if not each.is_wanted))
    wanted = list(dict.fromkeys(each.reason for each in lacking if each.is_wanted))
    return "; ".join([*others, *([f"not measured yet: {'; '.join(wanted)}"] if wanted else [])])


@dataclass(frozen=True)
class Finding:
    """What the checks of a half come to.

    Attributes:
        refuting: the checks that speak against it, by full id.
        lacking: why others decide nothing.
    """

    refuting: tuple[str, ...]
    lacking: tuple[Lack, ...]

    @property
    def stands(self) -> bool | None:
        return False if self.refuting else None if self.lacking else True


def truth(sentence: Sentence, findings: list[Finding], provided: list[str], unmeasured: list[Lack]) -> Truth:
    """The word, from what its halves and conditions came to."""
    if not sentence.testable:
        return Truth.NOT_TESTABLE
    for word, applies in (
        (Truth.FALSE, is_false(findings)),
        (Truth.HALF, is_half(findings)),
        (Truth.TRUE_IF, is_true_if(findings, provided)),
        (Truth.TRUE, is_true(findings, provided, unmeasured)),
    ):
        if applies:
            return word
    return Truth.OPEN


def is_false(findings: list[Finding]) -> bool:
    """Nothing of it stands: every half is refuted."""
    return all(each.stands is False for each in findings)


def is_half(findings: list[Finding]) -> bool:
    """Every part is decided; one stands, another does not."""
    return {each.stands for each in findings} == {True, False}


def is_true_if(findings: list[Finding], provided: list[str]) -> bool:
    """All of it stands, and a condition that was measured on both sides breaks it."""
    return all(each.stands for each in findings) and bool(provided)


def is_true(findings: list[Finding], provided: list[str], unmeasured: list[Lack]) -> bool:
    """All of it stands, and every condition was measured and breaks nothing."""
    return all(each.stands for each in findings) and not provided and not unmeasured


# --- from checks --------------------------------------------------------------------------------------------


def finding(half: Half, checks: Checks, wanted: Mapping[str, str]) -> Finding:
    refuting = [id for id in half.decides if refutes(checks.get(id))]
    refuting += [id for id in half.against if supported(checks.get(id))]
    lacking = [lack(id, checks, wanted) for id in (*half.decides, *half.against)]
    found = [each for each in lacking if each] or ([] if half.decides or half.against else [NO_CHECK])
    return Finding(tuple(refuting), tuple(found))


NO_CHECK = Lack("no check decides it")


def supported(check: CheckRecord | None) -> bool:
    """The check was run and holds; where its control did not fail, it is invalid and does not."""
    return check is not None and not check.unrun and check.verdict is Verdict.HOLDS


def refutes(check: CheckRecord | None) -> bool:
    """The check was run and fails, and its positive control, where it has one, held."""
    if check is None or check.unrun or check.verdict is not Verdict.FAILS:
        return False
    return check.positive is UNSET or check.positive.verdict is Verdict.HOLDS


def lack(id: str, checks: Checks, wanted: Mapping[str, str]) -> Lack | None:
    """Why a check decides nothing; None where it holds or refutes."""
    check = checks.get(id)
    if check is None and id in wanted:
        return Lack(wanted[id], is_wanted=True)
    if check is None or check.unrun:
        return Lack((check and check.reason) or "what decides was not run here", is_unrun=True)
    if supported(check) or refutes(check):
        return None
    if check.verdict is Verdict.FAILS:
        return Lack("a check fails whose positive control failed too")
    return Lack(check.reason or f"a check is {check.verdict}")


def broken_conditions(sentence: Sentence, checks: Checks) -> list[str]:
    """The conditions that a failing check, or a check's failing control, shows to be needed."""
    return list(dict.fromkeys(text for id, text in sentence.conditions.items() if breaks(id, checks)))


def breaks(id: str, checks: Checks) -> bool:
    if not id.endswith(CONTROL):
        return refutes(checks.get(id))
    check = checks.get(id.removesuffix(CONTROL))
    is_sound = check is not None and (supported(check) or refutes(check))
    return is_sound and check is not None and check.control.verdict is Verdict.FAILS


def open_conditions(sentence: Sentence, checks: Checks, wanted: Mapping[str, str]) -> list[Lack]:
    """What was not measured of its conditions."""
    lacking = (lack(id.removesuffix(CONTROL), checks, wanted) for id in sentence.conditions)
    return [each for each in lacking if each]


# --- what the report says of it ---------------------------------------------------------------------------


def deciding(sentence: Sentence, findings: list[Finding], verdict: Truth) -> list[str]:
    """The checks that the verdict rests on: where it is false, those that refute it."""
    if verdict is Truth.FALSE:
        return list(dict.fromkeys(id for each in findings for id in each.refuting))
    return list(sentence.deciding)


def how_known(
    sentence: Sentence, behind: Iterable[str], checks: Checks, sets: Collection[str]
) -> tuple[str, list[str]]:
    """The weakest kind of evidence among the checks that it rests on, and the data sets."""
    judged = [checks[id] for id in behind if id in checks]
    settings = {part.setting.split(", ")[0] for check in judged for part in check.parts}
    data = [name for name in sentence.data if name in sets]
    data += sorted(settings.intersection(sets) - set(data))
    if data or sentence.data:
        return DATA, data
    if any(check.level != 1 for check in judged):
        return SIMULATION, []
    return (IDENTITY if all(check.kind == "identity" for check in judged) else THEOREM), []


def checks_behind(sentence: Sentence, checks: Checks, wanted: Mapping[str, str]) -> Iterator[CheckBehind]:
    for id, role in dict.fromkeys(sentence.roles()):
        check = checks.get(id)
        word = WANTED if check is None and id in wanted else NOT_RUN
        yield CheckBehind(id=id, role=role, verdict=str(check.verdict) if check and not check.unrun else word)


def doubts(behind: list[str], checks: Checks, register: Register) -> list[str]:
    """What speaks against the checks that the verdict rests on."""
    known = [register.doubts[id] for id in behind if id in register.doubts]
    failing = [checks[id] for id in behind if refutes(checks.get(id))]
    alone = [ONE_CONTROL] if any(check.positive is UNSET for check in failing) else []
    judged = [checks[id] for id in behind if id in checks]
    examples = [OTHER_EXAMPLES] if any(turns_on_examples(check) for check in judged) else []
    changed = [CHANGED] if any(check.registered and check.registered.changed for check in judged) else []
    return list(dict.fromkeys([*known, *alone, *examples, *changed]))


def turns_on_examples(check: CheckRecord) -> bool:
    """Whether the verdict would be another with the noise of the examples in its intervals."""
    verdicts = [part.two_way_verdict or part.verdict for part in check.parts]
    worst = min(verdicts, key=lambda verdict: verdict.rank, default=check.verdict)
    return check.verdict in (Verdict.HOLDS, Verdict.FAILS) and worst is not check.verdict
