"""What a loss is told to be: one of our theories by name, or the user's own formula as `module:function`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mpmath import mp, mpf

from crosscheck.audit.contract import Kind, Subject
from crosscheck.audit.probe import CLASSES, hard_labels
from crosscheck.audit.recognition import (
    AGREEMENT,
    NEARLY,
    arguments_of,
    fits,
    follows_soft_labels,
    match_of,
    numeric_arguments,
    trial_points,
    trial_values,
)
from crosscheck.audit.theories import DIGITS, THEORIES, LossTheory, over
from crosscheck.errors import UsageError

FORM = "(z, y): mpmath numbers for labels of 0 and 1, lists of them for classes; it computes with mpmath"
WEIGHTS_ARGUMENTS = ("class_weights", "class_weight")


def with_claim(subject: Subject, theory_named: str | None) -> Subject:
    """The subject with the theory that the user named: one of ours, or their own as `module:function`.

    Raises:
        UsageError: where no theory of this kind of labels has the name, or it cannot be evaluated.
    """
    if not theory_named:
        return subject
    arguments = arguments_of(subject)
    subject = replace(subject, told=True, hard=False, parameters={})
    if not subject.class_weights and ":" not in theory_named:
        subject = replace(subject, class_weights=weights_in(arguments, subject.kind))
    if ":" in theory_named:
        own_theory = load_own_theory(theory_named, subject.kind, numeric_arguments(arguments))
        claimed = replace(
            subject, theory=theory_named, own_theory=own_theory, parameters=dict(own_theory.parameters)
        )
        return with_factor(claimed, trial_values(claimed))
    name = full_theory_name(theory_named, subject.kind)
    return with_parameters(subject, name, numeric_arguments(arguments))


def with_parameters(subject: Subject, name: str, arguments: Mapping[str, float]) -> Subject:
    """The claim with the parameters that the arguments leave open chosen by the values."""
    values = trial_values(subject)
    variants = list(variants_of(name, arguments))
    chosen = variants[0]
    for parameters in variants:
        if values is None:
            break
        match = match_of(subject, name, {**THEORIES[name].parameters, **parameters}, values)
        if match and match.class_weights == subject.class_weights and is_convention(subject, match.factor):
            chosen = parameters
            break
    claimed = with_factor(replace(subject, theory=name, parameters=chosen), values)
    convention = THEORIES[name].convention and subject.kind != "ordinal"
    return replace(claimed, hard=convention and not follows_soft_labels(claimed))


def with_factor(subject: Subject, values: np.ndarray | None) -> Subject:
    """The claim with the factor by which the loss is off, which fails one check and not all."""
    exact = subject.expected(*trial_points(subject.kind))
    if values is None or exact is None:
        return subject
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = values / exact.value
    factor = float(np.median(ratios))
    is_multiple = abs(factor - 1) > NEARLY and np.allclose(ratios, factor, rtol=AGREEMENT)
    if not (factor and is_multiple):
        return subject
    return replace(subject, parameters={**subject.parameters, "factor": factor})


def variants_of(name: str, arguments: Mapping[str, float]) -> Iterator[dict[str, float]]:
    """Yields the parameters that the arguments allow: α and its balancing are written in several ways."""
    told = theory_parameters(name, arguments)
    yield told
    if "focal" in name and "alpha" not in arguments:
        yield {**told, "alpha": 1.0}
    if "balanced" in THEORIES[name].parameters:
        yield {**told, "balanced": 1.0}


def is_convention(subject: Subject, factor: float) -> bool:
    """Whether a claim holds for this multiple: a sum over labels in place of their mean is a convention."""
    labels = CLASSES[subject.kind] if over(subject.kind) == "labels" else 1
    return any(abs(factor / times - 1) <= AGREEMENT for times in (1, labels))


def weights_in(arguments: Mapping[str, Any], kind: Kind) -> tuple[float, ...]:
    """The class weights among the arguments; () where there are none for so many classes."""
    if over(kind) == "labels":
        weight = arguments.get("pos_weight")
        return (1.0, float(weight)) if isinstance(weight, (int, float)) else ()
    found = [arguments[name] for name in WEIGHTS_ARGUMENTS if arguments.get(name) is not None]
    return as_weights(found[0], kind) if found else ()


def as_weights(weights: Any, kind: Kind) -> tuple[float, ...]:
    """Class weights from a list or a dictionary; () where they are not one for each class."""
    if isinstance(weights, Mapping):
        weights = [weights[key] for key in sorted(weights, key=int)]
    if not isinstance(weights, (Sequence, np.ndarray)) or isinstance(weights, str):
        return ()
    wanted = 2 if over(kind) == "labels" else CLASSES[kind]
    return tuple(float(weight) for weight in weights) if len(weights) == wanted else ()


def full_theory_name(name_given: str, kind: Kind) -> str:
    """The key of `THEORIES` for a short name: "focal" is "categorical focal" for classes.

    Raises:
        UsageError: where no theory of this kind of labels has such a name.
    """
    plain = name_given.lower().replace("-", "").replace("_", " ").replace("cross entropy", "crossentropy")
    plain = plain.replace("generalised", "generalized")
    names = [name for name, theory in THEORIES.items() if fits(theory, kind)]
    matches = [name for name in names if name == plain or name.endswith(f" {plain}")]
    if not matches:
        raise UsageError(
            f"No theory of {kind} labels is called '{name_given}'. There are: {', '.join(names)}; "
            "or give your own as module:function."
        )
    return plain if plain in matches else matches[0]


def theory_parameters(name: str, arguments: Mapping[str, Any]) -> dict[str, float]:
    """The arguments that are parameters of the theory and differ from its defaults."""
    defaults = THEORIES[name].parameters
    numbers = numeric_arguments(arguments)
    return {k: v for k, v in numbers.items() if k in defaults and v != defaults[k]}


def load_own_theory(target: str, kind: Kind, arguments: Mapping[str, float]) -> LossTheory:
    """The theory of a user's formula, once it has been evaluated at one example.

    Raises:
        UsageError: where it cannot be imported or does not return an mpmath number.
    """
    module, _, name = target.partition(":")
    try:
        formula = getattr(importlib.import_module(module), name)
        own = {k: v for k, v in arguments.items() if k in inspect.signature(formula).parameters}
        with mp.workdps(DIGITS):
            z = [mpf(1) / 3] * CLASSES[kind]
            y = [mpf(int(label)) for label in hard_labels(kind)[0]]
            value = formula(z[0], y[0], **own) if over(kind) == "labels" else formula(z, y, **own)
    except Exception as error:
        raise UsageError(
            f"The theory {target} cannot be had: {type(error).__name__}: {error}. It is a function of {FORM}."
        ) from error
    if not isinstance(value, mpf):
        raise UsageError(f"The theory {target} gave {type(value).__name__}. It is a function of {FORM}.")
    return LossTheory(formula, over(kind), own)
