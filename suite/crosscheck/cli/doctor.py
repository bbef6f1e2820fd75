"""`crosscheck doctor`: whether a saved model loses gradients."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.claims.claim import BACKENDS
from crosscheck.cli.options import gpu_option, show_accelerators
from crosscheck.cli.voice import import_keras


@click.command("doctor")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--loss", help="Examine it with this loss of Keras, by name, in place of the one compiled in.")
@click.option(
    "--import", "modules", multiple=True, metavar="MODULE", help="Import first what the model needs."
)
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Every reading, as JSON.")
@gpu_option
def command(
    model: Path, loss: str | None, modules: tuple[str, ...], backend: str, as_json: bool, gpu: bool
) -> int:
    """Is MODEL, a compiled .keras file, on a broken path? Whether confident errors keep their gradient.

    Takes steps of the model's own training on a copy, with logits that are set by hand. Exit code 0 where
    they survive, 1 where a gradient is lost, 2 where the doctor could not look or cannot tell.
    """
    show_accelerators(gpu)
    import_keras(backend)
    from crosscheck.doctor.command import diagnose_file

    text, code = diagnose_file(model, loss, modules, as_json)
    click.echo(text)
    return code
