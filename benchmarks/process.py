"""The parent's side: processes that wait while another is timed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.worker import ANSWER
from suite.errors import UsageError

MODULES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def installed() -> list[str]:
    return [backend for backend, module in MODULES.items() if importlib.util.find_spec(module)]


class Process:
    """A worker on one backend; `ask` blocks until it has answered."""

    def __init__(self, backend: str):
        self.backend = backend
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, contender: str, setting: Mapping[str, Any]) -> dict[str, Any]:
        """The worker's answer: `seconds`, `peak` bytes.

        Raises:
            UsageError: if the worker died; its own words stand above.
        """
        assert self.child.stdin and self.child.stdout
        self.child.stdin.write(json.dumps({"contender": contender, "setting": setting}) + "\n")
        self.child.stdin.flush()
        for line in self.child.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        raise UsageError(f"The benchmark of {contender} on {self.backend} died; its error stands above.")

    def close(self) -> None:
        assert self.child.stdin
        self.child.stdin.close()
        self.child.wait()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
