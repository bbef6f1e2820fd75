"""Can the model learn a few rows by heart? If not: its optimiser, or its penalties?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np

from crosscheck._keras import compiled_with, layers_of
from crosscheck.diagnose._chance import is_decisive
from crosscheck.diagnose._copies import (
    fresh_optimizer,
    has_graph,
    rebuilt,
    same_layer,
    weights_of,
    with_weights,
)
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._outcomes import AS_IT_IS, Arm, Outcome
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose._words import across
from crosscheck.diagnose.checks.training import with_optimizer

KNOWN_GOOD = 1e-3  # Adam's rate, which trains most models
FEW_ROWS = 16


def cannot_overfit(lab: Laboratory) -> Iterator[Suspicion]:
    """Whether 16 rows cannot be learnt by heart, where the same model learns them by Adam at 1e-3.

    Or where it does without its penalties, which are tried first where it has any.
    """
    trials = [PENALTIES, OPTIMISER] if has_penalties(lab.program.model) else [OPTIMISER]
    shown, measured, remedy = [], of_all_rows(lab), OPTIMISER
    while lab.lags and trials and lab.can_afford(1):
        remedy = trials.pop(0)
        control = remedy.train(lab, None)
        shown.append(lab.as_it_is.rescued_by(control) & lab.own_steps_fail)
        measured = lab.compared(control)
        if is_decisive(shown[-1]) and lab.can_afford(2):
            rows = lab.splits[0][:, :FEW_ROWS]
            mine, theirs = lab.train([AS_IT_IS], rows=rows)[0], remedy.train(lab, rows)
            shown[-1] &= mine.fails & ~theirs.fails
            measured += f"; on {rows.shape[1]} rows {across(mine.loss)}, and {across(theirs.loss)} so"
        if is_decisive(shown[-1]):
            break
    yield Suspicion(
        "overfits-few-rows",
        np.array(shown or [lab.own_steps_fail]),
        Finding(
            "overfits-few-rows",
            "✗",
            measured,
            "statistical",
            why=remedy.why,
            fix=remedy.fix,
            repair=remedy.repair,
        ),
        limit=lab.limit(bool(shown)),
    )


def of_all_rows(lab: Laboratory) -> str:
    """What all rows that a seed trains on say, where few were not tried apart; and why they were not."""
    learns = not lab.as_it_is.fails.any()
    reason = f", since every seed comes half of the way or more on {lab.rows}" if learns else ""
    return f"{FEW_ROWS} rows were not tried apart{reason}: {lab.compared(None)}"


def by_adam(lab: Laboratory, rows: np.ndarray | None) -> Outcome:
    """Returns where the model ends by an optimiser that is known to be good."""
    return lab.train([Arm("Adam at 1e-3")], optimizer=keras.optimizers.Adam(KNOWN_GOOD), rows=rows)[0]


def unpenalised(lab: Laboratory, rows: np.ndarray | None) -> Outcome:
    """Returns where the program ends without its penalties."""
    build = lambda: lab.build(without_penalties)
    return lab.train([Arm("no penalty on weights or outputs")], build=build, rows=rows)[0]


def has_penalties(model: keras.Model) -> bool:
    """Returns whether layers of a model of symbolic inputs have regularisers, which can be left out."""
    return has_graph(model) and any(map(penalties_of, layers_of(model)))


def penalties_of(layer: keras.Layer) -> list[str]:
    """Returns the names of a layer's regularisers, where it has any."""
    return [name for name, value in layer.get_config().items() if name.endswith("_regularizer") and value]


def without_penalties(layer: keras.Layer) -> keras.Layer:
    """Returns a layer of the same configuration, without regularisers."""
    names = penalties_of(layer)
    if not names:
        return same_layer(layer)
    return layer.__class__.from_config({**layer.get_config(), **dict.fromkeys(names)})


def freed(program: Program) -> Program:
    """Returns the program on a copy of its model without regularisers, with the weights that it has."""
    copy = with_weights(rebuilt(program.model, without_penalties), weights_of(program.model))
    optimizer = fresh_optimizer(program.model.optimizer)
    copy.compile(**{**compiled_with(program.model), "optimizer": optimizer})
    return replace(program, model=copy)


@dataclass(frozen=True)
class Remedy:
    """What may let a model learn by heart: how it is tried, and what is said of it where it does."""

    train: Callable[[Laboratory, np.ndarray | None], Outcome]
    why: str
    fix: str
    repair: Callable[[Program], Program]


OPTIMISER = Remedy(
    by_adam,
    "what the model could learn by heart, this optimiser does not reach.",
    "model.compile(optimizer=keras.optimizers.Adam(1e-3), …)",
    lambda program: with_optimizer(program, keras.optimizers.Adam(KNOWN_GOOD)),
)
PENALTIES = Remedy(
    unpenalised,
    "its penalties outweigh the loss: what it would learn, they take back.",
    "kernel_regularizer=keras.regularizers.L2(1e-4)  # or none",
    freed,
)
