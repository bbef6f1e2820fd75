"""Observations that a learner may name: each is true of a program's files, or is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crosscheck.errors import UsageError
from crosscheck.practice.diagnose.observing import LAYERS, LOG

PRIOR = float(np.log(10))  # the loss of saying one tenth for each class
FAR = 0.25  # between two accuracies
AMISS = "nothing amiss"


@dataclass(frozen=True)
class Files:
    """What is in a program's folder."""

    log: pd.DataFrame
    layers: pd.DataFrame

    @property
    def end(self) -> pd.Series:
        return self.log.iloc[-1]

    @property
    def fall(self) -> float:
        """By which share the loss fell from the first epoch to the last."""
        first = float(self.log["loss"].iloc[0])
        return 1 - float(self.end["loss"]) / first if first else 0.0

    @property
    def history(self) -> dict[str, list[float]]:
        """The log as `fit` gives it."""
        table = self.log.drop(columns="epoch")
        return {str(name): [float(value) for value in table[name]] for name in table}

    def layer(self, when: str, name: str) -> pd.Series:
        return self.layers[(self.layers["when"] == when) & (self.layers["layer"] == name)].iloc[0]


def read(folder: Path) -> Files:
    """The files of a program.

    Raises:
        UsageError: where one is missing or no table.
    """
    try:
        return Files(pd.read_csv(folder / LOG), pd.read_csv(folder / LAYERS))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} cannot be read, lay another folder out: {error}") from error


def is_finite(files: Files) -> bool:
    return bool(np.isfinite(files.log["loss"]).all())


def moved(files: Files) -> float:
    return float(files.layers["moved"].max())


OBSERVATIONS: dict[str, Callable[[Files], bool]] = {
    "loss is not finite": lambda files: not is_finite(files),
    "loss is exactly 0": lambda files: bool((files.log["loss"] == 0).all()),
    "loss starts far above ln 10": lambda files: files.log["loss"].iloc[0] > 2 * PRIOR,
    "loss stays high though answers are right": lambda files: (
        files.end["loss"] > 1.4 and files.end["accuracy"] > 0.8
    ),
    "loss hardly moves, with gradients": lambda files: (
        is_finite(files)
        and abs(files.fall) < 0.05
        and moved(files) > 0
        and files.layer("start", "head")["gradient_mean_size"] > 1e-4
    ),
    "kernels do not move at all": lambda files: moved(files) == 0,
    "kernels end as no numbers": lambda files: bool(np.isnan(files.layer("end", "hidden")["kernel_sd"])),
    "loss rises above its start": lambda files: files.log["loss"].iloc[1:].max() > files.log["loss"].iloc[0],
    "validation loss rises": lambda files: files.end["val_loss"] > files.log["val_loss"].min() + 0.3,
    "validation far worse than training": lambda files: (
        files.end["accuracy"] - files.end["val_accuracy"] > FAR
    ),
    "training far worse than validation": lambda files: (
        files.end["val_accuracy"] - files.end["accuracy"] > FAR
    ),
    "answers stay near chance": lambda files: files.log["val_accuracy"].iloc[-1] < 0.3,
    "hidden units are all off": lambda files: files.layer("start", "hidden")["outputs_above_0"] == 0,
    "kernels begin all alike": lambda files: files.layer("start", "hidden")["kernel_sd"] == 0,
    AMISS: lambda files: is_finite(files) and files.fall > 0.5 and files.end["val_accuracy"] > 0.8,
}


def holds(observation: str, files: Files) -> bool:
    """Whether a named observation is true of the files."""
    return bool(OBSERVATIONS[observation](files))
