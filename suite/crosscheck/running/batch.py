"""Units as jobs of SLURM, by submitit: a job a unit, over a store in a folder that all nodes share."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.running import fingerprint, store
from crosscheck.running.executor import OF_RUN, Job, Reply, as_line
from crosscheck.running.local import Pool
from crosscheck.running.plan import SLURM
from crosscheck.running.worker import OF_A_NODE, unit_of

LOCAL = "local"  # the partition whose jobs are processes of this machine, to try it
AT_ONCE = 100  # jobs in the queue, where `--jobs` does not say
MINUTES, SLACK = 60, 10  # a job's limit: at least so many, and so many times what its unit costs
PATIENCE, DELAY = 0.5, 90  # seconds between looks at the queue, and until a file is seen on every node
NODE_FAILED = ("NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REQUEUED")  # a job ended for no fault of its unit


class Batch:
    """An executor with a job for each unit, which saves its rows itself: the store is the one of all nodes.

    Raises:
        UsageError: there is no SLURM.
    """

    def __init__(self, address: str, folder: Path, jobs: int | None):
        import submitit

        self.store, self.most, partition = folder.absolute(), jobs or AT_ONCE, address.removeprefix(SLURM)
        self.waiting, self.busy = deque[Job](), dict[Any, Job]()
        (self.store / "batch").mkdir(parents=True, exist_ok=True)
        self.files = tempfile.mkdtemp(dir=self.store / "batch")  # for its owner alone: pickles are read there
        kind = "local" if partition == LOCAL else "slurm"
        try:
            self.executor = submitit.AutoExecutor(self.files, cluster=kind)
        except RuntimeError as error:
            self.stop()
            raise UsageError(f"There is no SLURM here: {error}") from error
        where = {"slurm_partition": partition, "gpus_per_node": int(os.environ.get("GPU") == "1")}
        self.executor.update_parameters(cpus_per_task=1, mem_gb=2, **{k: v for k, v in where.items() if v})

    def submit(self, job: Job) -> None:
        self.waiting.append(job)

    def replies(self) -> Iterator[tuple[Job, Reply]]:
        while self.waiting and len(self.busy) < self.most:
            job = self.waiting.popleft()
            own = {name: os.environ[name] for name in OF_RUN if name in os.environ}
            self.executor.update_parameters(timeout_min=max(MINUTES, int(SLACK * job.unit.cost / 60)))
            self.busy[self.executor.submit(computed, as_line(job, str(self.store)), own)] = job
        time.sleep(PATIENCE)
        for handle in [handle for handle in self.busy if handle.done()]:
            job = self.busy.pop(handle)
            yield job, self.seen(job, reply(handle))

    def seen(self, job: Job, told: Reply) -> Reply:
        """The reply, when the rows that it tells of can be seen here: files of a network take their time."""
        end = time.monotonic() + DELAY
        while "seconds" in told and not store.find(self.store, job.key):
            if time.monotonic() > end:
                return {
                    "died": f"said that it was done, and its rows are not in {self.store} {DELAY} s later"
                }
            time.sleep(PATIENCE)
        return told

    def stop(self) -> None:
        for handle in self.busy:
            with contextlib.suppress(Exception):
                handle.cancel(check=False)
        shutil.rmtree(self.files, ignore_errors=True)


def reply(handle: Any) -> Reply:
    """What a job that has ended says; `died` or `lost` where it was ended."""
    try:
        told = json.loads(handle.result())
    except Exception as error:  # whatever submitit makes of it
        if handle.state in NODE_FAILED:
            return {"lost": f"job {handle.job_id}"}
        return {"died": f"in job {handle.job_id} ended: {str(error).strip().splitlines()[-1]}"}
    if "differs" in told:
        raise UsageError(told["differs"])
    return told


def computed(line: str, environment: Mapping[str, str]) -> str:
    """On a node: a worker's reply, as JSON; `differs` where the unit has another key there."""
    os.environ.update(environment, **{OF_A_NODE: "1"})
    told, node = json.loads(line), f"Node {platform.node()}"
    job = Job(unit_of(told["unit"]), told["key"])
    try:
        if fingerprint.unit_key(job.unit) != job.key:
            return json.dumps({"differs": f"{node} has other code, versions or data than this machine."})
    except CrosscheckError as error:
        return json.dumps({"differs": f"{node}: {error}"})
    pool = Pool(1, Path(told["store"]), threads=1)  # whose worker dies with this process
    pool.submit(job)
    while not (answers := list(pool.replies())):
        pass
    return json.dumps(answers[0][1])
