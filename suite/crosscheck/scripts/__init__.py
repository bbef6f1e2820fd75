"""Scripts of other people are run up to the call of `fit` in them, with Keras' old names understood.

Nothing here imports Keras: a script chooses its backend itself, by what it sets before it imports Keras.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from crosscheck.errors import UsageError
from crosscheck.scripts._calls import Call, Stopped, Watch, watch_models
from crosscheck.scripts._execution import execute
from crosscheck.scripts._output import HiddenOutput, no_keyboard
from crosscheck.scripts._translation import Translation

__all__ = ["Call", "HiddenOutput", "no_keyboard", "run_up_to_fit", "stopped_at_fit"]


def run_up_to_fit(script: Path, arguments: Sequence[str], number: int, then: Callable[[Call], None]) -> None:
    """Runs a script as `python script arguments` would, up to its call of `fit` of this number.

    There `then` is called with it, from within the script: what it raises goes through the script. Calls
    before that one run whole. Old names stay understood until this returns.

    Args:
        script: the file, run as `__main__` from the directory of the process.
        arguments: its `sys.argv[1:]`.
        number: 1 for the first call. A line with `train_on_batch` counts once for each model.
        then: takes the call; for the script to end there it ends the process, or raises `Stopped`.

    Raises:
        UsageError: the script does not come as far as its call; the message says what ended it, and where.
    """
    with watched(script.absolute(), number, then) as watch:
        execute(watch.script, arguments)
        if watch.active:
            raise UsageError(too_few(watch))


@contextlib.contextmanager
def stopped_at_fit(script: Path, arguments: Sequence[str] = (), number: int = 1) -> Iterator[Call]:
    """The call at which a script is stopped, in this process; old names are understood within.

    What the script does in `finally:`, and in `except:` without a name, is done: only a process that ends at
    the call, as that of `crosscheck diagnose` does, keeps it from that.

    Raises:
        UsageError: the script does not come as far as its call.
    """
    calls: list[Call] = []
    with watched(script.absolute(), number, lambda call: stop(calls, call)) as watch:
        try:
            execute(watch.script, arguments)
        except (Stopped, UsageError):
            if not calls:
                raise
        watch.active = False
        if not calls:
            raise UsageError(too_few(watch))
        yield calls[0]


def stop(calls: list[Call], call: Call) -> None:
    calls.append(call)
    raise Stopped


@contextlib.contextmanager
def watched(script: Path, number: int, then: Callable[[Call], None]) -> Iterator[Watch]:
    """Within, old names are understood, and a call of this number is handed over."""
    watch = Watch(number, script, lambda call: then(with_translations(call, translation)))
    with contextlib.ExitStack() as undo:
        translation = Translation(script, lambda keras: watch_models(keras.Model, watch, undo))
        with translation.active():
            yield watch


def with_translations(call: Call, translation: Translation) -> Call:
    return dataclasses.replace(call, translated=tuple(translation.met))


def too_few(watch: Watch) -> str:
    """One line on a script that has come to its end."""
    if watch.calls:
        times = "once" if watch.calls == 1 else f"{watch.calls} times"
        return f"{watch.script.name} trains {times}: there is no call {watch.number}."
    return (
        f"{watch.script.name} never calls fit, nor train_on_batch, of a Keras model in its own process. "
        "From a training loop of its own: crosscheck.diagnose.diagnose(model, x, y)."
    )
