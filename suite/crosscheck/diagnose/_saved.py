"""The program of a saved model, arrays in a file, and perhaps the history of a training."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck.diagnose._program import Data, Program
from crosscheck.doctor.command import load_model
from crosscheck.errors import UsageError

NAMES = {"x": ("x", "x_train", "X", "X_train"), "y": ("y", "y_train", "Y", "Y_train")}
HELD_OUT = {"x": ("x_val", "x_valid", "x_test", "X_val", "X_test"), "y": ("y_val", "y_valid", "y_test")}


def program_of_files(
    model: Path, data: Path, history: Path | None = None, modules: Iterable[str] = ()
) -> Program:
    """The program of a saved model and arrays.

    Args:
        model: a .keras file, compiled.
        data: an .npz file of x and y, perhaps sample_weight, x_val and y_val; of several inputs or outputs,
            x.NAME and y.NAME.
        history: a JSON file of `History.history`.
        modules: to import first, for what the model needs.

    Raises:
        UsageError: a file is missing, or is not what it should be.
    """
    arrays = read_arrays(data)
    training = data_named(arrays, NAMES, "sample_weight")
    if training is None:
        raise UsageError(f"{data} has no array x, or x_train: it has {', '.join(arrays) or 'none'}.")
    return Program(
        load_model(model, modules),
        training,
        validation=data_named(arrays, HELD_OUT, "sample_weight_val"),
        history=None if history is None else read_history(history),
    )


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, none of which is pickled: nothing in the file can be run."""
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    if not zipfile.is_zipfile(file):
        raise unreadable(file, "it is no archive, as an .npz file is")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy, zipfile and zlib each have their own for a damaged archive
        pickled = "allow_pickle" in str(error)
        why = (
            "it holds pickled objects, which are code; none is loaded"
            if pickled
            else f"it is damaged: {error}"
        )
        raise unreadable(file, why) from error
    foreign = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if foreign:
        raise unreadable(file, f"{foreign[0]} in it is no array")
    return arrays


def unreadable(file: Path, why: str) -> UsageError:
    return UsageError(f"{file} cannot be read: {why}. Save arrays with `np.savez('data.npz', x=x, y=y)`.")


def data_named(
    arrays: Mapping[str, np.ndarray], names: Mapping[str, Iterable[str]], weight: str
) -> Data | None:
    """x, y and weights by their names; None where there is no x."""
    x, y = (part_named(arrays, names[part]) for part in ("x", "y"))
    return None if x is None else Data(x, y, arrays.get(weight))


def part_named(arrays: Mapping[str, np.ndarray], names: Iterable[str]) -> Any:
    """The array of one of these names, or a dictionary of those that begin with it and a point."""
    for name in names:
        if name in arrays:
            return arrays[name]
        parts = {match[1]: arrays[key] for key in arrays if (match := re.fullmatch(rf"{name}\.(.+)", key))}
        if parts:
            return parts
    return None


def read_history(file: Path) -> dict[str, list[float]]:
    """Metrics by epoch."""
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    try:
        history = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file} is not JSON: {error}") from error
    if not isinstance(history, dict) or not all(isinstance(v, list) for v in history.values()):
        raise UsageError(f"{file} is no history: save `json.dumps(model.fit(…).history)`.")
    return history
