"""A label from which nothing is learnt fails; a loss that is bounded by design is described."""

from __future__ import annotations

from typing import Any

import pytest
from keras import ops
from test_audit_field import verdict

from crosscheck.audit.subjects import subject_of

pytestmark = pytest.mark.every_backend


def positives_alone(y: Any, z: Any) -> Any:
    return -ops.mean(ops.cast(y, z.dtype) * ops.log_sigmoid(z), -1)


def without_class_2(y: Any, z: Any) -> Any:
    return -ops.sum((ops.cast(y, z.dtype) * ops.log_softmax(z))[..., :2], -1)


def ramp(y: Any, z: Any) -> Any:
    """The hinge loss up to 2: robust, and without a gradient for every confident mistake."""
    margin = (2 * ops.cast(y, z.dtype) - 1) * z
    return ops.mean(ops.clip(1 - margin, 0.0, 2.0), -1)


def hinge(y: Any, z: Any) -> Any:
    return ops.mean(ops.relu(1 - (2 * ops.cast(y, z.dtype) - 1) * z), -1)


def squared_distance(y: Any, z: Any) -> Any:
    return ops.mean((z - 3 * (2 * ops.cast(y, z.dtype) - 1)) ** 2, -1)


def dead(loss: Any, kind: str, **told: Any) -> Any:
    return verdict("dead gradient", subject_of(loss, kind, from_logits=True, **told))


@pytest.mark.parametrize(
    ("loss", "kind", "label"),
    [
        (positives_alone, "multilabel", "label 0 at 0"),
        (positives_alone, "binary", "a label of 0"),
        (without_class_2, "categorical", "class 2"),
    ],
)
def test_a_label_that_never_has_a_gradient_fails(loss: Any, kind: str, label: str) -> None:
    found = dead(loss, kind)
    assert found.verdict == "failed" and found.cause.startswith(f"{label} has no gradient")
    assert (found.measured, "within ±4" in found.note) == (0.0, True)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_a_loss_that_leaves_all_confident_mistakes_alone_is_described(kind: str) -> None:
    found = dead(ramp, kind)
    assert found.verdict == "described" and "within ±4 there is one" in found.note


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_margins_that_are_kept_have_no_gradient_and_no_fault(kind: str) -> None:
    assert dead(hinge, kind).verdict == "passed"
    assert dead(squared_distance, kind).verdict == "passed"


def test_a_class_of_weight_0_is_meant_where_it_is_told() -> None:
    assert dead(without_class_2, "categorical", class_weights=(1, 1, 0)).verdict == "passed"
