"""What `crosscheck verify` found, told: in a terminal, as JSON, and as a page to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from crosscheck._files import write_atomically
from crosscheck.cli import voice
from crosscheck.cli.voice import number
from crosscheck.errors import UsageError
from crosscheck.report import comparison as comparing
from crosscheck.report.comparison import ChapterRecord, Line, Verdicts

Chapters = tuple[ChapterRecord, ChapterRecord]  # then and now

HEADS = ("check", "reference", "now", "moved (SE)", "verdict", "why")


@dataclass(frozen=True)
class Comparison:
    """Two sets of results, compared.

    Attributes:
        reference, now: what they are, in words.
        studies: of each study its verdict then and now.
        lines: every compared number.
        changed: versions, backends, devices and data that differ; `left_out`: what one of the two lacked.
        circumstances: versions, backend, device and data of the second.
        redrawn: files that came out different when drawn again from the same rows; None where not tried.
    """

    reference: str
    now: str
    studies: dict[str, tuple[str, str]]
    lines: list[Line]
    changed: list[str]
    left_out: list[str]
    circumstances: dict[str, str]
    redrawn: list[str] | None = None

    @property
    def moved(self) -> list[Line]:
        return [line for line in self.lines if line.drift]

    @property
    def sound(self) -> bool:
        return not self.moved and not self.redrawn

    @property
    def furthest(self) -> Line | None:
        """The estimate that moved by the most standard errors, whether or not that counts as drift."""
        random = [line for line in self.lines if line.moved is not None]
        return max(random, key=lambda line: abs(line.moved or 0), default=None)

    def to_dict(self) -> dict[str, Any]:
        own = {"compared": len(self.lines), "moved": [line.id for line in self.moved], "sound": self.sound}
        keys = {**asdict(self), **own}
        return {key: keys[key] for key in ("reference", "now", "sound", "compared", "moved", *keys)}

    def differing(self) -> dict[str, Any]:
        """The same, to be kept: of the compared numbers those alone that are not the same to the digit."""
        lines = [asdict(line) for line in self.lines if line.reference != line.now or line.drift]
        return {**self.to_dict(), "lines": lines}


def of_common(
    reference: str, then: Verdicts, name: str, now: Verdicts, chapters: Chapters | None = None
) -> Comparison:
    """The studies that both have; the others are named, as what neither can speak of.

    Raises:
        UsageError: they have none in common.
    """
    both = [study for study in then if study in now]
    if not both:
        raise UsageError(f"{reference} and {name} have no study in common. `crosscheck run` writes them.")
    alone = [study for study in dict.fromkeys([*then, *now]) if study not in both]
    sides = ({study: side[study] for study in both} for side in (then, now))
    return between(reference, next(sides), name, next(sides), chapters, alone)


def between(
    reference: str,
    then: Verdicts,
    name: str,
    now: Verdicts,
    chapters: Chapters | None = None,
    left_out: Sequence[str] = (),
    redrawn: list[str] | None = None,
) -> Comparison:
    """All studies of both, and the chapter: what either lacks is drift, unless it is left out and named."""
    word = lambda side, study: side[study].verdict if study in side else "—"
    words = {study: (word(then, study), word(now, study)) for study in dict.fromkeys([*then, *now])}
    lines = comparing.compare(then, now)
    if chapters:
        lines += comparing.compare_chapters(*chapters, set(then).intersection(now))
    absent = [*left_out, *comparing.left_out(then, now)]
    whats = named(reference, then), named(name, now)
    return Comparison(
        *whats, words, lines, comparing.changes(then, now), absent, comparing.circumstances(now), redrawn
    )


def named(what: str, verdicts: Verdicts) -> str:
    """With the backend that it was made on."""
    backends = sorted({study.provenance.backend or "" for study in verdicts.values()} - {""})
    return f"{what} ({', '.join(backends)})" if backends else what


def print_comparisons(comparisons: Sequence[Comparison], as_json: bool = False) -> None:
    """What moved, as a table, and under which changed circumstances."""
    if as_json:
        voice.print_json([comparison.to_dict() for comparison in comparisons])
        return
    for comparison in comparisons:
        print_comparison(comparison, headed=len(comparisons) > 1)


def print_comparison(comparison: Comparison, headed: bool) -> None:
    if headed:
        click.echo(click.style(f"{comparison.reference} → {comparison.now}", bold=True))
    if comparison.moved:
        voice.print_table(HEADS, [cells(line) for line in comparison.moved])
    for line in remarks(comparison):
        click.echo(line)


def remarks(comparison: Comparison) -> list[str]:
    lines = [f"changed: {change}" for change in comparison.changed]
    if comparison.left_out:
        lines.append(f"Not compared, absent in one of the two: {', '.join(comparison.left_out)}.")
    if comparison.redrawn:
        lines.append(f"Drawn again from the same rows, these differ: {', '.join(comparison.redrawn)}.")
    elif comparison.redrawn is not None:
        lines.append("Drawn again from the same rows, every table and figure is the same to the byte.")
    if furthest := comparison.furthest:
        lines.append(f"Furthest: {furthest.id}, by {furthest.moved:+.1f} joint standard errors.")
    count, moved = len(comparison.lines), len(comparison.moved)
    return [*lines, f"{count} verdicts and estimates compared, {moved} moved."]


def cells(line: Line) -> tuple[str, ...]:
    then, now = line.verdicts
    moved = "—" if line.moved is None else f"{line.moved:+.1f}"
    return (line.id, *distinguished(line.reference, line.now), moved, f"{then} → {now}", line.drift)


def distinguished(one: float | None, other: float | None) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ."""
    for digits in range(5, 18):
        pair = number(one, digits), number(other, digits)
        if pair[0] != pair[1]:
            break
    return pair


def write(comparisons: Sequence[Comparison], path: Path) -> list[Path]:
    """Write PATH.json and PATH.md.

    Raises:
        UsageError: where they cannot be written.
    """
    from crosscheck.report.records import to_json

    content = {
        ".json": to_json([comparison.differing() for comparison in comparisons]),
        ".md": to_markdown(comparisons),
    }
    files = {path.with_name(path.name + ending): text for ending, text in content.items()}
    for file, text in files.items():
        write_atomically(file, text)
    return list(files)


def to_markdown(comparisons: Sequence[Comparison]) -> str:
    from crosscheck.report.markup import markdown

    lines = [
        "# Runs compared",
        "",
        "Written by `crosscheck verify --out`. Estimates agree when they differ by no more than their "
        "intervals together allow, √(h₁² + h₂²); where nothing is random, when they are equal to rounding. "
        "SE: joint standard errors.",
    ]
    for comparison in comparisons:
        lines += ["", f"## {markdown(comparison.reference)} → {markdown(comparison.now)}", ""]
        lines += table(("study", "verdict", "compared", "moved"), counts_by_study(comparison))
        if comparison.moved:
            lines += ["", *table(HEADS, [cells(line) for line in comparison.moved])]
        circumstances = ", ".join(f"{name} {value}" for name, value in comparison.circumstances.items())
        closing = (*remarks(comparison), f"now: {circumstances}")
        lines += ["", *(f"- {markdown(line)}" for line in closing)]
    return "\n".join(lines) + "\n"


def counts_by_study(comparison: Comparison) -> list[tuple[str, ...]]:
    def count(study: str, lines: Sequence[Line]) -> str:
        return str(sum(line.id.startswith(f"{study}/") for line in lines))

    return [
        (study, f"{then} → {now}", count(study, comparison.lines), count(study, comparison.moved))
        for study, (then, now) in comparison.studies.items()
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    from crosscheck.report.markup import markdown

    cells = [heads, ["---"] * len(heads), *([markdown(cell) for cell in row] for row in rows)]
    return ["| " + " | ".join(row) + " |" for row in cells]
