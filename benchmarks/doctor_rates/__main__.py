"""`python -m benchmarks.doctor_rates N`: measures how often the doctor is wrong."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import click
import keras

from benchmarks.doctor_rates import measure
from crosscheck._files import write_atomically


@click.command()
@click.argument("count", type=click.IntRange(min=1), metavar="N")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/doctor"), show_default=True)
def main(count: int, out: Path) -> None:
    """Examine N random models and write rates.json and rates.md, and again after every fifty.

    On JAX and PyTorch the names say so. Exit code 1 where the doctor was wrong about any of them.
    """
    backend = keras.backend.backend()
    ending = "" if backend == "tensorflow" else f"-{backend}"

    def write(trials: list[measure.Trial]) -> None:
        write_atomically(out / f"rates{ending}.json", measure.to_json(trials))
        write_atomically(out / f"rates{ending}.md", measure.to_markdown(trials))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the faults that these models have
        trials = measure.run_trials(count, click.echo, write=write)
    write(trials)
    sys.exit(1 if any(trial.false_alarm or trial.false_all_clear for trial in trials) else 0)


if __name__ == "__main__":
    main()
