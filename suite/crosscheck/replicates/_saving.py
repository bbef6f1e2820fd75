"""Replicates in one file: a zip of the model (`.keras`), the stacked arrays (`.npz`) and the rest (JSON)."""

from __future__ import annotations

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crosscheck._files import write_atomically
from crosscheck.replicates._compiled import Compiled

FORMAT = "crosscheck replicates 2"
READABLE = ("crosscheck replicates 1", FORMAT)
SERIALISED = ("optimizer", "loss", "metrics", "weighted_metrics")
ROOMS = ("calibration", "losses", "metrics", "models", "optimizers", "regularizers")  # that register classes


@dataclass(frozen=True)
class Saved:
    """What a file holds.

    Attributes:
        settings: what JSON can hold: seeds, mode, epochs so far, what was compiled.
        weights: of all replicates, [R, …] each.
        others: the optimiser's state of all replicates, [R, …] each.
        active: which replicates go on training, [R] of bool.
        model: the content of a `.keras` file.
    """

    settings: dict[str, Any]
    weights: Sequence[np.ndarray]
    others: Sequence[np.ndarray]
    active: np.ndarray
    model: bytes

    def build(self) -> keras.Model:
        """Returns the model.

        Raises:
            ValueError: if Keras does not know a class in it.
        """
        with unknown_named(), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            file.write_bytes(self.model)
            return keras.models.load_model(file)


@contextmanager
def unknown_named() -> Iterator[None]:
    """Raises a ValueError that names the class, where Keras fails because it could not locate one."""
    try:
        yield
    except TypeError as error:
        unknown = re.search(r"Could not locate \w+ '([^']+)'", str(error))
        if not unknown:
            raise
        raise ValueError(
            f"The file holds {unknown[1]}, which Keras does not know: import the module that registers it "
            f"first. Ours are {', '.join(f'crosscheck.{room}' for room in ROOMS)}."
        ) from error


def write(path: Path, saved: Saved) -> None:
    """Writes a file, whole or not at all."""
    arrays = {f"weight {i}": value for i, value in enumerate(saved.weights)}
    arrays |= {f"other {i}": value for i, value in enumerate(saved.others)}
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, active=saved.active, **arrays)
    archived = io.BytesIO()
    with zipfile.ZipFile(archived, "w") as archive:
        archive.writestr("replicates.json", json.dumps({"format": FORMAT, **saved.settings}))
        archive.writestr("arrays.npz", packed.getvalue())
        archive.writestr("model.keras", saved.model)
    write_atomically(path, archived.getvalue())


def read(path: Path) -> Saved:
    """Returns what `write` wrote.

    Raises:
        ValueError: if the file is none of these.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            settings = json.loads(archive.read("replicates.json"))
            arrays = dict(np.load(io.BytesIO(archive.read("arrays.npz")), allow_pickle=False))
            model = archive.read("model.keras")
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} was not written by `Replicates.save`: {error}") from error
    if settings.get("format") not in READABLE:
        raise ValueError(f"{path} has the format {settings.get('format')!r}; this version reads {FORMAT!r}.")
    return Saved(settings, numbered(arrays, "weight"), numbered(arrays, "other"), arrays["active"], model)


def numbered(arrays: dict[str, np.ndarray], kind: str) -> list[np.ndarray]:
    """Returns the arrays "weight 0", "weight 1", … in their order."""
    return [arrays[f"{kind} {i}"] for i in range(sum(name.startswith(kind) for name in arrays))]


def model_file(model: keras.Model) -> bytes:
    """Returns the content of the model's `.keras` file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def compile_config(compiled: Compiled) -> dict[str, Any]:
    """Returns the arguments of `Replicates.compile` as JSON can hold them."""
    serialize = keras.saving.serialize_keras_object
    plain = lambda part: part if part is None or isinstance(part, str) else serialize(part)
    lists = lambda part: keras.tree.map_structure(plain, part)
    return {
        "optimizer": serialize(compiled.optimizer),
        "loss": lists(compiled.loss),
        "loss_weights": compiled.loss_weights,
        "metrics": lists(compiled.metrics),
        "weighted_metrics": lists(compiled.weighted_metrics),
        **keras.tree.map_structure(np.ndarray.tolist, dict(compiled.vectors)),
        "jit_compile": compiled.jit_compile,
        "auto_scale_loss": compiled.auto_scale_loss,
        "check": compiled.check,
    }


def compile_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `Replicates.compile` that `compile_config` was given.

    Raises:
        ValueError: if Keras does not know a class among them.
    """
    with unknown_named():
        return {name: restored(part) if name in SERIALISED else part for name, part in config.items()}


def restored(part: Any) -> Any:
    """Returns what `compile_config` has made of an optimiser, losses or metrics, in their structure."""
    if isinstance(part, dict) and "class_name" in part:
        return keras.saving.deserialize_keras_object(part)
    if isinstance(part, dict):
        return {name: restored(inner) for name, inner in part.items()}
    return [restored(inner) for inner in part] if isinstance(part, list) else part
