"""What a study leaves behind: `verdict.json`, its table and its figure; whole or not at all."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscheck._files import write_atomically
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.report import schema

if TYPE_CHECKING:
    import pandas as pd

    from crosscheck.claims.claim import Study

FILE = "verdict.json"


def write_study(
    folder: Path,
    name: str,
    study: Study,
    rows: pd.DataFrame,
    judged: dict[str, Any],
    provenance: dict[str, Any],
) -> Path:
    """Write results/<name>: table, figure and, last, verdict.json.

    Args:
        folder: the results folder.
        name: the study's name in the register.
        study: its module.
        rows: its rows, as the store returns them.
        judged: what `crosscheck.claims.verdicts.judge_study` returned.
        provenance: versions, backend, device, scale, seeds, git, data, seconds, and the suite-wide
            error_rate, intervals, level.

    Raises:
        CrosscheckError: where the study cannot tabulate or draw its rows; the verdict is written anyway.
        UsageError: where the folder cannot be written.
    """
    place = folder / name
    faults = [*tabulated(study, rows, place), *drawn(study, rows, place)]
    write_atomically(place / FILE, to_json(record(name, study, judged, provenance)))
    if faults:
        raise CrosscheckError(f"{name}: {'; '.join(map(str, faults))}.") from faults[0].__cause__
    return place


def tabulated(study: Study, rows: pd.DataFrame, place: Path) -> list[CrosscheckError]:
    from crosscheck.report import tables  # with pandas, which reading verdicts does without

    try:
        table = study.table(rows)
    except Exception as error:  # the study's own code, faced with rows that a failed unit left out
        return [fault(place, "table", error)]
    tables.save(table, place)
    return []


def drawn(study: Study, rows: pd.DataFrame, place: Path) -> list[CrosscheckError]:
    from crosscheck.report import figures

    with figures.theme():
        try:
            figure = study.figure(rows)
        except Exception as error:
            return [fault(place, "figure", error)]
        figures.save(figure, place)
        figures.release(figure)
    return []


def fault(place: Path, what: str, error: Exception) -> CrosscheckError:
    """An old table or figure beside a new verdict would mislead: it goes."""
    for old in place.glob(f"{what}.*"):
        old.unlink(missing_ok=True)
    told = CrosscheckError(f"its {what} could not be made ({type(error).__name__}: {error})")
    told.__cause__ = error
    return told


def record(name: str, study: Study, judged: dict[str, Any], provenance: dict[str, Any]) -> dict[str, Any]:
    """The contents of verdict.json, the keys of the design first."""
    claim = study.CLAIM
    return {
        "study": name,
        "claim": claim.statement,
        "source": claim.source,
        "verdict": judged["verdict"],
        "checks": [schema.ordered(check, schema.CHECK) for check in judged["checks"]],
        "provenance": provenance,
        "title": claim.title,
        "formula": claim.formula,
        "correct": claim.correct,
        **({"advice": asdict(claim.advice)} if claim.advice else {}),
        **({"published": asdict(claim.published)} if claim.published else {}),
    }


def to_json(value: Any) -> str:
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    # Short groups take a line each. JSON's strings hold no line break, so that none of them is touched.
    for short in (r"\[[^\[\]{}]{,400}\]", r"{[^{}]{,400}}"):
        text = re.sub(short, lambda group: re.sub(r"\n *", " ", group.group()), text)
    return text + "\n"


def plain(value: Any) -> Any:
    """The same in JSON's own types; numbers that JSON cannot write become null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value))
    if hasattr(value, "tolist"):  # NumPy's arrays and scalars
        return plain(value.tolist())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | str | None) else str(value)


def read_all(folder: Path) -> list[dict[str, Any]]:
    """Every results/<study>/verdict.json, by name.

    Raises:
        UsageError: naming the first file that is broken or not ours.
    """
    return [read(path) for path in sorted(folder.glob(f"*/{FILE}"))]


def read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=schema.refuse)
        schema.conform(found, schema.RECORD, "the file")
        schema.conform(found["study"], {path.parent.name}, "study")
    except (OSError, ValueError, RecursionError) as error:
        remedy = f"Move it away, or write it afresh with `crosscheck run {path.parent.name}`."
        raise UsageError(f"{path} is not a verdict written by crosscheck: {error}. {remedy}") from error
    return found
