"""What a script prints is kept from both streams, so that JSON stays JSON and an error stays one line."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


class HiddenOutput:
    """Leads both streams, and those of the process beneath them, into a file until `restore` is called.

    Attributes:
        shown: lead them to the error stream instead.
    """

    def __init__(self, shown: bool = False) -> None:
        flush()
        self.streams = sys.stdout, sys.stderr
        self.saved = os.dup(1), os.dup(2)
        self.file = tempfile.TemporaryFile(  # noqa: SIM115
            "w+", encoding="utf-8", errors="replace", buffering=1
        )
        for number in (1, 2):
            os.dup2(2 if shown else self.file.fileno(), number)
        sys.stdout = sys.stderr = sys.stderr if shown else self.file
        self.hidden = True

    def restore(self) -> None:
        """Both streams are as they were; a second time does nothing."""
        if not self.hidden:
            return
        self.hidden = False
        flush()
        for number, saved in zip((1, 2), self.saved, strict=True):
            os.dup2(saved, number)
            os.close(saved)
        sys.stdout, sys.stderr = self.streams
        self.file.close()

    def last_line(self) -> str:
        """The last line with words in it that was hidden; "" where there is none."""
        with contextlib.suppress(ValueError, OSError):
            size = os.fstat(self.file.fileno()).st_size
            tail = os.pread(self.file.fileno(), 4096, max(0, size - 4096)).decode("utf-8", "replace")
            lines = [line.strip() for line in tail.splitlines() if line.strip()]
            return lines[-1] if lines else ""
        return ""


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            stream.flush()


@contextlib.contextmanager
def no_keyboard() -> Iterator[None]:
    """Nobody sees what a hidden script asks: where the input is a terminal, it is at its end at once."""
    if not (sys.stdin and sys.stdin.isatty()):
        yield
        return
    before, saved = sys.stdin, os.dup(0)
    with open(os.devnull) as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
        sys.stdin = nothing
        try:
            yield
        finally:
            os.dup2(saved, 0)
            os.close(saved)
            sys.stdin = before
