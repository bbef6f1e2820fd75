"""Training scripts as people write them, and how a test has one run up to its `fit`."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator
from pathlib import Path

from crosscheck.diagnose._harvest import harvest
from crosscheck.diagnose._program import Program
from crosscheck.scripts import Call, stopped_at_fit

HEAD = """
import numpy as np
import keras

x = np.arange(120, dtype="float32").reshape(40, 3)
y = np.arange(40) % 2

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
"""
ROWS, FEATURES = 40, 3


def write(folder: Path, text: str, name: str = "train.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


@contextlib.contextmanager
def call_of(folder: Path, text: str, *arguments: str, number: int = 1) -> Iterator[Call]:
    """The call at which a script of this text is stopped."""
    with stopped_at_fit(write(folder, text), arguments, number) as call:
        yield call


def program_of(folder: Path, fit: str, head: str = HEAD) -> Program:
    """What is harvested from a script that ends in these lines."""
    with call_of(folder, head + textwrap.dedent(fit)) as call:
        return harvest(call)
