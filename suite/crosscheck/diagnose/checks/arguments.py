"""Arguments of `compile` and `fit`: is there a loss, a rate, an epoch; do names belong to outputs?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from crosscheck._keras import compiled_with
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import predictions_of
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, fine, note, number

LOSS, RATE, EPOCHS, STEPS, NAMES = "loss-is-given", "learning-rate", "epochs", "steps", "names-of-outputs"


def arguments(program: Program) -> Iterator[Finding]:
    """What is wrong with the arguments, whatever the data."""
    yield from loss_given(program)
    yield from learning_rate(program)
    yield from epochs(program)
    yield from steps(program)
    yield from names(program.model)


def loss_given(program: Program) -> Iterator[Finding]:
    """Whether anything is minimised: a class of one's own may say what, and so may a layer's `add_loss`."""
    model, predicted = program.model, predictions_of(program)
    losses = compiled_with(model).get("loss")
    given = [loss for loss in keras.tree.flatten(losses) if loss is not None] if losses is not None else []
    kind = type(model)
    own = any(getattr(kind, n) is not getattr(keras.Model, n) for n in ("train_step", "compute_loss"))
    if not given and not own and predicted is not None and not program.memory.get("penalties"):
        yield fault(
            LOSS,
            "The model is compiled without a loss.",
            "`fit` has nothing to minimise: Keras raises, or trains penalties alone.",
            'loss="sparse_categorical_crossentropy"',
        )


def learning_rate(program: Program) -> Iterator[Finding]:
    """A rate that moves nothing, or away; a schedule that begins with 0 is a warm-up."""
    optimizer = getattr(program.model, "optimizer", None)
    if optimizer is None:
        return
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    config = inner.get_config().get("learning_rate")
    rate = float(np.asarray(keras.ops.convert_to_numpy(inner.learning_rate)))
    if isinstance(config, Mapping) or scheduled(program):
        return
    if math.isfinite(rate) and rate > 0:
        yield fine(RATE, f"{number(rate)}, {type(inner).__name__}")
        return
    yield fault(
        RATE,
        f"The learning rate is {number(rate)}.",
        "Nothing moves." if rate == 0 else "Every step goes uphill, or to NaN.",
        "learning_rate=1e-3",
    )


def scheduled(program: Program) -> bool:
    """Whether a callback sets the rate; one that is not known may do so."""
    return any(
        not isinstance(callback, keras.callbacks.ModelCheckpoint | keras.callbacks.EarlyStopping)
        for callback in keras.tree.flatten((program.arguments or {}).get("callbacks") or [])
    )


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


def names(model: keras.Model) -> Iterator[Finding]:
    """Losses and metrics by name whose name is no output's."""
    outputs = list(getattr(model, "output_names", None) or [])
    config = compiled_with(model)
    structure = getattr(model, "output", None) if outputs else None
    known = {*outputs, *(structure if isinstance(structure, dict) else ())}
    if not known:
        return
    for argument in ("loss", "metrics", "weighted_metrics", "loss_weights"):
        yield from strangers(argument, config.get(argument), sorted(known))


def strangers(argument: str, given: Any, known: list[str]) -> Iterator[Finding]:
    """Keys of an argument that name no output."""
    unknown = [key for key in given if key not in known] if isinstance(given, dict) else []
    if unknown:
        yield fault(
            NAMES,
            f"{argument} names {unknown[0]!r}, and the outputs are {', '.join(known)}.",
            "Keras refuses it at the first step.",
            f"{argument}={{'{known[0]}': …}}",
        )
