"""One way only: plan → run what is missing → judge → write the results → report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscheck._files import discard, write_atomically
from crosscheck.errors import UsageError
from crosscheck.running import stamp
from crosscheck.running.conclude import Conclusion, conclude, reference_records
from crosscheck.running.plan import Plan, Request

if TYPE_CHECKING:
    from crosscheck.claims.claim import Unit
    from crosscheck.running.runner import Outcome


@dataclass(frozen=True)
class Finished:
    """What came of a request: what the runner did, and each study."""

    outcome: Outcome
    studies: dict[str, Conclusion]

    @property
    def invalid(self) -> list[str]:
        return [check for study in self.studies.values() for check in study.invalid]

    @property
    def faults(self) -> list[str]:
        return [fault for study in self.studies.values() for fault in study.faults]

    @property
    def sound(self) -> bool:
        return not (self.outcome.failed or self.outcome.nan or self.invalid or self.faults)


def up_to_date(request: Request) -> bool:
    """Whether the request has been met already; asked before anything heavy is imported.

    Raises:
        UsageError: where results or rows could not be written, even if nothing needs to be now.
    """
    folders = (request.results, *study_folders(request), request.store)
    require_writable(*folders)
    sweep(*folders, request.store / "stamps")
    return stamp.matches(request)


def study_folders(request: Request) -> list[Path]:
    """Folders of results that are there already."""
    return [folder for name in request.names if (folder := request.results / name).exists()]


def require_writable(*folders: Path) -> None:
    """Find out by writing: mode bits mean nothing to root, nor on a read-only file system.

    Raises:
        UsageError: a folder cannot be written.
    """
    for folder in folders:
        trial = folder / ".writable"
        try:
            write_atomically(trial, "")
        except UsageError as error:
            raise UsageError(str(error).replace(str(trial), f"to {folder}")) from error
        discard(trial)


def sweep(*folders: Path) -> None:
    """Remove what a killed process had begun to write beside a file, as `write_atomically` names it."""
    for aside in (file for folder in folders for file in folder.glob(".*.tmp")):
        process = aside.name.split(".")[-2]
        if process.isdecimal() and not is_alive(int(process)):
            discard(aside)


def is_alive(process: int) -> bool:
    """Whether it still runs: one that was killed is listed until its parent, or who is left of it, looks."""
    import psutil

    try:
        return psutil.Process(process).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OverflowError, ValueError):  # it is somebody else's, or no number of a process
        return True


def run(request: Request, work: Plan, progress: Any = None) -> Finished:
    """Run what the store lacks, judge all of it, and write results and report.

    Raises:
        UsageError: where something cannot be written.
    """
    from crosscheck.report import page
    from crosscheck.running import runner

    with concluding_beside(request, work) as concluding:

        def report(unit: Unit, *measured: Any) -> None:
            concluding.done(unit)
            if progress:
                progress(unit, *measured)

        outcome = runner.run(work.all_units, request.store, request.jobs, report, request.on)
        studies = concluding.results()
    finished = Finished(outcome, studies)
    files = [*page.write_report(request.results, reference_records), *outputs(request)]
    if finished.sound:
        stamp.write(request, work.read, [*files, *saved_rows(request, work), *named_files(work)])
    return finished


def outputs(request: Request) -> list[Path]:
    """The files of the studies' results."""
    files = (file for folder in study_folders(request) for file in sorted(folder.iterdir()))
    return [file for file in files if file.is_file() and not file.name.startswith(".")]


def saved_rows(request: Request, work: Plan) -> list[Path]:
    """The files of the rows: a stamp that did not know them would keep their damage from being seen."""
    from crosscheck.running import fingerprint, store

    there = store.listing(request.store)
    files = (store.find(request.store, fingerprint.unit_key(unit), there) for unit in work.all_units)
    return [file for file in files if file]


def named_files(work: Plan) -> list[Path]:
    """The files of their own that the units read."""
    from crosscheck.running import fingerprint

    return sorted({path for unit in work.all_units for path in fingerprint.named_files(unit).values()})


class Concluding:
    """Concludes each study when its last unit is done, in a thread beside the workers.

    The process that waits for them has little else to do. It is one thread: Matplotlib's state is for one.
    """

    def __init__(self, thread: ThreadPoolExecutor, conclude: Callable[[str], Conclusion], work: Plan):
        self.submit = lambda name: thread.submit(conclude, name)
        self.left = {name: set(map(repr, units)) for name, units in work.units.items()}
        self.studies: dict[str, Future[Conclusion]] = {}

    def done(self, unit: Unit) -> None:
        for name, left in self.left.items():
            if repr(unit) in left:
                left.remove(repr(unit))
                if not left:
                    self.studies[name] = self.submit(name)

    def results(self) -> dict[str, Conclusion]:
        """In the order of the plan, waiting for them; a study that had no units is concluded now."""
        for name in self.left:
            if name not in self.studies:
                self.studies[name] = self.submit(name)
        return {name: self.studies[name].result() for name in self.left}


@contextlib.contextmanager
def concluding_beside(request: Request, work: Plan) -> Iterator[Concluding]:
    thread = ThreadPoolExecutor(1)
    try:
        yield Concluding(thread, lambda name: conclude(request, work, name), work)
    finally:
        thread.shutdown(cancel_futures=True)
