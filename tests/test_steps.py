"""What a few steps move, against what the gradient says they must."""

from __future__ import annotations

import keras
import numpy as np

from crosscheck import losses, models
from crosscheck.lab import steps


def test_one_step_of_gradient_descent_moves_a_linear_model_by_rate_times_gradient() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.integers(10, size=8).astype("int32")
    loss = losses.sparse_categorical_crossentropy
    once = steps.weight_moves(keras.optimizers.SGD(0.1), loss, x, y, 8)
    twice = steps.weight_moves(keras.optimizers.SGD(0.2), loss, x, y, 8)
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-4, atol=1e-6)  # so they have set out from one place
    kernel, bias = once[:40].reshape(4, 10), once[40:]
    assert np.abs(kernel).max() > 1e-3
    np.testing.assert_allclose(bias.sum(), 0, atol=1e-6)  # p − y adds up to 0
    assert (bias[np.setdiff1d(np.arange(10), y)] < 0).all()


def test_a_step_on_one_example_raises_its_own_logit_alone() -> None:
    build = models.perceptron(4, [], 3)
    model = build()
    weights = [np.stack([w, w]) for w in model.get_weights()]
    x, y = np.ones((2, 1, 4), "float32"), np.array([[0], [2]])
    raised = steps.raised_logits(build, weights, x, y, 0.1)
    np.testing.assert_array_equal(raised, np.eye(3, dtype=bool)[y])
