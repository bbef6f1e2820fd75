"""A bend in the tail of a loss of no known theory is seen; exponentials and powers have none."""

from __future__ import annotations

from typing import Any

import field_losses as field
import pytest
from keras import ops
from test_audit_field import verdict

from crosscheck.audit.checks.theory.bends import first_bend
from crosscheck.audit.contract import Subject
from crosscheck.audit.subjects import subject_of

pytestmark = pytest.mark.every_backend


def squared(y: Any, z: Any) -> Any:
    return ops.sum(ops.square(ops.softmax(z, axis=-1) - y), axis=-1)


def smooth(y: Any, z: Any) -> Any:
    return field.crossentropy(y, z) + 0.5 * squared(y, z)


def bent_from(t: float, by: float) -> Any:
    return lambda y, z: smooth(y, z) + by * ops.relu(ops.max(ops.abs(z), axis=-1) - t)


def stopped_from(t: float) -> Any:
    return lambda y, z: smooth(y, ops.where(ops.abs(z) > t, ops.stop_gradient(z), z))


def logits(loss: Any) -> Subject:
    return Subject("loss", lambda: loss, "categorical", True, None, is_class=False)


@pytest.mark.parametrize("loss", [bent_from(35.764, 0.319), bent_from(14, 0.001), bent_from(57, 0.01)])
def test_a_bend_is_seen_where_no_theory_is_known(loss: Any) -> None:
    for check in ("wrong tail", "right tail"):
        finding = verdict(check, logits(loss))
        assert finding.verdict == "failed" and "a bend" in finding.cause
    assert verdict("wrong tail", logits(stopped_from(30))).verdict == "failed"


@pytest.mark.parametrize(
    "loss",
    [
        smooth,
        squared,
        lambda y, z: smooth(y, z / 20),
        lambda y, z: smooth(y, 30 * z - 15 * y),
        lambda y, z: smooth(y, z) + 1e-6 * ops.square(ops.logsumexp(z, axis=-1)),
        lambda y, z: smooth(y, z) + 1e-8 * ops.sum(ops.power(ops.abs(z), 3), axis=-1),
        lambda y, z: ops.sum(ops.power(z - y, 4), axis=-1),
    ],
)
def test_smooth_tails_have_none(loss: Any) -> None:
    assert first_bend(logits(loss), right=False) is first_bend(logits(loss), right=True) is None
    assert verdict("wrong tail", logits(loss)).verdict == "not applicable"


def test_a_loss_of_probabilities_is_not_asked() -> None:
    assert first_bend(subject_of(field.squared, "categorical"), right=False) is None
