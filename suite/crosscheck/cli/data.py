"""`crosscheck data`: data sets listed, fetched and prepared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscheck.cli import voice
from crosscheck.cli.options import FOLDER, json_option, starting
from crosscheck.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.data import Entry


def completed(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of data sets that begin in this way."""
    from crosscheck import data

    return starting(data.CATALOGUE, incomplete)


@click.command("data")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completed)
@click.option("--from", "source", type=FOLDER, help="Prepare from original files in FOLDER/NAME, offline.")
@json_option
def command(names: tuple[str, ...], source: Path | None, as_json: bool) -> None:
    """Fetch and prepare data sets by NAME; without a name, list them."""
    from crosscheck import data

    if source and not names:
        raise UsageError("Name the data sets to prepare from --from, as in `crosscheck data mnist --from …`.")
    for name in names:
        data.lookup(name)
    for name in names:
        data.prepare(name, source)
        if not as_json:
            click.echo(f"{name} is prepared in {data.data_dir()}.")
    if as_json or not names:
        show_sets({name: data.CATALOGUE[name] for name in names or data.CATALOGUE}, as_json)


def show_sets(entries: Mapping[str, Entry], as_json: bool) -> None:
    """Version and licence of each data set, and whether it is prepared on this machine."""
    from crosscheck.data import prepared

    if as_json:
        voice.print_json(
            [
                {
                    "name": name,
                    "version": entry.version,
                    "prepared": prepared(name),
                    "licence": entry.licence,
                }
                for name, entry in entries.items()
            ]
        )
        return
    cells = [
        (name, entry.version, "prepared" if prepared(name) else "not prepared", entry.licence)
        for name, entry in entries.items()
    ]
    voice.print_table(("data set", "version", "here", "licence"), cells)
