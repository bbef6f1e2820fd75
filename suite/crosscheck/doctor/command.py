"""`crosscheck doctor`: examines the model in a .keras file."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras

# Imported for what they register with Keras: a saved model may hold any of it.
from crosscheck import calibration, losses, metrics, models, optimizers, regularizers  # noqa: F401
from crosscheck.doctor._examination import examine
from crosscheck.doctor._graph import first_line
from crosscheck.errors import UsageError


def diagnose_file(file: Path, loss: str | None, modules: Iterable[str], as_json: bool) -> tuple[str, int]:
    """The text to print, and the exit code: 0 if all outputs are sound, 1 if one is broken, else 2.

    Raises:
        UsageError: where the model or its loss cannot be loaded, or the doctor cannot examine it.
    """
    model = load_model(file, modules)
    try:
        diagnoses = examine(model, loss_named(loss) if loss else None)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    except Exception as error:
        text = f"the doctor could not look: {type(error).__name__}: {first_line(error)}"
        raise UsageError(f"{file}: {text}") from error
    records = [{"model": str(file), **diagnosis.to_dict()} for diagnosis in diagnoses]
    text = json.dumps(records, indent=2, ensure_ascii=False) if as_json else "\n".join(map(str, diagnoses))
    codes = {diagnosis.exit_code for diagnosis in diagnoses}
    return text, next((code for code in (1, 2) if code in codes), 0)


def load_model(file: Path, modules: Iterable[str]) -> Any:
    """The model in a .keras file; nothing in it is run that Keras' safe mode does not allow.

    Raises:
        UsageError: where there is no such file, or it holds no model that can be loaded.
    """
    if file.suffix != ".keras":
        raise UsageError(f"{file} is not a .keras file. Save the model with `model.save('name.keras')`.")
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    if not zipfile.is_zipfile(file):
        raise UsageError(f"{file} cannot be loaded: it is no archive, as a .keras file is. Is it damaged?")
    sys.path.insert(0, str(Path.cwd()))
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            raise UsageError(f"--import {module}: {error}.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an optimiser that never ran has no state to load: no matter
            return keras.saving.load_model(file)
    except Exception as error:
        raise UsageError(f"{file} cannot be loaded: {why_not_loaded(error)}") from error


def why_not_loaded(error: Exception) -> str:
    """In words, with the remedy; Keras' own for a Lambda layer would be to run the code in the file."""
    reason = first_line(error)
    if "safe_mode=False" in reason:
        return (
            "it holds Python code, as of a Lambda layer, and a file's code is not run. "
            "Make a class of that layer, registered with `keras.saving.register_keras_serializable`, save "
            "the model anew, and name the module of the class with --import."
        )
    return (
        f"{reason} If it uses classes of your own, register them with "
        "`keras.saving.register_keras_serializable` and name their module with --import."
    )


def loss_named(loss: str) -> Any:
    """A loss of Keras by name.

    Raises:
        UsageError: for a name that Keras does not know.
    """
    try:
        return keras.losses.get(loss)
    except ValueError as error:
        raise UsageError(f"Keras has no loss {loss!r}; binary_crossentropy is one.") from error
