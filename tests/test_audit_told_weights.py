"""Class weights that a user tells are claimed: the audit finds them in a loss, or says which are there."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from test_audit_field import verdict

from crosscheck.audit.subjects import subject_of

pytestmark = pytest.mark.every_backend
CLASS_WEIGHTS, LABEL_WEIGHTS = (0.5, 2.0, 10.0), (1.0, 3.0)


def of_classes(weights: Any, inside: bool = False, smoothing: float = 0.0, penalty: float = 0.0) -> Any:
    """Cross-entropy with these weights: on the loss, or on the logits; in part, where something is added."""

    def loss(y: Any, z: Any) -> Any:
        w, y = ops.cast(np.array(weights), z.dtype), ops.cast(y, z.dtype)
        y = y * (1 - smoothing) + smoothing / 3
        extra = penalty * ops.logsumexp(z, -1) ** 2
        return -ops.sum((y if inside else w * y) * ops.log_softmax(w * z if inside else z), -1) + extra

    return loss


def of_labels(absent: float, present: float, power: float = 0.0) -> Any:
    """Binary cross-entropy with these weights, its negatives times p^power."""

    def loss(y: Any, z: Any) -> Any:
        y = ops.cast(y, z.dtype)
        negative = (1 - y) * ops.sigmoid(z) ** power * ops.softplus(z)
        return ops.mean(present * y * ops.softplus(-z) + absent * negative, -1)

    return loss


def squared_margin(weights: Any) -> Any:
    """A loss of no known theory with weights: the square of the sum of the margins that are missed."""

    def loss(y: Any, z: Any) -> Any:
        y = ops.cast(y, z.dtype)
        own = ops.sum(y * z, -1, keepdims=True)
        missed = ops.sum((1 - y) * ops.softplus(1 + z - own), -1) ** 2
        return ops.sum(ops.cast(np.array(weights), z.dtype) * y, -1) * missed

    return loss


def told(loss: Any, weights: Any, kind: str) -> Any:
    return verdict("symmetry", subject_of(loss, kind, class_weights=weights, from_logits=True))


@pytest.mark.parametrize("make", [of_classes, squared_margin])
@pytest.mark.parametrize(
    ("has", "cause"),
    [
        ((1.0, 1.0, 1.0), "every class has the same weight"),
        ((10.0, 10.0, 10.0), "every class has the same weight"),
        ((2.0, 0.5, 10.0), "in another order"),
        ((0.5, 2.0, 9.0), ""),
    ],
)
def test_class_weights_that_were_told_and_are_not_there_fail(make: Any, has: Any, cause: str) -> None:
    found = told(make(has), CLASS_WEIGHTS, "categorical")
    assert found.verdict == "failed" and str(list(CLASS_WEIGHTS)) in found.expected
    assert cause in found.cause and bool(cause) == bool(found.cause)
    assert make is not of_classes or found.measured == f"class weights {list(has)}"


@pytest.mark.parametrize("has", [(1.0, 1.0), (3.0, 3.0), (3.0, 1.0), (1.0, 2.0)])
@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_so_do_those_of_labels(has: Any, kind: str) -> None:
    found = told(of_labels(*has), LABEL_WEIGHTS, kind)
    assert found.verdict == "failed" and found.measured == f"class weights {list(has)}"


def test_weights_on_the_logits_are_none_on_the_loss() -> None:
    found = told(of_classes(CLASS_WEIGHTS, inside=True), CLASS_WEIGHTS, "categorical")
    assert found.verdict == "failed" and "same weight" in found.cause


@pytest.mark.parametrize("times", [1.0, 0.25])
@pytest.mark.parametrize("make", [of_classes, squared_margin])
def test_weights_that_are_there_are_found(make: Any, times: float) -> None:
    found = told(make(tuple(times * weight for weight in CLASS_WEIGHTS)), CLASS_WEIGHTS, "categorical")
    assert found.verdict == "passed" and str(list(CLASS_WEIGHTS)) in found.note
    of_pair = told(of_labels(times * 1.0, times * 3.0), LABEL_WEIGHTS, "binary")
    assert of_pair.verdict == "passed" and str(list(LABEL_WEIGHTS)) in of_pair.note


@pytest.mark.parametrize("added", [{"smoothing": 0.1}, {"penalty": 0.05}])
def test_weights_on_a_part_of_the_loss_are_described(added: dict[str, float]) -> None:
    found = told(of_classes(CLASS_WEIGHTS, **added), CLASS_WEIGHTS, "categorical")
    assert found.verdict == "described" and "multiply a part of the loss" in found.note


def test_where_labels_are_treated_apart_anyway_nothing_can_be_told() -> None:
    found = told(of_labels(1.0, 3.0, power=1.5), LABEL_WEIGHTS, "binary")
    assert found.verdict == "could not look" and "cannot tell" in found.note


def test_nor_of_a_loss_that_divides_by_the_weights_of_its_batch() -> None:
    def normalised(y: Any, z: Any) -> Any:
        weights = ops.sum(ops.cast(y, z.dtype) * ops.cast(np.array(CLASS_WEIGHTS), z.dtype), -1)
        return weights * of_classes((1.0, 1.0, 1.0))(y, z) / ops.mean(weights)

    assert told(normalised, CLASS_WEIGHTS, "categorical").verdict == "could not look"


def test_weights_told_of_one_of_keras_own_are_asked_for() -> None:
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    assert told(loss, CLASS_WEIGHTS, "categorical").verdict == "failed"
