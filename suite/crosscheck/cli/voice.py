"""What the commands print: claims and verdicts, the progress and outcome of a run, the drift table.

Colour, bars and ruled tables are for terminals; elsewhere the same stands in plain columns.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscheck.claims.words import Verdict

if TYPE_CHECKING:
    from rich.progress import Progress

    from crosscheck.claims.claim import Unit
    from crosscheck.running.pipeline import Finished
    from crosscheck.running.plan import Plan, Request

COLOURS: dict[str, str] = {verdict: verdict.terminal for verdict in Verdict}
WIDTH = max(map(len, COLOURS)) + 2
Advance = Callable[..., None]


def verdict(word: str) -> str:
    """A verdict in its colour, padded to a column; click drops the colour where none can be shown."""
    return click.style(f"{word:{WIDTH}}", fg=COLOURS.get(word))


def complain(message: str) -> None:
    """One line on the error stream, whatever characters somebody has put into a name that it repeats."""
    click.echo(f"crosscheck: {''.join(map(shown, message))}", err=True)


def shown(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character in "\n\r\t" else character.encode("unicode_escape").decode()


def tell_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def number(value: float | None, digits: int = 5) -> str:
    return "—" if value is None else f"{value:.{digits}g}"


# --- tables -----------------------------------------------------------------------------------------


def tell_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Ruled in a terminal, with verdicts in their colours; plain columns elsewhere, for other programs."""
    if not sys.stdout.isatty():
        click.echo("\n".join(columns([heads, *rows])))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads)
    for row in rows:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    Console().print(table)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text with their cells padded to the widest of each column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


# --- list, data -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """A claim in the list; `checks` says how many checks there are of each verdict."""

    study: str
    verdict: str
    checks: Mapping[str, int]
    title: str

    def cells(self) -> tuple[str, ...]:
        counts = ", ".join(f"{count} {word}" for word, count in self.checks.items())
        return self.study, self.verdict, counts or "—", self.title


def listed(name: str, title: str, results: Path) -> Listed:
    """As its verdict.json says, which is read without what is heavy; `—` where there is none."""
    try:
        record = json.loads((results / name / "verdict.json").read_text(encoding="utf-8"))
        words = [str(check["verdict"]) for check in record["checks"]]
        return Listed(name, str(record["verdict"]), dict(Counter(words).most_common()), title)
    except FileNotFoundError:
        return Listed(name, "—", {}, title)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Listed(name, "unreadable", {}, title)


def tell_list(found: Sequence[Listed], as_json: bool) -> None:
    if as_json:
        tell_json([asdict(each) for each in found])
    else:
        tell_table(("study", "verdict", "checks", "claim"), [each.cells() for each in found])


def tell_sets(found: Mapping[str, Any], as_json: bool) -> None:
    """Data sets by name, as the catalogue has them."""
    from crosscheck.data import prepared

    if as_json:
        told = {name: (entry.version, prepared(name), entry.licence) for name, entry in found.items()}
        keys = ("version", "prepared", "licence")
        tell_json([{"name": name, **dict(zip(keys, each, strict=True))} for name, each in told.items()])
        return
    there = {True: "prepared", False: "not prepared"}
    cells = [(name, entry.version, there[prepared(name)], entry.licence) for name, entry in found.items()]
    tell_table(("data set", "version", "here", "licence"), cells)


# --- run --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Voice:
    """How loud a command is: `quiet` tells only what falls short, `verbose` a line for each unit.

    With `as_json` the output holds JSON alone, and whatever else there is to tell goes to the error stream.
    """

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False

    def say(self, line: str) -> None:
        if not self.quiet:
            click.echo(line, err=self.as_json)

    def tell_plan(self, work: Plan) -> None:
        """A line on the data sets and one on the backends that are left out; silence where nothing is."""
        if work.unprepared:
            names = sorted(work.unprepared)
            fetch = f"`crosscheck data {' '.join(names)}` fetches {'it' if len(names) == 1 else 'them'}"
            self.say(f"Left out, not prepared here: {', '.join(names)} ({fetch}).")
        if work.uninstalled:
            names = sorted(work.uninstalled)
            self.say(f"Left out, not installed here: {', '.join(names)} (`pip install {' '.join(names)}`).")

    @contextmanager
    def progress(self, units: Sequence[Unit]) -> Iterator[Advance]:
        """What the runner calls after each unit: moves a bar in a terminal, prints a line elsewhere."""
        if self.quiet:
            yield lambda *_: None
        elif self.verbose or not sys.stderr.isatty():
            yield lines(len(units), self.verbose)
        else:
            with moving_bar(sum(unit.cost for unit in units)) as advance:
                yield advance

    def tell_up_to_date(self, request: Request) -> None:
        if self.as_json:
            found = {name: listed(name, "", request.results).verdict for name in request.names}
            tell_json({**asked(request), "studies": found, "finished": 0, "reused": 0, "shortcomings": []})
            return
        count, scale = len(request.names), request.scale
        self.say(f"Nothing to do: {request.results} is up to date ({count} studies, scale {scale}).")

    def tell_finished(self, request: Request, finished: Finished) -> None:
        """Verdicts on the output, shortcomings on the error stream."""
        done, short = finished.outcome, shortcomings(finished)
        found = {name: study.verdict for name, study in finished.studies.items()}
        if self.as_json:
            counts = {"finished": done.finished, "reused": done.reused}
            tell_json({**asked(request), "studies": found, **counts, "shortcomings": short})
        elif not self.quiet:
            for name, word in found.items():
                click.echo(f"{verdict(word)}{name}")
            report = f"The report: {request.results / 'README.md'}, {request.results / 'report.html'}"
            click.echo(f"{done.finished} units run, {done.reused} reused. {report}")
        for line in short:
            complain(line)


def asked(request: Request) -> dict[str, Any]:
    told = {"scale": request.scale, "backend": request.backend, "seeds": request.seeds}
    return {**told, "results": str(request.results), "store": str(request.store)}


@contextmanager
def moving_bar(cost: float) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=600) as shown:
        yield bar(shown, cost)


def bar(shown: Progress, cost: float) -> Advance:
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


def lines(total: int, also_reused: bool = False) -> Advance:
    """One line for each unit that was run, for logs; for those that were there already, if asked."""
    done = 0

    def tell(unit: Unit, seconds: float | None, cost: float) -> None:
        nonlocal done
        done += 1
        if seconds is not None or also_reused:
            took = "reused" if seconds is None else f"{seconds:.1f} s"
            click.echo(f"[{done}/{total}] {unit}: {took}", err=True)

    return tell


def shortcomings(finished: Finished) -> list[str]:
    """One line for each unit that failed or gave NaN, each invalid check, each table or figure not made."""
    failed = [f"unit failed: {failure}" for failure in finished.outcome.failed]
    nan = [f"unit gave NaN: {unit}" for unit in finished.outcome.nan]
    invalid = [f"invalid: {told}" for told in finished.invalid]
    return [*failed, *nan, *invalid, *finished.faults]
