"""`crosscheck list`: the chapter's sentences and the studies behind them, with their verdicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from crosscheck.claims import register, sentences
from crosscheck.cli import chapter, voice
from crosscheck.cli.options import (
    RESULTS,
    json_option,
    results_or_reference_option,
    sentences_matching,
    studies_matching,
    studies_or_sentences_argument,
)


@dataclass(frozen=True)
class Line:
    """A claim in the list.

    Attributes:
        checks: how many checks there are of each verdict.
        verdict_from: `results` for a run on this machine, `reference`, or empty.
    """

    study: str
    verdict: str
    checks: Mapping[str, int]
    title: str
    verdict_from: str = ""

    def cells(self) -> tuple[str, ...]:
        counts = ", ".join(f"{count} {word}" for word, count in self.checks.items())
        return self.study, self.verdict, counts or "—", self.title


@click.command("list")
@studies_or_sentences_argument
@results_or_reference_option
@json_option
def command(patterns: tuple[str, ...], results: Path | None, as_json: bool) -> None:
    """The chapter, sentence by sentence, and the studies behind it, each with its verdict where it has one.

    STUDY and SENTENCE may be patterns: 'ood_*', 'S2*'. What has not been run on this machine has the
    verdict of the reference, and is named.
    """
    ids = sentences_matching(patterns) if patterns else sentences.IDS
    others = tuple(pattern for pattern in patterns if not sentences_matching((pattern,)))
    names = studies_matching(others) if others or not patterns else ()
    titles = {name: register.load(name).CLAIM.title for name in names}
    lines = [line_of(name, title, results or RESULTS) for name, title in titles.items()]
    lines = lines if results else with_reference(lines)
    print_lines(chapter.sourced(ids, results) if ids else [], lines, as_json)


def with_reference(lines: list[Line]) -> list[Line]:
    """The lines, those without a verdict as the reference has them; which these are is said in a line."""
    from crosscheck.running import reference

    missing = [line.study for line in lines if not line.verdict_from]
    if not missing:
        return lines
    with reference.folder(missing) as folder:
        lines = [line if line.verdict_from else line_of_reference(line, folder) for line in lines]
    names = [line.study for line in lines if line.verdict_from == "reference"]
    which = "all verdicts are" if len(names) == len(lines) else f"{', '.join(names)}; their verdicts are"
    if names:
        click.echo(f"Not run here: {which} those of the reference, {reference.description()}.", err=True)
    return lines


def line_of_reference(line: Line, folder: Path) -> Line:
    judged = line_of(line.study, line.title, folder)
    return replace(judged, verdict_from="reference") if judged.verdict_from else judged


def line_of(name: str, title: str, results: Path) -> Line:
    """As its verdict.json says, which is read without what is heavy; `—` where there is none."""
    try:
        record = json.loads((results / name / "verdict.json").read_text(encoding="utf-8"))
        words = [str(check["verdict"]) for check in record["checks"]]
        return Line(name, str(record["verdict"]), dict(Counter(words).most_common()), title, "results")
    except FileNotFoundError:
        return Line(name, "—", {}, title)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Line(name, "unreadable", {}, title, "results")


def print_lines(judged: Sequence[chapter.Sourced], lines: Sequence[Line], as_json: bool) -> None:
    if as_json:
        both = {"sentences": chapter.as_dicts(judged), "studies": [asdict(line) for line in lines]}
        voice.print_json(both)
        return
    chapter.print_sentences(judged)
    if lines:
        voice.print_table(("study", "verdict", "checks", "claim"), [line.cells() for line in lines])
