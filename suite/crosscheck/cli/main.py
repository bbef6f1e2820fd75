"""The command line: `crosscheck`, or `python -m crosscheck`. Whatever is heavy is imported inside a command.

Exit codes: 0 done; 1 something fell short (a unit failed, a check is invalid, `verify` found drift);
2 the request cannot be met; 130 interrupted, 143 terminated. A claim that fails is a finding, and no error.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import crosscheck
from crosscheck.claims import register
from crosscheck.claims.claim import BACKENDS, SCALES
from crosscheck.cli import voice
from crosscheck.cli.options import (
    BUILD,
    FOLDER,
    RESULTS,
    gpu_option,
    jobs_option,
    json_option,
    known,
    known_sets,
    loud_option,
    named_studies,
    results_folder,
    results_option,
    seeds_option,
    starting,
    store_option,
)
from crosscheck.errors import CrosscheckError, UsageError

if TYPE_CHECKING:
    from crosscheck.running.pipeline import Finished
    from crosscheck.running.plan import Request

INTERRUPTED, TERMINATED = 130, 143
SHELLS = ("bash", "zsh", "fish")


def main() -> NoReturn:
    """Run the command line and leave with its exit code; a mistake costs one line and no traceback."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1 or os.environ.get("CROSSCHECK_DEBUG", "") not in ("", "0")
    colour = False if os.environ.get("NO_COLOR") else None  # None: only where it can be shown
    signal.signal(signal.SIGTERM, terminate)
    try:
        sys.exit(cli(arguments, prog_name="crosscheck", standalone_mode=False, color=colour) or 0)
    except (KeyboardInterrupt, click.Abort):
        voice.complain("Interrupted. What is finished is kept: the same command goes on from there.")
        sys.exit(INTERRUPTED)
    except Exception as error:
        if debug:
            traceback.print_exc()
        voice.complain(explained(error))
        sys.exit(getattr(error, "exit_code", 1))


def terminate(*_: Any) -> NoReturn:
    """What a batch system or `timeout` sends: leave in order, so that no worker stays behind."""
    voice.complain("Terminated. What is finished is kept: the same command goes on from there.")
    sys.exit(TERMINATED)


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
@click.version_option(crosscheck.__version__, message="crosscheck %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error (or set CROSSCHECK_DEBUG=1).")
def cli(debug: bool) -> None:
    """Which textbook claims about cross-entropy hold in real Keras, where exactly, and how sure are we?

    Completion of commands, studies and options: `crosscheck completion bash` prints a script for the shell
    (bash, zsh or fish) and says where it goes. Colour is used in a terminal only, and never where NO_COLOR is
    set.
    """


def show_accelerators(gpu: bool) -> None:
    """Workers see none otherwise: a number should not depend on whether one happens to be there."""
    os.environ["GPU"] = "1" if gpu else "0"


def meet(request: Request, speaker: voice.Voice) -> Finished:
    """Have a request met, telling of the progress as loud as asked."""
    from crosscheck.running import pipeline, plan

    work = plan.make(request)
    speaker.tell_plan(work)
    with speaker.progress(work.all_units) as progress:
        return pipeline.run(request, work, progress)


@cli.command("list")
@named_studies
@results_option
@json_option
def list_(names: tuple[str, ...], results: Path, as_json: bool) -> None:
    """The claims, each with its verdict where it has been judged. STUDY may be a pattern: 'ood_*'."""
    found = [voice.listed(name, register.load(name).CLAIM.title, results) for name in known(names)]
    voice.tell_list(found, as_json)


@cli.command()
@click.argument(
    "name", metavar="STUDY", shell_complete=lambda context, parameter, text: starting(register.NAMES, text)
)
@results_option
@click.option("--open", "opened", is_flag=True, help="Open the figure, where there is a display.")
@json_option
def show(name: str, results: Path, opened: bool, as_json: bool) -> int:
    """The claim of STUDY, its formula, its verdict check by check with intervals, and where its figure is."""
    from crosscheck.cli import showing
    from crosscheck.report.records import FILE, plain, read

    study, place = register.load(name), results / name
    record = plain(read(place / FILE)) if (place / FILE).exists() else None
    figure = showing.figure_of(place)
    tell = showing.tell_record if as_json else showing.tell_study
    tell(name, study, record, figure)
    return showing.launch(figure) if opened else 0


@cli.command()
@named_studies
@click.option("--scale", type=click.Choice(SCALES), default="standard", show_default=True)
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@click.option("--data", multiple=True, metavar="NAME", help="Use only this data set; may be repeated.")
@seeds_option
@gpu_option
@click.option(
    "--results",
    type=FOLDER,
    help=f"Folder of the results. [default: {RESULTS}; {BUILD}/smoke, {BUILD}/standard-N-seeds, …]",
)
@store_option
@jobs_option
@json_option
@loud_option
def run(
    names: tuple[str, ...],
    gpu: bool,
    scale: str,
    seeds: int | None,
    results: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Train, measure, judge and report the named STUDIES, or all; what is finished is not done again.

    STUDY may be a pattern: `crosscheck run 'ood_*' --seeds 64`.
    """
    from crosscheck.running import pipeline, plan

    show_accelerators(gpu)
    speaker = voice.Voice(quiet, verbose, as_json)
    folder = results_folder(results, scale, seeds)
    request = plan.Request(known(names), scale=scale, results=folder, seeds=seeds, **options)
    if pipeline.up_to_date(request):
        speaker.tell_up_to_date(request)
        return 0
    finished = meet(request, speaker)
    speaker.tell_finished(request, finished)
    return 0 if finished.sound else 1


@cli.command()
@results_option
@click.option("--pdf", type=FOLDER, metavar="FILE", help="Print it into FILE as well; needs Chromium.")
def report(results: Path, pdf: Path | None) -> None:
    """Write the report anew from the verdicts, tables and figures that are there."""
    from crosscheck.report import page as reports

    written = reports.write_report(results)
    if pdf:
        from crosscheck.report.pdf import to_pdf

        to_pdf(written[-1], pdf)
        written.append(pdf)
    for path in written:
        click.echo(path)


@cli.command()
@named_studies
@click.option("--reference", type=FOLDER, default=RESULTS, show_default=True, help="What to compare with.")
@click.option(
    "--against", type=FOLDER, multiple=True, help="Compare with this results folder, and run nothing."
)
@click.option("--scratch", type=FOLDER, help="Run in this folder and keep it; else in a temporary one.")
@click.option("--out", type=FOLDER, metavar="PATH", help="Write the comparison to PATH.md and PATH.json.")
@gpu_option
@jobs_option
@json_option
@loud_option
def verify(
    names: tuple[str, ...],
    reference: Path,
    against: tuple[Path, ...],
    scratch: Path | None,
    out: Path | None,
    gpu: bool,
    jobs: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run afresh, at the reference's scale, and compare verdict by verdict and estimate by estimate.

    Two machines, two backends, two versions: `--against FOLDER` compares results that are there already, and
    may be repeated. Exit code 1 where something moved, or came out different when drawn again from its rows.
    """
    from crosscheck.cli import drift
    from crosscheck.running import rerun

    show_accelerators(gpu)
    chosen = known(names) if names else ()
    then = rerun.recorded(reference, chosen)
    if against:
        found = [
            drift.of_common(str(reference), then, str(folder), rerun.recorded(folder, chosen))
            for folder in against
        ]
    else:
        speaker = voice.Voice(quiet, verbose, as_json)
        with rerun.empty_folder(scratch) as folder:
            now = rerun.afresh(then, folder, jobs, lambda request: meet(request, speaker))
            redrawn = rerun.redrawn(then, folder)
        found = [drift.between(str(reference), then, "a fresh run", now, redrawn=redrawn)]
    if as_json or not quiet or not all(each.sound for each in found):
        drift.tell(found, as_json)
    if out:
        drift.write(found, out)
    return 0 if all(each.sound for each in found) else 1


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
    from crosscheck.running import plan

    plan.require_backend(backend)
    show_accelerators(gpu)
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from crosscheck.doctor.command import see

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
    from crosscheck.running import plan

    plan.require_backend(backend)
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from crosscheck.audit import command

    if rates:
        return 0 if command.measured(rates, out, click.echo) else 1
    if not target:
        return 0 if command.every(out, click.echo) else 1
    told, sound = command.one(target, kind, config, as_json, theory)
    click.echo(told)
    return 0 if sound else 1


@cli.command()
@click.argument(
    "names", metavar="[NAME]...", nargs=-1, shell_complete=lambda context, parameter, text: known_sets(text)
)
@click.option("--from", "source", type=FOLDER, help="Prepare from original files in FOLDER/NAME, offline.")
@json_option
def data(names: tuple[str, ...], source: Path | None, as_json: bool) -> None:
    """Fetch and prepare data sets by NAME; without a name, list them."""
    from crosscheck import data as sets

    if source and not names:
        raise UsageError("Name the data sets to prepare from --from, as in `crosscheck data mnist --from …`.")
    for name in names:
        sets.lookup(name)
    for name in names:
        sets.prepare(name, source)
        if not as_json:
            click.echo(f"{name} is prepared in {sets.data_dir()}.")
    if as_json or not names:
        voice.tell_sets({name: sets.CATALOGUE[name] for name in names or sets.CATALOGUE}, as_json)


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, studies and options in SHELL.

    bash: `eval "$(crosscheck completion bash)"` in ~/.bashrc; zsh: the same with zsh in ~/.zshrc;
    fish: `crosscheck completion fish > ~/.config/fish/completions/crosscheck.fish`.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind
    click.echo(kind(cli, {}, "crosscheck", "_CROSSCHECK_COMPLETE").source())
