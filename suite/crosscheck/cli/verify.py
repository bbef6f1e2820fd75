"""`crosscheck verify`: a fresh run, or results that are there, compared with the reference."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.cli.options import (
    FOLDER,
    gpu_option,
    jobs_option,
    json_option,
    loudness_options,
    on_option,
    show_accelerators,
    studies_argument,
    studies_matching,
)
from crosscheck.errors import UsageError


@click.command("verify")
@studies_argument
@click.option(
    "--reference",
    "reference_folder",
    type=FOLDER,
    help="Results to compare with. [default: what git holds in a checkout, else what came with the package]",
)
@click.option(
    "--against", type=FOLDER, multiple=True, help="Compare with this results folder, and run nothing."
)
@click.option("--scratch", type=FOLDER, help="Run in this folder and keep it; else in a temporary one.")
@click.option("--out", type=FOLDER, metavar="PATH", help="Write the comparison to PATH.md and PATH.json.")
@gpu_option
@jobs_option
@on_option
@json_option
@loudness_options
def command(
    patterns: tuple[str, ...],
    reference_folder: Path | None,
    against: tuple[Path, ...],
    scratch: Path | None,
    out: Path | None,
    gpu: bool,
    jobs: int | None,
    on: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run afresh, at the reference's scale, and compare verdict by verdict and estimate by estimate.

    Two machines, two backends, two versions: `--against FOLDER` compares results that are there already, and
    may be repeated. With `--on` the fresh run is computed on a cluster, and judged and drawn here. Exit
    code 1 where something moved, or came out different when drawn again from its rows.
    """
    from crosscheck.cli import drift
    from crosscheck.cli.run import Voice, meet
    from crosscheck.running import reference, rerun
    from crosscheck.running.plan import SLURM

    if against and on:
        raise UsageError("--against runs nothing, here or on a cluster: leave it out, or --on.")
    if on and on.startswith(SLURM) and not scratch:
        raise UsageError("On SLURM a fresh run needs a folder that every node sees: name it by --scratch.")
    show_accelerators(gpu)
    names = studies_matching(patterns) if patterns else ()
    if reference_folder:
        then, what = rerun.recorded(reference_folder, names), str(reference_folder)
        chapter = rerun.chapter_of(reference_folder, then)
    else:
        then, what = rerun.reference_verdicts(names), reference.description()
        chapter = rerun.reference_chapter(then)
    if against:
        comparisons = []
        for other in against:
            now = rerun.recorded(other, names)
            chapters = chapter, rerun.chapter_of(other, now)
            comparisons.append(drift.of_common(what, then, str(other), now, chapters))
    else:
        voice = Voice(quiet, verbose, as_json)
        with rerun.empty_folder(scratch) as folder:
            now = rerun.afresh(then, folder, jobs, lambda request: meet(request, voice), on)
            redrawn = rerun.redrawn(then, folder)
            chapters = chapter, rerun.chapter_of(folder / "results", now)
        comparisons = [drift.between(what, then, "a fresh run", now, chapters, redrawn=redrawn)]
    is_sound = all(comparison.sound for comparison in comparisons)
    if as_json or not quiet or not is_sound:
        drift.print_comparisons(comparisons, as_json)
    if out:
        drift.write(comparisons, out)
    return 0 if is_sound else 1
