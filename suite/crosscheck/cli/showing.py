"""What `crosscheck show` prints of one study: the claim, its formula, and every check with its interval."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from crosscheck.claims.claim import Check, Study
from crosscheck.cli.voice import COLOURS, complain, number, tell_json, verdict
from crosscheck.errors import UsageError

FIGURES = ("figure.svg", "figure.png")
WIDEST = 100


def tell_study(name: str, study: Study, record: Mapping[str, Any] | None, figure: Path | None) -> None:
    """The claim as the study states it, and the verdict as its record has it; None where there is none."""
    for line in told(name, study, record, figure):
        click.echo(line)


def tell_record(name: str, study: Study, record: Mapping[str, Any] | None, figure: Path | None) -> None:
    """The same as JSON: the whole record, or the claim with `verdict` null, and the figure's path."""
    claim = study.CLAIM
    unjudged: dict[str, Any] = {
        "study": name,
        "title": claim.title,
        "claim": claim.statement,
        "formula": claim.formula,
    }
    unjudged |= {"source": claim.source, "correct": claim.correct, "verdict": None, "checks": []}
    tell_json({**(record or unjudged), "figure": figure and str(figure)})


def told(name: str, study: Study, record: Mapping[str, Any] | None, figure: Path | None) -> Iterator[str]:
    claim = study.CLAIM
    yield click.style(f"{name}: {claim.title}", bold=True)
    yield from paragraph("claim", claim.statement)
    yield from paragraph("formula", claim.formula)
    yield from paragraph("source", claim.source)
    if claim.correct:
        yield from paragraph("correct", claim.correct)
    word = record["verdict"] if record else f"— not judged yet: `crosscheck run {name}`"
    yield f"{'verdict':10}{click.style(word, fg=COLOURS.get(word))}"
    yield ""
    judged = {check["id"]: check for check in record["checks"]} if record else {}
    for check in study.CHECKS:
        yield from told_check(check, judged.get(check.id))
    if record:
        yield from paragraph("figure", str(figure) if figure else "— none was made")


def paragraph(head: str, text: str, indent: int = 10) -> list[str]:
    width = min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)
    blank = " " * indent
    return textwrap.wrap(
        text, width, initial_indent=f"{head:{indent}}", subsequent_indent=blank, break_on_hyphens=False
    )


def told_check(check: Check, judged: Mapping[str, Any] | None) -> Iterator[str]:
    yield f"{verdict(judged['verdict'] if judged else '—')}{check.id}: {check.statement}"
    if judged:
        yield from paragraph("", measured(judged), indent=12)
        yield from paragraph(
            "", f"control: {check.control}: {measured_control(judged['control'])}", indent=12
        )
    else:
        yield from paragraph("", f"{check.criterion}; control: {check.control}", indent=12)


def measured(judged: Mapping[str, Any]) -> str:
    """Estimate with interval, the criterion, how many it rests on, and why it is not decided."""
    n = f"n = {judged['n']}" + ("" if judged["level"] in (None, 1) else f", level {judged['level']:.7g}")
    reason = f". {judged['reason']}" if judged["reason"] else ""
    return f"{estimate(judged)}; {judged['criterion']}; {n}{reason}"


def measured_control(control: Mapping[str, Any]) -> str:
    return f"{estimate(control)}, {control['verdict']}"


def estimate(judged: Mapping[str, Any]) -> str:
    """With its interval, where it has one besides itself; an end that JSON cannot write has no bound."""
    value, (lo, hi) = judged["estimate"], judged["interval"]
    if value is None or lo == hi == value:
        return number(value)
    ends = ("−∞" if lo is None else number(lo), "∞" if hi is None else number(hi))
    return f"{number(value)} [{', '.join(ends)}]"


def figure_of(place: Path) -> Path | None:
    """The first of the figure's files that is there."""
    return next((place / name for name in FIGURES if (place / name).is_file()), None)


def launch(figure: Path | None) -> int:
    """Open a figure with whatever the desktop has for it; the exit code.

    Raises:
        UsageError: there is no figure, or no display to show it on.
    """
    if figure is None:
        raise UsageError("There is no figure to open. `crosscheck run` draws it.")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UsageError(f"There is no display here to open {figure} on.")
    if click.launch(str(figure)):
        complain(f"Nothing here opens {figure}.")
        return 1
    return 0
