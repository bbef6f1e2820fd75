"""A script is run as Python would run it, and whatever ends it before its `fit` is told in one line."""

from __future__ import annotations

import builtins
import contextlib
import os
import re
import sys
import types
import warnings
from bdb import BdbQuit
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

from crosscheck.errors import UsageError
from crosscheck.scripts import _place

LONGEST = 300  # characters of a message that is not ours
BOLD = re.compile(r"\x1b\[\d*m")  # Keras writes so to a terminal


def compiled(script: Path) -> types.CodeType:
    """The script's code.

    Raises:
        UsageError: there is no such file, it is no text, or it is not Python 3.
    """
    if not script.is_file():
        raise UsageError(f"{script} {'is a folder' if script.is_dir() else 'does not exist'}.")
    try:
        return compile(script.read_bytes(), str(script), "exec")
    except SyntaxError as error:
        raise UsageError(syntax_complaint(error, script)) from error
    except ValueError as error:
        raise UsageError(f"{script.name} is no Python script: {error}.") from error


def syntax_complaint(error: SyntaxError, script: Path) -> str:
    place = _place.written(str(script), error.lineno, script)
    line = (error.text or "").strip()[:LONGEST]
    if "Missing parentheses in call to 'print'" in str(error.msg) or isinstance(error, TabError):
        return f"{place} is written for Python 2: {error.msg}: {line}"
    return f"{place} is not Python 3 ({error.msg}){f': {line}' if line else ''}."


@contextlib.contextmanager
def standing_for_main(script: Path, arguments: Sequence[str]) -> Iterator[types.ModuleType]:
    """What a script finds when it is run: its name, arguments, folder; but no bytecode, window or keyboard.

    The working directory is the user's own, as with `python train.py`.
    """
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=str(script), __builtins__=builtins)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", [str(script), *arguments]))
        stack.enter_context(mock.patch.object(sys, "path", [str(script.parent), *sys.path]))
        stack.enter_context(mock.patch.object(sys, "dont_write_bytecode", True))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("default")
        stack.enter_context(own_modules(script, main))
        stack.enter_context(mock.patch.dict(os.environ, {"MPLBACKEND": "Agg"}))
        yield main


@contextlib.contextmanager
def own_modules(script: Path, main: types.ModuleType) -> Iterator[None]:
    """Within, `__main__` is the script; afterwards what it has imported of its author's is forgotten."""
    before = dict(sys.modules)
    sys.modules["__main__"] = main
    try:
        yield
    finally:
        sys.modules["__main__"] = before["__main__"]
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name not in before and file and _place.is_users(file, script):
                del sys.modules[name]


def execute(script: Path, arguments: Sequence[str]) -> None:
    """Runs a script to its end, as `__main__`.

    Raises:
        UsageError: something of its own ended it; the message says what, and on which line.
    """
    code = compiled(script)
    with standing_for_main(script, arguments) as main:
        try:
            exec(code, vars(main))
        except SystemExit as error:
            if type(error) is not SystemExit:
                raise  # a signal of ours
            raise UsageError(exit_complaint(error, script)) from error
        except UsageError as error:
            raise UsageError(f"{_place.of_error(error, script)}: {error}") from error
        except Exception as error:
            raise UsageError(complaint(error, script)) from error


def exit_complaint(error: SystemExit, script: Path) -> str:
    code = "" if error.code is None else repr(error.code)
    return f"{_place.of_error(error, script)} ends the script, sys.exit({code}), before it calls fit."


def complaint(error: Exception, script: Path) -> str:
    """One line on an error that is the script's own."""
    place = _place.of_error(error, script)
    if isinstance(error, SyntaxError):
        return syntax_complaint(error, Path(error.filename or script))
    if isinstance(error, BdbQuit) or (isinstance(error, EOFError) and "reading a line" in str(error)):
        return f"{place} asks for input before it calls fit: give it through a pipe, or as an argument."
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{place} imports {error.name}, which is not installed."
    if missing := missing_file(error):
        return f"{place} reads {missing}, which is not there{whereabouts(missing, script)}."
    if is_of_network(error):
        return f"{place} needs the network, which did not answer: {in_one_line(error)}"
    return f"{place} fails before it calls fit: {type(error).__name__}: {in_one_line(error)}"


def missing_file(error: Exception) -> str:
    """The name of a file that an error says is not there; "" where it says nothing of the kind."""
    if isinstance(error, FileNotFoundError):
        return str(error.filename or in_one_line(error))
    text = in_one_line(error)
    told = any(words in text for words in ("File not found", "No such file or directory", "NotFoundError"))
    return text if told else ""


def whereabouts(name: str, script: Path) -> str:
    """A hint where the file lies beside the script, and the script was run from elsewhere."""
    with contextlib.suppress(OSError, ValueError):
        if not Path(name).is_absolute() and (script.parent / name).exists():
            return f" but lies in {script.parent}: run from there"
    return ""


def is_of_network(error: BaseException) -> bool:
    """Whether an error, or what it came from, is of a connection that failed."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"URLError", "ConnectionError", "gaierror", "HTTPError"} or "URL fetch failure" in str(error):
        return True
    return bool(error.__cause__ and is_of_network(error.__cause__))


def in_one_line(error: BaseException) -> str:
    text = " ".join(BOLD.sub("", str(error)).split())
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
