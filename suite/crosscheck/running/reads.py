"""Which files a measuring function opens: one that its unit does not name would make its rows stale unseen.

A unit's key holds the content of the files that it names. Files of one's own lie in the project or below the
home folder; what is read elsewhere, and what programs keep for themselves, belongs to the machine.
"""

from __future__ import annotations

import contextlib
import os
import site
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from crosscheck import _child, data
from crosscheck.claims.claim import Unit
from crosscheck.errors import CrosscheckError
from crosscheck.running.fingerprint import named_files, project

CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dylib", ".dll")  # imports: the key sees to code of ours
CACHES = (
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "KERAS_HOME",
    "MPLCONFIGDIR",
    "TFHUB_CACHE_DIR",
    "CROSSCHECK_SHARED",
)

_hooked = False
_read: set[str] | None = None  # while something is watched, what it opened to read
_written: set[str] = set()  # and to write


class UnnamedFileError(CrosscheckError):
    """A unit read a file that it does not name."""


@contextlib.contextmanager
def only_named(unit: Unit, store: Path) -> Iterator[None]:
    """Watch which files are opened in the block.

    Raises:
        UnnamedFileError: one of the user's own files was read that the unit does not name.
    """
    global _read
    _install_hook()
    _read = set()
    _written.clear()
    try:
        yield
        opened = _read - _written
    finally:
        _read = None
    named = {path.resolve() for path in named_files(unit).values()}
    unnamed = sorted(path for path in own_files(opened, unit.study, store) if path not in named)
    if unnamed:
        raise UnnamedFileError(
            f"it reads {unnamed[0]}, which the unit does not name: its rows would outlive a change of it. "
            f"Name it: unit(…, files=[{str(unnamed[0])!r}])"
        )


def own_files(opened: Iterable[str], study: str, store: Path) -> Iterator[Path]:
    """Those of the files that are the user's own: the innermost folder that we know around each decides."""
    own, foreign = folders(study, store)
    for path in {Path(name).resolve() for name in opened}:
        if path.suffix not in CODE and path.is_file():
            around = next((folder for folder in path.parents if folder in own or folder in foreign), None)
            if around in own and around not in foreign:
                yield path


def folders(study: str, store: Path) -> tuple[set[Path], set[Path]]:
    """Folders whose files are the user's own, and folders within or around them whose files are not."""
    home, current = Path.home().resolve(), Path.cwd().resolve()
    own = {home, *project(study), *([] if home.is_relative_to(current) else [current])}
    installed = [sys.prefix, sys.base_prefix, *site.getsitepackages(), site.getusersitepackages()]
    caches = [os.environ[name] for name in CACHES if name in os.environ]
    hidden = [path for folder in own if folder.is_dir() for path in folder.iterdir() if path.name[0] == "."]
    foreign: list[str | Path] = [*installed, *caches, *hidden, home / "Library", home / "AppData"]
    foreign += [store, data.data_dir(), tempfile.gettempdir(), _child.PACKAGE]
    return own, {Path(folder).resolve() for folder in foreign}


def _install_hook() -> None:
    """Once a process: Python has no way to take a hook back."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True


def _hook(event: str, arguments: tuple) -> None:
    read = _read
    if event != "open" or read is None:
        return
    path, _, flags = arguments
    if isinstance(path, (str, bytes, os.PathLike)):
        to_write = flags & (os.O_WRONLY | os.O_RDWR)
        place = Path.cwd() / os.fsdecode(path)
        (_written if to_write else read).add(str(place))
