"""`crosscheck list`: the claims with their verdicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from crosscheck.claims import register
from crosscheck.cli import voice
from crosscheck.cli.options import json_option, results_option, studies_argument, studies_matching


@dataclass(frozen=True)
class Line:
    """A claim in the list; `checks` says how many checks there are of each verdict."""

    study: str
    verdict: str
    checks: Mapping[str, int]
    title: str

    def cells(self) -> tuple[str, ...]:
        counts = ", ".join(f"{count} {word}" for word, count in self.checks.items())
        return self.study, self.verdict, counts or "—", self.title


@click.command("list")
@studies_argument
@results_option
@json_option
def command(patterns: tuple[str, ...], results: Path, as_json: bool) -> None:
    """The claims, each with its verdict where it has been judged. STUDY may be a pattern: 'ood_*'."""
    lines = [line_of(name, register.load(name).CLAIM.title, results) for name in studies_matching(patterns)]
    print_lines(lines, as_json)


def line_of(name: str, title: str, results: Path) -> Line:
    """As its verdict.json says, which is read without what is heavy; `—` where there is none."""
    try:
        record = json.loads((results / name / "verdict.json").read_text(encoding="utf-8"))
        words = [str(check["verdict"]) for check in record["checks"]]
        return Line(name, str(record["verdict"]), dict(Counter(words).most_common()), title)
    except FileNotFoundError:
        return Line(name, "—", {}, title)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Line(name, "unreadable", {}, title)


def print_lines(lines: Sequence[Line], as_json: bool) -> None:
    if as_json:
        voice.print_json([asdict(line) for line in lines])
    else:
        voice.print_table(("study", "verdict", "checks", "claim"), [line.cells() for line in lines])
