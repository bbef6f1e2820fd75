"""The same losses on the backends that this process does not run, each in a process of its own.

`python -m crosscheck.audit.elsewhere LOSSES`, a list of them as JSON, writes their values and gradients at
`agreement.places`, a line of JSON a loss.
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
from typing import Any

import numpy as np

from crosscheck.audit.checks.theory.agreement import MODES, places
from crosscheck.audit.contract import Subject

PATIENCE = 120  # seconds
Answers = Mapping[str, Any]  # by backend: the numbers of each head, or why there are none


def compared(subjects: Iterable[Subject], here: str) -> list[Subject]:
    """The subjects, each knowing where to ask for its numbers on the other backends.

    The processes start now, and answer one loss after the other while this one goes on.
    """
    given = list(subjects)
    wanted = [
        {"target": e.name, "kind": e.kind, "config": e.config, "from_logits": e.from_logits} for e in given
    ]
    others = {name: Other(name, wanted) for name in MODES if name != here}

    def of(i: int) -> Answers:
        return {name: other.answer(i) for name, other in others.items()}

    return [replace(each, elsewhere=functools.partial(of, i)) for i, each in enumerate(given)]


class Other:
    """A process on another backend; its answers come line by line."""

    def __init__(self, backend: str, wanted: list[dict[str, Any]]):
        self.silence = f"{backend} is not installed"
        self.awaited = len(wanted)
        self.heard: list[Any] = []
        self.lines: queue.Queue[str] = queue.Queue()
        if importlib.util.find_spec(backend) is not None:
            self.silence = ""
            self.process = subprocess.Popen(
                [sys.executable, "-m", "crosscheck.audit.elsewhere", json.dumps(wanted)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
            self.listener = threading.Thread(target=self.listen, daemon=True)
            self.listener.start()

    def listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.put(line)
        self.process.wait()
        self.lines.put("")  # the end

    def answer(self, i: int) -> Any:
        """The numbers of each head of the i-th loss, or why there are none."""
        while len(self.heard) <= i and not self.silence:
            try:
                line = self.lines.get(timeout=PATIENCE)
                self.heard.append(numbered(json.loads(line)))
                if len(self.heard) == self.awaited:
                    self.listener.join()
            except queue.Empty:
                self.silence = f"no answer within {PATIENCE} s"
                self.process.kill()
            except ValueError:
                self.silence = f"its process ended with exit code {self.process.poll()} and no numbers"
        return self.heard[i] if len(self.heard) > i else self.silence


def numbered(told: Any) -> Any:
    """JSON knows no NaN or infinity: they came as words."""
    if isinstance(told, str):
        return told
    return {head: [np.array(part, "float64") for part in parts] for head, parts in told.items()}


def numbers_of(wanted: dict[str, Any]) -> Any:
    """Value and gradient of a loss in this process, behind each head, or why there are none."""
    from crosscheck.audit.probe import Probe
    from crosscheck.audit.subjects import loaded

    try:
        subject = loaded(wanted["target"], wanted["kind"], wanted["config"])
        subject = replace(subject, from_logits=wanted["from_logits"])
        probe = Probe(subject)
        told = {head: probe(*places(subject), head=head) for head in probe.heads}
    except Exception as error:
        return f"it cannot be asked there: {type(error).__name__}: {str(error).strip()[:200]}"
    return {head: [np.vectorize(str)(part).tolist() for part in parts] for head, parts in told.items()}


def main(wanted: list[dict[str, Any]]) -> None:
    """A line an answer; what a loss prints goes nowhere."""
    for each in wanted:
        with contextlib.redirect_stdout(io.StringIO()):
            told = numbers_of(each)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
