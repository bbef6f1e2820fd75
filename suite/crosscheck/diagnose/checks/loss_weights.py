"""Weights of losses: 0 trains nothing, and below 0 a step goes uphill."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import keras

from crosscheck._keras import compiled_with, is_of_keras, layers_within
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._mending import can_be_cloned, cloned
from crosscheck.diagnose._outputs import Output, outputs_of
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, fine, listed, note, undecided
from crosscheck.diagnose.checks.arguments import has_own_step

WEIGHTS, FIX = "loss-weights", "loss_weights left out"


def loss_weights(program: Program) -> Iterator[Finding]:
    """What the weights of the losses make of a step."""
    given, outputs = compiled_with(program.model).get("loss_weights"), outputs_of(program)
    weights = [] if given is None else keras.tree.flatten(given)
    is_number = all(isinstance(weight, int | float) for weight in weights)
    if not weights or not outputs or not is_number or has_own_step(program.model):
        return
    said = f"loss_weights={given}"
    if not all(map(math.isfinite, weights)):
        yield fault(WEIGHTS, f"{said}.", "The loss becomes NaN, and every weight.", "finite weights")
    elif not any(weights):
        yield nothing_trained(program, said)
    elif max(weights) <= 0:
        yield uphill(program, outputs, said)
    elif min(weights) < 0:
        why = "A step makes this loss worse. That may be meant, of an adversary that is to be misled."
        yield note(WEIGHTS, f"{said}: one is below 0.", why)
    else:
        yield fine(WEIGHTS, listed(weights))


def nothing_trained(program: Program, said: str) -> Finding:
    """All are 0; what a layer adds by `add_loss` is trained nevertheless."""
    if program.memory.get("penalties"):
        return note(
            WEIGHTS, f"{said}.", "No loss of an output is trained, only what layers add by themselves."
        )
    return fault(WEIGHTS, f"{said}.", "Every loss counts 0: nothing is trained.", FIX, repair=unweighted)


def uphill(program: Program, outputs: tuple[Output, ...], said: str) -> Finding:
    """All that are not 0 are below: a ? where a loss of one's own, or a frozen judge, may mean it."""
    losses = [output.anatomy.loss for output in outputs]
    own = [loss for loss in losses if not is_of_keras(loss if hasattr(loss, "__name__") else type(loss))]
    frozen = [layer for layer in layers_within(program.model) if layer.weights and not layer.trainable]
    if own or frozen:
        what = "a loss of your own is a score that is to grow" if own else f"{frozen[0].name} is an adversary"
        return undecided(WEIGHTS, f"{said}.", f"The step goes uphill, away from the labels, unless {what}.")
    return fault(WEIGHTS, f"{said}.", "The step goes uphill, away from the labels.", FIX, repair=unweighted)


def unweighted(program: Program) -> Program:
    """A repair: all losses count alike.

    Raises:
        ValueError: the model's class is one's own.
    """
    if not can_be_cloned(program.model):
        raise ValueError("the model cannot be rebuilt here")
    return replace(program, model=cloned(program.model, loss_weights=None))
