"""Runs the sections on each backend that is installed, and writes rows, timings and provenance.

`python -m benchmarks.device_check [--tiny] [--out FOLDER] [--seconds N]`. With KERAS_BACKEND set, on that
backend alone: `device-BACKEND.json` holds its rows, and table.md those of every backend in the folder.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.device_check import report
from benchmarks.device_check.sizes import BUDGET, EXTRA, SHARES, TINY_BUDGET

ROOT = Path(__file__).parents[2]
BACKENDS = ("jax", "tensorflow")
GRACE = 1.5  # times its share, and `START`, after which a section is stopped
START = 40.0  # seconds for a process to import its backend and find the device


def backends() -> list[str]:
    """The one that KERAS_BACKEND names; else all that are installed."""
    if os.environ.get("KERAS_BACKEND"):
        return [os.environ["KERAS_BACKEND"]]
    return [backend for backend in BACKENDS if importlib.util.find_spec(backend)]


def environment(backend: str, section: str) -> dict[str, str]:
    """Of a section's process: the package is found in the checkout, installed or not."""
    paths = [str(ROOT), str(ROOT / "suite"), os.environ.get("PYTHONPATH", "")]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    quiet = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    extra = dict(EXTRA.get(section, {}))
    if "XLA_FLAGS" in extra:
        extra["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {extra['XLA_FLAGS']}".strip()
    return {**given, **quiet, **extra}


def run_section(backend: str, section: str, seconds: float, tiny: bool) -> dict[str, Any]:
    """The rows that a section gave, its provenance, and how it ended: "" where it came to its end.

    What a section wrote before it died or was stopped is kept.
    """
    command = [sys.executable, "-m", "benchmarks.device_check.sections", section, str(seconds)]
    start = time.monotonic()
    process = subprocess.Popen(
        [*command, *(["--tiny"] if tiny else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(backend, section),
    )
    end = ""
    try:
        output, errors = process.communicate(timeout=GRACE * seconds + START)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        end = "Stopped: its time was up."
    if process.returncode and not end:
        end = f"It ended with an error: {(errors.strip().splitlines() or ['no message'])[-1]}"
    lines = list(answers(output))
    return {
        "seconds": time.monotonic() - start,
        "end": end,
        "rows": [line["row"] for line in lines if "row" in line],
        "provenance": next((line["provenance"] for line in lines if "provenance" in line), {}),
    }


def answers(output: str) -> Iterator[Mapping[str, Any]]:
    """The lines that are ours: libraries print to the same stream, and the last may be cut."""
    for line in output.splitlines():
        if line.startswith(('{"row"', '{"provenance"')) and line.endswith("}"):
            yield json.loads(line)


def check(backend: str, seconds: float, tiny: bool, file: Path) -> None:
    """Runs all sections on a backend; the file is written after each, so that none is lost."""
    record: dict[str, Any] = {"backend": backend, "tiny": tiny, "provenance": {}, "sections": {}}
    for section, share in SHARES.items():
        found = run_section(backend, section, share * seconds, tiny)
        provenance = found.pop("provenance")
        record["provenance"] = record["provenance"] or provenance
        record["sections"][section] = {**found, "settings": provenance.get("settings", {})}
        file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(
            f"{backend:11}{section:15}{found['seconds']:5.0f} s  {len(found['rows']):4} rows  {found['end']}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every section came to its end; else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device_check")
    parser.add_argument("--tiny", action="store_true", help="does it run at all, on whatever is here?")
    parser.add_argument("--out", type=Path, default=Path("results/device"))
    parser.add_argument("--seconds", type=float, help=f"for all backends together: {BUDGET:.0f}")
    told = parser.parse_args(arguments)
    seconds = told.seconds or (TINY_BUDGET if told.tiny else BUDGET)
    told.out.mkdir(parents=True, exist_ok=True)
    for backend in (chosen := backends()):
        check(backend, seconds / len(chosen), told.tiny, told.out / f"device-{backend}.json")
    records = [json.loads(file.read_text("utf-8")) for file in sorted(told.out.glob("device-*.json"))]
    (told.out / "table.md").write_text(report.to_markdown(records), encoding="utf-8")
    ends = [found["end"] for record in records for found in record["sections"].values()]
    return 1 if any(ends) or not records else 0


if __name__ == "__main__":
    sys.exit(main())
