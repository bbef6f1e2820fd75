"""Whose line it is: frames of the user's own files, and how a place in them is written."""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
OURS = str(Path(__file__).parents[1])


def is_users(filename: str, script: Path) -> bool:
    """Whether a file of code is the script or a module of its author's: no library, nothing made up."""
    if filename == str(script):
        return True
    if filename.startswith("<") or "site-packages" in filename or filename.startswith(OURS):
        return False
    return not filename.startswith(LIBRARIES)


def written(filename: str, line: int | None, script: Path) -> str:
    """A place as people write it, beside the script: "train.py:41"."""
    path, folder = Path(filename), script.parent
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    return f"{name}:{line}" if line else str(name)


def of_call(script: Path) -> str:
    """The innermost line of the user's that is being executed; "" where there is none."""
    frames = (
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_stack(inspect.currentframe())
    )
    return next((written(name, line, script) for name, line in frames if is_users(name, script)), "")


def of_error(error: BaseException, script: Path) -> str:
    """The innermost line of the user's that an error has passed; the script's name where there is none."""
    places = [
        written(frame.f_code.co_filename, line, script)
        for frame, line in frames_of(error.__traceback__)
        if is_users(frame.f_code.co_filename, script)
    ]
    return places[-1] if places else script.name


def frames_of(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    return traceback.walk_tb(trace)
