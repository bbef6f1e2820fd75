"""What `crosscheck verify` runs: the studies of a reference once more, from nothing, at the same scale."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscheck import _child
from crosscheck.claims import register
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.report.comparison import Verdicts
from crosscheck.running import pipeline, plan, reference

if TYPE_CHECKING:
    from crosscheck.claims.chapter import ChapterRecord


def recorded(folder: Path, names: Collection[str] = ()) -> dict[str, Any]:
    """The verdicts in a results folder, by study; only the named ones, if any are.

    Raises:
        UsageError: there is none, or a named one is missing.
    """
    from crosscheck.report import records

    verdicts = {record.study: record for record in records.read_all(folder)}
    missing = [name for name in names if name not in verdicts] or ([] if verdicts else ["any study"])
    if missing:
        raise UsageError(f"{folder} holds no verdict on {', '.join(missing)}. `crosscheck run` writes them.")
    return {name: record for name, record in verdicts.items() if not names or name in names}


def reference_verdicts(names: Collection[str] = ()) -> dict[str, Any]:
    """The verdicts of the reference, by study; only the named ones, if any are.

    Raises:
        UsageError: there is no reference, or it holds no verdict on a named study.
    """
    from crosscheck.report import records

    with reference.folder(names or register.NAMES) as folder:
        judged = {path.parent.name for path in folder.glob(f"*/{records.FILE}")}
        missing = [name for name in names if name not in judged] or ([] if judged else ["any study"])
        if missing:
            raise UsageError(
                f"The reference, {reference.description()}, holds no verdict on {', '.join(missing)}. "
                "`--reference FOLDER` names results to compare with."
            )
        return recorded(folder, names)


def chapter_of(folder: Path, studies: Verdicts) -> ChapterRecord:
    """The chapter in a results folder; where it has none, as the records of its studies have it.

    Raises:
        UsageError: the chapter is broken or not ours.
    """
    from crosscheck.report import chapter

    return chapter.read_if_any(folder) or chapter.of_records(list(studies.values()))


def reference_chapter(studies: Verdicts) -> ChapterRecord:
    """The reference's chapter."""
    with reference.folder(()) as folder:
        return chapter_of(folder, studies)


def requests(
    then: Verdicts, folder: Path, jobs: int | None = None, on: str | None = None
) -> list[plan.Request]:
    """One request for each scale, backend and count of seeds of the reference; usually a single one."""
    kinds: dict[tuple[str, str, int | None], list[str]] = {}
    for name, record in then.items():
        run = record.provenance
        kind = run.scale or "standard", run.backend or "tensorflow", run.seed_count or None
        kinds.setdefault(kind, []).append(name)
    return [
        plan.Request(
            tuple(names), folder / "results", folder / "store", scale, backend, jobs=jobs, seeds=seeds, on=on
        )
        for (scale, backend, seeds), names in kinds.items()
    ]


@contextlib.contextmanager
def empty_folder(asked: Path | None) -> Iterator[Path]:
    """A folder with nothing in it: the one asked for, which is kept, or a temporary one.

    Raises:
        UsageError: the one asked for is not empty, so that a run in it would not be a fresh one.
    """
    if asked is None:
        with tempfile.TemporaryDirectory(prefix="crosscheck-") as temporary:
            yield Path(temporary)
        return
    if asked.exists() and (not asked.is_dir() or any(asked.iterdir())):
        raise UsageError(
            f"{asked} is not an empty folder, and a fresh run needs one. To compare with results that are "
            f"there already: `crosscheck verify --against {asked / 'results'}`."
        )
    yield asked


def afresh(
    then: Verdicts,
    folder: Path,
    jobs: int | None,
    meet: Callable[[plan.Request], Any],
    on: str | None = None,
) -> dict[str, Any]:
    """Have every study of the reference run in an empty folder, and return the new verdicts.

    Args:
        jobs, on: how many units at a time, and on which cluster, as in `runner.run`.
    """
    for request in requests(then, folder, jobs, on):
        pipeline.require_writable(request.results)
        meet(request)
    return recorded(folder / "results")


def redrawn(then: Verdicts, folder: Path) -> list[str]:
    """Tables and figures of a fresh run that differ when another process draws them from the same rows.

    Another process, so that the order of sets and whatever else is fixed when Python starts may show.

    Raises:
        CrosscheckError: they could not be drawn again.
    """
    for request in requests(then, folder):
        options = ["--quiet", "--store", request.store, "--results", folder / "again"]
        options += ["--scale", request.scale, "--backend", request.backend]
        options += ["--seeds", request.seeds] if request.seeds else []
        command = _child.command("crosscheck", "run", *request.names, *options)
        ran = subprocess.run(command, env=_child.environment(), capture_output=True, text=True)
        if ran.returncode == UsageError.exit_code:
            raise CrosscheckError(f"Tables and figures could not be drawn again: {ran.stderr.strip()}")
    return differing(folder / "results", folder / "again")


def differing(one: Path, other: Path) -> list[str]:
    """Tables and figures whose bytes are not the same in two results folders, or that one of them lacks."""
    files = {
        path.relative_to(side)
        for side in (one, other)
        for kind in ("table", "figure")
        for path in side.glob(f"*/{kind}.*")
    }
    return [str(path) for path in sorted(files) if content(one / path) != content(other / path)]


def content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
