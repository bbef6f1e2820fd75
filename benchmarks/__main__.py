"""Runs the benches and writes bench.json, the table and the figure."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks import report
from benchmarks.benches import BENCHES
from benchmarks.compare import Entry
from benchmarks.machine import installed
from crosscheck._files import write_atomically
from crosscheck.claims.claim import BACKENDS
from crosscheck.errors import CrosscheckError, UsageError


class Spread(msgspec.Struct):
    """Over rounds."""

    median: float
    min: float
    max: float


class Seconds(msgspec.Struct):
    """Of either side."""

    subject: Spread
    against: Spread | None = None


class Setting(msgspec.Struct):
    """What a bench is run at; benches have settings of their own besides."""

    R: int = 0
    inputs: list[Any] = []
    examples: int = 0
    epochs: int = 0
    batch: int = 0


class Shape(msgspec.Struct):
    """What every entry of bench.json has; it has more."""

    bench: str
    subject: str
    against: str
    ratio: Spread
    setting: Setting
    seconds: Seconds


def identity(entry: Entry) -> tuple[Any, ...]:
    return entry["bench"], entry["subject"], entry["against"], json.dumps(entry["setting"], sort_keys=True)


def choose(names: tuple[str, ...]) -> tuple[str, ...]:
    """The named benches in their order; all where none is named.

    Raises:
        UsageError: for a name that no bench has.
    """
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        raise UsageError(f"No bench is called {', '.join(unknown)}; there are {', '.join(BENCHES)}.")
    return tuple(name for name in BENCHES if not names or name in names)


def read_entries(file: Path) -> list[Entry]:
    """The entries of an earlier run.

    Raises:
        UsageError: for a file that holds none.
    """
    try:
        content = file.read_bytes()
        msgspec.json.decode(content, type=list[Shape])
        return list(json.loads(content))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} holds no benches: {error}. Measure some first.") from error


def measure(names: tuple[str, ...], smoke: bool, entries: list[Entry], file: Path) -> list[Entry]:
    """`entries` with the named benches measured anew; what is measured is on the disk at once."""
    start = time.monotonic()
    for name in names:
        for entry in BENCHES[name](smoke):
            entries = [old for old in entries if identity(old) != identity(entry)] + [entry]
            ratio, seconds = entry["ratio"]["median"], time.monotonic() - start
            r = f", R = {entry['setting']['R']}" if "R" in entry["setting"] else ""
            model = f", {entry['setting']['model']}" if "model" in entry["setting"] else ""
            comparison = f"{entry['bench']}{model}{r}: {entry['subject']} / {entry['against']}"
            click.echo(f"{seconds:5.0f} s  {comparison} = {ratio:.4g}")
            write_atomically(file, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    return entries


@click.command()
@click.argument("names", nargs=-1, metavar="[BENCH]...")
@click.option("--smoke", is_flag=True, help="Tiny sizes on TensorFlow alone: does it run at all?")
@click.option("--redraw", is_flag=True, help="Measure nothing; write table and figure from bench.json.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/bench"), show_default=True)
def main(names: tuple[str, ...], smoke: bool, redraw: bool, out: Path) -> None:
    """Time Replicates against what one would otherwise do, and against the machine's limit.

    The benches: total, steady, limit, tabular, mnist, convolution, ordinary, losses, growth, suite; all by
    default. Entries of an earlier run in the same folder stay where named benches do not measure them anew.
    """
    benches, file = choose(names), out / "bench.json"
    if redraw:
        entries = read_entries(file)
    else:
        for backend in [backend for backend in BACKENDS if backend not in installed()]:
            click.echo(f"{backend} is not installed: left out (pip install 'crosscheck[{backend}]')")
        entries = measure(benches, smoke, read_entries(file) if names and file.exists() else [], file)
    report.write(entries, out)


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except (CrosscheckError, click.ClickException) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
