"""A sparse loss that ignores one negative number on purpose is described; one that takes it amiss fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops
from test_audit_field import verdict

from crosscheck.audit.subjects import subject_of

pytestmark = pytest.mark.every_backend


def ignoring(is_ignored: Any, instead: int = 0, gradient: float = 0.0) -> Any:
    """Cross-entropy that is 0 where `is_ignored(y)`, and NaN for what is no class otherwise."""

    def loss(y: Any, z: Any) -> Any:
        y = ops.cast(ops.reshape(y, ops.shape(z)[:-1]), "int32")
        ignored, k = is_ignored(y), z.shape[-1]
        labels = ops.one_hot(ops.where(ignored, instead, y), k, dtype=z.dtype)
        losses = -ops.sum(labels * ops.log_softmax(z), -1)
        valid = ops.logical_or(ignored, ops.logical_and(y >= 0, y < k))
        left = gradient * (z[..., 0] - ops.stop_gradient(z[..., 0]))
        return ops.where(valid, ops.where(ignored, left, losses), ops.full_like(losses, np.nan))

    return loss


def label_range(loss: Any) -> Any:
    return verdict("label range", subject_of(loss, "sparse", from_logits=True))


@pytest.mark.parametrize("number", [-1, -100])
def test_a_loss_that_ignores_one_negative_number_is_described(number: int) -> None:
    found = label_range(ignoring(lambda y: y == number))
    assert found.verdict == "described" and f"it ignores class {number}:" in found.note


@pytest.mark.parametrize(
    "loss",
    [
        ignoring(lambda y: y < 0),  # whatever is negative
        ignoring(lambda y: y == 3),  # the first class that there is not
        ignoring(lambda y: y == -1, gradient=1.0),
    ],
)
def test_what_ignores_more_or_has_a_gradient_for_it_fails(loss: Any) -> None:
    assert label_range(loss).verdict == "failed"


def test_a_row_of_no_class_is_not_ignored_on_purpose() -> None:
    def spread(y: Any, z: Any) -> Any:  # one_hot gives 0 for every number that is no class
        y = ops.cast(ops.reshape(y, ops.shape(z)[:-1]), "int32")
        return -ops.sum(ops.one_hot(y, z.shape[-1], dtype=z.dtype) * ops.log_softmax(z), -1)

    assert label_range(spread).verdict == "failed"
