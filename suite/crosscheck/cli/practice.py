"""`crosscheck practice`: exercises in a folder, marked with the suite's own instruments."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from crosscheck.claims.claim import BACKENDS
from crosscheck.cli.options import FOLDER, json_option
from crosscheck.cli.voice import import_keras, print_json

PARTS = ("implement", "diagnose", "improve")


@click.command("practice")
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar="[implement|diagnose|improve]...")
@click.option("--folder", type=FOLDER, default=Path("practice"), show_default=True, help="The learner's own.")
@click.option("--check", is_flag=True, help="Mark what is in the folder; it runs the files in it.")
@click.option(
    "--only", multiple=True, metavar="EXERCISE", help="Mark this one alone, by the name of its file."
)
@click.option("--seed", type=click.IntRange(0), help="Draws programs and rows; at random where not given.")
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@json_option
def command(
    parts: tuple[str, ...],
    folder: Path,
    check: bool,
    only: tuple[str, ...],
    seed: int | None,
    backend: str,
    as_json: bool,
) -> int:
    """Lay exercises out in a folder, all three parts where none is named; with --check mark them.

    Losses to write, sick training programs to diagnose, baselines to improve. Exit code 0 from three quarters
    of the points on, 1 below, 2 where something could not be looked at.
    """
    from crosscheck.practice import parts as practice

    chosen = parts or PARTS
    if check:
        import_keras(backend)
        with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):  # what the files print
            card = practice.check(folder, chosen, only)
        print_json(card.to_dict()) if as_json else click.echo(str(card))
        return card.exit_code
    if "diagnose" in chosen:
        import_keras(backend)
    practice.lay_out(folder, chosen, seed, click.echo)
    return 0
