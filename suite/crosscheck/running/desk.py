"""What runs on a node of a cluster: a place where one unit at a time is computed, and what the node has.

A desk keeps a worker process as a run on one machine does, which saves a unit's rows into a folder of the
desk's; their bytes go back as they are. What a desk leaves when its node is killed, the next one removes.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from crosscheck import data
from crosscheck._files import checksum
from crosscheck.errors import UsageError
from crosscheck.running import fingerprint, store
from crosscheck.running.executor import Job
from crosscheck.running.local import Pool
from crosscheck.running.worker import OF_A_NODE, unit_of


class Desk:
    """One place: a worker with one thread, and a folder for what it writes.

    Args:
        environment: variables of the run that its workers are to see.
    """

    def __init__(self, environment: Mapping[str, str]):
        os.environ.update(environment, **{OF_A_NODE: "1"})
        sweep(Path(tempfile.gettempdir()))
        self.folder = Path(tempfile.mkdtemp(prefix=f"{prefix()}{os.getpid()}-"))
        self.pool = Pool(1, self.folder, threads=1)

    def ready(self) -> bool:
        """Whether there is somebody: answered when the desk is open."""
        return True

    def answer(self, line: str) -> tuple[str, bytes]:
        """Compute a unit.

        Returns:
            the worker's reply as JSON, and the bytes of the rows, or of the traceback of what was raised.
        """
        told = json.loads(line)
        job = Job(unit_of(told["unit"]), told["key"])
        self.pool.submit(job)
        while not (answers := list(self.pool.replies())):
            pass
        ((_, reply),) = answers
        content = self.taken(job.key, reply)
        return json.dumps({**reply, "checksum": checksum(content)}), content

    def taken(self, key: str, reply: dict[str, Any]) -> bytes:
        """What the worker has written for this reply, taken from the folder."""
        file = Path(reply["traceback"]) if "traceback" in reply else store.find(self.folder, key)
        if file is None:
            return b""
        content = file.read_bytes()
        file.unlink()
        return content

    def close(self) -> None:
        """Stop what is being computed, and leave nothing in the node's files."""
        self.pool.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def prefix() -> str:
    """How the names of desks' folders begin, whoever else uses this machine."""
    return f"crosscheck-desk-{os.getuid()}-"


def sweep(place: Path) -> None:
    """Remove the folders of desks whose process is gone."""
    for folder in place.glob(f"{prefix()}*"):
        process = folder.name.removeprefix(prefix()).split("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            shutil.rmtree(folder, ignore_errors=True)


def inventory(sets: Iterable[str], files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What a node has of the data sets, and of the files that studies name: identities, empty if missing."""
    return {**{name: state(name) for name in sets}, **{name: content(name, study) for name, study in files}}


def state(name: str) -> str:
    try:
        return data.identity(name)
    except UsageError:
        return ""


def content(name: str, study: str) -> str:
    from crosscheck.claims.claim import Unit

    try:
        return checksum(fingerprint.named_files(Unit(study, "", files=(name,)))[name])
    except UsageError:
        return ""
