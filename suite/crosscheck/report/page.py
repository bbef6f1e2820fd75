"""The report: chapter.json, README.md and report.html, made from what lies in the results folder alone."""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from crosscheck._files import write_atomically
from crosscheck.claims import register
from crosscheck.claims.words import Truth, Verdict
from crosscheck.errors import UsageError
from crosscheck.report import (
    audits,
    chapter,
    diagnoses,
    explorables,
    markup,
    path_matrix,
    summary,
    svg,
    tables,
)
from crosscheck.report.records import VerdictRecord, read_all, to_json

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("report.js", "explorables.js")
PAGES = {"README.md": "report.md.j2", "report.html": "report.html.j2"}


def write_report(folder: Path, reference: chapter.Reference = chapter.nothing) -> list[Path]:
    """Write chapter.json, README.md and report.html into the results folder, and return their places.

    Args:
        folder: the results folder.
        reference: called for the records of the reference where something was not run here.

    Raises:
        UsageError: where there is nothing to report, a file in it is broken, or it cannot be written.
    """
    records = sorted(read_all(folder), key=place_in_register)
    if not records:
        raise UsageError(f"There are no results in {folder}. Run `make` or `crosscheck run` first.")
    judged = chapter.of_records(records, reference)
    content = {
        "chapter": chapter.by_section(judged),
        "chapter_tally": chapter.tally(judged),
        "chapter_counts": chapter.counted(judged),
        "named_by": chapter.named_by(),
        "sections": [section(folder / record.study, record) for record in records],
        "sure": summary.sureness(records),
        "counts": summary.counted(records),
        "published": summary.published(records),
        "audit": audits.read(folder),
        "explorables": explorables.FIGURES,
        "openings": explorables.openings(),
        "trials": explorables.trials(),
        "scripts": [Markup((TEMPLATES / name).read_text(encoding="utf-8")) for name in SCRIPTS],
        "rates": diagnoses.read(folder),
        "trained": diagnoses.read_trained(folder),
        "collected": diagnoses.read_collections(folder),
    }
    templates = environment()
    files = {file: templates.get_template(template).render(content) for file, template in PAGES.items()}
    for file, text in {chapter.FILE: to_json(judged), **files}.items():
        write_atomically(folder / file, text)
    return [folder / file for file in (chapter.FILE, *files)]


def fingerprint(script: str) -> str:
    """By which the page's own policy knows a script, and lets no other run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def place_in_register(record: VerdictRecord) -> tuple[int, str]:
    """Studies that have left the register come last."""
    names = register.NAMES
    return (names.index(record.study) if record.study in names else len(names), record.study)


@functools.cache
def environment() -> jinja2.Environment:
    """The templates, with all that they call; each is compiled once in a process."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=lambda name: str(name).endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals.update(
        Verdict=Verdict,
        Truth=Truth,
        interval=tables.interval,
        scopes=path_matrix,
        deciding_part=summary.deciding_part,
        notes=summary.notes,
    )
    templates.filters.update(
        number=tables.number,
        percent=tables.percent,
        sortable="{:.6g}".format,
        fact=fact,
        fingerprint=fingerprint,
        md=markup.markdown,
        mdmath=markup.markdown_formula,
        mathml=markup.mathml,
        codename=markup.code,
        ticked=markup.ticked,
        unbroken=markup.unbroken,
        breakable=markup.breakable,
    )
    return templates


@dataclass(frozen=True)
class Section:
    """A study's record with what else its section shows."""

    record: VerdictRecord
    headline: summary.Headline
    absent: list[str]
    provenance: dict[str, Any]
    table: Table | None
    figure: svg.Figure | None


def section(folder: Path, record: VerdictRecord) -> Section:
    return Section(
        record,
        summary.headline(record),
        summary.absent(record),
        msgspec.to_builtins(record.provenance),
        read_table(folder / "table.csv"),
        svg.read(folder / "figure.svg"),
    )


@dataclass(frozen=True)
class Table:
    """A study's table as text, cell by cell and in Markdown; `numeric` says which columns are numbers."""

    heads: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    markdown: str


def read_table(path: Path) -> Table | None:
    """A table.csv as the page shows it; None where there is none."""
    if not path.exists():
        return None
    frame = tables.read(path)
    rows = [[tables.cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    numeric = [tables.is_numeric(frame.iloc[:, i]) for i in range(frame.shape[1])]
    return Table(list(frame.columns), rows, numeric, tables.to_markdown(frame))


def fact(value: Any) -> str:
    """A fact of the provenance in a line: nested ones are listed."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {fact(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(fact, value)) or "none"
    return tables.number(value, 6) if isinstance(value, float) else tables.cell(value)
