"""What a study leaves behind: `verdict.json`, its table and its figure; whole or not at all.

verdict.json is a `VerdictRecord`, key by key in the order of its fields; msgspec checks it on reading.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from crosscheck._files import write_atomically
from crosscheck.claims.claim import Advice, Published
from crosscheck.claims.judged import CheckRecord, StudyVerdict
from crosscheck.claims.words import Verdict
from crosscheck.errors import CrosscheckError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from crosscheck.claims.claim import Study

FILE = "verdict.json"
T = TypeVar("T")
EXACT_LEVEL = 1.0  # of intervals in which nothing is random


class Provenance(Struct, kw_only=True, frozen=True):
    """Under which circumstances a study was run; what is not known is `UNSET`, and left out of the file.

    Attributes:
        versions: of whatever shapes a number, by package.
        seeds: all in use; `seed_count` is how many were asked for, in place of the study's own.
        git: the commit, and `dirty` where the code differed from it.
        data: version and checksum by data set.
        seconds: of work.
        error_rate, tails, level: of the whole suite, as in `crosscheck.claims.verdicts`.
    """

    versions: dict[str, str] | UnsetType = UNSET
    backend: str | UnsetType = UNSET
    device: str | UnsetType = UNSET
    scale: str | UnsetType = UNSET
    seeds: str | int | UnsetType = UNSET
    git: str | UnsetType = UNSET
    data: dict[str, str] | UnsetType = UNSET
    seconds: float | UnsetType = UNSET
    seed_count: int | UnsetType = UNSET
    error_rate: float | UnsetType = UNSET
    tails: int | UnsetType = UNSET
    level: float | UnsetType = UNSET


class VerdictRecord(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The contents of verdict.json: the claim as the study states it, what came of it, and how it was run."""

    study: str
    claim: str
    source: str
    verdict: Verdict
    checks: list[CheckRecord]
    provenance: Provenance
    title: str
    formula: str
    correct: str
    advice: Advice | None = None
    published: Published | None = None


def record_of(name: str, study: Study, judged: StudyVerdict, provenance: Mapping[str, Any]) -> VerdictRecord:
    """What is known of a study after it has been judged.

    Args:
        name: the study's name in the register.
        study: its module.
        judged: what `crosscheck.claims.verdicts.judge_study` returned.
        provenance: the fields of `Provenance`.
    """
    claim = study.CLAIM
    return VerdictRecord(
        study=name,
        claim=claim.statement,
        source=claim.source,
        verdict=judged.verdict,
        checks=judged.checks,
        provenance=Provenance(**provenance),
        title=claim.title,
        formula=claim.formula,
        correct=claim.correct,
        advice=claim.advice,
        published=claim.published,
    )


def write_study(folder: Path, study: Study, rows: pd.DataFrame, record: VerdictRecord) -> Path:
    """Write table, figure and, last, verdict.json into a folder named after the study, and return that.

    Args:
        folder: the results folder.
        study: the study's module.
        rows: its rows, as the store returns them.
        record: from `record_of`.

    Raises:
        CrosscheckError: where the study cannot tabulate or draw its rows; the verdict is written anyway.
        UsageError: where the folder cannot be written.
    """
    place = folder / record.study
    faults = [*write_table(study, rows, place), *write_figure(study, rows, place)]
    write_atomically(place / FILE, to_json(record))
    if faults:
        raise CrosscheckError(f"{record.study}: {'; '.join(map(str, faults))}.") from faults[0].__cause__
    return place


def write_table(study: Study, rows: pd.DataFrame, place: Path) -> list[CrosscheckError]:
    from crosscheck.report import tables  # with pandas, which reading verdicts does without

    try:
        table = study.table(rows)
    except Exception as error:  # the study's own code, faced with rows that a failed unit left out
        return [fault(place, "table", error)]
    tables.save(table, place)
    return []


def write_figure(study: Study, rows: pd.DataFrame, place: Path) -> list[CrosscheckError]:
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
    """What went wrong; an old table or figure beside a new verdict would mislead, and is removed."""
    for old in place.glob(f"{what}.*"):
        old.unlink(missing_ok=True)
    complaint = CrosscheckError(f"its {what} could not be made ({type(error).__name__}: {error})")
    complaint.__cause__ = error
    return complaint


def to_json(value: Any) -> str:
    """JSON to be read by people, too: indented, but a short list or object takes one line."""
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    # JSON's strings hold no line break, so that none of them is touched.
    for short in (r"\[[^\[\]{}]{,400}\]", r"{[^{}]{,400}}"):
        text = re.sub(short, lambda group: re.sub(r"\n *", " ", group.group()), text)
    return text + "\n"


def shortened(record: Any) -> Any:
    """A record without interval and level of the parts in which nothing is random: there are thousands.

    `expanded` puts them back.
    """
    for check in record.get("checks", []) if isinstance(record, dict) else []:
        for part in check.get("parts", []):
            if part["level"] == EXACT_LEVEL and list(part["interval"]) == 2 * [part["estimate"]]:
                del part["interval"], part["level"]
    return record


def expanded(record: Any) -> Any:
    """What `shortened` has shortened; anything else as it is."""
    checks = record.get("checks") if isinstance(record, dict) else None
    for check in checks if isinstance(checks, list) else []:
        parts = check.get("parts") if isinstance(check, dict) else None
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and "interval" not in part and "level" not in part:
                part.update(interval=2 * [part.get("estimate")], level=EXACT_LEVEL)
    return record


def plain(value: Any) -> Any:
    """The same in JSON's own types; numbers that JSON cannot write become null."""
    if isinstance(value, Struct):
        return plain(shortened(msgspec.to_builtins(value, enc_hook=plain)))
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


def read_all(folder: Path) -> list[VerdictRecord]:
    """Every results/<study>/verdict.json, by name.

    Raises:
        UsageError: naming the first file that is broken or not ours.
    """
    return [read(path) for path in sorted(folder.glob(f"*/{FILE}"))]


def read(path: Path) -> VerdictRecord:
    """A study's verdict.json.

    Raises:
        UsageError: where it is broken or not ours, or lies under another study's name.
    """
    study = path.parent.name
    record = decode(path, VerdictRecord, "a verdict", f"crosscheck run {study}")
    if record.study != study:
        raise foreign(path, "a verdict", f"study is {record.study!r}", f"crosscheck run {study}")
    return record


def decode(path: Path, shape: type[T], what: str, command: str) -> T:
    """The content of a JSON file that has to be of this shape; keys that the shape does not have are let be.

    Args:
        path: the file.
        shape: a type as msgspec has them.
        what: the file is, for the message: `a verdict`.
        command: that would write the file afresh.

    Raises:
        UsageError: naming the file, what is wrong where in it, and the command.
    """
    try:
        return msgspec.convert(expanded(msgspec.json.decode(path.read_bytes())), type=shape)
    except (OSError, ValueError, RecursionError) as error:
        raise foreign(path, what, str(error), command) from error


def foreign(path: Path, what: str, complaint: str, command: str) -> UsageError:
    remedy = f"Move it away, or write it afresh with `{command}`."
    return UsageError(f"{path} is not {what} written by crosscheck: {complaint}. {remedy}")
