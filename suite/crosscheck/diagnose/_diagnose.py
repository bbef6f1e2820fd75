"""The order of the work: exact checks, repairs on copies, seconds of training on what is mended, history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import keras

from crosscheck.diagnose._by_trials import SECONDS, by_trials
from crosscheck.diagnose._findings import Finding, Findings
from crosscheck.diagnose._mend_all import Mending, mended
from crosscheck.diagnose._mending import built_copy
from crosscheck.diagnose._outputs import outputs_of
from crosscheck.diagnose._program import Data, Program
from crosscheck.diagnose._sources import data_of
from crosscheck.diagnose.checks import EXACT
from crosscheck.errors import UsageError

UNTRAINED = {
    "layers-are-adapted",
    "metric-fits-problem",
    "validation-split",
    "validation-fits",
    "validation-is-apart",
}  # of which no step takes notice
RANK = {"✗": 0, "?": 1, "note": 2, "✓": 3}


def diagnose(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    batch_size: int | None = None,
    epochs: int | None = None,
    shuffle: bool = True,
    history: Any = None,
    expected: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
    **arguments: Any,
) -> Findings:
    """Says what is wrong with training this model on these data: takes what `fit` takes, and trains copies.

    Args:
        model: compiled, as it stands before `fit`; it is not changed.
        x: arrays, a dictionary or list of them, or what `fit` takes else: a `tf.data.Dataset`, a `PyDataset`,
            a generator, a `DataLoader`, a `DataFrame`. Of a stream the first rows are read.
        y, sample_weight, class_weight, validation_data, validation_split, batch_size, epochs, shuffle:
            as `fit` has them. Without `epochs` it is not known how long the program trains, and nothing that
            more training might mend is called a fault.
        history: what `fit` returned, or its `history`, where the program has run already.
        expected: reasons for faults that are known and meant, by the name of the check.
        seconds: that training of copies may take; with 0 the exact checks are made alone.
        arguments: whatever else `fit` is given.

    Returns:
        The findings, what to mend first before all.

    Raises:
        UsageError: the model is not compiled, or the data are none that `fit` takes.
    """
    held_out = None if validation_data is None else data_of(*as_parts(validation_data))[0]
    training, rows = data_of(x, y, sample_weight)
    program = Program(
        model=model,
        training=training,
        validation=held_out,
        batch_size=rows or batch_size or 32,
        epochs=epochs,
        validation_split=validation_split,
        shuffle=shuffle,
        class_weight=class_weight,
        history=getattr(history, "history", history),
        arguments=arguments,
    )
    return examine(program, expected, seconds)


def as_parts(validation_data: Any) -> tuple[Any, ...]:
    """x, y and sample weights of `validation_data`; a stream has them within."""
    return tuple(validation_data) if isinstance(validation_data, tuple | list) else (validation_data,)


def examine(
    program: Program, expected: Mapping[str, str] | None = None, seconds: float = SECONDS
) -> Findings:
    """All checks of a program, in the order of what to mend first; with 0 seconds the exact ones alone.

    Raises:
        UsageError: the model is not compiled, or a reason is missing for what is expected.
    """
    if not program.model.compiled:
        raise UsageError("The model is not compiled: there is no loss, and nothing that `fit` could train.")
    if unreasoned := [check for check, reason in (expected or {}).items() if not str(reason).strip()]:
        raise UsageError(f"Expect {unreasoned[0]!r} with its reason, as in '{unreasoned[0]}=it is meant'.")
    program, skipped = ready(program)
    mending = mended(program, exact_findings(program), exact_findings)
    found = list(mending.findings)
    if seconds > 0:
        shown, left_out = trained(mending, seconds)
        found += shown
        skipped += left_out
    placed = [replace(f, place=f.place or program.place) for f in found]
    unknown = (expected or {}).keys() - {f.check for f in placed if f.verdict == "✗"}
    skipped += [f"Expected, and not found: {check}." for check in sorted(unknown)]
    ordered = sorted(placed, key=lambda finding: RANK[finding.verdict])
    return Findings(tuple(ordered), tuple(skipped), dict(expected or {}), title_of(program))


def trained(mending: Mending, seconds: float) -> tuple[list[Finding], list[str]]:
    """What training the mended program shows, and what was not tried; nothing where a fault stays."""
    done = UNTRAINED.union(mending.repaired)
    stays = [f.check for f in mending.findings if f.verdict == "✗" and f.check not in done]
    if stays:
        return [], [f"Nothing was trained: {', '.join(dict.fromkeys(stays))} must be mended first."]
    trials = by_trials(mending.program, seconds)
    return list(trials.findings), list(trials.skipped)


def exact_findings(program: Program) -> list[Finding]:
    """What the exact checks say."""
    return list(run(program, EXACT))


def run(program: Program, checks: Iterable[Any]) -> Iterable[Finding]:
    """Yields the findings of checks; one that fails says so, and hides no other."""
    for check in checks:
        try:
            found = list(check(program))
        except Exception as error:
            text = f"the check could not be made: {type(error).__name__}: {error}"
            found = [Finding(check.__name__, "?", text.splitlines()[0])]
        yield from found


def ready(program: Program) -> tuple[Program, list[str]]:
    """The program with a model that is built, and what is to be said of it and of the data."""
    skipped = [partial(data, name) for data, name in parts_of(program) if not data.is_complete]
    if program.model.built:
        return program, skipped
    copy = built_copy(program)
    if copy is None:
        text = (
            f"{type(program.model).__name__} was not built: it was called on the first rows, as `fit` would."
        )
        return program, [*skipped, text]
    return replace(program, model=copy), skipped


def parts_of(program: Program) -> list[tuple[Data, str]]:
    parts = [(program.training, "training"), (program.validation, "validation")]
    return [(data, name) for data, name in parts if data is not None]


def partial(data: Data, name: str) -> str:
    return f"The {name} data go on behind the first {data.rows} rows of the {data.source}."


def title_of(program: Program) -> str:
    """What was examined, in a line."""
    losses = ", ".join(dict.fromkeys(output.loss for output in outputs_of(program))) or "no loss"
    model, data = program.model, program.training
    where = f"{program.place}: " if program.place else ""
    return f"{where}{model.name}, {losses}, {data.rows} rows of {data.source}, {keras.backend.backend()}"
