"""The register of studies: one line each, and nothing else knows their names."""

from __future__ import annotations

import difflib
import importlib
import traceback
from typing import TYPE_CHECKING, cast

from crosscheck.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from crosscheck.claims import Study, Unit

NAMES = (
    "surprise",
    "execution_paths",
    "saturation",
    "label_smoothing",
    "weight_decay",
    "softmax_competition",
    "curvature",
    "surrogate",
    "mutual_information",
    "brier_vs_kl",
    "gaussian_prior",
    "laplace_prior",
    "ood_overconfidence",
    "ood_energy",
    "ood_published",
)


def measured(unit: Unit) -> pd.DataFrame:
    """The rows of a unit, measured here and now."""
    from crosscheck.claims.rows import gathered

    return gathered(getattr(load(unit.study), unit.measure)(seeds=unit.seeds, **unit.setting))


def load(name: str) -> Study:
    """The study of this name.

    Raises:
        UsageError: for a name that is not in the register, or a file that cannot be imported.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"There is no study {name!r}.{hint} Studies: {', '.join(NAMES)}.")
    try:
        return cast("Study", importlib.import_module(f"crosscheck.studies.{name}"))
    except Exception as error:
        file = f"studies/{name}.py"
        raise UsageError(
            f"{file} cannot be imported: {type(error).__name__}: {error}{line_of(error, file)}."
        ) from error


def line_of(error: Exception, file: str) -> str:
    """Where in a study's file an error arose."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(file)
    ]
    return f" (line {lines[-1]})" if lines else ""
