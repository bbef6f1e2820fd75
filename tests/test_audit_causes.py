"""A cause is stated where it was tried: else the audit says what it measured, and what it cannot tell."""

from __future__ import annotations

from typing import Any

import pytest
from keras import ops
from test_audit_field import verdict

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
