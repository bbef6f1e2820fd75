"""Worker processes of this machine, one backend a process, and whatever becomes of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from crosscheck import _child
from crosscheck.running.executor import Job, Reply, as_line

LAST_WORDS = 4096  # bytes of a dead worker's standard error that are looked at
# What TensorFlow and its libraries log on their own, short of errors.
CHATTER = re.compile(
    r"WARNING: All log messages before absl|[IW]\d{4} |\d{4}-\d\d-\d\d .*?: [IW] |To enable the"
)


@dataclass(eq=False)
class Worker:
    """A process with the backend that it has fixed, and the file that its standard error goes to."""

    process: subprocess.Popen
    backend: str
    errors: IO[bytes]

    def forget_errors(self) -> None:
        """Nothing of earlier jobs, nor of start-up, is to be taken for the last words of the next."""
        self.errors.truncate(0)

    def ending(self) -> str:
        """How it ended, with the end of what it had written to standard error."""
        code = self.process.returncode
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - LAST_WORDS))
        lines = self.errors.read().decode(errors="replace").splitlines()
        lines = [line.strip() for line in lines if line.strip() and not CHATTER.match(line)]
        words = ": " + " / ".join(lines[-2:] if code < 0 else lines[-1:]) if lines else ""
        if code == -signal.SIGKILL:
            return "was killed" + (words or " (out of memory?)")
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return how + words


class Pool:
    """An executor of worker processes, each with at most one job; one that died is replaced.

    Args:
        count: processes at the most; `threads`: that each of them computes with.
        folder: the store, into which they write themselves.
    """

    def __init__(self, count: int, folder: Path, threads: int):
        self.count, self.folder, self.threads = count, folder, threads
        self.waiting: deque[Job] = deque()
        self.idle: list[Worker] = []
        self.busy: dict[Worker, Job] = {}
        self.selector = selectors.DefaultSelector()

    def submit(self, job: Job) -> None:
        self.waiting.append(job)

    def employ(self) -> None:
        """Give every free worker a job, starting workers where one is short or has the wrong backend."""
        while self.waiting and len(self.busy) < self.count:
            job = self.waiting.popleft()
            worker = self.worker_for(job.unit.backend)
            self.busy[worker] = job
            with contextlib.suppress(BrokenPipeError):  # it died while idle: its silence tells
                worker.process.stdin.write(as_line(job, str(self.folder)))  # type: ignore[union-attr]
                worker.process.stdin.flush()  # type: ignore[union-attr]

    def worker_for(self, backend: str) -> Worker:
        alive = (worker for worker in self.idle if worker.process.poll() is None)
        fitting = next((worker for worker in alive if worker.backend == backend), None)
        if fitting:
            self.idle.remove(fitting)
            fitting.forget_errors()
            return fitting
        while self.idle:  # of another backend, or dead: its place is needed
            self.dismiss(self.idle.pop())
        worker = start_worker(backend, self.threads)
        self.selector.register(worker.process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        return worker

    def replies(self) -> Iterator[tuple[Job, Reply]]:
        """Each job that was answered, with its answer; `died` says how its worker ended without one."""
        self.employ()
        for ready, _ in self.selector.select():
            worker: Worker = ready.data
            line = worker.process.stdout.readline()  # type: ignore[union-attr]
            if worker in self.idle:  # it had nothing to do, and died
                self.idle.remove(worker)
                self.dismiss(worker)
                continue
            job = self.busy.pop(worker)
            if line.endswith("\n"):
                self.idle.append(worker)
                yield job, json.loads(line)
            else:
                yield job, {"died": self.dismiss(worker)}

    def dismiss(self, worker: Worker) -> str:
        """Let it go, and say how it ended; one that is idle ends by itself when nothing more can come."""
        self.selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        worker.process.communicate()
        with worker.errors:
            return worker.ending()

    def kill(self) -> None:
        """End what is being computed: its workers die, and say nothing."""
        for worker in self.busy:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)  # with its copy: it leads a session of its own

    def stop(self) -> None:
        self.kill()
        for worker in [*self.idle, *self.busy]:
            self.dismiss(worker)


def start_worker(backend: str, threads: int) -> Worker:
    """A worker with its environment fixed before anything is imported, deaf to Ctrl-C in the terminal."""
    variables = {
        "KERAS_BACKEND": backend,
        "JAX_ENABLE_X64": "1",  # else float64 is float32 without a word
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }
    if os.environ.get("GPU") != "1":
        variables["CUDA_VISIBLE_DEVICES"] = "-1"
    errors = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - to append, and closed when it is dismissed
    process = subprocess.Popen(
        _child.command("crosscheck.running.worker", _child.PACKAGE),
        env=_child.environment(**variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("CROSSCHECK_DEBUG") else errors,
        text=True,
        start_new_session=True,
    )
    return Worker(process, backend, errors)
