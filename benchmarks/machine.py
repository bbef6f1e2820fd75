"""What this machine has installed."""

from __future__ import annotations

import os
import shutil
import sys

from crosscheck.claims.claim import BACKENDS
from crosscheck.running.plan import is_installed


def installed() -> list[str]:
    """The backends that are installed."""
    return [backend for backend in BACKENDS if is_installed(backend)]


def cpp_compiler() -> str | None:
    """The C++ compiler that `torch.compile` would call; None where there is none."""
    return shutil.which(os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++"))
