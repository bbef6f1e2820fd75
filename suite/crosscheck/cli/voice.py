"""How the commands speak: verdicts in their colours, tables, JSON, complaints.

Colour and ruled tables are for terminals; elsewhere the same stands in plain columns.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import click

from crosscheck.claims.words import Truth, Verdict
from crosscheck.errors import CrosscheckError

COLOURS: dict[str, str] = {str(word): word.terminal for word in (*Truth, *Verdict)}
WIDEST = 100  # columns of running text
WIDTH = max(map(len, Verdict)) + 2


def verdict(word: str) -> str:
    """A verdict in its colour, padded to a column; click drops the colour where none can be shown."""
    return click.style(f"{word:{WIDTH}}", fg=COLOURS.get(word))


def complain(message: str) -> None:
    """Print one line on the error stream, whatever characters are in a name that it repeats."""
    click.echo(f"crosscheck: {''.join(map(printable, message))}", err=True)


def complaint(error: Exception) -> str:
    """One line that says what was wrong and what to do."""
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f" See `{context.command_path} --help`." if context else ""
        return " ".join(error.format_message().split()) + hint
    if isinstance(error, CrosscheckError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. Free some space and run again: nothing is lost."
    return f"{type(error).__name__}: {error}. This is a fault of crosscheck; with --debug it says where."


def printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character in "\n\r\t" else character.encode("unicode_escape").decode()


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Keep what libraries log while they are imported from the error stream; show it if the import fails.

    It is the stream of the process that is led elsewhere: TensorFlow logs to it before it reads a setting.
    """
    sys.stderr.flush()
    errors = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(errors, log.read())
            raise
        finally:
            os.dup2(errors, 2)
            os.close(errors)


def import_keras(backend: str) -> None:
    """Import Keras on a backend, without a word.

    Raises:
        UsageError: the backend's library is not installed.
    """
    from crosscheck.running import plan

    plan.require_backend(backend)
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with unheard():
        importlib.import_module("keras")


def number(value: float | None, digits: int = 5) -> str:
    return "—" if value is None else f"{value:.{digits}g}"


def paragraph(head: str, text: str, indent: int = 10) -> list[str]:
    """Text beside its head, in lines that fit the terminal."""
    width = min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)
    blank = " " * indent
    return textwrap.wrap(
        text, width, initial_indent=f"{head:{indent}}", subsequent_indent=blank, break_on_hyphens=False
    )


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
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
