"""Runs units in worker processes, one backend a process, and survives whatever becomes of them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from crosscheck import _child
from crosscheck.claims.claim import Unit
from crosscheck.errors import UsageError
from crosscheck.running import store
from crosscheck.running.fingerprint import unit_key

ATTEMPTS = 2  # a worker's death is tried once more: it may have been the machine, not the unit
WORKERS = 2  # the suite is to stay under 4 GB
LAST_WORDS = 4096  # bytes of a dead worker's standard error that are looked at
HELD = 1.0e9  # bytes that a worker may hold between units; one that has just imported TensorFlow holds 0.8e9
# What TensorFlow and its libraries log on their own, short of errors.
CHATTER = re.compile(
    r"WARNING: All log messages before absl|[IW]\d{4} |\d{4}-\d\d-\d\d .*?: [IW] |To enable the"
)


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


def run(
    units: Iterable[Unit], folder: Path, jobs: int | None = None, progress: Callable[..., None] | None = None
) -> Outcome:
    """Compute what the store lacks, longest units first, study by study: one that is whole can be concluded.

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
    report = progress or (lambda *_: None)
    waiting: list[Job] = []
    for unit in units:
        key = unit_key(unit)
        if path := store.find(folder, key):
            outcome.reused += 1
            outcome.nan += [f"{unit}: {bad}" for bad in store.about(path)["nan"]]
            report(unit, None, unit.cost)
        else:
            waiting.append(Job(unit, key))
    waiting.sort(key=by_study(job.unit for job in waiting))  # what comes first at the end, where it is taken
    count = min(jobs or min(WORKERS, os.cpu_count() or 1), len(waiting))
    with workers(count, folder) as pool:
        drain(waiting, pool, outcome, report)
    outcome.seconds = time.monotonic() - start
    return outcome


def by_study(units: Iterable[Unit]) -> Callable[[Job], tuple[float, str, float]]:
    """A key to sort jobs by: the study whose longest unit is longest comes last, and in it the longest unit.

    So what is left in the end is short, and the studies' figures are drawn beside the workers.
    """
    longest: dict[str, float] = {}
    for unit in units:
        longest[unit.study] = max(unit.cost, longest.get(unit.study, 0.0))
    return lambda job: (longest[job.unit.study], job.unit.study, job.unit.cost)


def drain(waiting: list[Job], pool: Pool, outcome: Outcome, report: Callable[..., None]) -> None:
    """Hand out jobs until all are answered."""
    pool.employ(waiting)
    while pool.busy:
        for job, reply in pool.replies():
            if "died" in reply and job.attempts < ATTEMPTS:
                waiting.append(job)
            else:
                record(job, reply, outcome)
                seconds = None if reply.get("reused") else reply.get("seconds", 0.0)
                report(job.unit, seconds, job.unit.cost)
        pool.employ(waiting)


def record(job: Job, reply: dict[str, Any], outcome: Outcome) -> None:
    """Add to the outcome what became of a job.

    Raises:
        UsageError: the store cannot be written.
    """
    if "died" in reply:
        outcome.failed.append(f"{job.unit}: its worker {reply['died']}, {ATTEMPTS} times in a row")
    elif "unwritable" in reply:
        raise UsageError(reply["unwritable"])
    elif "error" in reply:
        outcome.failed.append(f"{job.unit}: {reply['error']} (traceback in {reply['traceback']})")
    else:
        reused = reply.get("reused", False)  # another run did it in the meantime
        outcome.reused += reused
        outcome.finished += not reused
        outcome.nan += [f"{job.unit}: {bad}" for bad in reply["nan"]]


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
        self.idle: list[Worker] = []
        self.busy: dict[Worker, Job] = {}
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
                worker.process.stdin.write(json.dumps(line) + "\n")  # type: ignore[union-attr]
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
        worker = start_worker(backend, self.count)
        self.selector.register(worker.process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        return worker

    def replies(self) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Each job that was answered, with its answer; `died` says how its worker ended without one."""
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

    def stop(self) -> None:
        for worker in self.busy:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)  # with its copy: it leads a session of its own
        for worker in [*self.idle, *self.busy]:
            self.dismiss(worker)


def start_worker(backend: str, count: int) -> Worker:
    """A worker with its environment fixed before anything is imported, deaf to Ctrl-C in the terminal."""
    threads = max(1, (os.cpu_count() or 1) // max(1, count))
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
