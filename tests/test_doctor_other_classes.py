"""Classes whose logit is not the one that the doctor's readings are of: what becomes of them far out."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from doctor_models import L, S, examined, sparse
from keras import ops

pytestmark = pytest.mark.every_backend
K = 5

LOSSES = {"classes": sparse, "labels": lambda: S.BinaryCrossentropy(from_logits=True)}
UNEVEN = {
    "capped": lambda z: ops.minimum(z, 8.0),
    "floored": lambda z: ops.maximum(z, -30.0),
    "clipped": lambda z: ops.clip(z, -5.0, 5.0),
    "flattened": lambda z: 10 * ops.tanh(z / 10),
    "scaled": lambda z: 3.0 * z,
    "turned": lambda z: -z,
    "bent": lambda z: ops.where(z > 0, z, 0.1 * z),
}


@pytest.mark.parametrize("own", UNEVEN)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("last", [False, True], ids=["all others", "the last"])
def test_a_class_that_loses_its_gradient_far_out_alone_is_found(own: str, loss: str, last: bool) -> None:
    """The readings are of class 0, which is as it should be."""
    inputs = keras.Input((3,))
    alone = np.arange(K) == K - 1 if last else np.arange(K) > 0
    z = L.Dense(K)(inputs)
    found = examined(inputs, L.Lambda(lambda z: ops.where(alone, UNEVEN[own](z), z))(z), LOSSES[loss]())
    assert found.sound == (own in ("scaled", "turned", "bent")), str(found)
    if not found.sound:
        assert "on no step moves the logits of classes" in str(found)
    if own == "clipped":
        assert "from |z| = 10 on" in str(found), "the first size beyond 5 that is looked at"


def test_a_class_whose_gradient_is_no_number_far_out_is_found() -> None:
    inputs = keras.Input((3,))
    z = L.Dense(K)(inputs)
    last = L.Lambda(lambda z: ops.log(ops.exp(z)))(z[:, -1:])  # ∞ from 89 on
    found = examined(inputs, ops.concatenate([z[:, :-1], last], -1), sparse())
    assert found.exit_code == 1 and "on no step moves the logits of classes 4" in str(found), str(found)


def test_of_many_classes_some_are_looked_at() -> None:
    inputs = keras.Input((3,))
    z = L.Dense(3000)(inputs)
    assert examined(inputs, z, sparse()).sound
    rest = np.arange(3000) > 0
    found = examined(inputs, L.Lambda(lambda z: ops.where(rest, ops.clip(z, -5, 5), z))(z), sparse())
    assert found.exit_code == 1 and "classes 1, " in str(found)
