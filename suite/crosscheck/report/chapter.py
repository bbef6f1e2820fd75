"""results/chapter.json: every sentence of the chapter with its verdict, and the checks behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from msgspec.structs import replace

from crosscheck.claims import sentences
from crosscheck.claims.chapter import ChapterRecord, SentenceRecord, judge_chapter
from crosscheck.claims.judged import CheckRecord
from crosscheck.claims.words import Truth
from crosscheck.errors import UsageError
from crosscheck.report import records
from crosscheck.report.records import VerdictRecord

FILE = "chapter.json"
COMMAND = "crosscheck report"
AGREES = "what was run here agrees with the reference, which rests on more"

Reference = Callable[[], Sequence[VerdictRecord]]
Checks = dict[str, CheckRecord]  # by full id


def nothing() -> Sequence[VerdictRecord]:
    """A reference that says nothing."""
    return ()


def read(folder: Path) -> ChapterRecord:
    """The chapter in a results folder.

    Raises:
        UsageError: it is missing, broken or not ours.
    """
    path = folder / FILE
    chapter = records.decode(path, ChapterRecord, "the chapter's verdicts", COMMAND)
    ids = [sentence.id for sentence in chapter.sentences]
    if len(set(ids)) < len(ids):
        raise records.foreign(path, "the chapter's verdicts", "a sentence stands in it twice", COMMAND)
    return chapter


def read_if_any(folder: Path) -> ChapterRecord | None:
    """The chapter in a results folder; None where there is none.

    Raises:
        UsageError: it is broken or not ours.
    """
    return read(folder) if (folder / FILE).exists() else None


# --- judging, beside the reference ------------------------------------------------------------------------


def of_records(studies: Sequence[VerdictRecord], reference: Reference = nothing) -> ChapterRecord:
    """The chapter as the records of studies have it.

    Args:
        studies: the records.
        reference: called where some of them were judged without a data set or backend. A sentence that only
            this turns is `open`: a machine that has less says less, not something else.
    """
    here = checks_of(studies)
    chapter = judged(here, studies)
    others = reference() if any(check.absent for check in here.values()) else ()
    if not others:
        return chapter
    there = checks_of(others)
    whole, common = judged(there, others), judged(in_common(there, here), others)
    trios = zip(chapter.sentences, whole.sentences, common.sentences, strict=True)
    return replace(chapter, sentences=[beside(*trio) for trio in trios])


def judged(checks: Checks, studies: Iterable[VerdictRecord]) -> ChapterRecord:
    return judge_chapter(checks, data_sets(studies), sentences.register())


def checks_of(studies: Iterable[VerdictRecord]) -> Checks:
    return {f"{record.study}/{check.id}": check for record in studies for check in record.checks}


def data_sets(studies: Iterable[VerdictRecord]) -> set[str]:
    """The data sets that any study was run on."""
    return {name for record in studies for name in (record.provenance.data or {})}


def in_common(there: Checks, here: Checks) -> Checks:
    """The reference's checks as they come out at the settings that were judged here as well."""
    from crosscheck.claims import verdicts  # with NumPy

    labels = {id: set(check.scope) for id, check in here.items() if not check.unrun}
    common = {id: verdicts.at_settings(check, labels.get(id, ())) for id, check in there.items()}
    return {id: check for id, check in common.items() if check}


def beside(here: SentenceRecord, whole: SentenceRecord, common: SentenceRecord) -> SentenceRecord:
    """The sentence as judged here, unless it would differ from the reference's for want of evidence alone.

    Args:
        here: as judged here; whole: as the reference has it; common: as the reference has it where it is
            judged on no more than was run here.
    """
    if not here.absent:
        return here
    if here.in_keras != whole.in_keras and here.in_keras == common.in_keras:
        here = replace(here, in_keras="")
    if here.said == whole.said or here.said != common.said:
        return here
    none: list[str] = []
    return replace(
        here, verdict=Truth.OPEN, provided=none, known="", data=none, correct="", reason=AGREES, unrun=True
    )


# --- for the pages ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """A section of the chapter: its title, its name on the page, its sentences."""

    title: str
    anchor: str
    sentences: list[SentenceRecord]


def by_section(chapter: ChapterRecord) -> list[Section]:
    groups = [(title, list(group)) for title, group in groupby(chapter.sentences, lambda one: one.section)]
    return [Section(title, f"section-{i}", group) for i, (title, group) in enumerate(groups, 1)]


def tally(chapter: ChapterRecord) -> str:
    """`17 are true, 10 true under a condition, … and 19 open`."""
    counts = [(word, n) for word, n in counted(chapter) if n]
    words = [f"{n} {word.plural}" for word, n in counts]
    first = words[0].replace(" ", " is " if counts[0][1] == 1 else " are ", 1)
    return " and ".join(filter(None, [", ".join([first, *words[1:-1]]), *words[1:][-1:]]))


def counted(chapter: ChapterRecord) -> list[tuple[Truth, int]]:
    """Of every word, how many sentences have it."""
    return [(word, sum(one.verdict is word for one in chapter.sentences)) for word in Truth]


def named_by() -> dict[str, list[tuple[str, str]]]:
    """By check, the sentences that name it, each with what the check is to it."""
    return sentences.register().deciding()


def sentence_of(chapter: ChapterRecord | None, id: str) -> SentenceRecord | None:
    return next((one for one in chapter.sentences if one.id == id), None) if chapter else None


def require_known(id: str) -> None:
    """Raise where the chapter has no such sentence.

    Raises:
        UsageError: it has none.
    """
    if id not in sentences.IDS:
        raise UsageError(f"There is no sentence {id!r}: they are {sentences.IDS[0]} to {sentences.IDS[-1]}.")
