"""Constructor arguments do what they are called, and more classes than three are treated as three are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from crosscheck.audit import points
from crosscheck.audit.checks.use.calls import (
    accepted_arguments,
    is_close,
    per_example_losses,
    reportable,
    value_or_error,
)
from crosscheck.audit.checks.use.inputs import Batch, call_as_typed, valid_batch
from crosscheck.audit.contract import (
    Finding,
    LossCheck,
    Subject,
    described,
    failed,
    not_applicable,
    passed,
)
from crosscheck.audit.probe import labels_as_taken, probe_of
from crosscheck.audit.recognition import arguments_of, numeric_arguments, silenced, trial_points
from crosscheck.audit.theories import THEORIES, evaluate, over, probabilities
from crosscheck.autodiff import numbers

GREEK = ("alpha", "beta", "delta", "gamma", "gamma_neg", "gamma_pos", "tau")
WORDS = ("factor", "label_smoothing", "margin", "pos_weight", "scale", "smoothing", "temperature", "z_loss")
MEANT = (*GREEK, *WORDS, "q", "t1", "t2")  # a change of these ought to show; of others it is said
OF_EVERY_LOSS = ("name", "reduction", "dtype", "axis", "ignore_class")
CLASSES, SEED = 5, 5
NEAR = 1e-3  # relative: of values and of parameters


def arguments(subject: Subject) -> Finding:
    """Holds a recognised theory against the loss' own arguments, and changes each number in turn."""
    finding = used_as_another(subject)
    if finding and finding.verdict == "failed":
        return finding
    effects = {name: has_effect(subject, name, value) for name, value in numbers_accepted(subject).items()}
    for name, seen in effects.items():
        if not seen and name in MEANT:
            value = numbers_accepted(subject)[name]
            return failed(
                "arguments",
                call_as_typed(subject, valid_batch(subject), **{name: value}),
                measured=f"the same losses for other values of `{name}`",
                expected=f"other losses than for {name}={value!r}",
                cause=f"`{name}` is kept and not used",
                remedy=f"use self.{name} in `call`, or take it out of the constructor",
            )
    if finding:
        return finding
    unseen = sorted(name for name, seen in effects.items() if not seen)
    shown = ", ".join(sorted(set(effects) - set(unseen))) or "no argument that is a number"
    return passed(
        "arguments",
        f"changed, and the losses changed: {shown}"
        + (f"; no effect seen on these examples: {', '.join(unseen)}" if unseen else ""),
    )


def used_as_another(subject: Subject) -> Finding | None:
    """The failure where the values are those of another parameter than the argument of that name.

    A loss may smooth by a constant of its own beside what its argument says: at 0 that is described.
    """
    if subject.told or subject.theory is None or subject.own_theory:
        return None
    defaults = THEORIES[subject.theory].parameters
    told = numeric_arguments(arguments_of(subject))
    for name in defaults.keys() & told.keys():
        used = subject.parameters.get(name, defaults[name])
        without_effect = name == "alpha" and "balanced" in defaults and not subject.parameters.get("balanced")
        if without_effect or math.isclose(used, told[name], rel_tol=NEAR, abs_tol=NEAR):
            continue
        if name == "label_smoothing" and not told[name]:
            return described(
                "arguments",
                call_as_typed(subject, valid_batch(subject), label_smoothing=0.0),
                measured=f"{subject.theory} smoothed by {used:.6g}",
                expected="no smoothing, unless it is meant",
                note="by design, for all that is known: it smooths without being told to",
                remedy="say what it is meant to be with --theory, or smooth by the argument alone",
            )
        return failed(
            "arguments",
            call_as_typed(subject, valid_batch(subject), **{name: told[name]}),
            measured=f"{subject.theory} of {name} = {used:.6g}",
            expected=f"{name} = {told[name]:.6g}",
            cause=f"`{name}` = {told[name]:.6g} is used as {used:.6g}",
            remedy=f"use `{name}` as it is called, or call it otherwise",
        )
    return None


def numbers_accepted(subject: Subject) -> dict[str, float]:
    """The arguments whose values are numbers, by name: nothing else is known well enough to be changed."""
    values = arguments_of(subject)
    return {
        name: values[name]
        for name in accepted_arguments(subject)
        if name not in OF_EVERY_LOSS
        and isinstance(values.get(name), (int, float))
        and not isinstance(values[name], bool)
    }


def has_effect(subject: Subject, name: str, value: float) -> bool:
    """Whether other values of an argument change a loss, if need be with another argument switched on or off.

    An argument that refuses every other value counts as having an effect.
    """
    switches: list[dict[str, Any]] = [{}]
    values = arguments_of(subject)
    switches += [
        {other: not values[other]}
        for other in accepted_arguments(subject)
        if isinstance(values.get(other), bool) and other != "from_logits"
    ]
    others = [other for other in (value / 2, value + 0.25, value + 1) if other != value]
    for switch in switches:
        for batch in telling_batches(subject):
            before = value_or_error(per_example_losses, subject, batch, **{name: value}, **switch)
            for other in others:
                after = value_or_error(per_example_losses, subject, batch, **{name: other}, **switch)
                if not isinstance(after, str) and not isinstance(before, str) and not is_close(before, after):
                    return True
    return all(
        isinstance(value_or_error(per_example_losses, subject, valid_batch(subject), **{name: other}), str)
        for other in others
    )


def telling_batches(subject: Subject) -> Iterator[Batch]:
    """Yields ordinary examples, and confidently wrong ones."""
    batch = valid_batch(subject)
    yield batch
    if subject.from_logits:
        yield batch.predicting(-4 * batch.x)


def more_classes(subject: Subject) -> Finding:
    """Compares five classes with the theory; without one the loss of every class must depend on its logit."""
    if subject.kind in ("binary", "ordinal"):
        return not_applicable("classes", f"{subject.kind} predictions have as many columns as they have")
    z, y = rows_of_five(subject)
    try:
        values = values_at(subject, z, y)
    except Exception as error:
        return passed("classes", f"made for another number of classes; {CLASSES}: {type(error).__name__}")
    if subject.claimed and not subject.class_weights:
        return against_theory(subject, (z, y), values)
    return (
        not_applicable("classes", "no theory says more of them")
        if over(subject.kind) == "labels"
        else (every_class_counts(subject, z, y, values))
    )


def rows_of_five(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Logits of five classes with each label twice, [N, 5]; of several labels random rows."""
    rng = np.random.default_rng(SEED)
    z = rng.normal(0, 1.5, (2 * CLASSES, CLASSES))
    if over(subject.kind) == "classes":
        return z, np.tile(np.eye(CLASSES), (2, 1))
    return z, (rng.random(z.shape) < 0.5).astype(float)


def values_at(subject: Subject, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The losses at rows of logits, one example at a time where need be."""
    probe = probe_of(subject)
    x = z if subject.from_logits else probabilities(subject.kind, z)
    loss, n = probe.raw_values(), len(z) if subject.values == "one each" else 1
    with silenced():
        parts = [
            numbers(
                loss(labels_as_taken(subject, y[i : i + n], "float32"), ops.array(x[i : i + n], "float32"))
            )
            for i in range(0, len(z), n)
        ]
    return np.concatenate(parts).astype("float64")


def against_theory(subject: Subject, place: points.Rows, values: np.ndarray) -> Finding:
    """Compares five classes with the theory, unless the loss is another one with three already."""
    try:
        exact = exact_values(subject, *place)
    except Exception as error:  # the user's own formula
        return not_applicable("classes", f"{subject.theory} takes no {CLASSES} classes: {error}")
    k, factor = probe_of(subject).k, subject.parameters.get("factor", 1.0)
    allowed = {1.0} if factor == 1 else {1.0, k / CLASSES, CLASSES / k}
    if any(np.allclose(values, times * exact, rtol=NEAR, atol=1e-5) for times in allowed):
        return passed("classes", f"{CLASSES} classes, against {subject.theory}", threshold=NEAR)
    row = int(np.abs(values - exact).argmax())
    z, y = (array[row] for array in place)
    if not is_right_with_three(subject):
        return not_applicable("classes", f"with three it is another number than {subject.theory}'s already")
    return replace(
        wrong_class(subject, z, y, float(values[row]), float(exact[row])),
        cause=cause_in_smoothing(subject, *place, values) or cause_in_number(subject, *place, values),
        remedy="take the number of classes from the predictions' last axis, where the formula has it",
    )


def exact_values(subject: Subject, z: np.ndarray, y: np.ndarray, **parameters: float) -> np.ndarray:
    """What its theory gives, as many times as the loss is that."""
    assert subject.claimed is not None
    exact = evaluate(subject.claimed, {**subject.parameters, **parameters}, z, y).value
    return np.asarray(subject.parameters.get("factor", 1.0) * exact)


def is_right_with_three(subject: Subject) -> bool:
    place = trial_points(subject.kind)
    return bool(np.allclose(values_at(subject, *place), exact_values(subject, *place), rtol=NEAR, atol=1e-5))


def cause_in_smoothing(subject: Subject, z: np.ndarray, y: np.ndarray, values: np.ndarray) -> str:
    """In words, where five labels are smoothed by what three are smoothed by; else ""."""
    alpha = subject.parameters.get("label_smoothing", 0.0)
    if over(subject.kind) != "classes" or not alpha:
        return ""
    added = alpha / probe_of(subject).k
    of_three = exact_values(subject, z, y * (1 - alpha) + added, label_smoothing=0.0)
    if not np.allclose(values, of_three, rtol=NEAR, atol=1e-5):
        return ""
    added *= subject.parameters.get("factor", 1.0)
    return f"the smoothing adds {added:.4g} to each class, with {CLASSES} classes as with three"


def every_class_counts(subject: Subject, z: np.ndarray, y: np.ndarray, values: np.ndarray) -> Finding:
    """Without a theory: the loss of each class must depend on the class's own logit."""
    rows = indifferent_rows(subject, z, y, values)
    if not len(rows):
        return passed("classes", f"{CLASSES} classes: the loss of each depends on its own logit")
    row, expected = int(rows[0]), "a loss that depends on the class' logit"
    found = wrong_class(subject, z[row], y[row], float(values[row]), expected)
    return replace(found, cause=cause_in_number(subject, z, y, values))


def indifferent_rows(subject: Subject, z: np.ndarray, y: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The rows whose loss stays as it is when the logit of their class is less by 3."""
    moved = values_at(subject, z - 3 * y, y)
    return np.flatnonzero(np.abs(moved - values) <= 1e-6 * np.maximum(1, np.abs(values)))


def cause_in_number(subject: Subject, z: np.ndarray, y: np.ndarray, values: np.ndarray) -> str:
    """In words, where the classes beyond the third, and they alone, depend on no logit; else ""."""
    if over(subject.kind) != "classes":
        return ""
    indifferent = set(y[indifferent_rows(subject, z, y, values)].argmax(-1).tolist())
    beyond = set(range(probe_of(subject).k, CLASSES))
    return (
        "three classes are written into the loss: those beyond do not count" if indifferent == beyond else ""
    )


def wrong_class(subject: Subject, z: np.ndarray, y: np.ndarray, measured: float, expected: Any) -> Finding:
    label = int(y.argmax()) if subject.kind == "sparse" else y.astype(int).tolist()
    activation = "" if subject.from_logits else ", behind the activation"
    return failed(
        "classes",
        f"y_true = [{label}], logits = [{np.round(z, 6).tolist()}]{activation}",
        measured=reportable(measured),
        expected=expected,
        note=f"{CLASSES} classes in place of three",
    )


CHECKS = (
    LossCheck("arguments", "Arguments do what they are called, and none is without effect.", arguments),
    LossCheck("classes", "Five classes are treated as three are.", more_classes),
)
