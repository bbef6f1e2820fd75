"""The seam between a run and whatever computes its units: processes of this machine, or nodes of a cluster.

An executor takes jobs and gives back replies, in whatever order they come. A reply is what a worker answers
(`crosscheck.running.worker`): `seconds` and `nan` of a finished unit, with `reused` where the store had it;
`error` and `traceback` of one that raised; `unwritable` where the store keeps nothing; or, from the executor
itself, `died`, how its worker ended, and `lost`, the node that it went down with.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from crosscheck.claims.claim import Unit

Reply = dict[str, Any]
OF_RUN = ("GPU", "CROSSCHECK_DETERMINISM", "CROSSCHECK_DEBUG")  # variables that workers elsewhere are to see
HELD = 1.0e9  # bytes that a worker may hold between units; one that has just imported TensorFlow holds 0.8e9


@dataclass
class Job:
    """A unit under its key, with how often it was tried: `losses` were its nodes', not its own."""

    unit: Unit
    key: str
    attempts: int = 0
    losses: int = 0


class Executor(Protocol):
    """Computes jobs, the first ones first, each as soon as there is a place for it."""

    def submit(self, job: Job) -> None:
        """Take a job, and return at once."""

    def replies(self) -> Iterator[tuple[Job, Reply]]:
        """Wait until something has happened; give the jobs that were answered by then, which may be none.

        Raises:
            CrosscheckError: nothing is left that could compute any.
        """

    def stop(self) -> None:
        """Leave no process behind, whatever is being computed."""


def as_line(job: Job, store: str) -> str:
    """What a worker reads: the job, the folder to save its rows in, and how much memory it may hold."""
    line = {"unit": dataclasses.asdict(job.unit), "key": job.key, "store": store, "may_hold": HELD}
    return json.dumps(line) + "\n"
