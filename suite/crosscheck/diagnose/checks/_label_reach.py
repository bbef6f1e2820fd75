"""Whether a head can give a regression's targets: a ReLU gives nothing below 0, a tanh nothing beyond 1."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

import keras

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._mending import with_loss
from crosscheck.diagnose._saying import fault, note, number
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


def within_reach(facts: LabelFacts) -> Iterator[Finding]:
    """Targets that the head's activation gives for no weights, and what of the loss must stay for it."""
    output, activation = facts.output, activation_of(facts.output.anatomy.last)
    loss = output.loss.replace("_", "").lower()
    if activation not in REACH or loss not in REGRESSIONS or facts.low == facts.high:
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
