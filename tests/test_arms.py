"""Arms trained as one are what each is when trained alone."""

from __future__ import annotations

import keras
import numpy as np
from plainly import EAGERLY

from crosscheck import losses, models
from crosscheck.replicates import batch_order, compare

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
    """By plain Keras, seed by seed."""
    steps, outputs = EPOCHS * 3, []  # 40 examples in batches of 16
    for seed, x, y, x_test in zip(SEEDS, X, labels, X_TEST, strict=True):
        keras.utils.set_random_seed(seed)
        model = models.perceptron(6, [5], 3)()
        rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
        model.compile(keras.optimizers.Adam(rate), loss, **EAGERLY)
        for epoch in range(EPOCHS):
            order = batch_order(seed, epoch, len(x))
            model.fit(x[order], y[order], 16, shuffle=False, verbose=0)
        outputs.append(keras.ops.convert_to_numpy(model(x_test)))
    return np.stack(outputs)


def test_each_arm_is_what_it_would_be_alone() -> None:
    actual = compare(models.perceptron(6, [5], 3), SEEDS, ARMS, X, X_TEST, RATE, EPOCHS, batch_size=16)
    assert list(actual) == list(ARMS)
    for name, (loss, labels) in ARMS.items():
        np.testing.assert_allclose(actual[name], alone(loss, labels), rtol=1e-4, atol=1e-5)
    assert np.abs(actual["ce"] - actual["brier"]).max() > 1e-3
    assert np.abs(actual["ce"] - actual["ce, others"]).max() > 1e-3
