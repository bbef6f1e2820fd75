"""`crosscheck verify`: a fresh run, or results that are there, compared with the reference."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.cli.options import (
    FOLDER,
    RESULTS,
    gpu_option,
    jobs_option,
    json_option,
    loudness_options,
    show_accelerators,
    studies_argument,
    studies_matching,
)


@click.command("verify")
@studies_argument
@click.option("--reference", type=FOLDER, default=RESULTS, show_default=True, help="What to compare with.")
@click.option(
    "--against", type=FOLDER, multiple=True, help="Compare with this results folder, and run nothing."
)
@click.option("--scratch", type=FOLDER, help="Run in this folder and keep it; else in a temporary one.")
@click.option("--out", type=FOLDER, metavar="PATH", help="Write the comparison to PATH.md and PATH.json.")
@gpu_option
@jobs_option
@json_option
@loudness_options
def command(
    patterns: tuple[str, ...],
    reference: Path,
    against: tuple[Path, ...],
    scratch: Path | None,
    out: Path | None,
    gpu: bool,
    jobs: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run afresh, at the reference's scale, and compare verdict by verdict and estimate by estimate.

    Two machines, two backends, two versions: `--against FOLDER` compares results that are there already, and
    may be repeated. Exit code 1 where something moved, or came out different when drawn again from its rows.
    """
    from crosscheck.cli import drift
    from crosscheck.cli.run import Voice, meet
    from crosscheck.running import rerun

    show_accelerators(gpu)
    names = studies_matching(patterns) if patterns else ()
    then = rerun.recorded(reference, names)
    if against:
        comparisons = [
            drift.of_common(str(reference), then, str(folder), rerun.recorded(folder, names))
            for folder in against
        ]
    else:
        voice = Voice(quiet, verbose, as_json)
        with rerun.empty_folder(scratch) as folder:
            now = rerun.afresh(then, folder, jobs, lambda request: meet(request, voice))
            redrawn = rerun.redrawn(then, folder)
        comparisons = [drift.between(str(reference), then, "a fresh run", now, redrawn=redrawn)]
    is_sound = all(comparison.sound for comparison in comparisons)
    if as_json or not quiet or not is_sound:
        drift.print_comparisons(comparisons, as_json)
    if out:
        drift.write(comparisons, out)
    return 0 if is_sound else 1
