"""The device of this process: its name, what runs on it, and how much of its memory is in use."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from typing import Any

import keras

import crosscheck
from crosscheck.replicates.backends import current

PACKAGES = ("keras", "tensorflow", "jax", "jaxlib", "jax-cuda13-plugin", "jax-cuda12-plugin", "numpy")


def kind() -> str:
    """`cpu` or `gpu`."""
    return current().device()


def is_tensorflow() -> bool:
    return keras.backend.backend() == "tensorflow"


def name() -> str:
    """As the backend calls the device; the processor's name where that is all it has."""
    if kind() == "cpu":
        from crosscheck.running.provenance import device

        return device()
    if is_tensorflow():
        import tensorflow as tf

        first = tf.config.list_physical_devices("GPU")[0]
        return str(tf.config.experimental.get_device_details(first).get("device_name", first.name))
    import jax

    return str(jax.local_devices()[0].device_kind)


def provenance() -> dict[str, Any]:
    """Device, driver, versions, and the settings that change numbers or times."""
    settings = ("XLA_FLAGS", "JAX_ENABLE_X64", "TF_DETERMINISTIC_OPS", "XLA_PYTHON_CLIENT_PREALLOCATE")
    return {
        "backend": keras.backend.backend(),
        "device": name(),
        "driver": driver(),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), **installed()},
        "settings": {setting: os.environ[setting] for setting in settings if setting in os.environ},
    }


def installed() -> dict[str, str]:
    """This package is told of where it is not installed, too."""
    versions = {"crosscheck": crosscheck.__version__}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def driver() -> str:
    """Of NVIDIA's: "" where its tool is not there."""
    question = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(question, capture_output=True, text=True, timeout=20).stdout.strip()
    return ""


def free_bytes() -> int | None:
    """What `Replicates` plans by; None where the device does not tell, and the computer's memory is asked."""
    return current().free_memory()


def used_bytes() -> int:
    return memory("current", "bytes_in_use")


def peak_bytes() -> int:
    """The most since the process began."""
    return memory("peak", "peak_bytes_in_use")


def memory(in_tensorflow: str, in_jax: str) -> int:
    """Of the device; of this process, at its peak, where that is a CPU."""
    if kind() == "cpu":
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if is_tensorflow():
        import tensorflow as tf

        return int(tf.config.experimental.get_memory_info("GPU:0")[in_tensorflow])
    import jax

    return int((jax.local_devices()[0].memory_stats() or {}).get(in_jax, 0))
