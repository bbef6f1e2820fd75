"""The audit's checks of use: sound losses pass all, a broken one fails the check named for its fault."""

from __future__ import annotations

import warnings

import keras
import pytest
from audited import (
    BROKEN_IN_USE,
    CATALOGUE,
    JAX,
    SOUND_IN_USE,
    TORCH,
    failures,
    subject,
    subject_named,
    use_findings,
)
from use_losses import Clipping, Sparse

from crosscheck.audit.checks.use import CHECKS, behaviour, nearest_keras_loss
from crosscheck.audit.contract import LossCheck, run_check

pytestmark = pytest.mark.every_backend

KNOWN = {  # what valid and careless use of Keras' and of our losses brings to light
    "Keras": {"flat predictions", "smoothing range", "config dtype"},
    "Keras, classes": {"axis", "smoothing range", "config dtype"},
    "Keras, sparse": {"label fraction", "config", "config dtype"}
    | ({"label range"} if JAX or TORCH else set())
    | ({"label NaN"} if JAX else set()),
    "our function, smoothed by anything": {"smoothing range"},  # its class does look
}


def failed(name: str) -> set[str]:
    return set(failures(use_findings(name)))


def check_named(name: str) -> LossCheck:
    return next(check for check in CHECKS if check.id == name)


@pytest.mark.parametrize("name", SOUND_IN_USE)
def test_a_sound_loss_fails_nothing(name: str) -> None:
    assert failed(name) == set()


@pytest.mark.parametrize("name", BROKEN_IN_USE)
def test_a_broken_loss_fails_the_check_of_its_fault_and_no_other(name: str) -> None:
    audited, findings = CATALOGUE[name], use_findings(name)
    assert failed(name) == {audited.check, *audited.also}
    finding = findings[audited.check]
    assert finding.at and finding.measured is not None and finding.cause


@pytest.mark.parametrize("name", KNOWN)
def test_losses_of_keras_fail_what_was_shown_by_hand(name: str) -> None:
    assert failed(name) == KNOWN[name]


def test_every_check_has_a_broken_loss() -> None:
    untried = {"cost", "class weights"}  # the first only reports; the second falls with the weights
    elsewhere = {"retracing"} if TORCH else set()
    broken = {audited.check for audited in BROKEN_IN_USE.values()}
    assert broken == {check.id for check in CHECKS} - untried - elsewhere


@pytest.mark.parametrize("name", ["binary", "multilabel", "categorical", "sparse", "of probabilities"])
def test_the_cost_is_reported_of_every_kind_of_loss(name: str) -> None:
    finding = check_named("cost").ask(subject_named(name))
    assert finding.verdict == "passed" and finding.measured > 0
    assert "ns an element" in finding.note and "by hand" in finding.note


def test_the_cost_of_a_loss_that_cannot_be_called_is_a_failure() -> None:
    assert run_check(check_named("cost"), subject_named("raising")).verdict == "failed"


def test_a_statistic_of_the_batch_is_named_once() -> None:
    finding = use_findings("batch mean added")["per example"]
    assert finding.verdict == "failed" and "statistic of the whole batch" in finding.cause
    assert not {"sample weights", "zero weight", "masks"} & failed("batch mean added")


def test_hinge_reads_an_example_by_its_neighbours() -> None:
    finding = check_named("per example").ask(subject_named("Keras' hinge"))
    # 1 − 0·z for a label of 0; max(1 + z, 0)
    assert (finding.verdict, finding.measured, finding.expected) == ("failed", "[1.0]", "[2.5]")


def test_a_loss_that_cannot_be_called_is_told_once() -> None:
    (finding,) = use_findings("raising").values()
    assert (finding.check, finding.verdict) == ("call", "could not look")
    assert "RuntimeError: no loss today" in finding.note


def test_an_axis_of_1_is_no_fault() -> None:
    finding = use_findings("axis kept")["per example"]
    assert finding.verdict == "passed" and "(4, 1)" in finding.note


def test_what_weight_0_does_to_nan_is_reported() -> None:
    finding = use_findings("categorical")["zero weight"]
    assert finding.verdict == "passed" and finding.measured == "the total is nan"


@pytest.mark.parametrize(("alpha", "name"), [("α/3", "categorical"), ("α/2", "binary")])
def test_the_smoothing_convention_is_told(alpha: str, name: str) -> None:
    assert use_findings(name)["smoothing constant"].measured == alpha


def test_the_nearest_built_in_takes_the_same_labels_and_predictions() -> None:
    for ours in map(subject_named, SOUND_IN_USE):
        beside = nearest_keras_loss(ours)
        assert (beside.kind, beside.from_logits) == (ours.kind, ours.from_logits)
        assert isinstance(beside.make(reduction=None), keras.losses.Loss)


def test_focal_losses_stand_beside_focal_losses() -> None:
    focal = subject(keras.losses.CategoricalFocalCrossentropy, "categorical", from_logits=True)
    assert nearest_keras_loss(focal).name == "keras.losses:CategoricalFocalCrossentropy"


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
    check = check_named("from_logits")
    assert check.ask(subject(Deprecated, "categorical", from_logits=False)).verdict == "failed"
    assert check.ask(subject(Telling, "categorical", from_logits=False)).verdict == "passed"


class SparseSquared(Sparse):
    def values(self, y, x):
        hot = keras.ops.one_hot(keras.ops.cast(y, "int32"), 3, dtype=x.dtype)
        return keras.ops.sum((keras.ops.softmax(x) - self.smoothed(hot, 3)) ** 2, axis=-1)


class SmoothedUnevenly(SparseSquared):
    def smoothed(self, y, k):
        shares = keras.ops.cast(keras.ops.array([0.5, 0.3, 0.2]), y.dtype)
        return y * (1 - self.label_smoothing) + shares * self.label_smoothing


class SparseCubed(SparseSquared):
    """Not proper: where it is least says nothing about its labels."""

    def values(self, y, x):
        return super().values(y, x) ** 1.5


@pytest.mark.parametrize(
    ("loss", "found", "words"),
    [
        (Sparse, "passed", "convention α/3"),
        (SparseSquared, "passed", "convention α/3: there the smoothed loss is least"),
        (SmoothedUnevenly, "failed", "least at no mixture"),
        (SparseCubed, "not applicable", "cannot be asked"),
    ],
)
def test_smoothing_of_integer_labels_shows_in_where_the_loss_is_least(
    loss: type, found: str, words: str
) -> None:
    finding = check_named("smoothing constant").ask(subject(loss, "sparse"))
    assert finding.verdict == found and words in f"{finding.note} {finding.measured}"


def test_one_call_that_does_not_wait_is_enough() -> None:
    heard = iter([0.5, 0.001, 0.7])
    assert behaviour.first_below(heard, 0.02) == 0.001
    assert list(heard) == [0.7]
    assert behaviour.first_below(iter([0.5, 0.3]), 0.02) == 0.3


def test_a_core_that_others_hold_is_no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    check, sound = check_named("awake"), subject_named("categorical")
    monkeypatch.setattr(behaviour, "queueing_seconds", lambda: 0.0)
    monkeypatch.setattr(behaviour.time, "process_time", lambda: 0.0)  # all of a call looks idle
    monkeypatch.setattr(behaviour, "IDLE", 0.0)
    finding = check.ask(sound)
    assert finding.verdict == "could not look" and "the machine is busy" in finding.note
    with monkeypatch.context() as patch:
        patch.setattr(behaviour, "queueing_seconds", behaviour.time.perf_counter)  # all of it in the queue
        patch.setattr(behaviour, "IDLE", 1e-3)
        assert check.ask(sound).verdict == "passed"


def test_no_finding_is_silent() -> None:
    for finding in use_findings("binary").values():
        assert finding.note, finding.check
        assert finding.verdict in ("passed", "not applicable")
