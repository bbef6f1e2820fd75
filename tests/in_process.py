"""`crosscheck` in this process: no interpreter to start, the same exit code and the same two streams."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from dataclasses import dataclass

from crosscheck.cli import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def crosscheck(*arguments: object) -> Ran:
    """Run the command line; what it does to the environment and to signals is undone."""
    out, err = io.StringIO(), io.StringIO()
    environment, argv = dict(os.environ), sys.argv
    handler = signal.getsignal(signal.SIGTERM)
    sys.argv = ["crosscheck", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main.main()
    except SystemExit as end:
        return Ran(int(end.code or 0), out.getvalue(), err.getvalue())
    finally:
        sys.argv = argv
        signal.signal(signal.SIGTERM, handler)
        os.environ.clear()
        os.environ.update(environment)


def refused(ran: Ran) -> bool:
    """One line on the error stream, nothing on the other, and an exit code that says so."""
    lines = ran.err.splitlines()
    told = len(lines) == 1 and lines[0].startswith("crosscheck: ") and "fault of crosscheck" not in lines[0]
    return told and not ran.out and ran.code in (1, 2)
