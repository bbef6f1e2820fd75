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
    "linear_model": "sklearn.linear_model",
    "optimize": "scipy.optimize",
    "special": "scipy.special",
    "autodiff": "suite.autodiff",
    "checkpoints": "suite.checkpoints",
    "data": "suite.data",
    "expected": "suite.expected",
    "detection": "suite.detection",
    "figures": "suite.figures",
    "flows": "suite.flows",
    "heads": "suite.paths.heads",
    "image_training": "suite.image_training",
    "independence": "suite.independence",
    "information": "suite.information",
    "losses": "suite.losses",
    "metrics": "suite.metrics",
    "models": "suite.models",
    "optimizers": "suite.optimizers",
    "outlier_figures": "suite.outlier_figures",
    "outlier_rows": "suite.outlier_rows",
    "outlier_training": "suite.outlier_training",
    "paths": "suite.paths",
    "probing": "suite.paths.probing",
    "posteriors": "suite.posteriors",
    "regularizers": "suite.regularizers",
    "replicates": "suite.replicates",
    "rows": "suite.rows",
    "scores": "suite.scores",
    "variational": "suite.variational",
    "wide_resnet": "suite.wide_resnet",
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
    from sklearn import linear_model

    from suite import (
        autodiff,
        checkpoints,
        data,
        detection,
        expected,
        figures,
        flows,
        image_training,
        independence,
        information,
        losses,
        metrics,
        models,
        optimizers,
        outlier_figures,
        outlier_rows,
        outlier_training,
        paths,
        posteriors,
        regularizers,
        replicates,
        rows,
        scores,
        variational,
        wide_resnet,
    )
    from suite.paths import heads, probing
else:
    globals().update({name: Lazy(target) for name, target in MODULES.items()})

__all__ = [
    "autodiff",
    "checkpoints",
    "data",
    "detection",
    "expected",
    "figures",
    "flows",
    "heads",
    "image_training",
    "independence",
    "information",
    "keras",
    "linear_model",
    "losses",
    "metrics",
    "models",
    "optimize",
    "optimizers",
    "outlier_figures",
    "outlier_rows",
    "outlier_training",
    "paths",
    "pd",
    "posteriors",
    "probing",
    "regularizers",
    "replicates",
    "rows",
    "scores",
    "sns",
    "special",
    "variational",
    "wide_resnet",
]
