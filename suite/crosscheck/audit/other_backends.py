"""Values and gradients of losses on the backends that this process does not run, each in its own process.

`python -m crosscheck.audit.other_backends REQUESTS`, a JSON list of losses, writes what they give at
`agreement_points`, one line of JSON for each loss.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import crosscheck
from crosscheck.audit.checks.theory.agreement import MODES, agreement_points
from crosscheck.audit.contract import Subject
from crosscheck.audit.probe import Probe
from crosscheck.audit.subjects import bare_subject, load

PATIENCE = 120  # seconds
TOLD = ("kind", "from_logits", "axes", "values", "unreduced")  # what a process need not find out again
PYTHON = (sys.executable, "-P")  # without the current folder, in which another `crosscheck` may lie
PACKAGE_ROOT = Path(crosscheck.__file__).parents[1]


def with_other_backends(subjects: Iterable[Subject], backend: str) -> list[Subject]:
    """The subjects, each with an `other_backends` that returns its numbers on all backends but this one.

    The processes start at once and answer for one loss after the other while this process goes on.
    """
    listed = list(subjects)
    requests = [
        {
            "target": subject.name,
            "config": subject.config,
            "told": {name: getattr(subject, name) for name in TOLD},
        }
        for subject in listed
    ]
    if all(subject.obstacle for subject in listed):
        return listed
    processes = {other: BackendProcess(other, requests) for other in MODES if other != backend}

    def answers(i: int) -> Mapping[str, Any]:
        return {other: process.answer(i) for other, process in processes.items()}

    return [
        replace(subject, other_backends=functools.partial(answers, i)) for i, subject in enumerate(listed)
    ]


def environment_of(backend: str) -> dict[str, str]:
    """The environment of a process on another backend, which imports the package that this one imports.

    With `-P` the current folder is no longer searched. A checkout that this process found through it is found
    through PYTHONPATH.
    """
    paths = [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    keras = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **keras, "PYTHONPATH": os.pathsep.join(paths)}


class BackendProcess:
    """A process on another backend, which answers the requests line by line.

    Attributes:
        reason: why there are no further answers; "" while they may come.
    """

    def __init__(self, backend: str, requests: list[dict[str, Any]]):
        self.reason = f"{backend} is not installed"
        self.requests = len(requests)
        self.answers: list[Any] = []
        self.lines: queue.Queue[str] = queue.Queue()
        if importlib.util.find_spec(backend) is not None:
            self.reason = ""
            self.process = subprocess.Popen(
                [*PYTHON, "-m", "crosscheck.audit.other_backends", json.dumps(requests)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment_of(backend),
            )
            self.reader = threading.Thread(target=self.read_lines, daemon=True)
            self.reader.start()

    def read_lines(self) -> None:
        """Passes on what the process writes; an empty line stands for its end."""
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.put(line)
        self.process.wait()
        self.lines.put("")

    def answer(self, i: int) -> Any:
        """(value, gradient) of the i-th loss behind each head, or in words why there are none."""
        while len(self.answers) <= i and not self.reason:
            try:
                self.answers.append(parse_answer(json.loads(self.lines.get(timeout=PATIENCE))))
                if len(self.answers) == self.requests:
                    self.reader.join()
            except queue.Empty:
                self.reason = f"no answer within {PATIENCE} s"
                self.process.kill()
            except ValueError:
                self.reason = f"its process ended with exit code {self.process.poll()} and no numbers"
        return self.answers[i] if len(self.answers) > i else self.reason


def parse_answer(answer: Any) -> Any:
    """The answer with arrays of float64: its numbers came as words, for JSON has no NaN or infinity."""
    if isinstance(answer, str):
        return answer
    return {head: [np.array(part, "float64") for part in parts] for head, parts in answer.items()}


def answer_request(request: dict[str, Any]) -> Any:
    """Value and gradient of a loss in this process behind each head, or in words why there are none."""
    try:
        subject = replace(bare_subject(load(request["target"], request["config"])), **request["told"])
        probe = Probe(subject)
        measured = {head: probe(*agreement_points(subject), head=head) for head in probe.heads}
    except Exception as error:
        return f"it cannot be asked there: {type(error).__name__}: {str(error).strip()[:200]}"
    return {head: [np.vectorize(str)(part).tolist() for part in parts] for head, parts in measured.items()}


def main(requests: list[dict[str, Any]]) -> None:
    """Writes one line for each request; what a loss prints is dropped."""
    for request in requests:
        with contextlib.redirect_stdout(io.StringIO()):
            answer = answer_request(request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
