"""A learner's code under the marker: it may neither end the process nor run for ever."""

from __future__ import annotations

import contextlib
import functools
import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

MOST = 180.0  # seconds of processor time that an exercise may take; a mark takes some fifteen


def shielded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with an error in place of `sys.exit`, which would pass for the marker's own end."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with no_exit():
            return function(*args, **kwargs)

    return called


@contextlib.contextmanager
def no_exit() -> Iterator[None]:
    """
    Raises:
        RuntimeError: for `sys.exit`.
    """
    try:
        yield
    except SystemExit as error:
        raise RuntimeError("it calls sys.exit") from error


def shield(module: ModuleType) -> None:
    """Shields all functions that a module has written itself."""
    for name, value in list(vars(module).items()):
        if inspect.isfunction(value) and value.__module__ == module.__name__:
            setattr(module, name, shielded(value))


@contextlib.contextmanager
def limited(seconds: float = MOST) -> Iterator[None]:
    """Stops Python code that uses more processor time; on Windows, and outside the main thread, nothing does.

    Raises:
        TimeoutError: where it does.
    """
    if not hasattr(signal, "SIGVTALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"no end after {seconds:.0f} s of computing: is there a loop without one?")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds / 10)  # again, should it be swallowed
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
