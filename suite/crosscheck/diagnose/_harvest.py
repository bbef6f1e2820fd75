"""From the call at which a script was stopped to the program under examination."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras

from crosscheck.diagnose._program import Data, Program
from crosscheck.diagnose._sources import data_of
from crosscheck.errors import UsageError
from crosscheck.scripts import Call

DEFAULT_BATCH_SIZE = 32  # of Keras' `fit`
NAMED = {"x", "y", "sample_weight", "validation_data", "batch_size"}  # what is read before it is handed on
HANDED_ON = {"epochs", "validation_split", "shuffle", "class_weight"}  # as it is, under the same name


def harvest(call: Call) -> Program:
    """The program that a call of `fit`, or of `train_on_batch`, trains.

    Arrays are taken whole; of anything that is read batch by batch the first rows. The model stays as it is,
    also where it waits for its first batch to be built.

    Raises:
        UsageError: the model is not compiled, or the data are none that Keras takes; the message says where.
    """
    try:
        return program_of(call)
    except UsageError as error:
        raise UsageError(f"{call.place}: {error}") from error


def program_of(call: Call) -> Program:
    if not call.model.compiled:
        raise UsageError(f"{call.method} is called on a model that was not compiled.")
    given = call.arguments
    training, rows = training_data(call)
    return Program(
        call.model,
        training,
        validation_data(given.get("validation_data")),
        batch_size=rows or given.get("batch_size") or DEFAULT_BATCH_SIZE,
        place=call.place,
        arguments={name: value for name, value in given.items() if name not in NAMED | HANDED_ON},
        **{name: value for name, value in given.items() if name in HANDED_ON and value is not None},
    )


def training_data(call: Call) -> tuple[Data, int | None]:
    """The data, and how many rows a step takes where they say so themselves."""
    given = call.arguments
    data, rows = data_of(given.get("x"), given.get("y"), given.get("sample_weight"))
    if call.method == "train_on_batch":
        return replace(data, is_complete=False, source="train_on_batch"), data.rows
    return data, rows


def validation_data(given: Any) -> Data | None:
    """`validation_data` in any of its forms: a tuple of arrays, or whatever `fit` takes as `x`."""
    if given is None:
        return None
    data, _ = data_of(*keras.utils.unpack_x_y_sample_weight(given))
    return data
