"""The audit's checks of use: sound losses pass all, a broken one fails the check named for its fault."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from audited import (
    Absolute,
    AnyRow,
    BatchMean,
    Binary,
    Broadcast,
    Capped,
    Categorical,
    Clamped,
    Clipping,
    Counted,
    Flat,
    Forgetful,
    Forgiving,
    Kept,
    LastAxis,
    Leaking,
    Printing,
    Raising,
    Reduced,
    Retracing,
    Rounded,
    Shares,
    Sleeping,
    Sparse,
    Squared,
    Stateful,
    Tenth,
    Transposed,
    Truncating,
    Unbounded,
    Unmasked,
    Untyped,
    Unweighted,
    Wrapping,
    handwritten,
    mutating,
    nameless,
    subject,
)

from crosscheck import losses
from crosscheck.audit.checks.use import CHECKS, behaviour, nearest
from crosscheck.audit.contract import Finding, Kind, Subject, asked

SOUND = [
    subject(Binary, "binary"),
    subject(Binary, "multilabel"),
    subject(Squared, "binary"),
    subject(Categorical, "categorical"),
    subject(Categorical, "categorical", label_smoothing=0.25),
    subject(Categorical, "categorical", dtype="bfloat16"),
    subject(Sparse, "sparse"),
    subject(Shares, "categorical", from_logits=False),
    subject(handwritten, "categorical"),
    subject(losses.BinaryCrossentropy, "binary"),
    subject(losses.BinaryCrossentropy, "multilabel"),
    subject(losses.Brier, "binary"),
    subject(losses.Brier, "multilabel"),
    subject(losses.CategoricalCrossentropy, "categorical"),
    subject(losses.CategoricalBrier, "categorical"),
]
JAX, TORCH = (keras.backend.backend() == name for name in ("jax", "torch"))
BROKEN = [  # the loss, the check named for its fault, and what else the same fault must break
    (subject(Reduced, "categorical"), "per example", {"masks", "sample weights", "class weights"}),
    (subject(Unmasked, "categorical"), "masks", set()),
    (subject(Unweighted, "categorical"), "sample weights", {"class weights", "zero weight"}),
    (subject(Leaking, "categorical"), "zero weight", set()),
    (subject(Broadcast, "binary"), "column", {"square"}),
    (subject(Flat, "binary"), "flat predictions", set()),
    (subject(Transposed, "categorical"), "square", set()),
    (subject(AnyRow, "categorical"), "integer labels", set()),
    (subject(LastAxis, "categorical"), "axis", set()),
    (subject(Clamped, "sparse"), "label range", set()),
    (subject(Wrapping, "sparse"), "label range", set()),
    (subject(Absolute, "categorical"), "label range", set()),
    (subject(Capped, "categorical"), "label rows", {"label range"}),
    (subject(Forgiving, "categorical"), "label NaN", set()),
    (subject(Truncating, "sparse"), "label fraction", set()),
    (subject(Rounded, "categorical"), "label fraction", {"label rows"}),
    (subject(Counted, "sparse"), "ignored label", set()),
    (subject(Sparse, "sparse", dtype="bfloat16"), "label too large", set()),
    (subject(Sparse, "sparse", dtype="float16"), "label too large", set()),
    (subject(Clipping, "categorical", from_logits=False), "from_logits", set()),
    (subject(Tenth, "categorical"), "smoothing constant", set()),
    (subject(Unbounded, "categorical"), "smoothing range", set()),
    (subject(Forgetful, "categorical"), "config", {"saved model"}),
    (subject(Untyped, "categorical"), "config dtype", set()),
    (subject(nameless(), "categorical"), "saved model", set()),
    (subject(Stateful, "categorical"), "deterministic", {"class weights"} if JAX or TORCH else set()),
    (subject(mutating, "categorical"), "inputs kept", set()),
    (subject(Printing, "categorical"), "quiet", set()),
    (subject(Sleeping, "categorical"), "awake", set()),
    *([] if TORCH else [(subject(Retracing, "categorical"), "retracing", set[str]())]),
]
KERAS = [  # built-ins from logits on valid use: what they fail is in results/audit/defects
    (keras.losses.BinaryCrossentropy, "binary", {"flat predictions", "smoothing range", "config dtype"}),
    (keras.losses.CategoricalCrossentropy, "categorical", {"axis", "smoothing range", "config dtype"}),
    (
        keras.losses.SparseCategoricalCrossentropy,
        "sparse",
        {"label fraction", "config", "config dtype"}
        | ({"label range"} if JAX or TORCH else set())
        | ({"label NaN"} if JAX else set()),
    ),
]
OURS = [  # what the same checks find in this suite's own losses
    (losses.categorical_crossentropy, "categorical", {"smoothing range"}),  # its class does look
    (losses.SparseCategoricalCrossentropy, "sparse", set()),
]


def name(value: object) -> str:
    return f"{value.name}-{value.kind}" if isinstance(value, Subject) else ""


def failures(some: Subject) -> dict[str, Finding]:
    return {found.check: found for found in asked(CHECKS, some) if found.verdict == "failed"}


@pytest.mark.parametrize("some", SOUND, ids=name)
def test_a_sound_loss_fails_nothing(some: Subject) -> None:
    assert failures(some) == {}


@pytest.mark.parametrize(("some", "check", "also"), BROKEN, ids=name)
def test_a_broken_loss_fails_the_check_of_its_fault_and_no_other(
    some: Subject, check: str, also: set[str]
) -> None:
    found = failures(some)
    assert set(found) == {check, *also}
    assert found[check].at and found[check].measured is not None and found[check].cause


@pytest.mark.parametrize(("made", "kind", "known"), KERAS + OURS)
def test_built_ins_fail_what_was_shown_by_hand(made: type, kind: Kind, known: set[str]) -> None:
    logits = {"from_logits": True} if made.__module__.startswith("keras") else {}
    assert set(failures(subject(made, kind, **logits))) == known


def test_every_check_has_a_broken_loss() -> None:
    reported = {"cost", "class weights"}  # the first is never failed; the second falls with the weights
    elsewhere = {"retracing"} if TORCH else set()
    assert {check for _, check, _ in BROKEN} == {check.id for check in CHECKS} - reported - elsewhere


def test_a_statistic_of_the_batch_shows() -> None:
    found = failures(subject(BatchMean, "categorical"))
    assert {"per example", "sample weights", "zero weight"} <= set(found)


def test_hinge_reads_an_example_by_its_neighbours() -> None:
    found = failures(subject(keras.losses.Hinge, "binary"))["per example"]
    assert (found.measured, found.expected) == ("[1.0]", "[2.5]")  # 1 − 0·z for a label of 0; max(1 + z, 0)


@pytest.mark.parametrize("made", [Raising, Kept])
def test_a_loss_that_cannot_be_used_is_told_and_the_others_go_on(made: type) -> None:
    findings = asked(CHECKS, subject(made, "categorical"))
    assert len(findings) == len(CHECKS)
    told = {found.check: found for found in findings}
    assert told["per example"].verdict == "failed"
    if made is Raising:
        assert [found.check for found in findings if found.verdict == "passed"] == []
        assert told["quiet"].measured == "RuntimeError: no loss today"
    else:
        assert told["per example"].measured == "shape (4, 1)"


def test_what_weight_0_does_to_nan_is_reported() -> None:
    found = next(f for f in asked(CHECKS, SOUND[3]) if f.check == "zero weight")
    assert found.verdict == "passed" and found.measured == "the total is nan"


@pytest.mark.parametrize(("alpha", "some"), [("α/3", SOUND[3]), ("α/2", SOUND[0])])
def test_the_smoothing_convention_is_told(alpha: str, some: Subject) -> None:
    found = next(f for f in asked(CHECKS, some) if f.check == "smoothing constant")
    assert found.measured == alpha


def test_the_nearest_built_in_takes_the_same_labels_and_predictions() -> None:
    for some in SOUND:
        beside = nearest(some)
        assert (beside.kind, beside.from_logits) == (some.kind, some.from_logits)
        assert isinstance(beside.make(reduction=None), keras.losses.Loss)


def test_focal_losses_stand_beside_focal_losses() -> None:
    focal = subject(keras.losses.CategoricalFocalCrossentropy, "categorical", from_logits=True)
    assert nearest(focal).name == "keras.losses:CategoricalFocalCrossentropy"


class Deprecated(Clipping):
    """Warns, and not of what it was given."""

    def values(self, y, x):
        warnings.warn("this will go in the next version", stacklevel=2)
        return super().values(y, x)


class Telling(Clipping):
    def values(self, y, x):
        warnings.warn("are these logits?", stacklevel=2)
        return super().values(y, x)


@pytest.mark.filterwarnings("ignore")
def test_only_a_warning_about_the_predictions_tells_of_logits() -> None:
    check = next(each for each in CHECKS if each.id == "from_logits")
    assert check.ask(subject(Deprecated, "categorical", from_logits=False)).verdict == "failed"
    assert check.ask(subject(Telling, "categorical", from_logits=False)).verdict == "passed"


class SparseSquared(Sparse):
    def values(self, y, x):
        hot = keras.ops.one_hot(keras.ops.cast(y, "int32"), 3, dtype=x.dtype)
        return keras.ops.sum((keras.ops.softmax(x) - self.smoothed(hot, 3)) ** 2, axis=-1)


def test_what_is_not_affine_in_integer_labels_has_no_constant_to_solve_for() -> None:
    check = next(each for each in CHECKS if each.id == "smoothing constant")
    assert check.ask(subject(SparseSquared, "sparse")).verdict == "not applicable"
    assert check.ask(subject(Sparse, "sparse")).verdict == "passed"


def test_one_call_that_does_not_wait_is_enough() -> None:
    heard = iter([0.5, 0.001, 0.7])
    assert behaviour.least(heard, 0.02) == 0.001
    assert list(heard) == [0.7]
    assert behaviour.least(iter([0.5, 0.3]), 0.02) == 0.3


def test_no_finding_is_silent() -> None:
    for found in asked(CHECKS, SOUND[0]):
        assert found.note, found.check
        assert np.isin(found.verdict, ("passed", "not applicable"))
