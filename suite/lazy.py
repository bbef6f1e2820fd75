"""Heavy modules, imported on first use: `from suite.lazy import keras, losses, plt`.

A study imports these at its top and stays cheap to import itself, so that listing the studies, or finding
that nothing is left to do, loads neither TensorFlow nor pandas.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

MODULES = {
    "keras": "keras",
    "optimize": "scipy.optimize",
    "special": "scipy.special",
    "autodiff": "suite.autodiff",
    "data": "suite.data",
    "detection": "suite.detection",
    "figures": "suite.figures",
    "heads": "suite.paths.heads",
    "independence": "suite.independence",
    "information": "suite.information",
    "losses": "suite.losses",
    "metrics": "suite.metrics",
    "models": "suite.models",
    "outlier_training": "suite.outlier_training",
    "paths": "suite.paths",
    "probing": "suite.paths.probing",
    "replicates": "suite.replicates",
    "rows": "suite.rows",
    "pd": "pandas",
    "sns": "seaborn",
}


class Lazy(ModuleType):
    """Stands for a module until one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # introspection must not set off the import
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


if TYPE_CHECKING:
    import keras
    import pandas as pd
    import seaborn as sns
    from scipy import optimize, special

    from suite import (
        autodiff,
        data,
        detection,
        figures,
        independence,
        information,
        losses,
        metrics,
        models,
        outlier_training,
        paths,
        replicates,
        rows,
    )
    from suite.paths import heads, probing
else:
    globals().update({name: Lazy(target) for name, target in MODULES.items()})

__all__ = [
    "autodiff",
    "data",
    "detection",
    "figures",
    "heads",
    "independence",
    "information",
    "keras",
    "losses",
    "metrics",
    "models",
    "optimize",
    "outlier_training",
    "paths",
    "pd",
    "probing",
    "replicates",
    "rows",
    "sns",
    "special",
]
