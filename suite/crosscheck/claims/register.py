"""The register of studies: one line each, and nothing else knows their names."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

from crosscheck.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from crosscheck.claims import Study, Unit

NAMES = (
    "surprise",
    "log_base",
    "execution_paths",
    "saturation",
    "slow_training",
    "label_smoothing",
    "weight_decay",
    "softmax_competition",
    "neural_collapse",
    "curvature",
    "network_curvature",
    "surrogate",
    "consistency",
    "calibration",
    "mutual_information",
    "brier_vs_kl",
    "people",
    "multilabel_tagging",
    "multilabel_decisions",
    "hierarchy",
    "class_imbalance",
    "class_weights",
    "label_noise",
    "robust_losses",
    "human_noise",
    "gaussian_prior",
    "laplace_prior",
    "ood_overconfidence",
    "ood_energy",
    "ood_published",
)
PARTS = ("CLAIM", "CHECKS", "THEORIES", "units", "table", "figure")  # what a study's file defines


def measured(unit: Unit) -> pd.DataFrame:
    """The rows of a unit, measured here and now.

    Raises:
        TypeError: where the measuring function returns nothing.
    """
    from crosscheck.claims.rows import gathered

    frames = getattr(load(unit.study), unit.measure)(seeds=unit.seeds, **unit.setting)
    if frames is None:
        raise TypeError(f"{unit.measure} returned nothing: it has to return rows, or yield them.")
    return gathered(frames)


def load(name: str) -> Study:
    """The study of this name.

    Raises:
        UsageError: for a name that is not in the register, or a file that cannot be imported or lacks a part.
    """
    if name not in NAMES:
        raise UsageError(f"There is no study {name!r}.{hint(name)} Studies: {', '.join(NAMES)}.")
    try:
        study = importlib.import_module(f"crosscheck.studies.{name}")
    except Exception as error:
        raise unusable(name, "cannot be imported", error) from error
    lacking = [part for part in PARTS if not hasattr(study, part)]
    if lacking:
        raise UsageError(f"studies/{name}.py defines no {' and no '.join(lacking)}.")
    if not study.CHECKS:
        raise UsageError(f"studies/{name}.py has no check in CHECKS: nothing would be judged.")
    return cast("Study", study)


def hint(name: str) -> str:
    """What a name that is not in the register probably stands for, as a sentence."""
    public = name.isidentifier() and not name.startswith("_")
    if public and importlib.util.find_spec(f"crosscheck.studies.{name}"):
        return f" studies/{name}.py is there: add {name!r} to NAMES in {Path(os.path.relpath(__file__))}."
    near = difflib.get_close_matches(name, NAMES, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def units_of(study: Study, scale: str) -> list[Unit]:
    """The units of a study at a scale.

    Raises:
        UsageError: where the study's `units` raises.
    """
    try:
        return study.units(scale)
    except Exception as error:
        name = getattr(study, "__name__", "").rpartition(".")[2]
        raise unusable(name, f"cannot say its units at scale {scale}", error) from error


def unusable(name: str, what: str, error: Exception) -> UsageError:
    """The error of a study's file that raises, with the line."""
    file = f"studies/{name}.py"
    return UsageError(f"{file} {what}: {type(error).__name__}: {error}{line_of(error, file)}.")


def line_of(error: Exception, file: str) -> str:
    """Where in a study's file an error arose."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(file)
    ]
    return f" (line {lines[-1]})" if lines else ""
