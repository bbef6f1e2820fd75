"""`crosscheck audit`: a loss, or all that Keras ships, against theory and against careless use."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.claims.claim import BACKENDS
from crosscheck.cli.options import FOLDER, RESULTS
from crosscheck.cli.voice import import_keras


@click.command("audit")
@click.argument("target", required=False, metavar="[MODULE:LOSS]")
@click.option("--kind", type=click.Choice(("binary", "categorical", "sparse", "multilabel")))
@click.option("--config", default="{}", metavar="JSON", help="Constructor arguments.")
@click.option("--theory", metavar="NAME", help="What it is meant to be: focal, hinge, …, or module:function.")
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The scorecard as JSON.")
@click.option("--out", type=FOLDER, default=RESULTS / "audit", show_default=True, help="For Keras' losses.")
def command(
    target: str | None,
    kind: str | None,
    config: str,
    theory: str | None,
    backend: str,
    as_json: bool,
    out: Path,
) -> int:
    """Check MODULE:LOSS, a class or a function of (y_true, y_pred), against theory and against careless use.

    Without one, check what Keras ships and write audit.json and table.md. Exit code 1 where a check fails.
    """
    import_keras(backend)
    from crosscheck.audit import command as auditing

    if not target:
        return 0 if auditing.audit_keras_losses(out, click.echo) else 1
    text, is_sound = auditing.audit_loss(target, kind, config, as_json, theory)
    click.echo(text)
    return 0 if is_sound else 1
