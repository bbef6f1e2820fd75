"""`crosscheck show`: a sentence with its evidence, or a study with its formula and every check."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscheck.claims import register
from crosscheck.claims.claim import Check, Claim, Study
from crosscheck.cli import chapter
from crosscheck.cli.options import (
    RESULTS,
    completed_study_or_sentence,
    json_option,
    results_or_reference_option,
)
from crosscheck.cli.voice import COLOURS, complain, number, paragraph, print_json, verdict
from crosscheck.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.claims.judged import CheckRecord, ControlRecord
    from crosscheck.report.records import VerdictRecord

SENTENCE = re.compile(r"S\d+")
FIGURES = ("figure.svg", "figure.png")


@click.command("show")
@click.argument("name", metavar="STUDY|SENTENCE", shell_complete=completed_study_or_sentence)
@results_or_reference_option
@click.option("--open", "opened", is_flag=True, help="Open the figure, where there is a display.")
@json_option
def command(name: str, results: Path | None, opened: bool, as_json: bool) -> int:
    """A sentence of the chapter (S01 to S59) with its verdict, evidence, conditions and checks; or the claim
    of a STUDY, its formula, its verdict check by check with intervals, and where its figure is.

    What has not been run on this machine is shown with the verdict of the reference.
    """
    if SENTENCE.fullmatch(name):
        return show_sentence(name, results, opened, as_json)
    study, folder = register.load(name), (results or RESULTS) / name
    record, source = record_in(folder), "results"
    if record is None and results is None:
        record, source = of_reference(name)
    figure = figure_in(folder)
    if as_json:
        keys = {"figure": figure and str(figure), "verdict_from": source if record else None}
        print_json({**(as_dict(record) if record else unjudged(name, study.CLAIM)), **keys})
    else:
        click.echo("\n".join(lines(name, study, record, source, figure)))
    return launch(figure) if opened else 0


def show_sentence(id: str, results: Path | None, opened: bool, as_json: bool) -> int:
    """Print a sentence.

    Raises:
        UsageError: there is none of this id, its chapter is broken, or a figure of it is asked for.
    """
    from crosscheck.report.chapter import require_known
    from crosscheck.running import reference

    require_known(id)
    if opened:
        raise UsageError(
            "A sentence has no figure; the studies behind it have: `crosscheck show STUDY --open`."
        )
    (line,) = chapter.sourced([id], results)
    if as_json:
        print_json(chapter.as_dict(line))
    else:
        click.echo("\n".join(chapter.lines(line, reference.description())))
    return 0


def record_in(folder: Path) -> VerdictRecord | None:
    """The record in a study's folder; None where there is none.

    Raises:
        UsageError: it is broken.
    """
    from crosscheck.report.records import FILE, read

    return read(folder / FILE) if (folder / FILE).exists() else None


def of_reference(name: str) -> tuple[VerdictRecord | None, str]:
    """The record of the reference, if it has one, and what the reference is."""
    from crosscheck.running import reference

    with reference.folder((name,)) as folder:
        return record_in(folder / name), f"the reference, {reference.description()}"


def as_dict(record: VerdictRecord) -> dict[str, Any]:
    from crosscheck.report.records import plain

    return plain(record)


def unjudged(name: str, claim: Claim) -> dict[str, Any]:
    """The keys of a record that stand before any run; `verdict` is None."""
    return {
        **{"study": name, "title": claim.title, "claim": claim.statement, "formula": claim.formula},
        **{"source": claim.source, "correct": claim.correct, "verdict": None, "checks": []},
    }


def lines(
    name: str, study: Study, record: VerdictRecord | None, source: str, figure: Path | None
) -> Iterator[str]:
    """The claim as the study states it, and the verdict as its record has it; None where there is none."""
    claim = study.CLAIM
    yield click.style(f"{name}: {claim.title}", bold=True)
    yield from paragraph("claim", claim.statement)
    yield from paragraph("formula", claim.formula)
    yield from paragraph("source", claim.source)
    if claim.correct:
        yield from paragraph("correct", claim.correct)
    word = record.verdict if record else f"— not judged yet: `crosscheck run {name}`"
    yield f"{'verdict':10}{click.style(word, fg=COLOURS.get(word))}"
    if record and source != "results":
        yield from paragraph("", f"not run here: this is {source}")
    yield ""
    judged = {check.id: check for check in record.checks} if record else {}
    for check in study.CHECKS:
        yield from lines_of_check(check, judged.get(check.id))
    if record and source == "results":
        yield from paragraph("figure", str(figure) if figure else "— none was made")


def lines_of_check(check: Check, judged: CheckRecord | None) -> Iterator[str]:
    yield f"{verdict(judged.verdict if judged else '—')}{check.id}: {check.statement}"
    if judged:
        control = f"must fail: {check.control}: {estimate(judged.control)}, {judged.control.verdict}"
        yield from paragraph("", measurement(judged), indent=12)
        yield from paragraph("", control, indent=12)
        if judged.positive:
            held = f"{estimate(judged.positive)}, {judged.positive.verdict}"
            yield from paragraph("", f"must hold: {check.positive}: {held}", indent=12)
    else:
        controls = f"must fail: {check.control}" + (
            f"; must hold: {check.positive}" if check.positive else ""
        )
        yield from paragraph("", f"{check.criterion}; {controls}", indent=12)


def measurement(judged: CheckRecord) -> str:
    """Estimate with interval, the criterion, how many it rests on, and why it is not decided."""
    n = f"n = {judged.n}" + ("" if judged.level in (None, 1) else f", level {judged.level:.7g}")
    reason = f". {judged.reason}" if judged.reason else ""
    return f"{estimate(judged)}; {judged.criterion}; {n}{reason}"


def estimate(judged: CheckRecord | ControlRecord) -> str:
    """With its interval, where it has one besides itself; an end that JSON cannot write has no bound."""
    value, (lo, hi) = judged.estimate, judged.interval
    if value is None or lo == hi == value:
        return number(value)
    ends = ("−∞" if lo is None else number(lo), "∞" if hi is None else number(hi))
    return f"{number(value)} [{', '.join(ends)}]"


def figure_in(folder: Path) -> Path | None:
    """The first of the figure's files that is there."""
    return next((folder / name for name in FIGURES if (folder / name).is_file()), None)


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
