"""Finds the theory that a loss claims to follow: named by the user, or recognised by its values."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from mpmath import mp, mpf

from crosscheck.audit.contract import Kind, Subject
from crosscheck.audit.probe import CLASSES, Probe, hard_labels
from crosscheck.audit.theories import DIGITS, THEORIES, LossTheory, evaluate, over
from crosscheck.errors import UsageError

AGREEMENT = 1e-3  # relative: what counts as recognised, well short of any check's tolerance
FORM = "(z, y): mpmath numbers for labels of 0 and 1, lists of them for classes; it computes with mpmath"


def with_claim(subject: Subject, theory_named: str | None) -> Subject:
    """The subject with the theory that the user named: one of ours, or their own as `module:function`.

    Raises:
        UsageError: where no theory of this kind of labels has the name, or it cannot be evaluated.
    """
    if not theory_named:
        return subject
    if ":" in theory_named:
        own_theory = load_own_theory(theory_named, subject.kind, numeric_arguments(subject.config))
        return replace(
            subject, theory=theory_named, own_theory=own_theory, parameters=dict(own_theory.parameters)
        )
    name = full_theory_name(theory_named, subject.kind)
    return replace(subject, theory=name, parameters=theory_parameters(name, subject.config))


def full_theory_name(name_given: str, kind: Kind) -> str:
    """The key of `THEORIES` for a short name: "focal" is "categorical focal" for classes.

    Raises:
        UsageError: where no theory of this kind of labels has such a name.
    """
    plain = name_given.lower().replace("-", "").replace("_", " ").replace("cross entropy", "crossentropy")
    names = [name for name, theory in THEORIES.items() if fits(theory, kind)]
    matches = [name for name in names if name == plain or name.endswith(f" {plain}")]
    if not matches:
        raise UsageError(
            f"No theory of {kind} labels is called '{name_given}'. There are: {', '.join(names)}; "
            "or give your own as module:function."
        )
    return plain if plain in matches else matches[0]


def fits(theory: LossTheory, kind: Kind) -> bool:
    return theory.over == over(kind) or (theory.over == "rows" and kind == "multilabel")


def numeric_arguments(config: Mapping[str, Any]) -> dict[str, float]:
    """The constructor arguments that are numbers, which a formula may take as parameters."""
    numbers = {k: v for k, v in config.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    balanced = {"balanced": 1.0} if config.get("apply_class_balancing") else {}
    return {**{k: float(v) for k, v in numbers.items()}, **balanced}


def theory_parameters(name: str, config: Mapping[str, Any]) -> dict[str, float]:
    """The constructor arguments that are parameters of the theory and differ from its defaults."""
    defaults = THEORIES[name].parameters
    return {k: v for k, v in numeric_arguments(config).items() if k in defaults and v != defaults[k]}


def load_own_theory(target: str, kind: Kind, config: Mapping[str, float]) -> LossTheory:
    """The theory of a user's formula, once it has been evaluated at one example.

    Raises:
        UsageError: where it cannot be imported or does not return an mpmath number.
    """
    module, _, name = target.partition(":")
    try:
        formula = getattr(importlib.import_module(module), name)
        arguments = {k: v for k, v in config.items() if k in inspect.signature(formula).parameters}
        with mp.workdps(DIGITS):
            z = [mpf(1) / 3] * CLASSES[kind]
            y = [mpf(int(label)) for label in hard_labels(kind)[0]]
            value = formula(z[0], y[0], **arguments) if over(kind) == "labels" else formula(z, y, **arguments)
    except Exception as error:
        raise UsageError(
            f"The theory {target} cannot be had: {type(error).__name__}: {error}. It is a function of {FORM}."
        ) from error
    if not isinstance(value, mpf):
        raise UsageError(f"The theory {target} gave {type(value).__name__}. It is a function of {FORM}.")
    return LossTheory(formula, over(kind), arguments)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Suppresses what a loss prints or warns inside the `with` block."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def recognise(subject: Subject) -> Subject:
    """The subject with the theory that has its values; unchanged where none has.

    A multiple is recognised for cross-entropy alone: its factor becomes a parameter, and fails one check.
    """
    values = trial_values(subject)
    if values is None:
        return subject
    matches = [
        (abs(factor - 1) > AGREEMENT, THEORIES[name].parameters != parameters, name, parameters, factor)
        for name, parameters in (*candidate_theories(subject), *candidate_smoothings(subject, values))
        if (factor := factor_of_theory(subject, name, parameters, values)) is not None
    ]
    if not matches:
        return subject
    multiple, _, name, parameters, factor = min(matches, key=lambda match: match[:2])
    unusual = {k: v for k, v in parameters.items() if v != THEORIES[name].parameters[k]}
    return replace(subject, theory=name, parameters={**unusual, **({"factor": factor} if multiple else {})})


def trial_values(subject: Subject) -> np.ndarray | None:
    """The loss at the trial points, in float64 if it can; None where it raises or is not finite."""
    try:
        with silenced():
            probe = Probe(subject)
            dtype = "float64" if probe.precise == "float64" else "float32"
            values = probe(*trial_points(subject.kind), dtype, mode="eager").value
    except Exception:
        return None
    return values if np.isfinite(values).all() else None


def trial_points(kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    z = np.random.default_rng(3).normal(0, 1.5, (5, CLASSES[kind]))
    labels = hard_labels(kind)
    return z, labels[np.arange(5) % len(labels)]


def candidate_theories(subject: Subject) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields theories and parameters to try: those of the configuration first, then the usual ones."""
    for name, theory in THEORIES.items():
        other_input = ("hinge" in name) != subject.from_logits and ("hinge" in name or "poisson" in name)
        if not fits(theory, subject.kind) or other_input:
            continue
        configured = {k: v for k, v in numeric_arguments(subject.config).items() if k in theory.parameters}
        for parameters in ({**theory.parameters, **configured}, theory.parameters, *theory.candidates):
            yield name, dict(parameters)


def candidate_smoothings(subject: Subject, values: np.ndarray) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields cross-entropies with the smoothing that fits the values: k (1 − α) hard + k α uniform."""
    for name, theory in THEORIES.items():
        if "label_smoothing" in theory.parameters and "crossentropy" in name and fits(theory, subject.kind):
            points = trial_points(subject.kind)
            extremes = [
                evaluate(THEORIES[name], {"label_smoothing": smoothing}, *points).value
                for smoothing in (0.0, 1.0)
            ]
            hard, uniform = np.linalg.lstsq(np.stack(extremes, 1), values, rcond=None)[0]
            alpha = float(np.round(uniform / (hard + uniform), 6)) if hard + uniform else 0.0
            if 0 < alpha <= 1:
                yield name, {"label_smoothing": alpha}


def factor_of_theory(
    subject: Subject, name: str, parameters: dict[str, float], values: np.ndarray
) -> float | None:
    """k where the values are k times the theory's, else None; k is 1 but for a cross-entropy."""
    expected = evaluate(THEORIES[name], parameters, *trial_points(subject.kind)).value
    if not np.abs(expected).min() > 0:
        return 1.0 if np.allclose(values, expected, rtol=AGREEMENT, atol=1e-6) else None
    factor = float(np.median(values / expected))
    if factor == 0 or not np.allclose(values, factor * expected, rtol=AGREEMENT):
        return None
    return factor if "crossentropy" in name or abs(factor - 1) <= AGREEMENT else None
