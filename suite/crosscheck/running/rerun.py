"""What `crosscheck verify` runs: the studies of a reference once more, from nothing, at the same scale."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.report.comparison import Verdicts
from crosscheck.running import pipeline, plan


def recorded(folder: Path, names: Collection[str] = ()) -> dict[str, Any]:
    """The verdicts in a results folder, by study; only the named ones, if any are.

    Raises:
        UsageError: there is none, or a named one is missing.
    """
    from crosscheck.report import records

    found = {record.study: record for record in records.read_all(folder)}
    missing = [name for name in names if name not in found] or ([] if found else ["any study"])
    if missing:
        raise UsageError(f"{folder} holds no verdict on {', '.join(missing)}. `crosscheck run` writes them.")
    return {name: record for name, record in found.items() if not names or name in names}


def requests(reference: Verdicts, folder: Path, jobs: int | None) -> list[plan.Request]:
    """One request for each scale, backend and count of seeds of the reference; usually a single one."""
    kinds: dict[tuple[str, str, int | None], list[str]] = {}
    for name, record in reference.items():
        made = record.provenance
        kind = made.scale or "standard", made.backend or "tensorflow", made.seed_count or None
        kinds.setdefault(kind, []).append(name)
    return [
        plan.Request(
            tuple(names), folder / "results", folder / "store", scale, backend, jobs=jobs, seeds=seeds
        )
        for (scale, backend, seeds), names in kinds.items()
    ]


@contextlib.contextmanager
def empty_folder(wanted: Path | None) -> Iterator[Path]:
    """A folder with nothing in it: the one that is wanted, and kept, or a temporary one.

    Raises:
        UsageError: the wanted one is not empty, so that a run in it would not be a fresh one.
    """
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="crosscheck-") as temporary:
            yield Path(temporary)
        return
    if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        raise UsageError(
            f"{wanted} is not an empty folder, and a fresh run needs one. To compare with results that are "
            f"there already: `crosscheck verify --against {wanted / 'results'}`."
        )
    yield wanted


def afresh(
    reference: Verdicts, folder: Path, jobs: int | None, meet: Callable[[plan.Request], Any]
) -> dict[str, Any]:
    """Have every study of the reference run in an empty folder, and return the new verdicts."""
    for request in requests(reference, folder, jobs):
        pipeline.require_writable(request.results)
        meet(request)
    return recorded(folder / "results")


def redrawn(reference: Verdicts, folder: Path) -> list[str]:
    """Tables and figures of a fresh run that differ when another process draws them from the same rows.

    Another process, so that the order of sets and whatever else is fixed when Python starts may show.

    Raises:
        CrosscheckError: they could not be drawn again.
    """
    for request in requests(reference, folder, None):
        command = [
            sys.executable,
            "-m",
            "crosscheck",
            "run",
            *request.names,
            "--quiet",
            "--store",
            request.store,
        ]
        command += ["--results", folder / "again", "--scale", request.scale, "--backend", request.backend]
        command += ["--seeds", str(request.seeds)] if request.seeds else []
        ran = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if ran.returncode == UsageError.exit_code:
            raise CrosscheckError(f"Tables and figures could not be drawn again: {ran.stderr.strip()}")
    return differing(folder / "results", folder / "again")


def differing(one: Path, other: Path) -> list[str]:
    """Tables and figures whose bytes are not the same in two results folders, or that one of them lacks."""
    found = {
        path.relative_to(side)
        for side in (one, other)
        for kind in ("table", "figure")
        for path in side.glob(f"*/{kind}.*")
    }
    return [str(path) for path in sorted(found) if content(one / path) != content(other / path)]


def content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
