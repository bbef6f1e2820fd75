"""From the saved rows of a study to its verdict, its table and its figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from crosscheck.claims import register
from crosscheck.claims.words import Verdict
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.running import plan, provenance, reference, registration
from crosscheck.running.plan import Plan, Request

if TYPE_CHECKING:
    import pandas as pd

    from crosscheck.claims.claim import Study
    from crosscheck.claims.judged import CheckRecord, StudyVerdict
    from crosscheck.report.records import VerdictRecord


@dataclass(frozen=True)
class Conclusion:
    """What came of a study.

    Attributes:
        verdict: of the study; `absent`: data sets and backends that it was reached without.
        invalid: checks whose control did not fail, each with the reason.
        faults: tables and figures that could not be made.
    """

    verdict: str
    absent: list[str]
    invalid: list[str]
    faults: list[str]


def conclude(request: Request, work: Plan, name: str) -> Conclusion:
    """Judge a study's saved rows, and write its verdict, table and figure.

    Raises:
        UsageError: where the results cannot be written.
    """
    from crosscheck.claims import verdicts
    from crosscheck.report import records
    from crosscheck.running import store

    study, suite = work.studies[name], [register.load(study) for study in register.NAMES]
    rows, seconds = store.rows(request.store, work.units[name])
    level = verdicts.interval_level(suite, request.scale)
    lacking = lacking_of(name, study, request, work)
    judged = verdicts.judge_study(study, rows, level, work.absent, request.scale, lacking)
    judged = replace(judged, checks=[with_registration(name, check, rows) for check in judged.checks])
    absent = sorted({setting for check in judged.checks for setting in check.absent})
    if work.absent:
        judged = replace(judged, verdict=beside_reference(judged, reference_record(name)))
    circumstances = {
        **provenance.circumstances(work.units[name], request.scale, request.backend, seconds),
        **({"seed_count": request.seeds} if request.seeds else {}),  # asked for, in place of the study's own
        "error_rate": verdicts.ERROR_RATE,
        "tails": verdicts.tail_count(suite),
        "level": level,
    }
    record = records.record_of(name, study, judged, circumstances)
    record = settled(request.results / name / records.FILE, record)
    faults: list[str] = []
    try:
        records.write_study(request.results, study, rows, record)
    except UsageError:
        raise
    except CrosscheckError as fault:
        faults.append(str(fault))
    return Conclusion(judged.verdict, absent, invalid_checks(name, judged.checks), faults)


def lacking_of(name: str, study: Study, request: Request, work: Plan) -> dict[str, list[str]]:
    """By check, the data sets and backends for want of which no unit that measures for it could be run."""
    if not work.absent:
        return {}
    wished = plan.with_backend(register.units_of(study, request.scale), request.backend)
    found: dict[str, list[str]] = {}
    for check in study.CHECKS:
        behind = registration.units_behind(name, study, check, wished)
        needs = [work.absent.intersection({*unit.data, unit.backend}) for unit in behind]
        if needs and all(needs):
            found[check.id] = sorted(set().union(*needs))
    return found


def with_registration(name: str, check: CheckRecord, rows: pd.DataFrame) -> CheckRecord:
    """The check with how its design stands to what is registered."""
    seeds = () if check.level == 1 else rows.loc[rows["check"] == check.id, "seed"].unique().tolist()
    state = registration.registered(name, check.id, seeds)
    return replace(check, registered=state) if state else check


def beside_reference(judged: StudyVerdict, record: VerdictRecord | None) -> Verdict:
    """The study's verdict, or `open` where it would differ from the reference's for want of evidence alone.

    A machine that has less says less, not something else. Where the reference, judged on what was run here
    too, comes out as this run did, the rest of it makes the difference.
    """
    from crosscheck.claims import verdicts

    if record is None or judged.verdict == record.verdict:
        return judged.verdict
    agrees = judged.verdict == verdicts.combine(in_common(record, judged))
    return Verdict.OPEN if agrees else judged.verdict


def in_common(record: VerdictRecord, judged: StudyVerdict) -> list[CheckRecord]:
    """The checks of a record as they come out at those settings that were judged here as well."""
    from crosscheck.claims import verdicts

    labels = {check.id: set(check.scope) for check in judged.checks if not check.unrun}
    common = (verdicts.at_settings(check, labels.get(check.id, ())) for check in record.checks)
    return [check for check in common if check]


def reference_records() -> list[VerdictRecord]:
    """What the reference says of all studies on which it says something that can be read."""
    return [record for record in map(reference_record, register.NAMES) if record]


def reference_record(name: str) -> VerdictRecord | None:
    """What the reference says of a study; None where it says nothing that can be read."""
    from crosscheck.report import records

    with reference.folder((name,)) as folder:
        try:
            return records.read(folder / name / records.FILE)
        except UsageError:
            return None


def invalid_checks(name: str, checks: Iterable[CheckRecord]) -> list[str]:
    return [f"{name}/{check.id}: {check.reason}" for check in checks if check.verdict is Verdict.INVALID]


def settled(file: Path, fresh: VerdictRecord) -> VerdictRecord:
    """The record to write: with the old provenance where it differs from the new in nothing that matters.

    So a run that finds what the committed results say leaves them as they are, to the byte.
    """
    from crosscheck.report import records

    try:
        old = records.read(file).provenance
    except UsageError:
        return fresh
    unimportant = {name: getattr(old, name) for name in provenance.UNIMPORTANT}
    kept = replace(fresh, provenance=replace(fresh.provenance, **unimportant))
    return kept if records.to_json(kept) == file.read_text(encoding="utf-8") else fresh
