"""One way only: plan → run what is missing → judge → write the results → report."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import studies
from suite import provenance, stamp
from suite.errors import CrosscheckError, UsageError
from suite.files import discard, write_atomically
from suite.plan import Plan, Request

if TYPE_CHECKING:
    from suite.runner import Outcome

UNIMPORTANT = ("git", "seconds")  # they differ from run to run although nothing else was found


@dataclass
class Finished:
    """What came of a request.

    Attributes:
        outcome: what the runner did.
        verdicts: of each study.
        invalid: checks whose control did not fail, each with the reason.
        faults: tables and figures that could not be made.
    """

    outcome: Outcome
    verdicts: dict[str, str] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not (self.outcome.failed or self.outcome.nan or self.invalid or self.faults)


def up_to_date(request: Request) -> bool:
    """Whether the request has been met already; asked before anything heavy is imported.

    Raises:
        UsageError: where results or rows could not be written, even if nothing needs to be now.
    """
    require_writable(request.results, *places(request))
    require_writable(request.store)
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


def run(request: Request, work: Plan, progress: Any = None) -> Finished:
    """Run what the store lacks, judge all of it, and write results and report.

    Raises:
        UsageError: where something cannot be written.
    """
    from suite import report, runner

    finished = Finished(runner.run(work.all_units, request.store, request.jobs, progress))
    for name in work.studies:
        conclude(request, work, name, finished)
    written = [*report.write_report(request.results), *outputs(request)]
    if finished.sound:
        stamp.write(request, work.read, written)
    return finished


def outputs(request: Request) -> list[Path]:
    return [file for place in places(request) for file in sorted(place.iterdir()) if file.is_file()]


def conclude(request: Request, work: Plan, name: str, finished: Finished) -> None:
    """From the saved rows of a study to its verdict, table and figure."""
    from suite import results, store, verdicts

    study, everything = work.studies[name], [studies.load(each) for each in studies.NAMES]
    rows, seconds = store.rows(request.store, work.units[name])
    level = verdicts.interval_level(everything)
    judged = verdicts.judge_study(study, rows, level, work.absent, request.scale)
    told = {
        **provenance.circumstances(work.units[name], request.scale, request.backend, seconds),
        "error_rate": verdicts.ERROR_RATE,
        "intervals": verdicts.interval_count(everything),
        "level": level,
    }
    told = settled(request.results / name / results.FILE, results.record(name, study, judged, told))
    finished.verdicts[name] = judged["verdict"]
    finished.invalid += [
        f"{name}/{check['id']}: {check['reason']}"
        for check in judged["checks"]
        if check["verdict"] == "invalid"
    ]
    try:
        results.write_study(request.results, name, study, rows, judged, told)
    except UsageError:
        raise
    except CrosscheckError as fault:
        finished.faults.append(str(fault))


def settled(file: Path, fresh: dict[str, Any]) -> dict[str, Any]:
    """The provenance to write: the old one where it differs from the new in nothing that matters.

    So a run that finds what the committed results say leaves them as they are, to the byte.
    """
    from suite import results

    made = fresh["provenance"]
    try:
        old = json.loads(file.read_text(encoding="utf-8"))
        kept = {**made, **{key: old["provenance"][key] for key in UNIMPORTANT}}
    except (OSError, ValueError, KeyError, TypeError):
        return made
    return kept if json.loads(results.to_json({**fresh, "provenance": kept})) == old else made
