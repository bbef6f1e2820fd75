"""What a fault is: an operator that takes a healthy draft and gives one with this fault alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from benchmarks.diagnose_rates.drafts import Draft, Edit, Part
from benchmarks.diagnose_rates.health import Health
from benchmarks.diagnose_rates.tasks import Array
from crosscheck.diagnose import Data, Program

Operator = Callable[[np.random.Generator, Draft, float], Draft]
Truth = Callable[[Draft, Health, Health], bool]


def by_construction(draft: Draft, healthy: Health, mutant: Health) -> bool:
    """A fault of what is written, whatever training makes of it."""
    return True


def by_training(draft: Draft, healthy: Health, mutant: Health) -> bool:
    """A fault only where the mutant, trained, misses the goal that the healthy program reached."""
    return not mutant.is_reached


@dataclass(frozen=True)
class Fault:
    """A fault of the table in diagnose.md; `names` says which checks name it.

    Attributes:
        name: of the fault, in words.
        decided: whether the table calls it exact or statistical.
        applies: to which healthy drafts.
        operator: seeds it.
        sizes: how much of it, from the smallest; one size where there are no degrees.
        unit: what the size says.
        truth: whether the mutant is a fault.
        trains: whether the truth, or the history that the diagnosis gets, needs a training of the mutant.
    """

    name: str
    decided: Literal["exact", "statistical"]
    applies: Callable[[Draft], bool]
    operator: Operator
    sizes: tuple[float, ...] = (1.0,)
    unit: str = ""
    truth: Truth = by_construction
    trains: bool = False


# --- where it applies --------------------------------------------------------------------------------------


def is_classifier(draft: Draft) -> bool:
    return draft.head.family != "values" and draft.target.kind != "values"


def is_of_rows(draft: Draft) -> bool:
    """One class a row."""
    return draft.is_single and draft.target.kind == "classes" and draft.target.y.ndim == 1


def has_trunk(draft: Draft) -> bool:
    """One row of features meets the heads: parts can be put there."""
    return draft.target.y.ndim == 1 or draft.target.kind != "classes"


def of_numbers(draft: Draft) -> bool:
    return draft.task.forms == ("numbers",) and draft.is_single


def has_part(draft: Draft, *names: str) -> bool:
    return any(part[0] in names for part in all_parts(draft))


def all_parts(draft: Draft) -> list[Part]:
    return [*(part for stem in draft.stems for part in stem), *draft.trunk]


# --- changes -----------------------------------------------------------------------------------------------


def with_trunk(draft: Draft, *parts: Part) -> Draft:
    """The draft with further parts before the heads."""
    return replace(draft, trunk=(*draft.trunk, *parts))


def with_stem(draft: Draft, *parts: Part) -> Draft:
    """The draft with further parts right behind its first input."""
    return replace(draft, stems=((*parts, *draft.stems[0]), *draft.stems[1:]))


def configured(draft: Draft, names: tuple[str, ...], **config: Any) -> Draft:
    """The draft in which all parts of these names have another configuration."""
    change = lambda part: (part[0], {**part[1], **config}) if part[0] in names else part
    stems = tuple(tuple(map(change, stem)) for stem in draft.stems)
    return replace(draft, stems=stems, trunk=tuple(map(change, draft.trunk)))


def on_labels(change: Callable[[Array], Array], validation_too: bool = True) -> Edit:
    """An edit of a program with one output: its labels changed."""

    def edit(program: Program) -> Program:
        training, validation = relabelled(program.training, change), program.validation
        if validation is not None and validation_too:
            validation = relabelled(validation, change)
        return replace(program, training=training, validation=validation)

    return edit


def relabelled(data: Data, change: Callable[[Array], Array]) -> Data:
    return replace(data, y=change(np.array(data.y)))


def on_inputs(change: Callable[[Array], Array]) -> Edit:
    """An edit of a program with one input: its training inputs changed."""

    def edit(program: Program) -> Program:
        return replace(program, training=replace(program.training, x=change(np.array(program.training.x))))

    return edit


def on_program(**changes: Any) -> Edit:
    return lambda program: replace(program, **changes)


def on_weights(change: Callable[[int], Array]) -> Edit:
    """An edit: sample weights of the training rows."""

    def edit(program: Program) -> Program:
        return replace(
            program, training=replace(program.training, sample_weight=change(program.training.rows))
        )

    return edit
