"""Recognises the theory that a loss follows by its values, and what of it is told by its arguments."""

from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crosscheck.audit.contract import Kind, Subject
from crosscheck.audit.probe import CLASSES, Probe, hard_labels
from crosscheck.audit.theories import THEORIES, LossTheory, evaluate, over

AGREEMENT = 3e-5  # relative, at moderate logits: an ε of 1e-6 is recognised, and a z-loss of 1e-4 is not
ALSO_CALLED = {
    "smoothing": "label_smoothing",
    "gamma_pos": "gamma_positive",
    "gamma_neg": "gamma_negative",
    "clip": "margin",
}
LINEAR_IN = {"label_smoothing": (0.0, 1.0), "epsilon": (-10.0, 100.0)}  # and what it may be
NEARLY = 1e-3
ROUNDS = 3  # trial points for each label


@dataclass(frozen=True)
class Match:
    """A theory that has the values of a loss: so many times, or with these weights of the classes."""

    name: str
    parameters: Mapping[str, float]
    factor: float = 1.0
    class_weights: tuple[float, ...] = ()

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """The plain theory comes before its multiples, and those before its weighted forms."""
        unusual = THEORIES[self.name].parameters != self.parameters
        return bool(self.class_weights), self.factor != 1, unusual


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Suppresses what a loss prints or warns inside the `with` block."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def arguments_of(subject: Subject) -> dict[str, Any]:
    """The arguments of the loss: those that it was given, the others by their defaults.

    A loss at hand may have been made with arguments that its `get_config` forgets: those are its attributes.
    """
    loss: Any = subject.make()
    try:
        signature = inspect.signature(type(loss) if subject.is_class else loss)
    except (TypeError, ValueError):
        signature = inspect.Signature()
    defaults = {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    held = {name: vars(loss)[name] for name in defaults if subject.is_class and name in vars(loss)}
    return {**defaults, **subject.config, **held}


def fits(theory: LossTheory, kind: Kind) -> bool:
    return theory.over == over(kind) or (theory.over == "rows" and kind == "multilabel")


def numeric_arguments(arguments: Mapping[str, Any]) -> dict[str, float]:
    """The arguments that are numbers, by their own names and by those of parameters of theories."""
    numbers = {
        k: float(v) for k, v in arguments.items() if isinstance(v, (int, float)) and not isinstance(v, bool)
    }
    numbers |= {ALSO_CALLED[k]: v for k, v in numbers.items() if k in ALSO_CALLED}
    return {**numbers, **({"balanced": 1.0} if arguments.get("apply_class_balancing") else {})}


def recognise(subject: Subject) -> Subject:
    """The subject with the theory that has its values; unchanged where none has.

    Multiples and class weights are recognised too: they become parameters, and are told.
    """
    values = trial_values(subject)
    if values is None:
        return subject
    configured = numeric_arguments(arguments_of(subject))
    candidates = (*candidate_theories(subject, configured), *candidates_by_fit(subject, values))
    matches = [match for candidate in candidates if (match := match_of(subject, *candidate, values))]
    if not matches:  # weights that were told are not those that it has: which it has, the checks say
        return recognise(replace(subject, class_weights=())) if subject.class_weights else subject
    found = with_match(subject, min(matches, key=lambda match: match.rank))
    return subject if found.hard and found.theory == "poly1" else found  # a symmetric cross-entropy, say


def with_match(subject: Subject, match: Match) -> Subject:
    """The subject with a theory that has its values at hard labels; `hard` where soft ones are otherwise."""
    unusual = {k: v for k, v in match.parameters.items() if v != THEORIES[match.name].parameters.get(k)}
    matched = replace(
        subject,
        theory=match.name,
        parameters={**unusual, **({"factor": match.factor} if match.factor != 1 else {})},
        class_weights=match.class_weights,
    )
    theory = THEORIES[match.name]
    takes_soft = subject.kind not in ("sparse", "ordinal") and not theory.hard
    return replace(matched, hard=takes_soft and not follows_soft_labels(matched))


def follows_soft_labels(subject: Subject) -> bool:
    """Whether its values are the theory's for labels between 0 and 1, too."""
    z = trial_points(subject.kind)[0][:2]
    y = np.tile([[0.5, 0.125, 0.375]] if over(subject.kind) == "classes" else [[0.25, 0.875]], (2, 1))
    y = y[:, : CLASSES[subject.kind]]
    values = values_at(subject, z, y)
    exact = subject.expected(z, y)
    assert exact is not None
    factor = subject.parameters.get("factor", 1.0)
    return values is not None and bool(np.allclose(values, factor * exact.value, rtol=AGREEMENT, atol=1e-6))


def trial_values(subject: Subject) -> np.ndarray | None:
    """The loss at the trial points, in float64 if it can; None where it raises or is not finite."""
    return values_at(subject, *trial_points(subject.kind))


def values_at(subject: Subject, z: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    try:
        with silenced():
            probe = Probe(subject)
            values = probe.values_alone(z, y, probe.precise)
    except Exception:
        return None
    return values if np.isfinite(values).all() else None


def trial_points(kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """A few logits for every label, the labels in turn."""
    labels = hard_labels(kind)
    n = ROUNDS * len(labels)
    return np.random.default_rng(3).normal(0, 1.5, (n, CLASSES[kind])), labels[np.arange(n) % len(labels)]


def candidate_theories(
    subject: Subject, configured: Mapping[str, float]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields theories and parameters to try: those of the arguments first, then the usual ones."""
    for name, theory in THEORIES.items():
        other_input = ("hinge" in name) != subject.from_logits and ("hinge" in name or "poisson" in name)
        if not fits(theory, subject.kind) or other_input:
            continue
        own = {k: v for k, v in configured.items() if k in theory.parameters}
        told = {**theory.parameters, **own}
        others = {"balanced": 1.0, "margin": 0.0}  # where no argument says so
        variants = [{**told, k: v} for k, v in others.items() if k in theory.parameters and k not in own]
        for parameters in (told, *variants, theory.parameters, *theory.candidates):
            yield name, dict(parameters)


def candidates_by_fit(subject: Subject, values: np.ndarray) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields theories that are linear in a parameter with the one that fits: k (1 − α) hard + k α uniform."""
    for name, theory in THEORIES.items():
        parameter = next((one for one in LINEAR_IN if one in theory.parameters), None)
        if parameter is None or "focal" in name or not fits(theory, subject.kind):
            continue
        points = trial_points(subject.kind)
        extremes = [evaluate(theory, {parameter: end}, *points).value for end in (0.0, 1.0)]
        at_0, at_1 = np.linalg.lstsq(np.stack(extremes, 1), values, rcond=None)[0]
        low, high = LINEAR_IN[parameter]
        fitted = float(np.round(at_1 / (at_0 + at_1), 6)) if at_0 + at_1 else 0.0
        if low <= fitted <= high and fitted:
            yield name, {parameter: fitted}


def match_of(subject: Subject, name: str, parameters: dict[str, float], values: np.ndarray) -> Match | None:
    """The theory where the values are those, a multiple, or theirs with a weight for each class."""
    z, y = trial_points(subject.kind)
    expected = evaluate(THEORIES[name], parameters, z, y, subject.class_weights).value
    if not np.abs(expected).min() > 0:
        same = np.allclose(values, expected, rtol=AGREEMENT, atol=1e-6)
        return Match(name, parameters, 1.0, subject.class_weights) if same else None
    ratios = values / expected
    factor = float(np.median(ratios))
    if factor and np.allclose(ratios, factor, rtol=AGREEMENT):
        near = 1.0 if abs(factor - 1) <= NEARLY else factor  # a slip that the checks name
        return Match(name, parameters, near, subject.class_weights)
    if subject.class_weights or subject.kind == "ordinal" or THEORIES[name].over == "rows":
        return None
    weights = fitted_weights(THEORIES[name], parameters, z, y, values)
    return Match(name, parameters, 1.0, weights) if weights else None


def fitted_weights(
    theory: LossTheory, parameters: Mapping[str, float], z: np.ndarray, y: np.ndarray, values: np.ndarray
) -> tuple[float, ...]:
    """The class weights with which the theory has the values; () where none do."""
    n = y.shape[-1] if theory.over == "classes" else 2
    units = [tuple(float(i == k) for i in range(n)) for k in range(n)]
    columns = np.stack([evaluate(theory, parameters, z, y, unit).value for unit in units], 1)
    weights = np.linalg.lstsq(columns, values, rcond=None)[0]
    fits_all = np.allclose(columns @ weights, values, rtol=AGREEMENT, atol=0) and weights.min() > 0
    return tuple(float(f"{weight:.6g}") for weight in weights) if fits_all else ()


def is_squashed(subject: Subject) -> str:
    """The theory that the loss is of predictions that were sent through the activation already; "" if none.

    Its logits are then the probabilities: it cannot come near 0, whatever is learnt.
    """
    values = trial_values(subject)
    if values is None:
        return ""
    if not (subject.from_logits or subject.evidence):  # a loss of probabilities is one that is known to be
        return ""
    z, y = trial_points(subject.kind)
    p = Probe(subject).probabilities(z)
    for name, theory in THEORIES.items():
        if fits(theory, subject.kind) and not theory.hard and (theory.proper or "focal" in name):
            for parameters in (theory.parameters, *theory.candidates):
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratios = values / evaluate(theory, parameters, p, y).value
                if np.median(ratios) and np.allclose(ratios, np.median(ratios), rtol=AGREEMENT):
                    return name
    return ""
