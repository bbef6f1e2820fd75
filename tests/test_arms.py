"""Arms trained as one are what each is when trained alone."""

from __future__ import annotations

import keras
import numpy as np

from crosscheck import losses, models
from crosscheck.replicates import Replicates, compare

SEEDS, EPOCHS, RATE = (3, 5), 2, 0.01
RNG = np.random.default_rng(0)
X, X_TEST = RNG.normal(size=(2, 40, 6)).astype("float32"), RNG.normal(size=(2, 7, 6)).astype("float32")
LABELS, OTHERS = (np.eye(3, dtype="float32")[RNG.integers(0, 3, (2, 40))] for _ in range(2))
ARMS = {
    "ce": (losses.categorical_crossentropy, LABELS),
    "brier": (losses.categorical_brier, LABELS),
    "ce, others": (losses.categorical_crossentropy, OTHERS),
}


def alone(loss, labels) -> np.ndarray:
    replicas = Replicates(models.perceptron(6, [5], 3), SEEDS)
    steps = EPOCHS * 3  # 40 examples in batches of 16
    replicas.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps)), loss)
    replicas.fit(X, labels, batch_size=16, epochs=EPOCHS)
    return replicas.predict(X_TEST)


def test_each_arm_is_what_it_would_be_alone() -> None:
    actual = compare(models.perceptron(6, [5], 3), SEEDS, ARMS, X, X_TEST, RATE, EPOCHS, batch_size=16)
    assert list(actual) == list(ARMS)
    for name, (loss, labels) in ARMS.items():
        np.testing.assert_allclose(actual[name], alone(loss, labels), rtol=1e-4, atol=1e-5)
    assert np.abs(actual["ce"] - actual["brier"]).max() > 1e-3
    assert np.abs(actual["ce"] - actual["ce, others"]).max() > 1e-3
