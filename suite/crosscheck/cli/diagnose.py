"""`crosscheck diagnose`: what is wrong with a training program, from its script or from a saved model."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import click

from crosscheck.claims.claim import BACKENDS
from crosscheck.cli import voice
from crosscheck.cli.options import options_of
from crosscheck.errors import UsageError
from crosscheck.running.plan import require_backend
from crosscheck.scripts import Call, HiddenOutput, no_keyboard, run_up_to_fit

FILE = click.Path(path_type=Path)
Told = tuple[str, int]  # the text and the exit code


class Wanted(NamedTuple):
    """What is asked of a diagnosis: reasons by check, the seconds of training, and how it is written."""

    expected: dict[str, str]
    seconds: float
    style: str


of_scripts = options_of(
    click.option("--call", "number", default=1, show_default=True, type=click.IntRange(min=1), metavar="N",
                 help="Stop the script at its N-th call of fit; those before run whole."),
    click.option("--timeout", default=120.0, show_default=True, type=click.FloatRange(min=0.1),
                 metavar="SECONDS", help="For the script to come as far as its call."),
    click.option("-v", "--verbose", is_flag=True, help="Show what the script prints, on the error stream."),
)  # fmt: skip
of_models = options_of(
    click.option("--history", type=FILE, help="JSON of History.history, for a model that was trained."),
    click.option(
        "--import", "modules", multiple=True, metavar="MODULE", help="Import first what the model needs."
    ),
)


@click.command("diagnose")
@click.argument("target", type=FILE, metavar="SCRIPT.py|MODEL.keras")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[DATA.npz] [-- ARGUMENT...]")
@of_scripts
@of_models
@click.option("--expect", multiple=True, metavar="CHECK=REASON", help="A finding that is meant, and why.")
@click.option(
    "--seconds",
    default=45.0,
    show_default=True,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="That training of copies may take; 0 for the exact checks alone.",
)
@click.option("--backend", type=click.Choice(BACKENDS), help="[default: what the script, or Keras, says]")
@click.option("--json", "style", flag_value="json", help="The findings as JSON on the output.")
@click.option("--markdown", "style", flag_value="markdown", help="The findings for a pull request.")
def command(
    target: Path,
    rest: tuple[str, ...],
    number: int,
    timeout: float,
    verbose: bool,
    history: Path | None,
    modules: tuple[str, ...],
    expect: tuple[str, ...],
    seconds: float,
    backend: str | None,
    style: str | None,
) -> int:
    """What is wrong with this training program? It is examined before its first step, and nothing is changed.

    Exact checks come first; then copies of the model are trained for seconds, a dozen or twenty at a time.

    SCRIPT.py *runs*, with the arguments after --, from this directory, as `python SCRIPT.py` would run it, up
    to its first call of fit: what it does before that is done. There it is stopped: nothing after the call is
    executed, and what it prints is not shown. Keras' old names are translated. Or give MODEL.keras, compiled,
    with DATA.npz: x and y, and x_val and y_val where there are some.

    Exit code 0 where nothing is wrong, 1 where there is a fault, 2 where the program could not be looked at.
    """
    set_backend(backend)
    wanted = Wanted(parse_expected(expect), seconds, style or "text")
    if target.suffix == ".py":
        run_script(target, rest, number, timeout, verbose, lambda call: on_call(call, wanted))
    text, code = on_files(target, rest, history, modules, wanted)
    click.echo(text)
    return code


def set_backend(backend: str | None) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if backend:
        require_backend(backend)
        os.environ["KERAS_BACKEND"] = backend


def parse_expected(expected: Sequence[str]) -> dict[str, str]:
    """Reasons by check, from CHECK=REASON.

    Raises:
        UsageError: there is no reason.
    """
    pairs = [text.partition("=") for text in expected]
    for check, _, reason in pairs:
        if not (check and reason):
            raise UsageError(f"--expect {check}: say why it is expected: --expect {check or 'CHECK'}=REASON.")
    return {check: reason for check, _, reason in pairs}


def on_call(call: Call, wanted: Wanted) -> Told:
    from crosscheck.diagnose import command as diagnosing

    return diagnosing.diagnose_call(call, *wanted)


def on_files(
    model: Path,
    rest: Sequence[str],
    history: Path | None,
    modules: Sequence[str],
    wanted: Wanted,
) -> Told:
    if len(rest) != 1:
        raise UsageError(f"{model} is no script (.py), so it is a model: give it one file of data, .npz.")
    voice.import_keras(os.environ.get("KERAS_BACKEND", "tensorflow"))
    from crosscheck.diagnose import command as diagnosing

    return diagnosing.diagnose_files(model, Path(rest[0]), history, modules, *wanted)


# --- a script --------------------------------------------------------------------------------------------


def run_script(
    script: Path,
    arguments: Sequence[str],
    number: int,
    timeout: float,
    verbose: bool,
    examine: Callable[[Call], Told],
) -> NoReturn:
    """Runs a script up to its call, says what is found there, and ends the process where the script stands.

    So neither its `finally`, nor what it has registered for its end, nor the rest of it is executed.

    Raises:
        UsageError: the script does not come as far as its call.
    """
    output = HiddenOutput(shown=verbose)
    clock = threading.Timer(timeout, lambda: give_up(script, timeout, output))
    clock.daemon = True
    clock.start()

    def then(call: Call) -> None:
        clock.cancel()
        say_and_leave(lambda: examine(call), output)

    try:
        with no_keyboard():
            run_up_to_fit(script, arguments, number, then)
    except UsageError as error:
        raise with_last_words(error, output) from error
    finally:
        clock.cancel()
        output.restore()
    raise UsageError(f"{script} went on after its call.")  # not reached: `then` ends the process


def say_and_leave(examine: Callable[[], Told], output: HiddenOutput) -> None:
    """What is found, or why nothing could be, and the end of the process; its other threads end with it."""
    text, code, complaint, trace = "", 0, "", ""
    try:
        text, code = examine()
    except Exception as error:
        complaint, code = voice.complaint(error), getattr(error, "exit_code", 1)
        trace = traceback.format_exc() if os.environ.get("CROSSCHECK_DEBUG") else ""
    output.restore()
    if complaint:
        click.echo(trace, nl=False, err=True)
        voice.complain(complaint)
    else:
        click.echo(text)
    leave(code)


def give_up(script: Path, timeout: float, output: HiddenOutput) -> None:
    words = output.last_line()
    output.restore()
    voice.complain(
        f"{script.name} has not called fit after {timeout:g} s: --timeout gives it longer."
        + (f" Its last words: {words}" if words else "")
    )
    leave(2)


def with_last_words(error: UsageError, output: HiddenOutput) -> UsageError:
    """A script that ends itself has mostly said why: argparse does."""
    words = output.last_line() if isinstance(error.__cause__, SystemExit) else ""
    return UsageError(f"{error} Its last words: {words}" if words else str(error))


def leave(code: int) -> NoReturn:
    """Ends the process at once, and those that the script has begun."""
    for child in multiprocessing.active_children():
        child.terminate()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
