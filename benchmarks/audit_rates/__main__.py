"""`python -m benchmarks.audit_rates N`: measures how often the loss check is wrong."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import click
import keras

from benchmarks.audit_rates import measure
from crosscheck._files import write_atomically


@click.command()
@click.argument("count", type=click.IntRange(min=4), metavar="N")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/audit"), show_default=True)
def main(count: int, out: Path) -> None:
    """Audit N random losses, half of them broken, and write rates.json and rates.md.

    They are written again after every twelve losses, so that a run that is ended has what it came to: what it
    draws does not depend on N. On JAX and PyTorch the names say so. Exit code 1 where the audit was wrong
    about any loss.
    """
    terminal, backend = sys.stdout, keras.backend.backend()
    ending = "" if backend == "tensorflow" else f"-{backend}"

    def report(line: str) -> None:
        click.echo(line, file=terminal)

    def write(trials: list[measure.Trial]) -> None:
        write_atomically(out / f"rates{ending}.json", measure.to_json(trials))
        write_atomically(out / f"rates{ending}.md", measure.to_markdown(trials))

    with contextlib.redirect_stdout(io.StringIO()):  # some of these losses print
        trials = measure.run_trials(count, report, write=write)
    write(trials)
    sys.exit(1 if any(trial.wrong for trial in trials) else 0)


if __name__ == "__main__":
    main()
