"""How much a run covers beside the results that are there already: data sets, backends and scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crosscheck.claims.claim import BACKENDS, SCALES
from crosscheck.running.plan import Plan, Request


def lost(request: Request, work: Plan) -> list[str]:
    """What the results in the request's folder cover, and would not after this run: names to be told.

    These are data sets and backends, or a whole scale or backend of the results. A study whose verdict is
    missing or broken has nothing to lose.
    """
    missing: set[str] = set()
    for name in request.names:
        run = provenance_in(request.results / name / "verdict.json")
        if not run:
            continue
        units = work.units[name]
        covered = {
            *BACKENDS[:1],
            *(unit.backend for unit in units),
            *(n for unit in units for n in unit.data),
        }
        missing |= {*run["data"], *set(BACKENDS).intersection(run["versions"])} - covered
        if SCALES.index(run["scale"]) > SCALES.index(request.scale):
            missing.add(f"the {run['scale']} scale")
        if run["backend"] != request.backend:
            missing.add(f"the backend {run['backend']}")
    return sorted(missing)


def provenance_in(file: Path) -> dict[str, Any]:
    """Under which circumstances a verdict came about; empty where it does not say."""
    try:
        run = json.loads(file.read_text(encoding="utf-8"))["provenance"]
        whole = set(run["data"]) | set(run["versions"]) and run["scale"] in SCALES and run["backend"]
        return run if whole else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
