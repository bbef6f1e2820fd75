"""The diagnosis as a callback: it looks when `fit` begins, before the first step."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from crosscheck.diagnose._diagnose import as_parts, examine
from crosscheck.diagnose._findings import Findings
from crosscheck.diagnose._program import Data, Program
from crosscheck.diagnose._sources import data_of, stream_of
from crosscheck.errors import UsageError

OF_PROGRAM = ("batch_size", "epochs", "shuffle", "class_weight")
OF_CALL = ("steps_per_epoch", "validation_steps", "initial_epoch", "callbacks")


class Diagnose(keras.callbacks.Callback):
    """Diagnoses a program when its training begins, and prints what is wrong. Nothing of it is changed.

    Keras shows a callback the model, and not the data: unless they are given here, they are read from the
    call of `fit` that is under way, where they stand under their own names. A generator is not read, for its
    batches would be lost to the training; then, and where there is no such call, it says so.

    Args:
        x, y, sample_weight: the data, where they are not those of the call.
        expected: reasons for faults that are known and meant, by the name of the check.
        seconds: that training of copies may take before `fit` goes on; 0 for the exact checks alone.
        stop: whether training stops where something is wrong.
        printed: takes the text; None prints nothing.

    Attributes:
        findings: what was found; None before training, and where the data could not be seen.
    """

    def __init__(
        self,
        x: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        expected: Mapping[str, str] | None = None,
        seconds: float = 0.0,
        stop: bool = False,
        printed: Any = print,
    ):
        super().__init__()
        self.data = None if x is None else data_of(x, y, sample_weight)[0]
        self.expected, self.seconds, self.stop, self.printed = expected, seconds, stop, printed
        self.findings: Findings | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Looks at the program; training goes on whatever is found, unless it is to stop."""
        try:
            self.findings = examine(program_under_way(self.model, self.data), self.expected, self.seconds)
        except UsageError as error:
            self.say(f"Diagnose could not look: {error}")
            return
        self.say(str(self.findings))
        if self.stop and self.findings.faults:
            raise UsageError(f"Diagnose stops the training: {self.findings.faults[0].measured}")

    def say(self, text: str) -> None:
        if self.printed is not None:
            self.printed(text)


def program_under_way(model: keras.Model, data: Data | None) -> Program:
    """The program whose `fit` is running.

    Raises:
        UsageError: the data cannot be seen, or are a generator's.
    """
    frame = next((frame for frame in frames() if is_fit_of(frame, model)), None)
    if frame is None:
        if data is None:
            raise UsageError("there is no call of `fit` to read the data from. Give them: Diagnose(x, y).")
        return Program(model, data)
    call = frame.f_locals
    given = {name: call[name] for name in OF_PROGRAM if call.get(name) is not None}
    return Program(
        model,
        data or data_of_call(call),
        validation=held_out(call.get("validation_data")),
        place=place_of(frame),
        arguments={name: call.get(name) for name in OF_CALL},
        **given,
    )


def frames() -> Iterator[types.FrameType]:
    """Yields the calls that are under way, the innermost first."""
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def is_fit_of(frame: types.FrameType, model: keras.Model) -> bool:
    """Whether a call is Keras' `fit` of this model."""
    is_fit = frame.f_code.co_name == "fit" and str(frame.f_globals.get("__name__", "")).startswith("keras.")
    return is_fit and frame.f_locals.get("self") is model and "x" in frame.f_locals


def data_of_call(call: Mapping[str, Any]) -> Data:
    """The data that `fit` was given; after `validation_split`, those that are trained on."""
    stream = stream_of(call["x"])
    if stream is not None and stream.name == "generator":
        raise UsageError(
            "the data are a generator's, whose batches would be lost. Give some: Diagnose(x, y)."
        )
    return data_of(call["x"], call.get("y"), call.get("sample_weight"))[0]


def held_out(validation_data: Any) -> Data | None:
    """The validation data; None where there are none, or reading them would take them."""
    if validation_data is None:
        return None
    stream = stream_of(validation_data)
    return (
        None if stream is not None and stream.name == "generator" else data_of(*as_parts(validation_data))[0]
    )


def place_of(frame: types.FrameType) -> str:
    """File and line of the first call outside Keras that led here."""
    outer = frame.f_back
    while outer is not None and "keras" in Path(outer.f_code.co_filename).parts:
        outer = outer.f_back
    return f"{Path(outer.f_code.co_filename).name}:{outer.f_lineno}" if outer is not None else ""
