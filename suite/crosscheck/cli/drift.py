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
from crosscheck.report import comparison
from crosscheck.report.comparison import Line, Verdicts

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
        told = {**asdict(self), "moved": [line.id for line in self.moved], "sound": self.sound}
        return {key: told[key] for key in ("reference", "now", "sound", "moved", *told)}


def of_common(reference: str, then: Verdicts, name: str, now: Verdicts) -> Comparison:
    """The studies that both have; the others are named, as what neither can speak of.

    Raises:
        UsageError: they have none in common.
    """
    both = [study for study in then if study in now]
    if not both:
        raise UsageError(f"{reference} and {name} have no study in common. `crosscheck run` writes them.")
    alone = [study for study in dict.fromkeys([*then, *now]) if study not in both]
    sides = ({study: side[study] for study in both} for side in (then, now))
    return between(reference, next(sides), name, next(sides), alone)


def between(
    reference: str,
    then: Verdicts,
    name: str,
    now: Verdicts,
    left_out: Sequence[str] = (),
    redrawn: list[str] | None = None,
) -> Comparison:
    """All studies of both: one that either lacks is drift, unless it is left out and named."""
    word = lambda side, study: side[study].verdict if study in side else "—"  # noqa: E731
    words = {study: (word(then, study), word(now, study)) for study in dict.fromkeys([*then, *now])}
    lines, absent = comparison.compare(then, now), [*left_out, *comparison.left_out(then, now)]
    whats = named(reference, then), named(name, now)
    return Comparison(
        *whats, words, lines, comparison.changes(then, now), absent, comparison.circumstances(now), redrawn
    )


def named(what: str, verdicts: Verdicts) -> str:
    """With the backend that it was made on."""
    backends = sorted({study.provenance.backend or "" for study in verdicts.values()} - {""})
    return f"{what} ({', '.join(backends)})" if backends else what


def tell(found: Sequence[Comparison], as_json: bool = False) -> None:
    """What moved, as a table, and under which changed circumstances."""
    if as_json:
        voice.tell_json([each.to_dict() for each in found])
        return
    for each in found:
        tell_one(each, headed=len(found) > 1)


def tell_one(found: Comparison, headed: bool) -> None:
    if headed:
        click.echo(click.style(f"{found.reference} → {found.now}", bold=True))
    if found.moved:
        voice.tell_table(HEADS, [cells(line) for line in found.moved])
    for line in remarks(found):
        click.echo(line)


def remarks(found: Comparison) -> list[str]:
    told = [f"changed: {change}" for change in found.changed]
    if found.left_out:
        told.append(f"Not compared, absent in one of the two: {', '.join(found.left_out)}.")
    if found.redrawn:
        told.append(f"Drawn again from the same rows, these differ: {', '.join(found.redrawn)}.")
    elif found.redrawn is not None:
        told.append("Drawn again from the same rows, every table and figure is the same to the byte.")
    if found.furthest:
        told.append(f"Furthest: {found.furthest.id}, by {found.furthest.moved:+.1f} joint standard errors.")
    return [*told, f"{len(found.lines)} verdicts and estimates compared, {len(found.moved)} moved."]


def cells(line: Line) -> tuple[str, ...]:
    then, now = line.verdicts
    moved = "—" if line.moved is None else f"{line.moved:+.1f}"
    return (line.id, *told_apart(line.reference, line.now), moved, f"{then} → {now}", line.drift)


def told_apart(one: float | None, other: float | None) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ."""
    for digits in range(5, 18):
        pair = number(one, digits), number(other, digits)
        if pair[0] != pair[1]:
            break
    return pair


def write(found: Sequence[Comparison], place: Path) -> list[Path]:
    """Write PLACE.json and PLACE.md.

    Raises:
        UsageError: where they cannot be written.
    """
    from crosscheck.report.records import to_json

    files = {".json": to_json([each.to_dict() for each in found]), ".md": to_markdown(found)}
    for ending, content in files.items():
        write_atomically(place.with_name(place.name + ending), content)
    return [place.with_name(place.name + ending) for ending in files]


def to_markdown(found: Sequence[Comparison]) -> str:
    from crosscheck.report.markup import markdown

    lines = [
        "# Runs compared",
        "",
        "Written by `crosscheck verify --out`. Estimates agree when they differ by no more than their "
        "intervals together allow, √(h₁² + h₂²); where nothing is random, when they are equal to rounding. "
        "SE: joint standard errors.",
    ]
    for each in found:
        lines += ["", f"## {markdown(each.reference)} → {markdown(each.now)}", ""]
        lines += table(("study", "verdict", "compared", "moved"), of_studies(each))
        if each.moved:
            lines += ["", *table(HEADS, [cells(line) for line in each.moved])]
        made = ", ".join(f"{name} {told}" for name, told in each.circumstances.items())
        lines += ["", *(f"- {markdown(line)}" for line in (*remarks(each), f"now: {made}"))]
    return "\n".join(lines) + "\n"


def of_studies(found: Comparison) -> list[tuple[str, ...]]:
    def count(study: str, lines: Sequence[Line]) -> str:
        return str(sum(line.id.startswith(f"{study}/") for line in lines))

    return [
        (study, f"{then} → {now}", count(study, found.lines), count(study, found.moved))
        for study, (then, now) in found.studies.items()
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    from crosscheck.report.markup import markdown

    ruled = [heads, ["---"] * len(heads), *([markdown(cell) for cell in row] for row in rows)]
    return ["| " + " | ".join(row) + " |" for row in ruled]
