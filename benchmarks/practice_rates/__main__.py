"""`python -m benchmarks.practice_rates`: measures how often the marker of the practice is wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from crosscheck._files import write_atomically


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/practice"), show_default=True)
def main(out: Path) -> None:
    """Mark every wrong and every right solution, and write rates.json and rates.md.

    On another backend than TensorFlow the files bear its name. Exit code 1 where a solution does not come
    out as it should.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    from benchmarks.practice_rates import measure

    trials = measure.run_trials(click.echo)
    backend = keras.backend.backend()
    ending = "" if backend == "tensorflow" else f"-{backend}"
    write_atomically(out / f"rates{ending}.json", measure.to_json(trials))
    write_atomically(out / f"rates{ending}.md", measure.to_markdown(trials))
    sys.exit(0 if all(trial.as_it_should for trial in trials) else 1)


if __name__ == "__main__":
    main()
