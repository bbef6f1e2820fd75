"""From the saved rows of a study to its verdict, its table and its figure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosscheck.claims import register
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.running import provenance, reference
from crosscheck.running.plan import Plan, Request


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
    level = verdicts.interval_level(suite)
    judged = verdicts.judge_study(study, rows, level, work.absent, request.scale)
    absent = sorted({setting for check in judged["checks"] for setting in check["absent"]})
    if work.absent:
        judged["verdict"] = beside_reference(judged, reference_record(name))
    circumstances = {
        **provenance.circumstances(work.units[name], request.scale, request.backend, seconds),
        **({"seed_count": request.seeds} if request.seeds else {}),  # asked for, in place of the study's own
        "error_rate": verdicts.ERROR_RATE,
        "intervals": verdicts.interval_count(suite),
        "level": level,
    }
    record = records.record(name, study, judged, circumstances)
    circumstances = settled(request.results / name / records.FILE, record)
    faults: list[str] = []
    try:
        records.write_study(request.results, name, study, rows, judged, circumstances)
    except UsageError:
        raise
    except CrosscheckError as fault:
        faults.append(str(fault))
    return Conclusion(judged["verdict"], absent, invalid_checks(name, judged["checks"]), faults)


def beside_reference(judged: dict[str, Any], record: dict[str, Any] | None) -> str:
    """The study's verdict, or `open` where it would differ from the reference's for want of evidence alone.

    A machine that has less says less, not something else. Where the reference, judged on what was run here
    too, comes out as this run did, the rest of it makes the difference.
    """
    from crosscheck.claims import verdicts

    verdict = judged["verdict"]
    if record is None or verdict == record["verdict"]:
        return verdict
    return verdicts.OPEN if verdict == verdicts.combine(in_common(record, judged)) else verdict


def in_common(record: dict[str, Any], judged: dict[str, Any]) -> list[dict[str, Any]]:
    """The checks of a record as they come out at those settings that were judged here as well."""
    from crosscheck.claims.verdicts import RANK

    labels = {check["id"]: set(check["scope"]) for check in judged["checks"] if not check.get("unrun")}
    checks = []
    for check in record["checks"]:
        parts = [part["verdict"] for part in check["parts"] if part["setting"] in labels.get(check["id"], ())]
        if parts and len(parts) < len(check["parts"]) and check["verdict"] != "invalid":
            checks.append({**check, "verdict": min(parts, key=RANK.index)})
        elif parts:
            checks.append(check)
    return checks


def reference_record(name: str) -> dict[str, Any] | None:
    """What the reference says of a study; None where it says nothing that can be read."""
    from crosscheck.report import records

    with reference.folder((name,)) as folder:
        try:
            return records.read(folder / name / records.FILE)
        except UsageError:
            return None


def invalid_checks(name: str, checks: list[dict[str, Any]]) -> list[str]:
    return [f"{name}/{check['id']}: {check['reason']}" for check in checks if check["verdict"] == "invalid"]


def settled(file: Path, fresh: dict[str, Any]) -> dict[str, Any]:
    """The provenance to write: the old one where it differs from the new in nothing that matters.

    So a run that finds what the committed results say leaves them as they are, to the byte.
    """
    from crosscheck.report import records

    circumstances = fresh["provenance"]
    try:
        old = json.loads(file.read_text(encoding="utf-8"))
        kept = {**circumstances, **{key: old["provenance"][key] for key in provenance.UNIMPORTANT}}
    except (OSError, ValueError, KeyError, TypeError):
        return circumstances
    same = json.loads(records.to_json({**fresh, "provenance": kept})) == old
    return kept if same else circumstances
