"""`python -m benchmarks.diagnose_rates.collected DEEPLOCALIZE.jsonl HOWREAL.jsonl`: what came of them, kept.

Writes collections.json and collections.md to results/diagnose from what `collections` measured.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import keras

from benchmarks.diagnose_rates.readings import READINGS
from crosscheck._files import write_atomically

Row = Mapping[str, Any]
OUT = Path("results/diagnose")
COLLECTIONS = (  # where they come from, and at which commit they were looked at
    ("DeepLocalize", "Wardat-ISU/DeepLocalize", "Benchmark", "297bc3441b5903b5c85bc5ffd7c9881a3c0c75a2"),
    (
        "BenchDL4Real",
        "dlfaults/HowRealAreThey",
        "BenchDL4Real",
        "358a4a15e304d449e732c754d0d504d806c7f54f",
    ),
)


def record_of(files: Sequence[Path]) -> dict[str, Any]:
    """Every row of each collection, and the counts that follow from them."""
    collections = []
    for (name, repository, folder, commit), file in zip(COLLECTIONS, files, strict=True):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        source = {"name": name, "repository": repository, "folder": folder, "commit": commit}
        collections.append({**source, **counts(name, rows), "rows": rows})
    return {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "exact_checks_alone": True,
        "collections": collections,
    }


def counts(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """How many scripts ran, why the others did not, and how many of each version have a ✗."""
    judged = [row for row in rows if is_judged(row)]
    read = readings_of(name, judged)
    return {
        "scripts": len(rows),
        "ran": len(judged),
        "why_not": dict(Counter(row["why_not"] for row in rows if not is_judged(row)).most_common()),
        **{
            version: {"ran": len(of), "with_fault": sum(bool(row["found"]) for row in of)}
            for version in ("buggy", "fixed")
            for of in [[row for row in judged if row["version"] == version]]
        },
        "pairs": pairs(judged),
        "fixed_read": dict(Counter(reading["verdict"] for reading in read)),
        "readings": read,
    }


def is_judged(row: Row) -> bool:
    """Whether a diagnosis was made: the script came to its fit, and in time."""
    return row["ran"] and not row["why_not"]


def pairs(judged: Sequence[Row]) -> dict[str, int]:
    """Of programs of which both versions ran: in which of them something was found."""
    found = {(row["id"], row["version"]): bool(row["found"]) for row in judged}
    both = [id for id, version in found if version == "buggy" and (id, "fixed") in found]
    words = {
        (True, False): "buggy alone",
        (True, True): "both",
        (False, True): "fixed alone",
        (False, False): "neither",
    }
    told = Counter(words[found[id, "buggy"], found[id, "fixed"]] for id in both)
    return {word: told[word] for word in words.values()}


def readings_of(name: str, judged: Sequence[Row]) -> list[dict[str, Any]]:
    """Every ✗ on a repaired version, with what reading the script showed."""
    flagged = [row for row in judged if row["version"] == "fixed" and row["found"]]
    return [
        {"id": row["id"], "found": row["found"], "verdict": verdict, "why": why}
        for row in flagged
        for verdict, why in [READINGS.get((name, row["id"]), ("not read", ""))]
    ]


# --- the page ---------------------------------------------------------------------------------------------


def page(record: Mapping[str, Any]) -> str:
    parts = [
        "# What the diagnosis says of other people's programs",
        "Two published collections of buggy training scripts and their repaired versions, run in place, up "
        f"to their `fit`, on {record['backend']} with Keras {record['keras']}: the exact checks alone, one "
        "script at a time, 60 s for each to come to its `fit`. They were used for development.",
        "A “repair” mends what its question was about, and may leave another fault: each ✗ on a repaired "
        "version was read in its script, and what was read is below. In the collections scripts read data "
        "that are not there, use libraries and a Keras that are gone, or are parts without a `fit`.",
        *(part for collection in record["collections"] for part in parts_of(collection)),
    ]
    return "\n\n".join(parts) + "\n"


def parts_of(collection: Mapping[str, Any]) -> Iterator[str]:
    name, repository = collection["name"], collection["repository"]
    yield f"## {name}"
    yield (
        f"`{collection['folder']}` of [{repository}](https://github.com/{repository}) at "
        f"`{collection['commit'][:7]}`: {collection['scripts']} scripts, {collection['ran']} of which came "
        "to their `fit` and were diagnosed."
    )
    head = ["| version | diagnosed | with a ✗ |", "| --- | ---: | ---: |"]
    yield "\n".join([*head, *version_lines(collection)])
    told = ", ".join(f"{word} {count}" for word, count in collection["pairs"].items())
    yield f"Programs of which both versions were diagnosed, by where a ✗ was found: {told}."
    head = ["| why a script was not diagnosed | buggy | fixed |", "| --- | ---: | ---: |"]
    yield "\n".join([*head, *reason_lines(collection)])
    yield "\n".join(["| buggy, with a ✗ | checks |", "| --- | --- |", *buggy_lines(collection["rows"])])
    read = [
        f"| {r['id']} | {', '.join(r['found'])} | {r['verdict']} | {r['why']} |"
        for r in collection["readings"]
    ]
    head = ["| repaired, with a ✗ | checks | read | what the script does |", "| --- | --- | --- | --- |"]
    yield "\n".join([*head, *read])


def version_lines(collection: Mapping[str, Any]) -> list[str]:
    return [
        f"| {version} | {collection[version]['ran']} | {collection[version]['with_fault']} |"
        for version in ("buggy", "fixed")
    ]


def reason_lines(collection: Mapping[str, Any]) -> list[str]:
    """Keras itself refuses many a buggy version before its fit."""
    told = Counter((row["why_not"], row["version"]) for row in collection["rows"])
    return [
        f"| {words} | {told[words, 'buggy']} | {told[words, 'fixed']} |" for words in collection["why_not"]
    ]


def buggy_lines(rows: Sequence[Row]) -> list[str]:
    flagged = [row for row in rows if row["version"] == "buggy" and row["found"]]
    return [f"| {row['id']} | {', '.join(row['found'])} |" for row in flagged]


@click.command()
@click.argument("files", nargs=len(COLLECTIONS), type=click.Path(exists=True, path_type=Path))
@click.option("--out", default=OUT, show_default=True, type=click.Path(file_okay=False, path_type=Path))
def write(files: tuple[Path, ...], out: Path) -> None:
    """Keep what `collections` found in DeepLocalize and in BenchDL4Real: FILES, in this order."""
    record = record_of(files)
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "collections.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    write_atomically(out / "collections.md", page(record))


if __name__ == "__main__":
    write()
