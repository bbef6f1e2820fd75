"""Class numbers of 300 classes: one that is rounded, wrapped or cut off on its way is found."""

from __future__ import annotations

from typing import Any

import pytest
from keras import ops
from test_audit_field import verdict

from crosscheck.audit.subjects import subject_of

pytestmark = pytest.mark.every_backend


def reading(change: Any) -> Any:
    """Cross-entropy of class numbers that go through `change` first."""

    def loss(y: Any, z: Any) -> Any:
        y = ops.cast(change(ops.reshape(y, ops.shape(z)[:-1])), "int32")
        return -ops.sum(ops.one_hot(y, z.shape[-1], dtype=z.dtype) * ops.log_softmax(z), -1)

    return loss


def ordered(y: Any, z: Any) -> Any:
    """A class as far off as its number says costs more: classes are treated unlike each other by design."""
    y = ops.cast(ops.reshape(y, ops.shape(z)[:-1]), z.dtype)
    distance = ops.abs(ops.expand_dims(y, -1) - ops.arange(z.shape[-1], dtype="float32"))
    return ops.sum(ops.softmax(z) * distance, -1)


def too_large(loss: Any) -> Any:
    return verdict("label too large", subject_of(loss, "sparse", from_logits=True))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda y: ops.cast(y, "bfloat16"), "class 257 has the loss of class 256"),
        (lambda y: ops.where(y > 127, y - 256, y), "class 128 has the loss of class 129"),
        (lambda y: ops.mod(y, 256), "class 257 has the loss of class 1"),
        (lambda y: ops.minimum(y, 254), "class 255 has the loss of class 254"),
    ],
    ids=["rounded", "int8", "uint8", "cut off"],
)
def test_a_class_number_that_becomes_another_fails(change: Any, cause: str) -> None:
    found = too_large(reading(change))
    assert found.verdict == "failed" and f"{cause}," in found.cause and "int32" in found.remedy


def test_class_numbers_that_stay_pass() -> None:
    for loss in (reading(lambda y: y), reading(lambda y: ops.cast(y, "float32"))):
        found = too_large(loss)
        assert found.verdict == "passed" and "257" in found.note and "not applicable" not in found.note


def test_classes_that_differ_by_design_are_no_fault() -> None:
    found = too_large(ordered)
    assert found.verdict == "passed" and "other ones than class 3" in found.note


def test_a_loss_for_three_classes_is_not_asked() -> None:
    def three(y: Any, z: Any) -> Any:
        weights = ops.convert_to_tensor([1.0, 2.0, 3.0])
        labels = ops.one_hot(ops.cast(ops.reshape(y, ops.shape(z)[:-1]), "int32"), 3)
        return -ops.sum(weights * labels * ops.cast(ops.log_softmax(z), "float32"), -1)

    assert too_large(three).verdict == "not applicable"
