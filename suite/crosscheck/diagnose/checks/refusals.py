"""What `fit` refuses of losses, loss weights and metrics, as Keras builds them for the model's outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from crosscheck._keras import build_for, compiled_with
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import predictions_of
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault
from crosscheck.diagnose._words import first_line
from crosscheck.diagnose.checks.arguments import has_own_step, names_of_outputs

REFUSED = "compile-fits-outputs"
PAIRS = (("loss", "loss_weights"), ("metrics", "weighted_metrics"))


def refusals(program: Program) -> Iterator[Finding]:
    """Losses, weights and metrics that Keras cannot bring together with the outputs."""
    predicted, given = predictions_of(program), compiled_with(program.model)
    if predicted is None or has_own_step(program.model):
        return
    for first, second in PAIRS:
        if given.get(first) is None and given.get(second) is None:
            continue
        try:
            build_for(program.model, predicted, first, second)
        except Exception as error:  # Keras raises of every kind here
            yield refused(program, [name for name in (first, second) if given.get(name) is not None], error)
            return
    yield from left_out(program, given.get("loss"))


def left_out(program: Program, losses: Any) -> Iterator[Finding]:
    """Outputs behind the end of a list of losses: Keras pairs them off, and lets the rest go."""
    names = names_of_outputs(program)
    if isinstance(losses, list | tuple) and 0 < len(losses) < len(names):
        last = (program.model.output_names or names)[len(losses) :]
        yield fault(
            REFUSED,
            f"{told(program, 'loss')} for {words(len(names))}: there is none for {', '.join(last)}.",
            "Keras takes it without a word, and nothing trains the rest. (None says that it is meant.)",
            f"loss={one_each('loss', names)}",
        )


def refused(program: Program, arguments: list[str], error: Exception) -> Finding:
    names = names_of_outputs(program)
    count = len(names) or len(keras.tree.flatten(predictions_of(program)))
    return fault(
        REFUSED,
        f"{', '.join(told(program, name) for name in arguments)} do not fit the {words(count)}"
        f"{': ' + ', '.join(names) if names else ''}.",
        f"`fit` stops at its first step. Keras says: {type(error).__name__}: {first_line(error)[:300]}",
        ", ".join(f"{argument}={one_each(argument, names)}" for argument in arguments),
    )


def words(count: int) -> str:
    return "one output" if count == 1 else f"{count} outputs"


def told(program: Program, argument: str) -> str:
    """An argument as it was given, shortened."""
    text = repr(compiled_with(program.model)[argument])
    return f"{argument}={text if len(text) <= 80 else text[:77] + '…'}"


def one_each(argument: str, names: list[str]) -> Any:
    """An argument with an entry for each output, by name."""
    entry = {"loss_weights": "1.0", "loss": "…"}.get(argument, "[…]")
    if len(names) <= 1:
        return entry if argument != "loss_weights" else "[1.0]"
    return "{" + ", ".join(f"'{name}': {entry}" for name in names) + "}"
