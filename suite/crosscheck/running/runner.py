"""Runs units in worker processes, one backend a process, and survives whatever becomes of them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosscheck.claims.claim import Unit
from crosscheck.errors import UsageError
from crosscheck.running import store
from crosscheck.running.fingerprint import unit_key

ATTEMPTS = 2  # a worker's death is tried once more: it may have been the machine, not the unit
WORKERS = 2  # the suite is to stay under 4 GB
HELD = 1.0e9  # bytes that a worker may hold between units; one that has just imported TensorFlow holds 0.8e9


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        finished: units computed now; `reused`: units found in the store.
        failed: a line for each unit that raised or whose worker died, with where its traceback is.
        nan: a line for each unit that gave a value which is not a finite number.
        seconds: wall time.
    """

    finished: int = 0
    reused: int = 0
    failed: list[str] = field(default_factory=list)
    nan: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Job:
    unit: Unit
    key: str
    attempts: int = 0


def run(
    units: Iterable[Unit], folder: Path, jobs: int | None = None, progress: Callable[..., None] | None = None
) -> Outcome:
    """Compute what the store lacks, longest units first.

    Args:
        units: the work; its results do not depend on `jobs` or on their order.
        folder: the store.
        jobs: worker processes; by default as many as cores, but at most `WORKERS`.
        progress: called as `progress(unit, seconds, cost)` for each unit done; seconds is None if reused.

    Raises:
        UsageError: the store cannot be written; further units would be lost like the one that was done.
        KeyboardInterrupt: on Ctrl-C, after the workers have been stopped; finished units are kept.
    """
    start, outcome = time.monotonic(), Outcome()
    tell = progress or (lambda *_: None)
    waiting: list[Job] = []
    for unit in units:
        key = unit_key(unit)
        if path := store.find(folder, key):
            outcome.reused += 1
            outcome.nan += [f"{unit}: {bad}" for bad in store.about(path)["nan"]]
            tell(unit, None, unit.cost)
        else:
            waiting.append(Job(unit, key))
    waiting.sort(key=lambda job: job.unit.cost)  # the longest at the end, where it is taken first
    count = min(jobs or min(WORKERS, os.cpu_count() or 1), len(waiting))
    with workers(count, folder) as pool:
        drain(waiting, pool, outcome, tell)
    outcome.seconds = time.monotonic() - start
    return outcome


def drain(waiting: list[Job], pool: Pool, outcome: Outcome, tell: Callable[..., None]) -> None:
    """Hand out jobs until all are answered."""
    pool.employ(waiting)
    while pool.busy:
        for job, reply in pool.replies():
            if reply is None and job.attempts < ATTEMPTS:
                waiting.append(job)
            else:
                record(job, reply, outcome, tell)
        pool.employ(waiting)


def record(job: Job, reply: dict[str, Any] | None, outcome: Outcome, tell: Callable[..., None]) -> None:
    if reply is None:
        outcome.failed.append(f"{job.unit}: its worker died {ATTEMPTS} times (out of memory?)")
    elif "unwritable" in reply:
        raise UsageError(reply["unwritable"])
    elif "error" in reply:
        outcome.failed.append(f"{job.unit}: {reply['error']} (traceback in {reply['traceback']})")
    else:
        reused = reply.get("reused", False)  # another run did it in the meantime
        outcome.reused += reused
        outcome.finished += not reused
        outcome.nan += [f"{job.unit}: {bad}" for bad in reply["nan"]]
    took = (reply or {}).get("seconds", 0.0)
    tell(job.unit, None if (reply or {}).get("reused") else took, job.unit.cost)


@contextlib.contextmanager
def workers(count: int, folder: Path) -> Iterator[Pool]:
    pool = Pool(count, folder)
    try:
        yield pool
    finally:
        pool.stop()


class Pool:
    """Worker processes, each with at most one job; one that died is replaced."""

    def __init__(self, count: int, folder: Path):
        self.count, self.folder = count, folder
        self.idle: list[tuple[subprocess.Popen, str]] = []  # with the backend that each has fixed
        self.busy: dict[subprocess.Popen, Job] = {}
        self.selector = selectors.DefaultSelector()

    def employ(self, waiting: list[Job]) -> None:
        """Give every free worker a job, starting workers where one is short or has the wrong backend."""
        while waiting and len(self.busy) < self.count:
            job = waiting.pop()
            job.attempts += 1
            worker = self.worker_for(job.unit.backend)
            line: dict[str, Any] = {"unit": dataclasses.asdict(job.unit), "key": job.key}
            line |= {"store": str(self.folder), "may_hold": HELD}
            self.busy[worker] = job
            with contextlib.suppress(BrokenPipeError):  # it died while idle: its silence tells
                worker.stdin.write(json.dumps(line) + "\n")  # type: ignore[union-attr]
                worker.stdin.flush()  # type: ignore[union-attr]

    def worker_for(self, backend: str) -> subprocess.Popen:
        alive = (pair for pair in self.idle if pair[0].poll() is None)
        fitting = next((pair for pair in alive if pair[1] == backend), None)
        if fitting:
            self.idle.remove(fitting)
            return fitting[0]
        while self.idle:  # of another backend, or dead: its place is needed
            self.dismiss(self.idle.pop()[0])
        worker = start_worker(backend, self.count)
        self.selector.register(worker.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        return worker

    def replies(self) -> Iterator[tuple[Job, dict[str, Any] | None]]:
        """Each job that was answered, with its answer; None where its worker died."""
        for chosen, _ in self.selector.select():
            worker: subprocess.Popen = chosen.data
            job = self.busy.pop(worker)
            line = worker.stdout.readline()  # type: ignore[union-attr]
            reply = json.loads(line) if line.endswith("\n") else None
            if reply:
                self.idle.append((worker, job.unit.backend))
            else:
                self.dismiss(worker)
            yield job, reply

    def dismiss(self, worker: subprocess.Popen) -> None:
        """Let it go; one that is idle ends by itself when nothing can come any more."""
        self.selector.unregister(worker.stdout)  # type: ignore[arg-type]
        worker.communicate()

    def stop(self) -> None:
        for worker in self.busy:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)  # with its copy: it leads a session of its own
        for worker in [*(worker for worker, _ in self.idle), *self.busy]:
            self.dismiss(worker)


def start_worker(backend: str, count: int) -> subprocess.Popen:
    """A worker with its environment fixed before anything is imported, deaf to Ctrl-C in the terminal."""
    threads = max(1, (os.cpu_count() or 1) // max(1, count))
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "JAX_ENABLE_X64": "1",  # else float64 is float32 without a word
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }
    if os.environ.get("GPU") != "1":
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    return subprocess.Popen(
        [sys.executable, "-m", "crosscheck.running.worker"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("CROSSCHECK_DEBUG") else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
