"""`crosscheck run`: train, measure, judge and report; its progress, and what came of it."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscheck.claims.claim import BACKENDS, SCALES
from crosscheck.cli.list import line_of
from crosscheck.cli.options import (
    BUILD,
    FOLDER,
    RESULTS,
    build_folder,
    gpu_option,
    jobs_option,
    json_option,
    loudness_options,
    on_option,
    results_folder,
    seeds_option,
    show_accelerators,
    store_option,
    studies_argument,
    studies_matching,
)
from crosscheck.cli.voice import complain, print_json, verdict

if TYPE_CHECKING:
    from rich.progress import Progress

    from crosscheck.claims.claim import Unit
    from crosscheck.running.pipeline import Finished
    from crosscheck.running.plan import Plan, Request

Advance = Callable[..., None]


@click.command("run")
@studies_argument
@click.option("--scale", type=click.Choice(SCALES), default="standard", show_default=True)
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@click.option("--data", multiple=True, metavar="NAME", help="Use only this data set; may be repeated.")
@seeds_option
@click.option("--pilot", is_flag=True, help="Use the seeds of pilots, and spare those that confirm a design.")
@gpu_option
@click.option(
    "--results",
    type=FOLDER,
    help=f"Folder of the results. [default: {RESULTS}; {BUILD}/smoke, {BUILD}/standard-N-seeds, …]",
)
@click.option(
    "--replace", is_flag=True, help=f"Write to {RESULTS} although what lies there covers more than this run."
)
@store_option
@jobs_option
@on_option
@json_option
@loudness_options
def command(
    patterns: tuple[str, ...],
    gpu: bool,
    scale: str,
    seeds: int | None,
    pilot: bool,
    results: Path | None,
    replace: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Train, measure, judge and report the named STUDIES, or all; what is finished is not done again.

    STUDY may be a pattern: `crosscheck run 'ood_*' --seeds 64`. A run that covers less than the results that
    lie there, for want of a data set or a backend, leaves them alone and writes to a folder of its own.
    """
    from crosscheck.running import pipeline, plan

    show_accelerators(gpu)
    voice = Voice(quiet, verbose, as_json)
    folder = results_folder(results, scale, seeds, pilot)
    names = studies_matching(patterns)
    request = plan.Request(names, scale=scale, results=folder, seeds=seeds, pilot=pilot, **options)
    if pipeline.up_to_date(request):
        voice.print_up_to_date(request)
        return 0
    work = plan.make(request)
    missing = [] if results or replace else lost(request, work)
    if missing:
        request = dataclasses.replace(request, results=build_folder(scale, seeds, request.backend))
        if pipeline.up_to_date(request):
            voice.print_up_to_date(request)
            return 0
    voice.print_coverage(work)
    if missing:
        voice.say(
            f"{folder} covers more ({', '.join(missing)}) and stays as it is: these results go to "
            f"{request.results}. `--replace` overwrites it."
        )
    finished = carry_out(request, work, voice)
    voice.print_finished(request, finished)
    return 0 if finished.sound else 1


def lost(request: Request, work: Plan) -> list[str]:
    """What `RESULTS` covers and would not after this run; nothing where the results go elsewhere."""
    from crosscheck.running import coverage

    return coverage.lost(request, work) if request.results == RESULTS else []


def carry_out(request: Request, work: Plan, voice: Voice) -> Finished:
    """Run a plan, telling of the progress as loud as asked."""
    from crosscheck.running import pipeline

    with voice.progress(work.all_units) as progress:
        return pipeline.run(request, work, progress)


def meet(request: Request, voice: Voice) -> Finished:
    """Plan what a request takes, say what that covers, and carry it out."""
    from crosscheck.running import plan

    work = plan.make(request)
    voice.print_coverage(work)
    return carry_out(request, work, voice)


@dataclass(frozen=True)
class Voice:
    """How loud a run is: `quiet` tells only what falls short, `verbose` a line for each unit.

    With `as_json` the output holds JSON alone, and whatever else there is to tell goes to the error stream.
    """

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False

    def say(self, line: str) -> None:
        if not self.quiet:
            click.echo(line, err=self.as_json)

    def print_coverage(self, work: Plan) -> None:
        """How much of what the studies can use this run uses, and the command that fetches the rest."""
        parts = [(work.read, "data set"), (work.backends, "backend")]
        counts = [
            f"{len(names - work.absent)} of {plural(len(names), what)}" for names, what in parts if names
        ]
        left_out = f" Not run here: {', '.join(sorted(work.absent))}." if work.absent else ""
        covered = f"Covered: {', '.join(counts)}." if counts else "Nothing to run at this scale."
        self.say(covered + left_out)
        for line in remedies(work):
            self.say(line)

    @contextmanager
    def progress(self, units: Sequence[Unit]) -> Iterator[Advance]:
        """What the runner calls after each unit: moves a bar in a terminal, prints a line elsewhere."""
        if self.quiet:
            yield lambda *_: None
        elif self.verbose or not sys.stderr.isatty():
            yield printed_lines(len(units), self.verbose)
        else:
            with moving_bar(sum(unit.cost for unit in units)) as advance:
                yield advance

    def print_up_to_date(self, request: Request) -> None:
        if self.as_json:
            verdicts = {name: line_of(name, "", request.results).verdict for name in request.names}
            nothing = {"finished": 0, "reused": 0, "shortcomings": []}
            print_json({**request_keys(request), "studies": verdicts, **nothing})
            return
        studies, scale = plural(len(request.names), "study", "studies"), request.scale
        self.say(f"Nothing to do: {request.results} is up to date ({studies}, scale {scale}).")

    def print_finished(self, request: Request, finished: Finished) -> None:
        """Verdicts on the output, shortcomings on the error stream."""
        outcome, complaints = finished.outcome, shortcomings(finished)
        verdicts = {name: study.verdict for name, study in finished.studies.items()}
        if self.as_json:
            counts = {"finished": outcome.finished, "reused": outcome.reused}
            print_json({**request_keys(request), "studies": verdicts, **counts, "shortcomings": complaints})
        elif not self.quiet:
            for name, study in finished.studies.items():
                absent = f"  not run here: {', '.join(study.absent)}" if study.absent else ""
                click.echo(f"{verdict(study.verdict)}{name}{absent}")
            report = f"The report: {request.results / 'README.md'}, {request.results / 'report.html'}"
            click.echo(f"{plural(outcome.finished, 'unit')} run, {outcome.reused} reused. {report}")
        for line in complaints:
            complain(line)


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def remedies(work: Plan) -> list[str]:
    """The one command that fetches what is missing, and a line on data sets that no command fetches."""
    from crosscheck.data import CATALOGUE

    python = os.path.relpath(sys.executable)
    python = sys.executable if python.startswith("..") else python
    by_hand = [name for name in sorted(work.unprepared) if CATALOGUE[name].archive]
    sets = [name for name in sorted(work.unprepared) if name not in by_hand]
    commands = [f"{python} -m pip install {' '.join(sorted(work.uninstalled))}"] if work.uninstalled else []
    commands += [f"{python} -m crosscheck data {' '.join(sets)}"] if sets else []
    lines = [f"To fetch the rest: {' && '.join(commands)}"] if commands else []
    if by_hand:
        lines.append(f"From archives: {', '.join(by_hand)}; `crosscheck data {by_hand[0]}` says how.")
    return lines


def request_keys(request: Request) -> dict[str, Any]:
    """What was asked for, as the JSON of a run has it."""
    keys = {"scale": request.scale, "backend": request.backend, "seeds": request.seeds}
    return {**keys, "results": str(request.results), "store": str(request.store)}


@contextmanager
def moving_bar(cost: float) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=600) as bar:
        yield advance_of(bar, cost)


def advance_of(bar: Progress, cost: float) -> Advance:
    """Progress in rough seconds of work, that gives the remaining time a meaning; reused units cost none."""
    task, left = bar.add_task("running", total=cost), cost

    def advance(unit: Unit, seconds: float | None, cost: float) -> None:
        nonlocal left
        if seconds is None:
            left -= cost
            bar.update(task, total=left)
        else:
            bar.update(task, advance=cost, description=str(unit))

    return advance


def printed_lines(total: int, also_reused: bool = False) -> Advance:
    """One line for each unit that was run, for logs; for those that were there already, if asked."""
    count = 0

    def advance(unit: Unit, seconds: float | None, cost: float) -> None:
        nonlocal count
        count += 1
        if seconds is not None or also_reused:
            took = "reused" if seconds is None else f"{seconds:.1f} s"
            click.echo(f"[{count}/{total}] {unit}: {took}", err=True)

    return advance


def shortcomings(finished: Finished) -> list[str]:
    """One line for each unit that failed or gave NaN, each invalid check, each table or figure not made."""
    failed = [f"unit failed: {failure}" for failure in finished.outcome.failed]
    nan = [f"unit gave NaN: {unit}" for unit in finished.outcome.nan]
    invalid = [f"invalid: {check}" for check in finished.invalid]
    return [*failed, *nan, *invalid, *finished.faults]
