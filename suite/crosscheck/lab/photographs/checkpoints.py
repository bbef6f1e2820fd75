"""Checkpoints of a long training: a file an epoch, whole or not there, and known by its checksum.

A file is named `epoch-<epochs done>-<checksum of its bytes>.npz`. What does not match its name, or does not
fit the model, is set aside, and the one before it is used. Arrays alone are stored: no pickle is read.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crosscheck._files import checksum, locked, remedy, write_atomically
from crosscheck.errors import UsageError

ROOT = "CROSSCHECK_CHECKPOINTS"  # environment variable; the worker sets it to a folder of the store
KEPT = 2  # the last ones: should one be damaged, an epoch is lost and not all


@contextlib.contextmanager
def place(**determines: Any) -> Iterator[Path]:
    """The folder of a training, for as long as the block lasts; other processes wait for it meanwhile.

    Args:
        determines: all that the training depends on besides the code, of JSON's types.

    Raises:
        UsageError: where the folder cannot be made, or written to.
    """
    name = checksum(json.dumps(determines, sort_keys=True).encode())[:16]
    folder = Path(os.environ.get(ROOT, ".store/checkpoints")) / name
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(folder / "lock"))
        except OSError as error:
            raise UsageError(f"Cannot keep checkpoints in {folder}: {remedy(error)}.") from error
        yield folder


def save(folder: Path, epochs: int, model: keras.Model) -> Path:
    """Write the state of a compiled model after so many epochs, and drop checkpoints but the last `KEPT`.

    Weights, moving averages, states of random layers, and the optimiser's variables.

    Raises:
        UsageError: where the folder cannot be written; older checkpoints are then untouched.
    """
    packed = io.BytesIO()
    values = {f"variable {i}": keras.ops.convert_to_numpy(v.value) for i, v in enumerate(state(model))}
    np.savez(packed, allow_pickle=False, **values)
    content = packed.getvalue()
    path = folder / file_name(epochs, content)
    write_atomically(path, content)
    for old in saved(folder)[:-KEPT]:
        old.unlink()
    return path


def file_name(epochs: int, content: bytes) -> str:
    """The name under which a checkpoint is known: by the epochs it has done and by its bytes."""
    return f"epoch-{epochs:05}-{checksum(content)[:16]}.npz"


def restore(folder: Path, model: keras.Model) -> int:
    """Put a compiled model into the state of the last intact checkpoint.

    A damaged checkpoint is renamed to `….damaged`, with a RuntimeWarning, and the one before it is tried.

    Returns:
        How many epochs the checkpoint has done; 0 where there is none, and the model is left as it is.
    """
    for path in reversed(saved(folder)):
        try:
            values = read(path, model)
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as fault:
            set_aside(path, fault)
            continue
        for variable, value in zip(state(model), values, strict=True):
            variable.assign(value)
        return int(path.name.split("-")[1])
    return 0


def state(model: keras.Model) -> list[Any]:
    """All variables of a compiled model that a further step depends on: its own and its optimiser's.

    Its own are weights, trained or not, moving averages, and states of random layers; metrics are none.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def read(path: Path, model: keras.Model) -> list[np.ndarray]:
    """The values of `state(model)` in a checkpoint.

    Raises:
        ValueError, KeyError, zipfile.BadZipFile: it is not what its name says, or of another model.
    """
    content = path.read_bytes()
    if path.stem.split("-")[-1] != checksum(content)[:16]:
        raise ValueError("does not have the checksum in its name")
    arrays = dict(np.load(io.BytesIO(content), allow_pickle=False))
    values = [arrays[f"variable {i}"] for i in range(len(arrays))]
    if [value.shape for value in values] != [tuple(variable.shape) for variable in state(model)]:
        raise ValueError("holds another model")
    return values


def set_aside(path: Path, fault: Exception) -> None:
    aside = path.with_name(path.name + ".damaged")
    path.replace(aside)
    line = f"{path.name}: {fault}; the checkpoint before it is used, this one is {aside}"
    warnings.warn(line, RuntimeWarning, stacklevel=3)


def saved(folder: Path) -> list[Path]:
    """Checkpoints in the order of their epochs."""
    return sorted(folder.glob("epoch-*.npz"))
