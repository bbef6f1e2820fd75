"""What the audit describes and does not fail: it is no fault of the loss, and the user must know it."""

from __future__ import annotations

import field_losses as field
import pytest
from keras import ops
from test_audit_field import verdict

from crosscheck.audit import scorecard
from crosscheck.audit.subjects import subject_of

pytestmark = pytest.mark.every_backend


def test_class_numbers_that_a_formula_spreads_are_described_and_no_fault() -> None:
    finding = verdict("integer labels", subject_of(field.NoConstructor, "categorical"))
    assert (finding.verdict, finding.at.count("y_true=[[2.0], [0.0]]")) == ("described", 1)
    spread = scorecard.Scorecard(subject_of(field.NoConstructor, "categorical"), (finding,))
    assert spread.exit_code == 0 and "0 of 1 checks failed, 1 described" in str(spread)
    assert "without a word" in str(spread) and "remedy: compare the shapes" in str(spread)
    refusing = verdict("integer labels", subject_of(field.ZLoss, "categorical"))
    assert refusing.verdict == "passed" and "refused" in refusing.note


class SmoothedAnyway(field.Column):
    """A smoothing of its own beside that of its argument."""

    def call(self, y_true, y_pred):
        y = 0.2 + 0.6 * self.smoothed(ops.cast(y_true, y_pred.dtype))
        return ops.binary_crossentropy(y, y_pred, from_logits=True)

    def smoothed(self, y):
        return y * (1 - self.label_smoothing) + self.label_smoothing / 2


class ForgetsItsSmoothing(SmoothedAnyway):
    def smoothed(self, y):
        return y


def test_a_smoothing_of_its_own_is_described_and_an_argument_without_effect_is_not() -> None:
    finding = verdict("arguments", subject_of(SmoothedAnyway, "binary"))
    assert finding.verdict == "described" and finding.measured == "binary crossentropy smoothed by 0.4"
    without = verdict("arguments", subject_of(ForgetsItsSmoothing, "binary"))
    assert without.verdict == "failed" and "kept and not used" in without.cause


class Delegating(field.ZLoss):
    """Its own `__call__` leaves the reduction to Keras."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)


class Reducing(field.ZLoss):
    """It reduces by itself, in the dtype that it has, as Keras does."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        if self.reduction in (None, "none"):
            return super().__call__(y_true, y_pred, sample_weight=sample_weight)
        y, z = (ops.convert_to_tensor(array, dtype=self.dtype) for array in (y_true, y_pred))
        return ops.sum(ops.cast(self.call(y, z), self.dtype)) / y.shape[0]


def test_what_keras_reduces_is_held_against_keras_alone() -> None:
    finding = verdict("half loss", subject_of(Delegating, "categorical"))
    assert finding.verdict == "passed" and "in Keras' reduction of any loss" in finding.note
    assert verdict("half loss", subject_of(Reducing, "categorical")).verdict == "failed"


def with_epsilon(y, z):
    """ln (Σ e^(z − max) + 0.001) in place of ln Σ e^(z − max)."""
    z = z - ops.stop_gradient(ops.max(z, -1, keepdims=True))
    normaliser = ops.log(ops.sum(ops.exp(z), -1, keepdims=True) + 1e-3)
    return -ops.sum(ops.cast(y, z.dtype) * (z - normaliser), -1)


def mixed(y, z):
    """The logarithm of probabilities of which one in a hundred is spread over the classes."""
    return -ops.sum(ops.cast(y, z.dtype) * ops.log(0.99 * ops.softmax(z) + 0.01 / z.shape[-1]), -1)


@pytest.mark.parametrize(("loss", "off"), [(with_epsilon, 0.001), (mixed, 9.31)])
def test_what_is_nearly_a_theory_is_described_with_its_distance(loss, off) -> None:
    finding = verdict("centre", subject_of(loss, "categorical", from_logits=True))
    assert finding.verdict == "described" and f"off by at most {off:g}" in finding.note
    assert "nearly categorical crossentropy" in finding.note
    assert abs(finding.measured - finding.expected) == pytest.approx(off, rel=1e-2)


def test_what_is_nearly_none_is_not() -> None:
    assert verdict("centre", subject_of(cooled, "categorical", from_logits=True)).verdict == "not applicable"


def cooled(y, z):
    return -ops.sum(ops.cast(y, z.dtype) * ops.log_softmax(z / 2), -1)
