"""The rows of all backends as one page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Record = Mapping[str, Any]


def to_markdown(records: Sequence[Record]) -> str:
    """Which device and versions, then a table for each section and backend."""
    parts = ["# What the device does"]
    for record in records:
        parts += [f"## {record['backend']}", circumstances(record)]
        for section, found in record["sections"].items():
            parts += [f"### {section}", f"{found['seconds']:.0f} s. {found['end']}".rstrip()]
            parts += [table(rows) for rows in alike(found["rows"])]
    return "\n\n".join(parts) + "\n"


def circumstances(record: Record) -> str:
    about = record["provenance"]
    versions = ", ".join(f"{package} {version}" for package, version in about.get("versions", {}).items())
    size = (
        "at a tiny size, to see that it runs: no number here says anything of speed" if record["tiny"] else ""
    )
    lines = [about.get("device", "no section began"), about.get("driver", ""), versions, size]
    return "\n".join(f"- {line}" for line in lines if line)


def alike(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows apart by what columns they have."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return list(groups.values())


def table(rows: Sequence[Row]) -> str:
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([cell(row[head]) for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
