"""Under which circumstances a result came about: versions, machine, code, data, seeds."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import crosscheck
from crosscheck import _nodes
from crosscheck.claims.claim import Unit

PACKAGES = (
    "tensorflow",
    "keras",
    "tensorflow_datasets",
    "numpy",
    "scipy",
    "scikit-learn",
)
OF_BACKEND = {"jax": ("jax", "jaxlib"), "torch": ("torch",)}
ROOT = Path(crosscheck.__file__).resolve().parents[2]
CODE = ("suite", "studies", "pyproject.toml", "requirements.txt")
UNIMPORTANT = ("git", "seconds")  # they differ from run to run though nothing was found differently


def circumstances(units: Sequence[Unit], scale: str, backend: str, seconds: float) -> dict[str, Any]:
    """What verdict.json records of the run, for the units of one study."""
    from crosscheck import data

    return {
        "versions": versions(*sorted({unit.backend for unit in units} or {backend})),
        "backend": backend,
        "device": device(),
        "scale": scale,
        "seeds": seeds(units),
        "git": git(),
        "data": {name: data.identity(name) for name in sorted({n for unit in units for n in unit.data})},
        "seconds": round(float(seconds), 1),
    }


def versions(*backends: str) -> dict[str, str]:
    """Versions of whatever shapes a number on these backends, without importing any of it."""
    own = (name for backend in backends for name in OF_BACKEND.get(backend, ()))
    packages = {name: installed(name) for name in (*PACKAGES, *own)}
    return {"python": platform.python_version(), "crosscheck": crosscheck.__version__, **packages}


@functools.cache
def installed(package: str) -> str:
    return _nodes.installed(package) or "not installed"


def device() -> str:
    """The processor's name and how many logical cores there are."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.processor() or platform.machine())}, {os.cpu_count()} logical cores"


def seeds(units: Iterable[Unit]) -> str:
    """All seeds in use, runs of them drawn together: `0–31, 100`."""
    used = sorted({seed for unit in units for seed in unit.seeds})
    starts = [seed for seed in used if seed - 1 not in used]
    ends = [seed for seed in used if seed + 1 not in used]
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in zip(starts, ends, strict=True))


def git() -> str:
    """The commit, and `dirty` where the code differs from it; empty outside a checkout of the project."""
    if not in_checkout():
        return ""
    changed = ask_git("status", "--porcelain", "--", *CODE)
    return ask_git("rev-parse", "HEAD") + (" dirty" if changed else "")


def in_checkout() -> bool:
    """Whether this package lies in a checkout of its own project, and not inside another project's."""
    top = ask_git("rev-parse", "--show-toplevel")
    return bool(top) and Path(top).resolve() == ROOT


def ask_git(*question: str) -> str:
    """Git's answer; empty where git is missing or has none."""
    try:
        answer = subprocess.run(
            ["git", *question], cwd=ROOT, capture_output=True, text=True, timeout=10, encoding="utf-8"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
