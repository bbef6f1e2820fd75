"""Imports while a script runs: modules that have moved are found, and Keras is met as it comes in."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

Made = Callable[[], ModuleType]


class Given(importlib.abc.Loader):
    """Loads a module that somebody makes: a new one, or one that is there under another name."""

    def __init__(self, make: Made) -> None:
        self.make = make

    def exec_module(self, module: ModuleType) -> None:
        made = self.make()
        if made.__spec__ is None:
            vars(module).update(vars(made) | {"__spec__": module.__spec__, "__path__": []})
        else:
            sys.modules[module.__name__] = made


class Followed(importlib.abc.Loader):
    """Loads a module as its own loader would, and then calls a function with it."""

    def __init__(self, loader: importlib.abc.Loader, then: Callable[[ModuleType], None]) -> None:
        self.loader, self.then = loader, then

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.loader  # who asks for its files asks this one
        self.loader.exec_module(module)
        self.then(module)


class Finder(importlib.abc.MetaPathFinder):
    """Asked before all others.

    Attributes:
        followed: the modules after whose import `then` is called with them.
        moved: gives what makes a module of an old name; None for any other name.
    """

    def __init__(
        self,
        followed: Sequence[str],
        then: Callable[[ModuleType], None],
        moved: Callable[[str], Made | None],
    ) -> None:
        self.followed, self.then, self.moved = followed, then, moved

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in self.followed:
            return self.follow(fullname, path, target)
        make = self.moved(fullname)
        if make is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, Given(make), is_package=True)

    def follow(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec is not None and spec.loader is not None:
            spec.loader = Followed(spec.loader, self.then)
        return spec


@contextlib.contextmanager
def finding(finder: Finder) -> Iterator[None]:
    """Within, the finder is asked first; what it has made is forgotten afterwards."""
    before = set(sys.modules)
    sys.meta_path.insert(0, finder)
    try:
        for name in finder.followed:
            if name in sys.modules:
                finder.then(sys.modules[name])
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if finder.moved(name):
                forget(name)


def forget(name: str) -> None:
    """Takes a module out of the list of those imported, and off the package in which it stands."""
    del sys.modules[name]
    package, _, last = name.rpartition(".")
    if package in sys.modules:
        vars(sys.modules[package]).pop(last, None)
