"""`crosscheck audit`: a loss, or all that Keras ships, against theory and against careless use."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.claims.claim import BACKENDS
from crosscheck.cli.options import FOLDER, RESULTS
from crosscheck.cli.voice import import_keras
from crosscheck.errors import UsageError

KINDS = ("binary", "categorical", "sparse", "multilabel", "ordinal")
SHAPES = {"BK": 0, "BTK": 1, "BHWK": 2}


@click.command("audit")
@click.argument("target", required=False, metavar="[MODULE:LOSS]")
@click.option("--kind", type=click.Choice(KINDS))
@click.option("--config", default="{}", metavar="JSON", help="Constructor arguments.")
@click.option("--theory", metavar="NAME", help="What it is meant to be: focal, hinge, …, or module:function.")
@click.option("--logits/--probabilities", "from_logits", default=None, help="What predictions are.")
@click.option("--class-weights", metavar="JSON", help="By which it multiplies its theory: [0.5, 2, 10].")
@click.option("--shape", type=click.Choice(tuple(SHAPES)), help="Of predictions; tried where not given.")
@click.option("--expect", multiple=True, metavar="CHECK=REASON", help="A failure that is to be, and why.")
@click.option("--strict", is_flag=True, help="An expected failure that does not come is one.")
@click.option("--backend", type=click.Choice(BACKENDS), default="tensorflow", show_default=True)
@click.option(
    "--against",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PYTHON|JSON",
    help="Compare with the Keras of another environment's Python, or with a saved audit.",
)
@click.option("--json", "as_json", is_flag=True, help="The scorecard as JSON.")
@click.option("--out", type=FOLDER, default=RESULTS / "audit", show_default=True, help="For Keras' losses.")
def command(
    target: str | None,
    kind: str | None,
    config: str,
    theory: str | None,
    from_logits: bool | None,
    class_weights: str | None,
    shape: str | None,
    expect: tuple[str, ...],
    strict: bool,
    backend: str,
    against: tuple[Path, ...],
    as_json: bool,
    out: Path,
) -> int:
    """Check MODULE:LOSS, a class or a function of (y_true, y_pred), against theory and against careless use.

    A function that returns the loss is named with its arguments: 'MODULE:focal(gamma=2)'. Without a loss,
    check what Keras ships and write audit.json and table.md. Exit code 0 where all is sound, 1 where a check
    fails, 2 where the loss could not be looked at. With --against it is 1 where a check fails in the other
    Keras that does not fail in this one.
    """
    import_keras(backend)
    from crosscheck.audit import command as auditing

    if against:
        if as_json or expect or strict:
            raise UsageError("--json, --expect and --strict say nothing of two versions: leave them out.")
        again = again_with(target, kind, config, theory, from_logits, class_weights, shape) if target else []
        return auditing.compare_versions(against, again, out, click.echo)
    if not target:
        return 0 if auditing.audit_keras_losses(out, click.echo) else 1
    axes = SHAPES[shape] if shape else None
    told = auditing.parse_told(kind, theory, from_logits, class_weights, axes)
    arguments = auditing.parse_config(config), as_json, auditing.parse_expected(expect), strict
    text, exit_code = auditing.audit_loss(target, told, *arguments)
    click.echo(text)
    return exit_code


def again_with(
    target: str,
    kind: str | None,
    config: str,
    theory: str | None,
    from_logits: bool | None,
    class_weights: str | None,
    shape: str | None,
) -> list[str]:
    """The arguments by which another process audits the same loss, and answers in JSON."""
    options = {
        "--kind": kind,
        "--config": config,
        "--theory": theory,
        "--class-weights": class_weights,
        "--shape": shape,
    }
    given = [part for name, value in options.items() if value is not None for part in (name, value)]
    predictions = [] if from_logits is None else ["--logits" if from_logits else "--probabilities"]
    return [target, "--json", *given, *predictions]
