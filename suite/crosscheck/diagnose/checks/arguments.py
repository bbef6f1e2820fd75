"""Arguments of `compile` and `fit`: is there a loss, an epoch; do names belong to outputs?"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from typing import Any

import keras

from crosscheck._keras import compiled_with
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import outputs_of, predictions_of
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, fine, note, undecided

LOSS, EPOCHS, STEPS, NAMES = "loss-is-given", "epochs", "steps", "names-of-outputs"


def arguments(program: Program) -> Iterator[Finding]:
    """What is wrong with the arguments, whatever the data."""
    yield from loss_given(program)
    yield from epochs(program)
    yield from steps(program)
    yield from without_end(program)
    yield from names(program)


def loss_given(program: Program) -> Iterator[Finding]:
    """Whether anything is minimised: a class of one's own may say what, and so may a layer's `add_loss`."""
    model, predicted = program.model, predictions_of(program)
    losses = compiled_with(model).get("loss")
    given = [loss for loss in keras.tree.flatten(losses) if loss is not None] if losses is not None else []
    if (
        not given
        and not has_own_step(model)
        and predicted is not None
        and not program.memory.get("penalties")
    ):
        yield fault(
            LOSS,
            "The model is compiled without a loss.",
            "`fit` has nothing to minimise: Keras raises, or trains penalties alone.",
            'loss="sparse_categorical_crossentropy"',
        )


def has_own_step(model: keras.Model) -> bool:
    """Whether the model's class says itself what is minimised, or how."""
    kind = type(model)
    return any(getattr(kind, n) is not getattr(keras.Model, n) for n in ("train_step", "compute_loss"))


def epochs(program: Program) -> Iterator[Finding]:
    """Whether a single epoch is run."""
    first = int((program.arguments or {}).get("initial_epoch") or 0)
    if program.epochs is None:
        return
    if program.epochs > first:
        yield fine(EPOCHS, f"{program.epochs - first}")
        return
    yield fault(
        EPOCHS,
        f"epochs={program.epochs}{f', initial_epoch={first}' if first else ''}: none is run.",
        "`fit` returns the model as it was. (`epochs` is the last epoch's number, not how many there are.)",
        f"epochs={first + 10}",
    )


def steps(program: Program) -> Iterator[Finding]:
    """More steps an epoch than there are batches: Keras warns, and ends the epoch with the data."""
    asked = (program.arguments or {}).get("steps_per_epoch")
    if not asked or not program.training.is_complete or program.training.source == "generator":
        return
    batches = math.ceil(program.training.rows / program.batch_size)
    if asked > batches and program.training.source in ("arrays", "DataFrame"):
        yield note(
            STEPS,
            f"steps_per_epoch={asked}, and {program.training.rows} rows make {batches} batches of "
            f"{program.batch_size}.",
            f"Every epoch ends after {batches} steps, with a warning.",
            "leave steps_per_epoch out",
        )


def without_end(program: Program) -> Iterator[Finding]:
    """Data that go on for ever, and nothing that says how many steps an epoch has."""
    sides = (program.training, "steps_per_epoch"), (program.validation, "validation_steps")
    for data, argument in sides:
        if data is None or data.is_endless is False or (program.arguments or {}).get(argument):
            continue
        what = f"The {data.source} goes on behind {data.rows} rows, and there is no {argument}"
        if data.is_endless:
            why = "The first epoch never ends: Keras goes on until the data do."
            yield fault(STEPS, f"{what}: it has no end.", why, f"{argument}=…, or data without repeat()")
        else:
            why = (
                f"Where it has no end, as by repeat() or `while True`, the first epoch has none: {argument}=…"
            )
            yield undecided(STEPS, f"{what}: whether it ends cannot be known without reading it.", why)


def names(program: Program) -> Iterator[Finding]:
    """Losses, metrics and labels by name whose name is no output's."""
    config, known = compiled_with(program.model), names_of_outputs(program)
    if not known:
        return
    for argument in ("loss", "metrics", "weighted_metrics", "loss_weights"):
        yield from strangers(argument, config.get(argument), known)
    y = program.training.y
    lacks_one = isinstance(y, dict) and any(not set(o.anatomy.keys) & set(y) for o in outputs_of(program))
    if not lacks_one and not has_own_step(program.model):  # what is missing is said of the output
        yield from strangers("y", y, known)


def names_of_outputs(program: Program) -> list[str]:
    """The names that outputs have, and the keys under which the model gives them; none where it has none."""
    outputs = list(getattr(program.model, "output_names", None) or [])
    structure = getattr(program.model, "output", None) if outputs else predictions_of(program)
    return sorted({*outputs, *(structure if isinstance(structure, dict) else ())})


def strangers(argument: str, given: Any, known: list[str]) -> Iterator[Finding]:
    """Keys of an argument that name no output."""
    unknown = [key for key in given if key not in known] if isinstance(given, dict) else []
    if unknown:
        right = next(iter(difflib.get_close_matches(str(unknown[0]), known, 1, 0)), known[0])
        yield fault(
            NAMES,
            f"{argument} names {unknown[0]!r}, and the outputs are {', '.join(known)}.",
            "Keras refuses it at the first step.",
            f"{argument}={{'{right}': …}}" if argument != "y" else f"y without {unknown[0]!r}",
        )
