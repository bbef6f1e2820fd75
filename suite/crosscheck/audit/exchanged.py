"""Losses whose arguments are in the wrong order: Keras passes the labels first, PyTorch passes them last."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.audit.contract import Finding, Subject, described, failed
from crosscheck.audit.recognition import recognise, trial_values
from crosscheck.audit.theories import THEORIES
from crosscheck.errors import UsageError

LABELS = ("y", "y_true", "true", "label", "labels", "target", "targets", "truth", "ground_truth", "gt")
SCORES = ("logit", "logits", "probs", "probabilities", "scores", "y_prob", "y_probs", "y_score", "y_logits")
PREDICTIONS = ("y_pred", "pred", "preds", "prediction", "predictions", "y_hat", "yhat", "output", "outputs")
ORDER = "Keras calls loss(y_true, y_pred), with the labels first"
CHECK = "call"


def exchanged(subject: Subject) -> Subject:
    """The subject that gets its labels where predictions are passed, and the other way round."""

    def make(**arguments: Any) -> Callable[[Any, Any], Any]:
        loss: Any = subject.make(**arguments)
        if not subject.is_class:
            return lambda y_true, y_pred: loss(y_pred, y_true)
        loss.call = functools.partial(in_turn, loss.call)
        return loss

    return replace(subject, make=make)


def in_turn(call: Callable[..., Any], y_true: Any, y_pred: Any) -> Any:
    return call(y_pred, y_true)


def names_of_both(subject: Subject) -> tuple[str, str] | None:
    """The names of its first two parameters, where predictions come first by them; else None."""
    loss: Any = subject.make()
    try:
        names = list(inspect.signature(loss.call if subject.is_class else loss).parameters)[:2]
    except (TypeError, ValueError):
        return None
    lower = [name.lower().strip("_") for name in names]
    predicted = (*PREDICTIONS, *SCORES, "input", "inputs")
    return (names[0], names[1]) if len(lower) == 2 and lower[0] in predicted and lower[1] in LABELS else None


def in_order(unknown: Subject, infer: Callable[[Subject], Subject]) -> Subject:
    """What a subject is inferred to be, with an obstacle where it names its predictions first, and wrongly.

    Raises:
        UsageError: where its kind cannot be inferred, in either order.
    """
    names = names_of_both(unknown)
    if names is None:
        return without_reverse(infer(unknown))
    other = infer(exchanged(unknown))
    try:
        subject = infer(unknown)
    except UsageError:
        subject = replace(unknown, kind=other.kind, theory=None)
    if is_plain(subject) or is_same(subject, other):
        return subject
    return replace(subject, obstacle=swapped(names, other))


def swapped(names: tuple[str, str], other: Subject) -> Finding:
    """The one finding about a loss that takes its labels last."""
    known = other.theory and not other.obstacle
    takes = f"; in that order its values are those of {other.theory}" if known else ""
    return failed(
        CHECK,
        f"loss({names[0]}=labels, {names[1]}=predictions)",
        measured=f"the labels arrive as `{names[0]}`, and the predictions as `{names[1]}`",
        expected=ORDER,
        note=f"nothing else was looked at{takes}",
        cause=f"its arguments are swapped: ({names[0]}, {names[1]})",
        remedy=f"write it as ({names[1]}, {names[0]})",
    )


def without_reverse(subject: Subject) -> Subject:
    """The subject without a theory where its values are of one with labels and predictions exchanged.

    At labels of 0 and 1 they are a multiple of 1 − p, and so of a Dice loss or an absolute error.
    """
    is_odd = subject.theory is None or "factor" in subject.parameters
    if subject.obstacle or subject.told or not is_odd or subject.kind in ("sparse", "ordinal"):
        return subject
    bare = replace(subject, theory=None, parameters={}, class_weights=(), hard=False)
    name = recognise(exchanged(bare)).theory
    if not (name and THEORIES[name].proper):
        return subject
    return replace(bare, reverse=name, evidence=f"only so it is {name} with its arguments exchanged")


def is_plain(subject: Subject) -> bool:
    """Whether its values as it is called are a proper theory's: then its names alone are odd."""
    return bool(not subject.obstacle and subject.theory in THEORIES and THEORIES[subject.theory].proper)


def is_same(subject: Subject, other: Subject) -> bool:
    """Whether the order of its arguments changes nothing, as of a squared error."""
    alike = replace(other, from_logits=subject.from_logits, kind=subject.kind)
    here, there = trial_values(subject), trial_values(alike)
    return here is not None and there is not None and bool(np.allclose(here, there, rtol=1e-5, atol=1e-6))


def described_reverse(check: str, subject: Subject) -> Finding:
    """The finding that a loss has a theory's values with labels and predictions in each other's place."""
    name = subject.reverse
    return described(
        check,
        "loss(y_true, y_pred), held against loss(y_pred, y_true)",
        measured=f"the values of {name} with its arguments exchanged",
        expected=f"those of {name}, unless a reverse loss is meant",
        note="at labels of 0 and 1 it is a multiple of 1 − p, of which no true probability is the minimum",
        remedy="if it is no reverse loss, swap its arguments, or those of the loss that it calls",
    )
