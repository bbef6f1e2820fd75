"""`python -m benchmarks.diagnose_rates N`: measures how often the diagnosis is wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command()
@click.argument("count", type=click.IntRange(min=1), metavar="N")
@click.option("--each", default=20, show_default=True, help="Mutants of every fault.")
@click.option("--exact", "exact_only", is_flag=True, help="Ask the exact checks alone: minutes, not hours.")
@click.option("--jobs", default=2, show_default=True, help="Processes; 0 for none but this one.")
@click.option("--seed", default=20261129, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/diagnose"), show_default=True)
@click.option(
    "--kept", type=click.Path(path_type=Path), default=Path("build/diagnose_rates"), show_default=True
)
def main(count: int, each: int, exact_only: bool, jobs: int, seed: int, out: Path, kept: Path) -> None:
    """Examine N random healthy programs, seed every fault into some of them, and write rates and pages.

    What is found is kept one by one: a run that was interrupted goes on. Exit code 1 where a healthy program
    got a ✗, an exact fault got none, or the diagnosis crashed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from benchmarks.diagnose_rates import measure, running, writing

    store = running.truth_store(kept)
    click.echo(f"{count} healthy programs")
    healthy = running.healthy_truths(store, count, seed, jobs, click.echo)
    click.echo(f"{each} mutants of each fault, as far as there are programs for it")
    mutants = running.mutant_truths(store, healthy, each, exact_only, jobs, click.echo)
    judged = [truth for truth in mutants if truth.is_fault]
    click.echo(f"{len(healthy) + len(judged)} examinations")
    said = running.examinations(kept, [*healthy, *judged], exact_only, jobs, click.echo)
    record = measure.summary(measure.paired(healthy, said), measure.paired(mutants, said), seed, exact_only)
    writing.write(record, out)
    sys.exit(1 if measure.is_wrong(record) else 0)


if __name__ == "__main__":
    main()
