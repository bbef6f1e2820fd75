"""`crosscheck register`: designs fixed before the run that is to confirm them."""

from __future__ import annotations

import click

from crosscheck.cli.options import json_option, studies_argument, studies_matching
from crosscheck.cli.voice import print_json


@click.command("register")
@studies_argument
@json_option
def command(patterns: tuple[str, ...], as_json: bool) -> None:
    """Fix the designs of the named STUDIES, or all, and give each the next block of seeds.

    Do it when a design stands, after pilots (`crosscheck run --pilot`) and before `crosscheck run` confirms
    it on seeds that no design before it has used. A study whose designs are those on record keeps its block,
    and so does one of which only identities have changed.
    """
    from crosscheck.running import registration

    names = studies_matching(patterns)
    fresh = registration.register_anew(names)
    if as_json:
        print_json(
            {name: {"block": entry.block, "first_seed": entry.first_seed} for name, entry in fresh.items()}
        )
        return
    for name in names:
        entry = fresh.get(name)
        news = f"block {entry.block}, seeds from {entry.first_seed}" if entry else "as registered before"
        click.echo(f"{name:<20}  {news}")
