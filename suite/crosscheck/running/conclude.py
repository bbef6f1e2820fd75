"""From the saved rows of a study to its verdict, its table and its figure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosscheck.claims import register
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.running import provenance
from crosscheck.running.plan import Plan, Request


@dataclass(frozen=True)
class Conclusion:
    """What came of a study.

    Attributes:
        verdict: of the study.
        invalid: checks whose control did not fail, each with the reason.
        faults: tables and figures that could not be made.
    """

    verdict: str
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
    return Conclusion(judged["verdict"], invalid_checks(name, judged["checks"]), faults)


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
