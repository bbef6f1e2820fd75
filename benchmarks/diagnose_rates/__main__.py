"""`python -m benchmarks.diagnose_rates N`: measures how often the diagnosis is wrong."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click


@click.command()
@click.argument("count", type=click.IntRange(min=1), metavar="N")
@click.option("--each", default=20, show_default=True, help="Mutants of every fault.")
@click.option("--exact", "exact_only", is_flag=True, help="Ask the exact checks alone: minutes, not hours.")
@click.option("--trained", is_flag=True, help="Seed the faults alone that show in training.")
@click.option(
    "--rounds", default=1, show_default=True, help="Shares of the work, each with all that came before it."
)
@click.option("--jobs", default=2, show_default=True, help="Processes; 0 for none but this one.")
@click.option("--seed", default=20261129, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/diagnose"), show_default=True)
@click.option(
    "--kept", type=click.Path(path_type=Path), default=Path("build/diagnose_rates"), show_default=True
)
def main(
    count: int,
    each: int,
    exact_only: bool,
    trained: bool,
    rounds: int,
    jobs: int,
    seed: int,
    out: Path,
    kept: Path,
) -> None:
    """Examine N random healthy programs, seed every fault into some of them, and write rates and pages.

    What is found is kept one by one: a run that was interrupted goes on. After every round rates and pages
    are written, so that of one that is stopped what it came to is left. Exit code 1 where a healthy program
    got a ✗, an exact fault got none, or the diagnosis crashed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if exact_only and trained:
        raise click.UsageError("--exact and --trained leave nothing to seed.")
    from benchmarks.diagnose_rates import measure, running, writing

    decided = ("exact",) if exact_only else ("statistical",) if trained else ("exact", "statistical")
    asked = measure.Asked(seed, exact_only, decided, count, each)
    for part in range(1, rounds + 1):
        share = replace(asked, count=-(-count * part // rounds), each=-(-each * part // rounds))
        healthy, mutants = running.measured(share, kept, jobs, click.echo)
        record = measure.summary(healthy, mutants, asked)
        writing.write(record, out)
    sys.exit(1 if measure.is_wrong(record) else 0)


if __name__ == "__main__":
    main()
