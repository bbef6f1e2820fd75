"""`crosscheck`, or `python -m crosscheck`: the commands together, their mistakes and their exit codes.

Exit codes: 0 done; 1 something fell short (a unit failed, a check is invalid, `verify` found drift);
2 the request cannot be met; 130 interrupted, 143 terminated. A claim that fails is a finding, and no error.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from typing import Any, NoReturn

import click

import crosscheck
from crosscheck.cli import (
    audit,
    completion,
    data,
    diagnose,
    doctor,
    list,
    practice,
    register,
    report,
    run,
    show,
    verify,
    voice,
)

INTERRUPTED, TERMINATED = 130, 143


def main() -> NoReturn:
    """Run the command line and leave with its exit code; a mistake costs one line and no traceback."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1 or os.environ.get("CROSSCHECK_DEBUG", "") not in ("", "0")
    if debug:
        os.environ["CROSSCHECK_DEBUG"] = "1"  # for what a script's own process has to say
    colour = False if os.environ.get("NO_COLOR") else None  # None: only where it can be shown
    signal.signal(signal.SIGTERM, terminate)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it does without a home, but says so at length
    try:
        sys.exit(cli(arguments, prog_name="crosscheck", standalone_mode=False, color=colour) or 0)
    except Terminated:
        voice.complain("Terminated. What is finished is kept: the same command goes on from there.")
        raise
    except (KeyboardInterrupt, click.Abort):
        voice.complain("Interrupted. What is finished is kept: the same command goes on from there.")
        sys.exit(INTERRUPTED)
    except Exception as error:
        if debug:
            traceback.print_exc()
        voice.complain(voice.complaint(error))
        sys.exit(getattr(error, "exit_code", 1))


class Terminated(SystemExit):
    """A batch system, or `timeout`, has asked to end."""


def terminate(*_: Any) -> NoReturn:
    """Leaves in order, so that no worker stays behind.

    It says nothing itself: the signal may come amid a line that is being written, and Python refuses to write
    another one inside it.
    """
    raise Terminated(TERMINATED)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(crosscheck.__version__, message="crosscheck %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error (or set CROSSCHECK_DEBUG=1).")
def cli(debug: bool) -> None:
    """Which textbook claims about cross-entropy hold in real Keras, where exactly, and how sure are we?

    Completion of commands, studies and options: `crosscheck completion bash` prints a script for the shell
    (bash, zsh or fish) and says where it goes. Colour is used in a terminal only, and never where NO_COLOR is
    set.
    """


for module in (
    list,
    show,
    run,
    register,
    report,
    verify,
    audit,
    doctor,
    diagnose,
    practice,
    data,
    completion,
):
    cli.add_command(module.command)
