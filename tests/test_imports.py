"""What an import costs: `crosscheck` nothing, the Keras rooms no backend but the one that is chosen."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[1] / "suite"
ROOMS = (
    "autodiff",
    "calibration",
    "callbacks",
    "detection",
    "information",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "regularizers",
    "replicates",
)
WITHOUT = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def run(code: str, missing: tuple[str, ...] = (), backend: str = "tensorflow") -> str:
    """What the code prints in a new process that cannot import some packages."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(SUITE)}
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing) + code],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


def test_importing_crosscheck_imports_nothing() -> None:
    code = "before = set(sys.modules)\nimport crosscheck\nprint(*sorted(set(sys.modules) - before))"
    assert run(code).split() == ["crosscheck"]


def test_the_keras_rooms_import_no_tensorflow_where_jax_is_chosen() -> None:
    """On a machine with JAX alone: a loss, a metric, an optimiser and replicates at work."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed; pip install 'keras-crosscheck[jax]'")
    code = f"""
import numpy as np
from crosscheck import {", ".join(ROOMS)}

x, y = np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2
replicas = replicates.Replicates(models.perceptron(3, [4], 2), (1, 2))
replicas.compile(
    optimizers.Proximal("sgd", 0.1),
    losses.sparse_categorical_crossentropy,
    metrics=[metrics.NegativeLogLikelihood(from_logits=True)],
)
replicas.fit(x, y)
print(*(name for name in ("tensorflow", "torch") if name in sys.modules))
"""
    assert run(code, missing=("tensorflow", "torch"), backend="jax").split() == []


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_exist_and_are_documented(room: str) -> None:
    module = importlib.import_module(f"crosscheck.{room}")
    assert module.__doc__
    for name in module.__all__:
        assert getattr(module, name).__doc__, f"{room}.{name}"
