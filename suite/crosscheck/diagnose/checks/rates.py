"""The learning rate of every step: a number, a schedule, or what a callback sets by the epoch."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from crosscheck._keras import is_of_keras, schedule_of
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, fine, note, number, undecided

RATE = "learning-rate"
LOOKED_AT, MOST_EPOCHS, UNKNOWN = 64, 1000, 100  # steps of a schedule; epochs; either, where no end is known
MOST, SOME = 0.9, 0.1  # of the training at a rate of 0: a fault, a note


def learning_rate(program: Program) -> Iterator[Finding]:
    """A rate that moves nothing, or away; a schedule that begins with 0 is a warm-up."""
    optimizer = getattr(program.model, "optimizer", None)
    if optimizer is None:
        return
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    rates, unit = rates_of(program, inner)
    kind, is_bad = type(inner).__name__, ~(np.isfinite(rates) & (rates >= 0))
    still, last = float((rates == 0).mean()), int(np.max(np.flatnonzero(rates), initial=-1))
    if any(may_set_the_rate(callback) for callback in callbacks_of(program)):
        if still == 1:
            yield undecided(RATE, "The learning rate is 0, unless a callback of your own sets it.")
    elif is_bad.any():
        yield fault(RATE, at(rates, is_bad, unit), "Every step goes uphill, or to NaN.", "learning_rate=1e-3")
    elif still == 1 or (still >= MOST and has_end(program)):
        why = "Nothing moves." if still == 1 else "Weights move in the rest alone."
        fix = "learning_rate=1e-3" if unit == "" else f"a rate above 0 in every {unit}: print it for some"
        yield fault(RATE, at(rates, rates == 0, unit), why, fix)
    elif still >= SOME and has_end(program):
        ends = f"; the last that is above 0 is at {last / len(rates):.0%} of the training"
        yield note(RATE, f"{at(rates, rates == 0, unit)[:-1]}{ends}.", "At a rate of 0 nothing is learnt.")
    else:
        yield fine(RATE, f"{spanned(rates)}, {kind}")


def at(rates: np.ndarray, bad: np.ndarray, unit: str) -> str:
    """What the rate is where it is no good, and how often of all that were looked at."""
    value = number(rates[bad][0])
    if unit == "":
        return f"The learning rate is {value}."
    return (
        f"The learning rate is {value} in {int(bad.sum())} of the {len(rates)} {unit}s that were looked at."
    )


def spanned(rates: np.ndarray) -> str:
    low, high = number(rates.min()), number(rates.max())
    return low if low == high else f"{low} … {high}"


def rates_of(program: Program, optimizer: Any) -> tuple[np.ndarray, str]:
    """The rates, in the order of time, and what each is that of: "step", "epoch", or "" of the whole."""
    setters = [c for c in callbacks_of(program) if isinstance(c, keras.callbacks.LearningRateScheduler)]
    rate = float(np.asarray(keras.ops.convert_to_numpy(optimizer.learning_rate)))
    if setters:
        return np.array(by_epoch(program, setters[-1].schedule, rate)), "epoch"
    schedule = schedule_of(optimizer)
    if schedule is None:
        return np.array([rate]), ""
    last = (program.steps if has_end(program) else UNKNOWN) - 1
    steps = np.unique(np.linspace(0, max(last, 0), LOOKED_AT).astype("int64"))
    return np.array([float(np.asarray(keras.ops.convert_to_numpy(schedule(int(s))))) for s in steps]), "step"


def by_epoch(program: Program, schedule: Any, rate: float) -> list[float]:
    """The rates that a `LearningRateScheduler` sets, one an epoch; what it prints is not shown.

    Raises:
        Exception: whatever the schedule does.
    """
    first = int((program.arguments or {}).get("initial_epoch") or 0)
    last = UNKNOWN if program.epochs is None else max(program.epochs, first + 1)
    rates = []
    with contextlib.redirect_stdout(io.StringIO()):
        for epoch in range(first, min(last, first + MOST_EPOCHS)):
            try:
                rate = float(schedule(epoch, rate))
            except TypeError:  # of an older kind, as Keras takes it too
                rate = float(schedule(epoch))
            rates.append(float(np.float32(rate)))
    return rates


def has_end(program: Program) -> bool:
    """Whether it is known how many steps the program takes."""
    return math.isfinite(program.steps)


def callbacks_of(program: Program) -> list[Any]:
    given = keras.tree.flatten((program.arguments or {}).get("callbacks") or [])
    return [one for item in given for one in getattr(item, "callbacks", None) or [item]]


def may_set_the_rate(callback: Any) -> bool:
    """Whether a callback is one's own, or calls what is; Keras' others lift no rate that is 0."""
    kind = type(callback)
    mine = kind.__module__.startswith("crosscheck.") or is_of_keras(kind)
    return not mine or isinstance(callback, keras.callbacks.LambdaCallback)
