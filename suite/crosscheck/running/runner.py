"""Has the units computed that the store lacks, wherever that is, and keeps account of what became of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crosscheck.claims.claim import Unit
from crosscheck.errors import UsageError
from crosscheck.running import store
from crosscheck.running.executor import Executor, Job, Reply
from crosscheck.running.fingerprint import unit_key
from crosscheck.running.plan import SLURM

ATTEMPTS = 2  # a worker's death is tried once more: it may have been the machine, not the unit
LOSSES = 5  # nodes that a unit may take down before it is the unit that is suspected
WORKERS = 2  # the suite is to stay under 4 GB


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


def run(
    units: Iterable[Unit],
    folder: Path,
    jobs: int | None = None,
    progress: Callable[..., None] | None = None,
    on: str | None = None,
) -> Outcome:
    """Compute what the store lacks, longest units first, study by study: one that is whole can be concluded.

    Args:
        units: the work; its results do not depend on `jobs`, on `on` or on their order.
        folder: the store.
        jobs: units at a time; by default as many as there are cores, but on this machine at most `WORKERS`.
        progress: called as `progress(unit, seconds, cost)` for each unit done; seconds is None if reused.
        on: where to compute: the address of a cluster, or None for this machine.

    Raises:
        UsageError: the store cannot be written; further units would be lost like the one that was done. Or
            the cluster cannot be used, said before any unit is computed.
        KeyboardInterrupt: on Ctrl-C, after the workers have been stopped; finished units are kept.
    """
    start, outcome = time.monotonic(), Outcome()
    report = progress or (lambda *_: None)
    waiting: list[Job] = []
    finished = store.listing(folder)
    for unit in units:
        key = unit_key(unit)
        if path := store.find(folder, key, finished):
            outcome.reused += 1
            outcome.nan += [f"{unit}: {bad}" for bad in store.about(path)["nan"]]
            report(unit, None, unit.cost)
        else:
            waiting.append(Job(unit, key))
    if waiting:
        waiting.sort(key=by_study(job.unit for job in waiting), reverse=True)
        with opened(on, folder, jobs, waiting) as executor:
            drain(waiting, executor, outcome, report)
    outcome.seconds = time.monotonic() - start
    return outcome


def by_study(units: Iterable[Unit]) -> Callable[[Job], tuple[float, str, float]]:
    """A key to sort jobs by: the study whose longest unit is longest is greatest, and in it the longest unit.

    So what is left in the end is short, and the studies' figures are drawn beside the workers.
    """
    longest: dict[str, float] = {}
    for unit in units:
        longest[unit.study] = max(unit.cost, longest.get(unit.study, 0.0))
    return lambda job: (longest[job.unit.study], job.unit.study, job.unit.cost)


@contextlib.contextmanager
def opened(on: str | None, folder: Path, jobs: int | None, work: list[Job]) -> Iterator[Executor]:
    """What computes the work, and leaves nothing behind."""
    executor = on_cluster(on, folder, jobs, work) if on else on_this_machine(folder, jobs, len(work))
    try:
        yield executor
    finally:
        executor.stop()


def on_this_machine(folder: Path, jobs: int | None, count: int) -> Executor:
    from crosscheck.running.local import Pool

    cores = os.cpu_count() or 1
    workers = min(jobs or min(WORKERS, cores), count)
    return Pool(workers, folder, threads=max(1, cores // workers))


def on_cluster(on: str, folder: Path, jobs: int | None, work: list[Job]) -> Executor:
    if on.startswith(SLURM):
        from crosscheck.running.batch import Batch

        return Batch(on, folder, jobs)
    from crosscheck.running.cluster import Cluster

    return Cluster(on, folder, jobs, work)


def drain(work: Iterable[Job], executor: Executor, outcome: Outcome, report: Callable[..., None]) -> None:
    """Hand out jobs, and again those that may go better elsewhere, until all are answered."""
    left = 0
    for job in work:
        executor.submit(job)
        left += 1
    while left:
        for job, reply in executor.replies():
            if once_more(job, reply):
                executor.submit(job)
                continue
            left -= 1
            record(job, reply, outcome)
            seconds = None if reply.get("reused") else reply.get("seconds", 0.0)
            report(job.unit, seconds, job.unit.cost)


def once_more(job: Job, reply: Reply) -> bool:
    """Whether to try a job again, which then counts."""
    job.attempts += "died" in reply
    job.losses += "lost" in reply
    return ("died" in reply and job.attempts < ATTEMPTS) or ("lost" in reply and job.losses < LOSSES)


def record(job: Job, reply: Reply, outcome: Outcome) -> None:
    """Add to the outcome what became of a job.

    Raises:
        UsageError: the store cannot be written.
    """
    if "died" in reply:
        outcome.failed.append(f"{job.unit}: its worker {reply['died']}, {ATTEMPTS} times in a row")
    elif "lost" in reply:
        outcome.failed.append(f"{job.unit}: {LOSSES} workers were lost with it, the last on {reply['lost']}")
    elif "unwritable" in reply:
        raise UsageError(reply["unwritable"])
    elif "error" in reply:
        outcome.failed.append(f"{job.unit}: {reply['error']} (traceback in {reply['traceback']})")
    else:
        reused = reply.get("reused", False)  # another run did it in the meantime
        outcome.reused += reused
        outcome.finished += not reused
        outcome.nan += [f"{job.unit}: {bad}" for bad in reply["nan"]]
