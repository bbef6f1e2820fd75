"""The call of `fit` at which a script is stopped: counted, and handed over with all that it was given."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from crosscheck.scripts import _place

METHODS = ("fit", "train_on_batch")  # what takes a step; `fit_generator` is translated to `fit`


@dataclass(frozen=True)
class Call:
    """A call of a method that trains, before its first step.

    Attributes:
        model: the model as the script has compiled it.
        method: "fit" or "train_on_batch".
        arguments: what it was given, by the names of Keras' own signature; defaults are left out.
        place: file and line of the call, "train.py:41".
        translated: the old names that were translated up to here, each as one line.
    """

    model: Any
    method: str
    arguments: dict[str, Any]
    place: str
    translated: tuple[str, ...] = ()


class Stopped(BaseException):
    """Ends a script at its call; a script's `except Exception` does not hold it."""


@dataclass
class Watch:
    """Counts calls, and hands over the one that is asked for.

    A loop of `train_on_batch` counts once for each line and model that it has: a GAN has two.

    Attributes:
        number: which call is handed over; those before run as they would.
        script: whose lines count as places.
        then: takes the call; the script stands still until it returns, and is ended by what it raises.
        active: False where calls are not counted any more.
    """

    number: int
    script: Path
    then: Callable[[Call], None]
    active: bool = True
    seen: set[tuple[str, int]] = field(default_factory=set)
    calls: int = 0
    process: int = field(default_factory=os.getpid)
    inside: threading.local = field(default_factory=threading.local)

    def is_counted(self, method: str, model: Any, place: str) -> bool:
        """Whether this is a call of the script's own, and one that was not counted yet."""
        if not self.active or getattr(self.inside, "training", False):
            return False
        if os.getpid() != self.process:
            raise Stopped  # nobody would hear of a call in a process that the script has forked
        if method == "fit":
            return True
        if (place, id(model)) in self.seen:
            return False
        self.seen.add((place, id(model)))
        return True

    def hand_over(self, call: Call) -> None:
        with self.within_training():
            self.then(call)

    @contextlib.contextmanager
    def within_training(self) -> Iterator[None]:
        """What Keras calls from within its own training is no call of the script."""
        before = getattr(self.inside, "training", False)
        self.inside.training = True
        try:
            yield
        finally:
            self.inside.training = before


def watch_models(kind: type, watch: Watch, undo: contextlib.ExitStack) -> None:
    """Replaces the training methods of a class of models, `keras.Model`, by ones that are watched."""
    for method in METHODS:
        watched = watched_method(method, getattr(kind, method), watch)
        undo.enter_context(mock.patch.object(kind, method, watched))


def watched_method(method: str, original: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def stand_in(model: Any, *args: Any, **kwargs: Any) -> Any:
        place = _place.of_call(watch.script)
        if watch.is_counted(method, model, place):
            watch.calls += 1
            if watch.calls >= watch.number:  # also one that comes after, where a script has caught `Stopped`
                _, *given = signature.bind(model, *args, **kwargs).arguments.items()
                watch.hand_over(Call(model, method, dict(given), place))
        with watch.within_training():
            return original(model, *args, **kwargs)

    return stand_in
