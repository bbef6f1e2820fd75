"""The command line: `crosscheck`, or `python -m suite`. Whatever is heavy is imported inside a command.

Exit codes: 0 done; 1 something fell short (a unit failed, a check is invalid, `verify` found drift);
2 the request cannot be met; 130 interrupted. A claim that fails is a finding, and no error.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import studies
import suite
from suite import console
from suite.claims import BACKENDS, SCALES
from suite.errors import CrosscheckError, UsageError

if TYPE_CHECKING:
    from suite.plan import Request

INTERRUPTED = 130
FOLDER = click.Path(path_type=Path)
RESULTS = Path("results")
LOOK = Path("build/smoke")  # a quick look never replaces the reference


def main() -> NoReturn:
    """Run the command line and leave with its exit code; a mistake costs one line and no traceback."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1 or os.environ.get("CROSSCHECK_DEBUG", "") not in ("", "0")
    try:
        sys.exit(cli(arguments, prog_name="crosscheck", standalone_mode=False) or 0)
    except (KeyboardInterrupt, click.Abort):
        console.complain("Interrupted. What is finished is kept: the same command goes on from there.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader has seen enough, as in `crosscheck list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            traceback.print_exc()
        console.complain(explained(error))
        sys.exit(getattr(error, "exit_code", 1))


def explained(error: Exception) -> str:
    """One line that says what was wrong and what to do."""
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        see = f" See `{context.command_path} --help`." if context else ""
        return " ".join(error.format_message().split()) + see
    if isinstance(error, CrosscheckError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. Free some space and run again: nothing is lost."
    return f"{type(error).__name__}: {error}. This is a fault of crosscheck; with --debug it says where."


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(suite.__version__, message="crosscheck %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error (or set CROSSCHECK_DEBUG=1).")
def cli(debug: bool) -> None:
    """Which textbook claims about cross-entropy hold in real Keras, where exactly, and how sure are we?"""


results_option = click.option(
    "--results", type=FOLDER, default=RESULTS, show_default=True, help="Folder of verdicts, figures, report."
)
store_option = click.option(
    "--store", type=FOLDER, default=Path(".store"), show_default=True, help="Folder of saved rows."
)
jobs_option = click.option(
    "--jobs", type=click.IntRange(min=1), help="Worker processes; as many as fit if not given."
)
gpu_option = click.option(
    "--gpu", is_flag=True, envvar="GPU", help="Let the backend see accelerators; otherwise they stay hidden."
)
named_studies = click.argument("names", metavar="[STUDY]...", nargs=-1)


def known(names: tuple[str, ...]) -> tuple[str, ...]:
    """The named studies in the order of the register; all where none is named."""
    for name in set(names) - set(studies.NAMES):
        studies.load(name)  # refuses, and suggests the nearest name
    return tuple(name for name in studies.NAMES if name in (names or studies.NAMES))


def show_accelerators(gpu: bool) -> None:
    """Workers see none otherwise: a number should not depend on whether one happens to be there."""
    os.environ["GPU"] = "1" if gpu else "0"


def meet(request: Request) -> int:
    """Run a request and tell what came of it; the exit code."""
    from suite import pipeline, plan

    work = plan.make(request)
    console.tell_plan(work)
    with console.progress(work.all_units) as progress:
        finished = pipeline.run(request, work, progress)
    console.tell_finished(request, finished)
    return 0 if finished.sound else 1


@cli.command("list")
@results_option
def list_(results: Path) -> None:
    """The claims, each with its verdict where it has been judged."""
    for name in studies.NAMES:
        verdict = console.recorded_verdict(results / name / "verdict.json")
        click.echo(f"{console.verdict(verdict)}{name:24}{studies.load(name).CLAIM.title}")


@cli.command()
@named_studies
@click.option("--scale", type=click.Choice(SCALES), default="standard", show_default=True)
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@click.option("--data", multiple=True, metavar="NAME", help="Use only this data set; may be repeated.")
@gpu_option
@click.option("--results", type=FOLDER, help=f"Folder of the results. [default: {RESULTS}; smoke: {LOOK}]")
@store_option
@jobs_option
def run(names: tuple[str, ...], gpu: bool, scale: str, results: Path | None, **options: Any) -> int:
    """Train, measure, judge and report the named STUDIES, or all. What is finished is not done again."""
    from suite import pipeline, plan

    show_accelerators(gpu)
    folder = results or (LOOK if scale == "smoke" else RESULTS)
    request = plan.Request(known(names), scale=scale, results=folder, **options)
    if pipeline.up_to_date(request):
        click.echo(f"Nothing to do: {folder} is up to date ({len(request.names)} studies, scale {scale}).")
        return 0
    return meet(request)


@cli.command()
@results_option
def report(results: Path) -> None:
    """Write the report anew from the verdicts, tables and figures that are there."""
    from suite import report as reports

    for path in reports.write_report(results):
        click.echo(path)


@cli.command()
@named_studies
@click.option("--reference", type=FOLDER, default=RESULTS, show_default=True, help="What to compare with.")
@click.option("--against", type=FOLDER, help="Compare with this results folder, and run nothing.")
@click.option("--scratch", type=FOLDER, help="Run in this folder and keep it; else in a temporary one.")
@gpu_option
@jobs_option
def verify(
    names: tuple[str, ...],
    reference: Path,
    against: Path | None,
    scratch: Path | None,
    gpu: bool,
    jobs: int | None,
) -> int:
    """Run afresh, at the reference's scale, and compare verdict by verdict and estimate by estimate."""
    from suite import rerun
    from suite.verify import changes, compare, left_out

    show_accelerators(gpu)
    then = rerun.recorded(reference, known(names) if names else ())
    if against:
        now = rerun.recorded(against, names)
    else:
        with rerun.empty_folder(scratch) as folder:
            now = rerun.afresh(then, folder, jobs, meet)
    lines = compare(then, now)
    console.tell_drift(lines, changes(then, now), left_out(then, now))
    return 1 if any(line.drift for line in lines) else 0


@cli.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--loss", help="Examine it with this loss of Keras, by name, in place of the one compiled in.")
@click.option(
    "--import", "modules", multiple=True, metavar="MODULE", help="Import first what the model needs."
)
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Every reading, as JSON.")
@gpu_option
def doctor(
    model: Path, loss: str | None, modules: tuple[str, ...], backend: str, as_json: bool, gpu: bool
) -> int:
    """Is MODEL, a compiled .keras file, on a broken path? Whether confident errors keep their gradient.

    Takes steps of the model's own training on a copy, with logits that are set by hand. Exit code 1 where a
    gradient is lost.
    """
    from suite import plan

    plan.require_backend(backend)
    show_accelerators(gpu)
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from suite.doctor.command import see

    told, sound = see(model, loss, modules, as_json)
    click.echo(told)
    return 0 if sound else 1


@cli.command()
@click.argument("target", required=False, metavar="[MODULE:LOSS]")
@click.option("--kind", type=click.Choice(("binary", "categorical", "sparse", "multilabel")))
@click.option("--config", default="{}", metavar="JSON", help="Constructor arguments.")
@click.option("--theory", metavar="NAME", help="What it is meant to be: focal, hinge, …, or module:function.")
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The scorecard as JSON.")
@click.option("--out", type=FOLDER, default=RESULTS / "audit", show_default=True, help="For Keras' losses.")
@click.option("--rates", type=click.IntRange(min=2), metavar="N", help="Check N random losses instead.")
def audit(
    target: str | None,
    kind: str | None,
    config: str,
    theory: str | None,
    backend: str,
    as_json: bool,
    out: Path,
    rates: int | None,
) -> int:
    """Check MODULE:LOSS, a class or a function of (y_true, y_pred), against theory and against careless use.

    Without one, check what Keras ships and write audit.json and table.md. Exit code 1 where a check fails.
    With --rates, check N random losses, half of them broken, and write how often the check was wrong.
    """
    from suite import plan

    plan.require_backend(backend)
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from suite.audit import command

    if rates:
        return 0 if command.measured(rates, out, click.echo) else 1
    if not target:
        return 0 if command.every(out, click.echo) else 1
    told, sound = command.one(target, kind, config, as_json, theory)
    click.echo(told)
    return 0 if sound else 1


@cli.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--from", "source", type=FOLDER, help="Prepare from original files in FOLDER/NAME, offline.")
def data(names: tuple[str, ...], source: Path | None) -> None:
    """Fetch and prepare data sets by NAME; without a name, list them."""
    from suite import data as sets

    if source and not names:
        raise UsageError("Name the data sets to prepare from --from, as in `crosscheck data mnist --from …`.")
    for name in names:
        sets.lookup(name)
    for name in names:
        sets.prepare(name, source)
        click.echo(f"{name} is prepared in {sets.data_dir()}.")
    if not names:
        for name, entry in sets.CATALOGUE.items():
            there = "prepared" if sets.prepared(name) else "not prepared"
            click.echo(f"{name:16}{entry.version:10}{there:14}{entry.licence}")
