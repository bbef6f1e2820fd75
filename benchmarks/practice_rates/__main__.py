"""`python -m benchmarks.practice_rates`: measures how often the marker of the practice is wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from crosscheck._files import write_atomically


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(("implement", "improve")))
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/practice"), show_default=True)
def main(parts: tuple[str, ...], out: Path) -> None:
    """Mark every wrong and every right solution, and write rates.* and improve.*; all where no part is named.

    On another backend than TensorFlow the files bear its name. Exit code 1 where one does not come out as it
    should.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    from benchmarks.practice_rates import improving, measure

    backend = keras.backend.backend()
    ending = "" if backend == "tensorflow" else f"-{backend}"
    are_right = True
    if "implement" in parts or not parts:
        trials = measure.run_trials(click.echo)
        write_atomically(out / f"rates{ending}.json", measure.to_json(trials))
        write_atomically(out / f"rates{ending}.md", measure.to_markdown(trials))
        are_right &= all(trial.as_it_should for trial in trials)
    if "improve" in parts or not parts:
        found = improving.controls(click.echo)
        write_atomically(out / f"improve{ending}.json", improving.to_json(found))
        write_atomically(out / f"improve{ending}.md", improving.to_markdown(found))
        are_right &= all(control.as_it_should for control in found)
    sys.exit(0 if are_right else 1)


if __name__ == "__main__":
    main()
