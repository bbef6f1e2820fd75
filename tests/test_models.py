"""The small builders, and how far training moves weights."""

import keras
import numpy as np
import pytest

from crosscheck import losses, models
from crosscheck.lab import steps


def test_distance_is_over_all_weights_relative_to_the_way() -> None:
    start = [np.zeros((2, 3)), np.zeros((2, 2, 2))]
    moved = [np.full((2, 3), 2.0), np.full((2, 2, 2), 1.0)]
    apart = [value.copy() for value in moved]
    apart[0][1, 0] += 4  # of the second replicate alone
    np.testing.assert_allclose(steps.distance(apart, moved, start), [0, 4 / np.sqrt(3 * 2**2 + 4 * 1**2)])


def test_steps_are_those_of_gradient_descent() -> None:
    keras.utils.set_random_seed(0)
    model = models.perceptron(3, [], 2)()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)).astype("float32"), rng.integers(2, size=8)
    kernel, bias = (weights.astype("float64") for weights in model.get_weights())
    start = kernel.copy()
    for half in (slice(4), slice(4, None)):
        p = np.exp(x[half] @ kernel + bias)
        off = p / p.sum(1, keepdims=True) - np.eye(2)[y[half]]
        kernel, bias = kernel - 0.5 * x[half].T @ off / 4, bias - 0.5 * off.mean(0)
    moved, _ = steps.stepped(
        model, keras.optimizers.SGD(0.5), losses.sparse_categorical_crossentropy, x, y, batch_size=4
    )
    np.testing.assert_allclose(moved, kernel - start, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends have another complaint")
def test_keras_refuses_a_loss_without_any_gradient() -> None:
    model = models.perceptron(3, [], 2)()
    counted = lambda y, z: keras.ops.cast(keras.ops.not_equal(keras.ops.argmax(z, -1), y), "float32")
    x, y = np.ones((4, 3), "float32"), np.zeros(4, "int64")
    with pytest.raises(ValueError, match="No gradients provided"):
        steps.stepped(model, keras.optimizers.SGD(), counted, x, y, batch_size=4)


def test_keras_adafactor_divides_0_by_0_where_a_row_and_a_column_have_no_gradient() -> None:
    weight = keras.Variable(np.ones((2, 2), "float32"))
    optimizer = keras.optimizers.Adafactor()
    optimizer.build([weight])
    optimizer.apply([keras.ops.convert_to_tensor(np.array([[0, 0], [0, 1]], "float32"))], [weight])
    np.testing.assert_array_equal(np.isnan(keras.ops.convert_to_numpy(weight)).any(), True)
