"""A cause is stated where it was tried: else the audit says what it measured, and what it cannot tell."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from audited import without_xla
from keras import ops
from test_audit_field import verdict

from crosscheck.audit.scorecard import run_all_checks
from crosscheck.audit.subjects import subject_of

pytestmark = pytest.mark.every_backend
SMOOTHING = 0.1


def crossentropy(y: Any, z: Any) -> Any:
    return -ops.sum(ops.cast(y, z.dtype) * ops.log_softmax(z), -1)


def smoothed_by(share: Any) -> Any:
    """Cross-entropy of labels to each of which `share` of the number of classes is added."""

    def loss(y: Any, z: Any) -> Any:
        return crossentropy(ops.cast(y, z.dtype) * (1 - SMOOTHING) + share(z.shape[-1]), z)

    return loss


def focal_of_another_exponent(y: Any, z: Any, gamma: float = 2.0) -> Any:
    logs = ops.log_softmax(z)
    return -ops.sum(ops.cast(y, z.dtype) * (1 - ops.exp(logs)) ** (gamma - 1) * logs, -1)


def mean_over_examples(y: Any, z: Any) -> Any:
    return -ops.mean(ops.cast(y, z.dtype) * ops.log_softmax(z), 0)


def found(check: str, loss: Any, kind: str = "categorical", **told: Any) -> Any:
    return verdict(check, subject_of(loss, kind, from_logits=True, **told))


@pytest.mark.parametrize("share", [lambda k: SMOOTHING / 3, lambda k: SMOOTHING])
def test_a_smoothing_that_forgets_the_number_of_classes_is_named(share: Any) -> None:
    classes = found("classes", smoothed_by(share))
    assert classes.verdict == "failed"
    assert classes.cause == f"the smoothing adds {share(3):.4g} to each class, with 5 classes as with three"


def test_no_such_cause_where_the_number_of_classes_is_taken_from_the_predictions() -> None:
    classes = found("classes", smoothed_by(lambda k: SMOOTHING / (k - 1)))
    assert (classes.verdict, classes.cause) == ("failed", "")


def test_a_loss_that_is_another_one_with_three_classes_is_not_asked_about_five() -> None:
    told: dict[str, Any] = {"theory": "focal", "gamma": 2.0}
    assert found("classes", focal_of_another_exponent, **told).verdict == "not applicable"
    assert found("centre", focal_of_another_exponent, **told).verdict == "failed"


def test_a_class_without_a_loss_is_no_number_of_classes() -> None:
    classes = found(
        "classes", lambda y, z: crossentropy(ops.cast(y, z.dtype) * (ops.arange(z.shape[-1]) > 0), z)
    )
    assert (classes.verdict, classes.cause) == ("failed", "")


@pytest.mark.parametrize("check", ["label range", "label rows", "label fraction"])
def test_a_loss_that_keeps_the_classes_and_not_the_examples_is_no_error_of_the_audit(check: str) -> None:
    assert found(check, mean_over_examples).verdict in ("passed", "not applicable")


def kinked(y: Any, z: Any) -> Any:
    """Binary cross-entropy whose gradient at z = 0 is what `relu` and `abs` make of it: −y."""
    y = ops.cast(y, z.dtype)
    return ops.mean(ops.relu(z) - z * y + ops.softplus(-ops.abs(z)), -1)


def near_crossentropy(y: Any, z: Any) -> Any:
    """ln (Σ e^(z − max) + 0.001) in place of ln Σ e^(z − max)."""
    z = z - ops.stop_gradient(ops.max(z, -1, keepdims=True))
    normaliser = ops.log(ops.sum(ops.exp(z), -1, keepdims=True) + 1e-3)
    return -ops.sum(ops.cast(y, z.dtype) * (z - normaliser), -1)


def test_a_gradient_that_is_wrong_at_0_alone_is_called_that() -> None:
    centre, proper = (found(check, kinked, "binary") for check in ("centre", "proper"))
    assert (centre.verdict, proper.verdict) == ("failed", "failed")
    assert "at this very logit" in centre.cause and "log-softmax" not in centre.remedy
    assert proper.cause == "the gradient is not the derivative of the value there"
    size = 1.0 if keras.backend.backend() == "jax" else 0.5  # which takes other sides of the kinks
    assert (proper.measured, proper.expected) == (pytest.approx(size, abs=0.01), 0.0)


def test_a_minimum_beside_the_true_probabilities_is_no_wrong_gradient() -> None:
    proper = found("proper", near_crossentropy, theory="cross-entropy")
    assert proper.verdict == "failed" and proper.measured != proper.expected
    assert proper.cause == "its minimum is beside the true probabilities, and not at them"


class WithoutWeights(keras.losses.Loss):
    """It reduces by itself, and forgets the weights."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return ops.mean(crossentropy(y_true, ops.convert_to_tensor(y_pred)))


class WeighedByHand(keras.losses.Loss):
    """It reduces by itself, and divides by the sum of the weights."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        losses = crossentropy(y_true, ops.convert_to_tensor(y_pred))
        weights = ops.ones_like(losses) if sample_weight is None else ops.cast(sample_weight, losses.dtype)
        return ops.sum(weights * losses) / ops.sum(weights)


class Unweighable(keras.losses.Loss):
    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return ops.mean(crossentropy(y_true, ops.convert_to_tensor(y_pred)))


class ReducedInCall(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.mean(crossentropy(y_true, y_pred))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (WithoutWeights, "`__call__` leaves `sample_weight` out"),
        (WeighedByHand, "`__call__` weighs each example's loss, and divides by the sum of the weights"),
        (Unweighable, "`__call__` takes no `sample_weight`: TypeError"),
        (ReducedInCall, "Keras multiplies the whole by the mean of `sample_weight`"),
    ],
)
def test_what_becomes_of_weights_is_tried_where_keras_does_not_weigh(loss: Any, words: str) -> None:
    alone = found("per example", loss)
    assert alone.verdict == "failed" and words in alone.note
    assert ("leave `__call__` to Keras" in alone.remedy) == (loss is not ReducedInCall)


def noisy(y: Any, z: Any) -> Any:
    return crossentropy(y, z + 1e-3 * keras.random.normal(z.shape, dtype=z.dtype))


def loud_and_noisy(y: Any, z: Any) -> Any:
    """The mean of the batch, printed: two faults that are no matter of chance."""
    print("loud")
    return ops.mean(crossentropy(y, z + 1e-3 * keras.random.normal(z.shape, dtype=z.dtype)))


def all_found(loss: Any) -> dict[str, Any]:
    with without_xla():
        findings = run_all_checks(subject_of(loss, "categorical", from_logits=True))
    return {finding.check: finding for finding in findings}


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="a compiled draw without a seed is refused there"
)
def test_what_a_random_loss_gives_is_laid_to_nothing_else() -> None:
    findings = all_found(noisy)
    assert {check for check, finding in findings.items() if finding.verdict == "failed"} == {"deterministic"}
    for check in ("per example", "derivative", "saved model"):
        assert findings[check].verdict == "could not look" and "`deterministic`" in findings[check].note


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="a compiled draw without a seed is refused there"
)
def test_faults_that_are_no_matter_of_chance_stay() -> None:
    failed = {check for check, finding in all_found(loud_and_noisy).items() if finding.verdict == "failed"}
    assert {"deterministic", "per example", "quiet"} <= failed
