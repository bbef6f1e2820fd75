"""Heavy modules for studies, imported on first use: `from crosscheck.lazy import keras, losses, pd`.

A study imports these at its top and stays cheap to import itself, so that listing the studies, or finding
that nothing is left to do, loads neither TensorFlow nor pandas. Which names there are stands in `lazy.pyi`.
"""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any


class Lazy(ModuleType):
    """Stands for a module until one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # introspection must not set off the import
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@functools.cache
def modules() -> dict[str, str]:
    """The module that each name stands for, as the imports in the stub say."""
    stub, names = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")), {}
    for node in stub.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            package = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names |= {alias.asname or alias.name: package + alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):  # `pd = pandas`: a stub hands on no import under another name
            (target,), module = node.targets, node.value
            names[ast.unparse(target)] = names[ast.unparse(module)]
    return names


def __getattr__(name: str) -> Lazy:
    if name.startswith("__") or name not in modules():
        raise AttributeError(f"module {__name__!r} has no name {name!r}; a line in lazy.pyi gives it one")
    return Lazy(modules()[name])
