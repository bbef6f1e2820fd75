"""The same tests on every backend that is installed: one process each, for a backend is fixed per process."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = (
    "tests/test_replicates.py",
    "tests/test_replicates_fit.py",
    "tests/test_findings.py",
    "tests/test_identities.py",
    "tests/test_doctor.py",
    # In one process: imports cost.
    "tests/test_joint.py tests/test_chain.py tests/test_detection.py",
    "tests/test_regularizers.py tests/test_optimizers.py tests/test_posteriors.py",
    "tests/test_metrics.py tests/test_metric_classes.py tests/test_calibration.py tests/test_callbacks.py",
    "tests/test_audit.py tests/test_audit_use.py",
)
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("file", FILES)
def test_on_another_backend(backend: str, file: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; pip install 'crosscheck[{backend}]'")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1"}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *file.split(), "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-5000:]
