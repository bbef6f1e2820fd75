"""How `list` and `show` speak of the chapter's sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscheck.claims import register
from crosscheck.cli import voice
from crosscheck.cli.options import RESULTS
from crosscheck.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.claims.chapter import ChapterRecord, CheckBehind, SentenceRecord

Sourced = tuple["SentenceRecord", str]  # and where its verdict is from: `results`, `reference`, or empty


def sourced(ids: Sequence[str], results: Path | None) -> list[Sourced]:
    """The sentences of these ids as judged here, or as the reference has them where they were not.

    Raises:
        UsageError: the chapter of either is broken.
    """
    from crosscheck.report import chapter as chapters

    here = chapters.read_if_any(results or RESULTS)
    judged = [chapters.sentence_of(here, id) for id in ids]
    lacking = [id for id, sentence in zip(ids, judged, strict=True) if sentence is None or sentence.unrun]
    there = of_reference(lacking) if lacking and results is None else None
    return [
        source(id, sentence, chapters.sentence_of(there, id))
        for id, sentence in zip(ids, judged, strict=True)
    ]


def source(id: str, here: SentenceRecord | None, there: SentenceRecord | None) -> Sourced:
    """The record to show; a sentence that is judged nowhere is judged on nothing."""
    if here and not (here.unrun and there and not there.unrun):
        return here, "results"
    return (there, "reference") if there else (unjudged(id), "")


def of_reference(ids: Collection[str]) -> ChapterRecord | None:
    """The reference's chapter, if it has one."""
    from crosscheck.report import chapter as chapters
    from crosscheck.running import reference

    if not ids:
        return None
    with reference.folder(()) as folder:
        return chapters.read_if_any(folder)


def unjudged(id: str) -> SentenceRecord:
    """A sentence before any run: open, for nothing that decides was run."""
    from crosscheck.claims import chapter, sentences

    known = sentences.register()
    return next(chapter.judge(sentence, {}, (), known) for sentence in known.sentences if sentence.id == id)


# --- list -------------------------------------------------------------------------------------------------


def as_dicts(lines: Sequence[Sourced]) -> list[dict[str, Any]]:
    """For scripts: each sentence with what it came to."""
    return [
        {
            **{"id": one.id, "section": one.section, "sentence": one.text, "verdict": one.verdict},
            **{
                "provided": one.provided,
                "in_keras": one.in_keras,
                "known": one.known,
                "verdict_from": origin,
            },
        }
        for one, origin in lines
    ]


def print_sentences(lines: Sequence[Sourced]) -> None:
    """By section, in the chapter's order."""
    import itertools

    for section, group in itertools.groupby(lines, lambda line: line[0].section):
        click.echo(click.style(section, bold=True))
        cells = [(one.id, word(one, origin), one.in_keras or "—", one.text) for one, origin in group]
        voice.print_table(("", "verdict", "in Keras", "sentence"), cells)
        click.echo()


def word(sentence: SentenceRecord, origin: str) -> str:
    return str(sentence.verdict) if origin else "—"


# --- show -------------------------------------------------------------------------------------------------


def as_dict(line: Sourced) -> dict[str, Any]:
    from crosscheck.report.records import plain

    return {**plain(line[0]), "verdict_from": line[1] or None}


def lines(line: Sourced, description: str) -> Iterator[str]:
    """A sentence with its verdict, evidence, conditions and checks.

    Args:
        line: the sentence and where its verdict is from.
        description: of the reference.
    """
    one, origin = line
    yield click.style(f"{one.id}: {one.section}", bold=True)
    yield from voice.paragraph("sentence", one.text)
    said = f"{one.said}" if origin else "— not judged yet: `crosscheck run`"
    colour = voice.COLOURS.get(str(one.verdict)) if origin else None
    yield from (click.style(text, fg=colour) for text in voice.paragraph("verdict", said))
    if origin == "reference":
        yield from voice.paragraph("", f"not run here: this is the reference, {description}")
    known = f"{one.known}: {', '.join(one.data)}" if one.data else one.known
    parts = "; ".join(f"{STANDS[part.stands]}: {part.says}" for part in one.parts)
    heads = {
        "in Keras": f"{one.in_keras} ({one.paths})" if one.in_keras and one.paths else one.in_keras,
        "known by": known,
        "evidence": one.evidence,
        "parts": parts,
        "open": one.reason,
        "in doubt": "; ".join(one.doubts),
        "correct": one.correct,
    }
    for head, text in heads.items():
        if text:
            yield from voice.paragraph(head, text)
    yield ""
    for check in one.checks:
        yield from lines_of_check(check)


STANDS = {True: "stands", False: "does not stand", None: "not decided"}


def lines_of_check(check: CheckBehind) -> Iterator[str]:
    """A check behind a sentence, with what it states, or would."""
    from crosscheck.claims.sentences import register as chapter_register

    said = chapter_register().wanted.get(check.id) or statement(check.id)
    yield f"{voice.verdict(check.verdict)}{check.id}, {check.role}: {said}"


def statement(id: str) -> str:
    name, _, check = id.partition("/")
    try:
        study = register.load(name)
    except UsageError:
        return f"there is no study {name} that can be read"
    return next((one.statement for one in study.CHECKS if one.id == check), "its study does not have it")
