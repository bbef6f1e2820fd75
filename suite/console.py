"""What the commands print: coloured verdicts, the outcome of a run, the drift table."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from suite.verify import Line

if TYPE_CHECKING:
    from rich.progress import Progress

    from suite.claims import Unit
    from suite.pipeline import Finished
    from suite.plan import Plan, Request

COLOURS = {"holds": "green", "scoped": "blue", "fails": "red", "undecided": "yellow", "invalid": "magenta"}
WIDTH = max(map(len, COLOURS)) + 2
HEADS = ("check", "reference", "now", "moved (SE)", "verdict", "why")


def verdict(word: str) -> str:
    """A verdict in its colour, padded to a column; click drops the colour where none can be shown."""
    return click.style(f"{word:{WIDTH}}", fg=COLOURS.get(word))


def recorded_verdict(file: Path) -> str:
    """The verdict in a verdict.json, read without what is heavy; `—` where there is none."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["verdict"])
    except FileNotFoundError:
        return "—"
    except (OSError, ValueError, KeyError, TypeError):
        return "unreadable"


def complain(message: str) -> None:
    click.echo(f"crosscheck: {message}", err=True)


def tell_plan(work: Plan) -> None:
    """A line on the data sets and one on the backends that are left out; silence where nothing is."""
    if work.unprepared:
        names = sorted(work.unprepared)
        fetch = f"`crosscheck data {' '.join(names)}` fetches {'it' if len(names) == 1 else 'them'}"
        click.echo(f"Left out, not prepared here: {', '.join(names)} ({fetch}).")
    if work.uninstalled:
        names = sorted(work.uninstalled)
        click.echo(f"Left out, not installed here: {', '.join(names)} (`pip install {' '.join(names)}`).")


@contextmanager
def progress(units: Sequence[Unit]) -> Iterator[Callable[..., None]]:
    """What the runner calls after each unit: moves a bar in a terminal, prints a line elsewhere."""
    if not sys.stderr.isatty():
        yield lines(len(units))
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=600) as shown:
        yield bar(shown, sum(unit.cost for unit in units))


def bar(shown: Progress, cost: float) -> Callable[..., None]:
    """Progress in rough seconds of work, that gives the remaining time a meaning; reused units cost none."""
    task, left = shown.add_task("running", total=cost), cost

    def advance(unit: Unit, seconds: float | None, cost: float) -> None:
        nonlocal left
        if seconds is None:
            left -= cost
            shown.update(task, total=left)
        else:
            shown.update(task, advance=cost, description=str(unit))

    return advance


def lines(total: int) -> Callable[..., None]:
    """One line for each unit that was run, for logs."""
    done = 0

    def tell(unit: Unit, seconds: float | None, cost: float) -> None:
        nonlocal done
        done += 1
        if seconds is not None:
            click.echo(f"[{done}/{total}] {unit}: {seconds:.1f} s", err=True)

    return tell


def tell_finished(request: Request, finished: Finished) -> None:
    """Verdicts on the output, shortcomings on the error stream."""
    for name, study in finished.studies.items():
        click.echo(f"{verdict(study.verdict)}{name}")
    done = finished.outcome
    click.echo(
        f"{done.finished} units run, {done.reused} reused. "
        f"The report: {request.results / 'README.md'}, {request.results / 'report.html'}"
    )
    for line in shortcomings(finished):
        complain(line)


def shortcomings(finished: Finished) -> list[str]:
    """One line for each unit that failed or gave NaN, each invalid check, each table or figure not made."""
    failed = [f"unit failed: {failure}" for failure in finished.outcome.failed]
    nan = [f"unit gave NaN: {unit}" for unit in finished.outcome.nan]
    invalid = [f"invalid: {told}" for told in finished.invalid]
    return [*failed, *nan, *invalid, *finished.faults]


def tell_drift(lines: Sequence[Line], changes: Iterable[str], left_out: Iterable[str]) -> None:
    """What moved, as a table, and under which changed circumstances."""
    moved = [line for line in lines if line.drift]
    if moved:
        click.echo("\n".join(columns([HEADS, *map(cells, moved)])))
    if left_out:
        click.echo(f"Not compared, absent in one of the two: {', '.join(left_out)}.")
    for change in changes:
        click.echo(f"changed: {change}")
    click.echo(f"{len(lines)} verdicts and estimates compared, {len(moved)} moved.")


def cells(line: Line) -> tuple[str, ...]:
    then, now = line.verdicts
    moved = "—" if line.moved is None else f"{line.moved:+.1f}"
    return (line.id, number(line.reference), number(line.now), moved, f"{then} → {now}", line.drift)


def number(value: float | None) -> str:
    return "—" if value is None else f"{value:.5g}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text with their cells padded to the widest of each column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
