"""The parent's side: processes that wait while another is timed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.worker import ANSWER
from crosscheck.claims.claim import BACKENDS
from crosscheck.errors import CrosscheckError
from crosscheck.running.plan import is_installed


def installed() -> list[str]:
    return [backend for backend in BACKENDS if is_installed(backend)]


def cpp_compiler() -> str | None:
    """The C++ compiler that `torch.compile` would call; None where there is none."""
    return shutil.which(os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++"))


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
        """The worker's answer: `seconds`, `first` (those of its first run), `peak` and `base` bytes.

        Raises:
            CrosscheckError: if the worker died; its own words stand above.
        """
        assert self.child.stdin
        with contextlib.suppress(BrokenPipeError):  # of the dead: `answer` tells
            self.child.stdin.write(json.dumps({"contender": contender, "setting": setting}) + "\n")
            self.child.stdin.flush()
        return self.answer(contender)

    def answer(self, question: str = "start") -> dict[str, Any]:
        assert self.child.stdout
        for line in self.child.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        raise CrosscheckError(f"The benchmark's {question} on {self.backend} died; its error stands above.")

    def close(self) -> None:
        assert self.child.stdin
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.close()
        self.child.wait()


@contextlib.contextmanager
def started(*backends: str) -> Iterator[list[Process]]:
    """A worker each, all of which have imported what they need: none is busy while another is timed."""
    with contextlib.ExitStack() as stack:
        processes = [Process(backend) for backend in backends]
        for process in processes:
            stack.callback(process.close)
        for process in processes:
            process.answer()
        yield processes
