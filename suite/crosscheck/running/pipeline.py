"""One way only: plan → run what is missing → judge → write the results → report."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from crosscheck._files import discard, write_atomically
from crosscheck.claims import register
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.running import provenance, stamp
from crosscheck.running.plan import Plan, Request

if TYPE_CHECKING:
    from crosscheck.claims.claim import Unit
    from crosscheck.report.records import VerdictRecord
    from crosscheck.running.runner import Outcome

UNIMPORTANT = ("git", "seconds")  # they differ from run to run although nothing else was found


@dataclass(frozen=True)
class Concluded:
    """What came of a study.

    Attributes:
        verdict: of the study.
        invalid: checks whose control did not fail, each with the reason.
        faults: tables and figures that could not be made.
    """

    verdict: str
    invalid: list[str]
    faults: list[str]


@dataclass(frozen=True)
class Finished:
    """What came of a request: what the runner did, and each study."""

    outcome: Outcome
    studies: dict[str, Concluded]

    @property
    def invalid(self) -> list[str]:
        return [line for study in self.studies.values() for line in study.invalid]

    @property
    def faults(self) -> list[str]:
        return [line for study in self.studies.values() for line in study.faults]

    @property
    def sound(self) -> bool:
        return not (self.outcome.failed or self.outcome.nan or self.invalid or self.faults)


def up_to_date(request: Request) -> bool:
    """Whether the request has been met already; asked before anything heavy is imported.

    Raises:
        UsageError: where results or rows could not be written, even if nothing needs to be now.
    """
    folders = (request.results, *places(request), request.store)
    require_writable(*folders)
    sweep(*folders, request.store / "stamps")
    return stamp.matches(request)


def places(request: Request) -> list[Path]:
    """Folders of results that are there already."""
    return [place for name in request.names if (place := request.results / name).exists()]


def require_writable(*folders: Path) -> None:
    """Find out by writing: mode bits mean nothing to root, nor on a read-only file system."""
    for folder in folders:
        trial = folder / ".writable"
        try:
            write_atomically(trial, "")
        except UsageError as error:
            raise UsageError(str(error).replace(str(trial), f"to {folder}")) from error
        discard(trial)


def sweep(*folders: Path) -> None:
    """Remove what a killed process had begun to write beside a file, as `write_atomically` names it."""
    for aside in (each for folder in folders for each in folder.glob(".*.tmp")):
        process = aside.name.split(".")[-2]
        if process.isdecimal() and not alive(int(process)):
            discard(aside)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is somebody else's, or no number of a process
        return True
    return True


def run(request: Request, work: Plan, progress: Any = None) -> Finished:
    """Run what the store lacks, judge all of it, and write results and report.

    Raises:
        UsageError: where something cannot be written.
    """
    from crosscheck.report import page
    from crosscheck.running import runner

    with beside(request, work) as concluding:

        def tell(unit: Unit, *told: Any) -> None:
            concluding.done(unit)
            if progress:
                progress(unit, *told)

        outcome = runner.run(work.all_units, request.store, request.jobs, tell)
        found = concluding.results()
    finished = Finished(outcome, found)
    written = [*page.write_report(request.results), *outputs(request)]
    if finished.sound:
        stamp.write(request, work.read, [*written, *saved(request, work)])
    return finished


def outputs(request: Request) -> list[Path]:
    files = (file for place in places(request) for file in sorted(place.iterdir()))
    return [file for file in files if file.is_file() and not file.name.startswith(".")]


def saved(request: Request, work: Plan) -> list[Path]:
    """The files of the rows: a stamp that did not know them would keep their damage from being seen."""
    from crosscheck.running import fingerprint, store

    found = (store.find(request.store, fingerprint.unit_key(unit)) for unit in work.all_units)
    return [path for path in found if path]


class Concluding:
    """Concludes each study when its last unit is done, in a thread beside the workers.

    The process that waits for them has little else to do. It is one thread: Matplotlib's state is for one.
    """

    def __init__(self, thread: ThreadPoolExecutor, conclude: Callable[[str], Concluded], work: Plan):
        self.submit = lambda name: thread.submit(conclude, name)
        self.left = {name: list(units) for name, units in work.units.items()}
        self.studies: dict[str, Future[Concluded]] = {}

    def done(self, unit: Unit) -> None:
        for name, left in self.left.items():
            if unit in left:
                left.remove(unit)
                if not left:
                    self.studies[name] = self.submit(name)

    def results(self) -> dict[str, Concluded]:
        """In the order of the plan, waiting for them; a study that had no units is concluded now."""
        for name in self.left:
            if name not in self.studies:
                self.studies[name] = self.submit(name)
        return {name: self.studies[name].result() for name in self.left}


@contextlib.contextmanager
def beside(request: Request, work: Plan) -> Iterator[Concluding]:
    thread = ThreadPoolExecutor(1)
    try:
        yield Concluding(thread, lambda name: conclude(request, work, name), work)
    finally:
        thread.shutdown(cancel_futures=True)


def conclude(request: Request, work: Plan, name: str) -> Concluded:
    """From the saved rows of a study to its verdict, table and figure."""
    from crosscheck.claims import verdicts
    from crosscheck.report import records
    from crosscheck.running import store

    study, everything = work.studies[name], [register.load(each) for each in register.NAMES]
    rows, seconds = store.rows(request.store, work.units[name])
    level = verdicts.interval_level(everything)
    judged = verdicts.judge_study(study, rows, level, work.absent, request.scale)
    told = {
        **provenance.circumstances(work.units[name], request.scale, request.backend, seconds),
        **({"seed_count": request.seeds} if request.seeds else {}),  # asked for, in place of the study's own
        "error_rate": verdicts.ERROR_RATE,
        "intervals": verdicts.interval_count(everything),
        "level": level,
    }
    record = settled(request.results / name / records.FILE, records.record_of(name, study, judged, told))
    invalid = [f"{name}/{check.id}: {check.reason}" for check in judged.checks if check.verdict == "invalid"]
    faults: list[str] = []
    try:
        records.write_study(request.results, study, rows, record)
    except UsageError:
        raise
    except CrosscheckError as fault:
        faults.append(str(fault))
    return Concluded(judged.verdict, invalid, faults)


def settled(file: Path, fresh: VerdictRecord) -> VerdictRecord:
    """The record to write: with the old provenance where it differs from the new in nothing that matters.

    So a run that finds what the committed results say leaves them as they are, to the byte.
    """
    from crosscheck.report import records

    try:
        old = records.read(file).provenance
    except UsageError:
        return fresh
    unimportant = {name: getattr(old, name) for name in UNIMPORTANT}
    kept = replace(fresh, provenance=replace(fresh.provenance, **unimportant))
    return kept if records.to_json(kept) == file.read_text(encoding="utf-8") else fresh
