"""What a loss claims to be: as the user says, or as its values at moderate logits betray it."""

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
from crosscheck.audit.probe import CLASSES, Probe, hot
from crosscheck.audit.theories import DIGITS, THEORIES, Theory, oracle, over
from crosscheck.errors import UsageError

AGREEMENT = 1e-3  # relative: what counts as recognised, well short of any check's tolerance
FORM = "(z, y): mpmath numbers for labels of 0 and 1, lists of them for classes; it computes with mpmath"


def claiming(subject: Subject, told: str | None) -> Subject:
    """The subject with the theory that was named: one of ours, or the user's own as `module:function`.

    Raises:
        UsageError: where there is none of that name for this kind of labels, or it does not compute.
    """
    if not told:
        return subject
    if ":" in told:
        formula = own_formula(told, subject.kind, numbers_of(subject.config))
        return replace(subject, theory=told, formula=formula, parameters=dict(formula.parameters))
    name = full_name(told, subject.kind)
    return replace(subject, theory=name, parameters=parameters_of(name, subject.config))


def full_name(told: str, kind: Kind) -> str:
    """ "focal" is "categorical focal" of classes, "binary focal" of labels; hyphens are no matter."""
    plain = told.lower().replace("-", "").replace("_", " ").replace("cross entropy", "crossentropy")
    fitting = [name for name, theory in THEORIES.items() if fits(theory, kind)]
    ending = [name for name in fitting if name == plain or name.endswith(f" {plain}")]
    if not ending:
        raise UsageError(
            f"No theory of {kind} labels is called '{told}'. There are: {', '.join(fitting)}; "
            "or give your own as module:function."
        )
    return plain if plain in ending else ending[0]


def fits(theory: Theory, kind: Kind) -> bool:
    return theory.over == over(kind) or (theory.over == "rows" and kind == "multilabel")


def numbers_of(config: Mapping[str, Any]) -> dict[str, float]:
    """Constructor arguments that a formula could have as parameters."""
    plain = {k: v for k, v in config.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    balanced = {"balanced": 1.0} if config.get("apply_class_balancing") else {}
    return {**{k: float(v) for k, v in plain.items()}, **balanced}


def parameters_of(name: str, config: Mapping[str, Any]) -> dict[str, float]:
    """The constructor's arguments that are parameters of the theory too, where they are not its own."""
    usual = THEORIES[name].parameters
    return {k: v for k, v in numbers_of(config).items() if k in usual and v != usual[k]}


def own_formula(told: str, kind: Kind, config: Mapping[str, float]) -> Theory:
    """The user's formula, tried at one example.

    Raises:
        UsageError: where it cannot be imported or does not give an mpmath number.
    """
    module, _, name = told.partition(":")
    try:
        formula = getattr(importlib.import_module(module), name)
        known = {k: v for k, v in config.items() if k in inspect.signature(formula).parameters}
        with mp.workdps(DIGITS):
            z = [mpf(1) / 3] * CLASSES[kind]
            y = [mpf(int(each)) for each in hot(kind)[0]]
            one = formula(z[0], y[0], **known) if over(kind) == "labels" else formula(z, y, **known)
    except Exception as error:
        raise UsageError(
            f"The theory {told} cannot be had: {type(error).__name__}: {error}. It is a function of {FORM}."
        ) from error
    if not isinstance(one, mpf):
        raise UsageError(f"The theory {told} gave {type(one).__name__}. It is a function of {FORM}.")
    return Theory(formula, over(kind), known)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what a loss prints or warns."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def recognised(subject: Subject) -> Subject:
    """The subject with its theory, where its values are those of one; else as it was.

    A multiple counts for cross-entropy alone: its factor is told, and fails it once, at the centre.
    """
    values = trial(subject)
    if values is None:
        return subject
    matches = [
        (abs(factor - 1) > AGREEMENT, THEORIES[name].parameters != parameters, name, parameters, factor)
        for name, parameters in (*candidates(subject), *smoothings(subject, values))
        if (factor := ratio(subject, name, parameters, values)) is not None
    ]
    if not matches:
        return subject
    multiple, _, name, parameters, factor = min(matches, key=lambda each: each[:2])
    known = {k: v for k, v in parameters.items() if v != THEORIES[name].parameters[k]}
    return replace(subject, theory=name, parameters={**known, **({"factor": factor} if multiple else {})})


def trial(subject: Subject) -> np.ndarray | None:
    """Its values at moderate logits, in float64 if it can; None where there are none to speak of."""
    try:
        with quiet():
            probe = Probe(subject)
            dtype = "float64" if probe.precise == "float64" else "float32"
            values = probe(*moderate(subject.kind), dtype, mode="eager").value
    except Exception:
        return None
    return values if np.isfinite(values).all() else None


def moderate(kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    z = np.random.default_rng(3).normal(0, 1.5, (5, CLASSES[kind]))
    labels = hot(kind)
    return z, labels[np.arange(5) % len(labels)]


def candidates(subject: Subject) -> Iterator[tuple[str, dict[str, float]]]:
    """Theories and parameters: those that the configuration names first, then the usual ones."""
    for name, theory in THEORIES.items():
        unlike = ("hinge" in name) != subject.from_logits and ("hinge" in name or "poisson" in name)
        if not fits(theory, subject.kind) or unlike:
            continue
        told = {k: v for k, v in numbers_of(subject.config).items() if k in theory.parameters}
        for parameters in ({**theory.parameters, **told}, theory.parameters, *theory.candidates):
            yield name, dict(parameters)


def smoothings(subject: Subject, values: np.ndarray) -> Iterator[tuple[str, dict[str, float]]]:
    """Cross-entropy with the smoothing that fits: it is a mixture, k (1 − α) hard + k α uniform."""
    for name, theory in THEORIES.items():
        if "label_smoothing" in theory.parameters and "crossentropy" in name and fits(theory, subject.kind):
            place = moderate(subject.kind)
            ends = [oracle(name, {"label_smoothing": a}, *place).value for a in (0.0, 1.0)]
            hard, uniform = np.linalg.lstsq(np.stack(ends, 1), values, rcond=None)[0]
            alpha = float(np.round(uniform / (hard + uniform), 6)) if hard + uniform else 0.0
            if 0 < alpha <= 1:
                yield name, {"label_smoothing": alpha}


def ratio(subject: Subject, name: str, parameters: dict[str, float], values: np.ndarray) -> float | None:
    """k where the values are k times the theory's; for cross-entropies any k, for others 1 alone."""
    wanted = oracle(name, parameters, *moderate(subject.kind)).value
    if not np.abs(wanted).min() > 0:
        return 1.0 if np.allclose(values, wanted, rtol=AGREEMENT, atol=1e-6) else None
    factor = float(np.median(values / wanted))
    if factor == 0 or not np.allclose(values, factor * wanted, rtol=AGREEMENT):
        return None
    return factor if "crossentropy" in name or abs(factor - 1) <= AGREEMENT else None
