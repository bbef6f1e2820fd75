"""Replicates in one file: a zip of the model (`.keras`), the stacked arrays (`.npz`) and the rest (JSON)."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from crosscheck._files import write_atomically
from crosscheck.replicates.block import Block

if TYPE_CHECKING:
    from crosscheck.replicates.core import Replicates

FORMAT = "crosscheck replicates 1"


def save(replicates: Replicates, path: Path) -> None:
    weights = replicates.get_weights()
    others = replicates.gathered(Block.others) if replicates.blocks else []
    arrays = {f"weight {i}": value for i, value in enumerate(weights)}
    arrays |= {f"other {i}": value for i, value in enumerate(others)}
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, active=replicates.active, **arrays)
    settings = {
        "format": FORMAT,
        "seeds": replicates.seeds,
        "paired": replicates.paired,
        "mode": replicates.plan.mode,
        "initial_epoch": replicates.initial_epoch,
        "compiled": compiled(replicates),
    }
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("replicates.json", json.dumps(settings))
        archive.writestr("arrays.npz", packed.getvalue())
        archive.writestr("model.keras", model_file(replicates.model))
    write_atomically(path, whole.getvalue())


def compiled(replicates: Replicates) -> dict[str, Any] | None:
    task, serialize = replicates.task, keras.saving.serialize_keras_object
    if replicates.optimizer is None:
        return None
    scale = task.penalty_scale
    return {
        "optimizer": serialize(replicates.optimizer),
        "loss": serialize(task.loss),
        "metrics": [m if isinstance(m, str) else serialize(m) for m in replicates.metrics],
        "loss_arguments": {name: value.tolist() for name, value in task.arguments.items()},
        "penalty_scale": None if scale is None else scale.tolist(),
        "jit_compile": replicates.jit_compile,
    }


def model_file(model: keras.Model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def load(kind: type[Replicates], path: Path) -> Replicates:
    try:
        with zipfile.ZipFile(path) as archive:
            settings = json.loads(archive.read("replicates.json"))
            arrays = dict(np.load(io.BytesIO(archive.read("arrays.npz")), allow_pickle=False))
            model = archive.read("model.keras")
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} was not written by `Replicates.save`: {error}") from error
    if settings.get("format") != FORMAT:
        raise ValueError(f"{path} has the format {settings.get('format')!r}; this version reads {FORMAT!r}.")

    def build() -> keras.Model:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            file.write_bytes(model)
            return keras.models.load_model(file)

    replicates = kind(build, settings["seeds"], paired=settings["paired"], mode=settings["mode"])
    if settings["compiled"]:
        restore(replicates, settings["compiled"])
    replicates.set_weights(numbered(arrays, "weight"))
    replicates.restored = numbered(arrays, "other")
    replicates.active = arrays["active"]
    replicates.initial_epoch = settings["initial_epoch"]
    return replicates


def restore(replicates: Replicates, compiled: dict[str, Any]) -> None:
    again = keras.saving.deserialize_keras_object
    replicates.compile(
        again(compiled["optimizer"]),
        again(compiled["loss"]),
        [m if isinstance(m, str) else again(m) for m in compiled["metrics"]],
        {name: np.array(value) for name, value in compiled["loss_arguments"].items()},
        compiled["penalty_scale"],
        compiled["jit_compile"],
    )


def numbered(arrays: dict[str, np.ndarray], kind: str) -> list[np.ndarray]:
    return [arrays[f"{kind} {i}"] for i in range(sum(name.startswith(kind) for name in arrays))]
