"""The parent's side: processes that wait while another is timed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.settings import ANSWER
from crosscheck.errors import CrosscheckError


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
            CrosscheckError: if the worker died; its error is on the terminal, above.
        """
        assert self.child.stdin
        with contextlib.suppress(BrokenPipeError):  # the worker died: `answer` raises
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
    """Starts a worker for each backend, and waits until all have imported what they need.

    So none is busy while another is timed.
    """
    with contextlib.ExitStack() as stack:
        processes = [Process(backend) for backend in backends]
        for process in processes:
            stack.callback(process.close)
        for process in processes:
            process.answer()
        yield processes
