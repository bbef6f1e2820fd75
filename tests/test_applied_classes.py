"""Losses of imbalance, noise, trees, many labels within Keras: compiled, saved, as replicates, in graphs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from applied_losses import APPLIED, example
from plainly import PLAINLY

from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

pytestmark = pytest.mark.every_backend


def numbers(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("name", APPLIED)
def test_classes_reduce_weight_and_mask_as_keras_does(name: str) -> None:
    y, z = example(name)
    values, weights = numbers(APPLIED[name](y, z)), np.array([0.5, 0, 2, 1, 3, 0.25], "float32")
    whole = {
        "sum_over_batch_size": np.sum(values * weights) / 6,
        "sum": np.sum(values * weights),
        None: values * weights,
    }
    for reduction, expected in whole.items():
        actual = APPLIED[name].loss(reduction=reduction)(y, z, sample_weight=weights)
        np.testing.assert_allclose(numbers(actual), expected, rtol=2e-6)
    masked = keras.ops.convert_to_tensor(z)
    masked._keras_mask = keras.ops.convert_to_tensor(np.array([True, False] * 3))
    np.testing.assert_allclose(numbers(APPLIED[name].loss()(y, masked)), values[::2].mean(), rtol=2e-6)


@pytest.mark.parametrize("name", APPLIED)
def test_configuration_survives_the_round_trip(name: str) -> None:
    loss = APPLIED[name].loss(reduction="sum", name="mine", dtype="float64")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is APPLIED[name].make and again.get_config() == loss.get_config()
    assert again.get_config() == {
        **APPLIED[name].config,
        "reduction": "sum",
        "name": "mine",
        "dtype": "float64",
    }
    y, z = example(name)
    assert float(numbers(again(y, z.astype("float64")))) == float(numbers(loss(y, z.astype("float64"))))


@pytest.mark.parametrize("name", APPLIED)
def test_a_float64_loss_computes_in_float64_and_half_in_float32(name: str) -> None:
    y, z = example(name)
    wide = APPLIED[name].loss(dtype="float64", reduction=None)(y, z.astype("float64"))
    np.testing.assert_array_equal(numbers(wide), numbers(APPLIED[name](y, z.astype("float64"))))
    half = keras.ops.cast(z, "float16")
    actual = APPLIED[name](y, half)
    assert keras.backend.standardize_dtype(actual.dtype) == "float32"
    np.testing.assert_array_equal(numbers(actual), numbers(APPLIED[name](y, keras.ops.cast(half, "float32"))))


@pytest.mark.parametrize("name", APPLIED)
def test_a_compiled_model_is_saved_and_loaded_with_its_loss(name: str, tmp_path) -> None:
    y, x = example(name)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", APPLIED[name].loss(), **PLAINLY)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == model.loss.get_config()
    assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-6)


@pytest.mark.parametrize("name", APPLIED)
def test_replicates_train_as_one_model_does(name: str) -> None:
    y, x = example(name, n=12)
    replicas = Replicates(perceptron(3, [], 3), [1, 2])
    start = replicas.member(1).get_weights()
    replicas.compile(keras.optimizers.SGD(0.1), APPLIED[name].loss(), **PLAINLY)
    replicas.fit(x, y, 12, 3)
    alone = perceptron(3, [], 3)()
    alone.set_weights(start)
    alone.compile(keras.optimizers.SGD(0.1), APPLIED[name].loss(), **PLAINLY)
    alone.fit(x, y, 12, 3, verbose=0)
    for mine, theirs in zip(replicas.member(1).get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert np.abs(start[0] - alone.get_weights()[0]).max() > 1e-3, "they trained"


def test_a_tensorflow_graph_compiles_all() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("of TensorFlow")
    for name, applied in APPLIED.items():
        y, z = example(name)
        compiled = tf.function(applied.__call__, jit_compile=True)(tf.constant(y), tf.constant(z))
        np.testing.assert_allclose(compiled, applied(y, z), rtol=1e-5, atol=1e-7)
