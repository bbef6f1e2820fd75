"""Whether head and loss can meet the targets: a ReLU gives nothing below 0, a tanh nothing beyond 1.

Nor does a hinge meet −1 where outputs are never negative, and losses of counts take no negative targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

import keras
import numpy as np

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._mending import with_loss
from crosscheck.diagnose._outputs import Output
from crosscheck.diagnose._saying import fault, listed, note, number
from crosscheck.diagnose.checks._label_facts import LabelFacts
from crosscheck.diagnose.checks._label_range import RANGE, are_out_of_reach

A = keras.activations
L = keras.layers
REACH = {  # what lies between; sigmoid and softmax are judged with the labels of classes
    A.relu: (0, inf),
    A.relu6: (0, 6),
    A.softplus: (0, inf),
    A.exponential: (0, inf),
    A.elu: (-1, inf),
    A.selu: (-1.7581, inf),
    A.silu: (-0.2785, inf),
    A.gelu: (-0.1701, inf),
    A.tanh: (-1, 1),
    A.softsign: (-1, 1),
}
REGRESSIONS = {"meansquarederror", "meanabsoluteerror", "huber", "logcosh"}
HINGES = {"hinge", "squaredhinge"}
POISSON, MSLE = "poisson", "meansquaredlogarithmicerror"
FEWEST, MOST_COLUMNS, FAR = 8, 64, 2  # other numbers beside a mark; columns that are looked at; their ranges


def within_reach(facts: LabelFacts) -> Iterator[Finding]:
    """Targets that the head's activation gives for no weights, and what of the loss must stay for it."""
    output, activation = facts.output, activation_of(facts.output.anatomy.last)
    if activation not in REACH or loss_of(facts) not in REGRESSIONS or facts.low == facts.high:
        return
    low, high = REACH[activation]
    off = facts.outside(low, high)
    if not off.any():
        return
    name, stays = activation.__name__, facts.lost_outside(low, high)
    measured = (
        f"{(off != 0).mean():.1%} of {off.size} targets are outside {number(low)} … {number(high)}, all the "
        f"head's {name} can give: at least {stays:.1%} of the best constant's loss remain."
    )
    if not are_out_of_reach(facts, low, high):
        yield note(RANGE, measured, output=output)
        return
    yield fault(
        RANGE,
        measured,
        "What the head cannot give is never learnt.",
        "no activation in the head, or targets within its range",
        output,
        lambda program: with_loss(program, output, None, bare=True),
    )


def activation_of(last: Any) -> Any:
    """The function that an output comes out of; None where it comes out of something else."""
    if isinstance(last, L.Activation):
        return last.activation
    if isinstance(last, L.ReLU) and not last.negative_slope and not last.threshold and last.max_value is None:
        return A.relu
    is_function = callable(last) and not isinstance(last, keras.Operation)
    return last if is_function else None


def loss_of(facts: LabelFacts) -> str:
    """The loss by one name for the class and the function."""
    return facts.output.loss.replace("_", "").lower()


# --- a hinge ----------------------------------------------------------------------------------------------


def within_hinge(facts: LabelFacts) -> Iterator[Finding]:
    """A hinge, which decides by the sign, on outputs that are never negative.

    Rows of the class −1 then have a loss of 1 at the least, as an output of 0 has: their order may be learnt.
    Labels of 0 and 1, which Keras turns into −1 and 1, may be meant so, and cut elsewhere.
    """
    output = facts.output
    if loss_of(facts) not in HINGES or not is_never_negative(output) or not set(facts.distinct) <= {-1, 0, 1}:
        return
    head = getattr(activation_of(output.anatomy.last), "__name__", output.anatomy.head)
    measured = (
        f"The labels are {listed(facts.distinct)} under {output.loss}; the head's {head} is never negative."
    )
    why = "A hinge decides by the sign, here always for 1: no row of the other class comes below a loss of 1."
    fix = "no activation in the head, or tanh"
    if facts.low == -1:
        repair = lambda program: with_loss(program, output, None, bare=True)
        yield fault(RANGE, measured, why, fix, output, repair)
    elif facts.low == 0 and facts.high == 1:
        yield note(RANGE, measured, f"Keras takes 0 for −1. {why}", fix, output)


def is_never_negative(output: Output) -> bool:
    low, _ = REACH.get(activation_of(output.anatomy.last), (-inf, inf))
    return output.anatomy.head in ("sigmoid", "softmax") or low >= 0


# --- counts -----------------------------------------------------------------------------------------------


def counts(facts: LabelFacts) -> Iterator[Finding]:
    """Negative targets of losses that take logarithms: Poisson's has no minimum there, the other reads 0."""
    output, loss = facts.output, loss_of(facts)
    off = facts.outside(0, inf)
    if loss not in (POISSON, MSLE) or not off.any():
        return
    share, lowest = f"{(off != 0).mean():.1%} of {off.size}", number(facts.low)
    measured = f"{share} targets are negative, down to {lowest}, under {output.loss}."
    fix = 'loss="mean_squared_error", or targets from 0 on'
    if loss == POISSON:
        why = "With a negative target the loss falls as the output nears 0, and has no minimum above it."
        yield fault(RANGE, measured, why, fix, output)
    elif are_out_of_reach(facts, 0, inf):
        yield fault(RANGE, measured, "Keras reads each of them as 0, without a word.", fix, output)
    else:
        yield note(RANGE, measured, "Keras reads each of them as 0, without a word.", fix, output)


# --- marks ------------------------------------------------------------------------------------------------


def marked(facts: LabelFacts) -> Iterator[Finding]:
    """Notes a number far from all others that occurs again and again, as −999 does for what is missing."""
    columns = facts.labels.reshape(len(facts.labels), -1)
    if facts.output.is_classifier or len(facts.distinct) < FEWEST or columns.shape[1] > MOST_COLUMNS:
        return
    for i, column in enumerate(columns.T.astype("float64")):
        for mark in (column.min(), column.max()):
            if is_mark(column, mark):
                yield of_mark(column, mark, f" of column {i}" if columns.shape[1] > 1 else "", facts.output)


def of_mark(column: np.ndarray, mark: float, where: str, output: Output) -> Finding:
    others, name = column[column != mark], number(mark)
    return note(
        RANGE,
        f"{len(column) - len(others)} of {len(column)} targets{where} are {name}; all others are within "
        f"{number(others.min())} … {number(others.max())}.",
        "If it marks what is missing, it is trained on as a number.",
        f"keep = (y != {name}).reshape(len(y), -1).all(-1); x, y = x[keep], y[keep]",
        output,
    )


def is_mark(column: np.ndarray, mark: float) -> bool:
    """Whether a whole number occurs twice or more, farther from all others than these are apart, twice."""
    others = column[column != mark]
    if mark != round(mark) or len(column) - len(others) < 2 or len(others) < FEWEST:
        return False
    return bool(np.abs(others - mark).min() > FAR * np.ptp(others) > 0)
