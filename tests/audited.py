"""The losses that the tests audit, sound and broken in one place each, with what the audit is to find.

Faults that random losses have in `benchmarks.audit_rates`, too, come from there, with a parameter of our own
choice. The findings about a loss are kept for the session, however many tests look at them.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import keras
import theory_losses
import use_losses
from keras import ops

from benchmarks.audit_rates import behaviours, faults
from benchmarks.audit_rates.behaviours import behaving, labels
from benchmarks.audit_rates.choices import OneValue, RandomLoss
from benchmarks.audit_rates.faults import Fault
from benchmarks.audit_rates.sound import CLASS_FORMS, LABEL_FORMS, Recipe, theory_of
from crosscheck import losses
from crosscheck.audit.checks import theory, use
from crosscheck.audit.checks.theory import agreement
from crosscheck.audit.contract import Finding, Kind, Subject, run_checks
from crosscheck.audit.form import with_form
from crosscheck.audit.subjects import subject_of
from crosscheck.audit.theories import class_crossentropy, label_crossentropy

JAX, TORCH, TENSORFLOW = (keras.backend.backend() == name for name in ("jax", "torch", "tensorflow"))
USE_CHECKS = tuple(check for check in use.CHECKS if check.id != "cost")
CLASSES = Recipe(
    "cross-entropy",
    "categorical",
    CLASS_FORMS["log_softmax"],
    theory_of("categorical", class_crossentropy),
)
SPARSE = Recipe(
    "cross-entropy", "sparse", CLASS_FORMS["log_softmax"], theory_of("sparse", class_crossentropy)
)
LABELS = Recipe(
    "cross-entropy", "binary", LABEL_FORMS["softplus twice"], theory_of("binary", label_crossentropy)
)


def subject(loss: Any, kind: Kind, from_logits: bool = True, **config: Any) -> Subject:
    """A class or function as a subject of no theory: constructor arguments replace those of `config`."""
    if isinstance(loss, type):
        make: Callable[..., Any] = lambda **a: loss(**{**config, **a})
    else:
        make = lambda **a: partial(loss, **{**config, **a}) if config or a else loss
    return with_form(Subject(loss.__name__, make, kind, from_logits, None, config, isinstance(loss, type)))


def faulty(fault: Fault, value: Any, recipe: Recipe, told: bool = False) -> Callable[[], Subject]:
    """A fault of `benchmarks.audit_rates` in a cross-entropy, which is told or left to be recognised."""
    return lambda: fault(OneValue(value), recipe).subject(claim_told=told)


def unclaimed(fault: Fault, value: Any, recipe: Recipe) -> Callable[[], Subject]:
    """The same as a subject of no theory, which checks of use do not ask for."""

    def make() -> Subject:
        loss: RandomLoss = fault(OneValue(value), recipe)
        return with_form(Subject(loss.fault, loss.make, loss.kind, True, None, is_class=loss.is_class))

    return make


@dataclass(frozen=True)
class Audited:
    """A loss, and what its audit is to find.

    Attributes:
        subject: makes its subject.
        check: that is named for its fault; "" for a sound loss.
        also: other checks that the same fault must fail, or in theory may fail.
    """

    subject: Callable[[], Subject]
    check: str = ""
    also: frozenset[str] = frozenset()


def sound(loss: Any, kind: str | None, **config: Any) -> Audited:
    return Audited(lambda: subject_of(loss, kind, **config))


def used(loss: Any, kind: Kind, from_logits: bool = True, **config: Any) -> Audited:
    return Audited(lambda: subject(loss, kind, from_logits, **config))


def broken(make: Callable[[], Subject], check: str, *also: str) -> Audited:
    return Audited(make, check, frozenset(also))


@functools.cache
def subject_named(name: str) -> Subject:
    return CATALOGUE[name].subject()


@functools.cache
def theory_findings(name: str) -> dict[str, Finding]:
    """The findings of all checks of theory about a loss of the catalogue, by check."""
    is_sound = name in SOUND_IN_THEORY or name in OF_KERAS
    with contextlib.nullcontext() if is_sound else without_xla():
        return {finding.check: finding for finding in run_checks(theory.CHECKS, subject_named(name))}


@contextlib.contextmanager
def without_xla() -> Iterator[None]:
    """Leaves XLA out of the check `modes`: none of these faults is XLA's, and compiling is half an audit."""
    with mock.patch.dict(agreement.MODES, tensorflow=("eager",)):
        yield


@functools.cache
def use_findings(name: str) -> dict[str, Finding]:
    """The findings of all checks of use but `cost`, which only reports, about a loss of the catalogue."""
    return {finding.check: finding for finding in run_checks(USE_CHECKS, subject_named(name))}


def failures(findings: dict[str, Finding]) -> dict[str, Finding]:
    return {check: finding for check, finding in findings.items() if finding.verdict == "failed"}


def claimed(loss: Any, kind: Kind = "categorical", theory: str | None = None) -> Callable[[], Subject]:
    """A loss whose theory is told, or recognised where it has one."""
    return lambda: subject_of(loss, kind, theory, from_logits=True)


SOUND_IN_THEORY = {
    "ours": sound(losses.BinaryCrossentropy(), "binary"),
    "ours, labels": sound(losses.BinaryCrossentropy(label_smoothing=0.2), "multilabel"),
    "ours, classes": sound(losses.CategoricalCrossentropy(), "categorical"),
    "ours, smoothed": sound(losses.CategoricalCrossentropy(label_smoothing=0.1), "categorical"),
    "ours, sparse": sound(losses.SparseCategoricalCrossentropy(), "sparse"),
    "Brier": sound(losses.Brier(), "binary"),
    "Brier of classes": sound(losses.CategoricalBrier(), "categorical"),
    "our function": sound(losses.categorical_crossentropy, "categorical"),
    "our function of labels": sound(losses.binary_crossentropy, "binary"),
    "by hand": sound(theory_losses.crossentropy, "categorical"),
    "by hand, labels": sound(theory_losses.label_loss, "binary"),
}
OF_KERAS = {  # from logits; sound in theory but for the sum of a loss made in float16
    "Keras": sound(keras.losses.BinaryCrossentropy, "binary", from_logits=True),
    "Keras, labels": sound(keras.losses.BinaryCrossentropy, "multilabel", from_logits=True),
    "Keras, smoothed": sound(
        keras.losses.BinaryCrossentropy, "binary", from_logits=True, label_smoothing=0.1
    ),
    "Keras, sparse": sound(keras.losses.SparseCategoricalCrossentropy, "sparse", from_logits=True),
    "Keras, classes": sound(keras.losses.CategoricalCrossentropy, "categorical", from_logits=True),
}
SOFT_FAULTS = ("centre", "wrong tail", "dead gradient", "unnormalised", "proper", "hessian", "half precision")
BROKEN_IN_THEORY = {
    "twice": broken(faulty(faults.factor, 2.0, CLASSES, told=True), "centre", "wrong tail", "right tail"),
    "in bits": broken(faulty(faults.factor, 1 / math.log(2), CLASSES), "centre"),
    "bent tail": broken(claimed(theory_losses.bent_tail, "binary"), "wrong tail", "right tail"),
    "dead": broken(faulty(faults.capped, 12, LABELS), "dead gradient", "wrong tail", "half precision"),
    "clipped": broken(
        claimed(theory_losses.clipped), "dead gradient", "wrong tail", "half precision", "unnormalised"
    ),
    "island of NaN": broken(claimed(theory_losses.island_of_nan), "finite"),
    "overflowing": broken(
        claimed(theory_losses.overflowing),
        "finite",
        "wrong tail",
        "right tail",
        "dead gradient",
        "half precision",
    ),
    "overflowing softmax": broken(
        faulty(faults.overflowing, None, CLASSES),
        "finite",
        *("wrong tail", "right tail", "dead gradient", "half precision", "shift", "large batch", "half loss"),
    ),
    "detached": broken(claimed(theory_losses.detached), "derivative", *SOFT_FAULTS),
    "twice the gradient": broken(faulty(faults.detached, 2, CLASSES), "derivative", *SOFT_FAULTS),
    "wrong sign": broken(faulty(faults.detached, -1.0, CLASSES), "derivative", *SOFT_FAULTS, "right tail"),
    "stuck at zero": broken(
        claimed(theory_losses.stuck_at_zero, "binary"), "derivative", "centre", "proper", "half precision"
    ),
    "slightly steeper": broken(
        claimed(theory_losses.slightly_steeper, "binary"), "derivative", *SOFT_FAULTS, "symmetry"
    ),
    "anchored": broken(faulty(faults.anchored, 0.1, CLASSES, told=True), "shift", *SOFT_FAULTS, "right tail"),
    "offset": broken(
        claimed(theory_losses.offset, theory="cross-entropy"), "shift", *SOFT_FAULTS, "right tail"
    ),
    "leaning": broken(claimed(theory_losses.leaning), "shift", *SOFT_FAULTS, "derivative", "right tail"),
    "drifting": broken(claimed(theory_losses.drifting), "shift", *SOFT_FAULTS, "derivative", "right tail"),
    "lossy": broken(claimed(theory_losses.lossy), "right tail", "proper", "shift", "half precision"),
    "tilted": broken(claimed(theory_losses.tilted), "wrong tail", "right tail"),
    "lopsided": broken(faulty(faults.lopsided, 1, CLASSES, told=True), "symmetry", *SOFT_FAULTS, "classes"),
    "improper": broken(faulty(faults.improper, 0.1, CLASSES, told=True), "proper", *SOFT_FAULTS),
    "flat": broken(claimed(theory_losses.flat), "hessian"),
    "half clipped": broken(faulty(faults.half_clipped, 60, CLASSES), "half precision"),
    "activated twice": broken(claimed(theory_losses.activated_twice, "multilabel"), "activated once"),
    "sums in half": broken(claimed(theory_losses.SumsInHalf), "large batch", "half loss"),
}
if TENSORFLOW:
    BROKEN_IN_THEORY["other when eager"] = broken(claimed(theory_losses.other_when_eager), "modes")
SOUND_IN_USE = {
    "binary": used(use_losses.Binary, "binary"),
    "multilabel": used(use_losses.Binary, "multilabel"),
    "squared": used(use_losses.Squared, "binary"),
    "categorical": used(use_losses.Categorical, "categorical"),
    "categorical, smoothed": used(use_losses.Categorical, "categorical", label_smoothing=0.25),
    "categorical in bfloat16": used(use_losses.Categorical, "categorical", dtype="bfloat16"),
    "sparse": used(use_losses.Sparse, "sparse"),
    "of probabilities": used(use_losses.Shares, "categorical", from_logits=False),
    "handwritten": used(use_losses.handwritten, "categorical"),
    "ours, used": used(losses.BinaryCrossentropy, "binary"),
    "ours, labels, used": used(losses.BinaryCrossentropy, "multilabel"),
    "Brier, used": used(losses.Brier, "binary"),
    "Brier of labels, used": used(losses.Brier, "multilabel"),
    "ours, classes, used": used(losses.CategoricalCrossentropy, "categorical"),
    "Brier of classes, used": used(losses.CategoricalBrier, "categorical"),
    "ours, sparse, used": used(losses.SparseCategoricalCrossentropy, "sparse"),
}


def spoiled(make: Callable[..., Any], kind: Kind, check: str, *also: str, **config: Any) -> Audited:
    """A loss that is broken in use: it fails the check, these others and no more."""
    return broken(lambda: subject(make, kind, **config), check, *also)


BROKEN_IN_USE = {
    "reduced": broken(
        unclaimed(faults.reduced, None, CLASSES),
        "per example",
        "saved model",  # it has no name
    ),
    "unmasked": spoiled(use_losses.Unmasked, "categorical", "masks"),
    "unweighted": broken(
        unclaimed(behaving("ignores weights", "", behaviours.unweighted), None, CLASSES),
        "sample weights",
        *("class weights", "zero weight"),
    ),
    "leaking": spoiled(use_losses.Leaking, "categorical", "zero weight"),
    "broadcast": broken(unclaimed(faults.unpaired, None, LABELS), "column", "square", "flat predictions"),
    "flat predictions": spoiled(use_losses.Flat, "binary", "flat predictions"),
    "transposed": spoiled(use_losses.Transposed, "categorical", "square"),
    "any row": spoiled(use_losses.AnyRow, "categorical", "integer labels"),
    "last axis": spoiled(use_losses.LastAxis, "categorical", "axis"),
    "clamped": broken(
        unclaimed(labels("clamps classes", "", lambda y: ops.clip(y, 0, 2)), None, SPARSE), "label range"
    ),
    "wrapping": spoiled(use_losses.Wrapping, "sparse", "label range"),
    "absolute": spoiled(use_losses.Absolute, "categorical", "label range"),
    "capped": spoiled(use_losses.Capped, "categorical", "label rows", "label range"),
    "forgiving": broken(
        unclaimed(
            labels("forgives NaN", "", lambda y: ops.where(ops.isnan(y), ops.zeros_like(y), y)), None, CLASSES
        ),
        "label NaN",
    ),
    "truncating": broken(unclaimed(labels("truncates", "", ops.floor), None, SPARSE), "label fraction"),
    "rounded": broken(
        unclaimed(labels("rounds", "", ops.round), None, CLASSES), "label fraction", "label rows"
    ),
    "counted": spoiled(use_losses.Counted, "sparse", "ignored label"),
    "large label in bfloat16": spoiled(use_losses.Sparse, "sparse", "label too large", dtype="bfloat16"),
    "large label in float16": spoiled(use_losses.Sparse, "sparse", "label too large", dtype="float16"),
    "clipping": spoiled(use_losses.Clipping, "categorical", "from_logits", from_logits=False),
    "smoothing by a tenth": broken(
        unclaimed(behaving("smooths otherwise", "", behaviours.smoothing_other), 0.1, CLASSES),
        "smoothing constant",
    ),
    "smoothing by anything": broken(
        unclaimed(behaving("smooths by anything", "", behaviours.smoothing_any), None, CLASSES),
        "smoothing range",
    ),
    "forgetful": spoiled(use_losses.Forgetful, "categorical", "config", "saved model"),
    "untyped": spoiled(use_losses.Untyped, "categorical", "config dtype"),
    "nameless": spoiled(use_losses.nameless(), "categorical", "saved model"),
    "stateful": broken(
        unclaimed(behaving("keeps a state", "", behaviours.stateful), 0.125, CLASSES),
        "deterministic",
        *(["class weights"] if JAX or TORCH else []),
    ),
    "mutating": spoiled(use_losses.mutating, "categorical", "inputs kept"),
    "printing": broken(unclaimed(behaving("prints", "", behaviours.printing), None, CLASSES), "quiet"),
    "without temperature": spoiled(use_losses.Untempered, "categorical", "arguments"),
    "first three": spoiled(use_losses.FirstThree, "categorical", "classes"),
    "sleeping": spoiled(use_losses.Sleeping, "categorical", "awake"),
}
if not TORCH:
    BROKEN_IN_USE["retracing"] = spoiled(use_losses.Retracing, "categorical", "retracing")
OTHERS = {
    "unheard of": broken(claimed(theory_losses.unheard_of), ""),
    "unheard of and clipped": broken(
        claimed(theory_losses.unheard_of_and_clipped), "dead gradient", "wrong tail"
    ),
    "batch mean added": broken(unclaimed(faults.batch_statistic, 0.1, CLASSES), "per example"),
    "raising": spoiled(use_losses.Raising, "categorical", "per example"),
    "axis kept": spoiled(use_losses.Kept, "categorical", "per example"),
    "Keras' hinge": spoiled(keras.losses.Hinge, "binary", "per example"),
    "our function, smoothed by anything": spoiled(
        losses.categorical_crossentropy, "categorical", "smoothing range"
    ),
}
CATALOGUE = {
    **SOUND_IN_THEORY,
    **OF_KERAS,
    **BROKEN_IN_THEORY,
    **SOUND_IN_USE,
    **BROKEN_IN_USE,
    **OTHERS,
}
