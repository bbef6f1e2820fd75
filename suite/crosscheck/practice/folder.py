"""The learner's folder: laid out once, its seed and its counts kept beside the exercises."""

from __future__ import annotations

import importlib.util
import json
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from crosscheck._files import remedy, write_atomically
from crosscheck.errors import UsageError
from crosscheck.practice.shielding import no_exit, shield

STATE = "practice.json"
SEEDS = 2**31


def begin(folder: Path, parts: Sequence[str], seed: int | None) -> int:
    """Makes the folder ready for parts that are not there yet, and returns its seed.

    The seed decides which programs are sick and which rows are reserved. A folder keeps the one it has.

    Raises:
        UsageError: where a part is there already, or the folder cannot be written.
    """
    there = [part for part in parts if (folder / part).exists()]
    if there:
        raise UsageError(
            f"{folder / there[0]} is there already: mark it with --check, or lay another out with --folder."
        )
    state = read_state(folder) if (folder / STATE).exists() else {}
    if seed is not None and state.get("seed", seed) != seed:
        raise UsageError(
            f"{folder} has the seed {state['seed']}: leave --seed out, or choose another --folder."
        )
    state.setdefault("seed", secrets.randbelow(SEEDS) if seed is None else seed)
    write_state(folder, state)
    return int(state["seed"])


def read_state(folder: Path) -> dict[str, Any]:
    """The folder's seed and counts.

    Raises:
        UsageError: where there is no such folder, or its file cannot be read.
    """
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        state["seed"] = int(state["seed"])
        if not all(isinstance(told, list) for told in state.get("told", {}).values()):
            raise ValueError("what was told is no list")
    except (OSError, ArithmeticError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{folder} is no practice folder, {STATE} cannot be read: lay one out with `crosscheck "
            "practice`, under another name (`--folder`) where there is one."
        ) from error
    return state


def write_state(folder: Path, state: dict[str, Any]) -> None:
    write_atomically(folder / STATE, json.dumps(state, indent=1) + "\n")


def copy_files(sources: Sequence[Path], target: Path) -> None:
    """Copies files into a new folder.

    Raises:
        UsageError: where they cannot be written.
    """
    try:
        target.mkdir(parents=True)
        for source in sources:
            shutil.copyfile(source, target / source.name)
    except OSError as error:
        raise UsageError(f"Cannot write {target}: {remedy(error)}.") from error


def sheets(folder: Path) -> list[Path]:
    """The files of a folder of this package that a learner gets, in order."""
    return sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")


def run_file(path: Path) -> ModuleType:
    """The learner's file as a module, run afresh; what it raises is the caller's.

    Raises:
        FileNotFoundError: where it is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: lay a folder out again with `crosscheck practice`.")
    name = f"practised_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # what Keras saves by name is found there
    with no_exit():
        spec.loader.exec_module(module)
    shield(module)
    return module
