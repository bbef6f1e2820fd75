"""Shapes and dtypes that our losses take and refuse, and the Keras classes around them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from our_losses import BINARY, CLASSES, DTYPES, FUNCTIONS, example

from crosscheck import losses
from crosscheck.autodiff import logit_gradient

pytestmark = pytest.mark.every_backend

# --- shapes and dtypes ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_zero_one_loss_counts_errors_and_has_no_slope(dtype):
    z = np.array([[2, 1, 0], [1, 2, 0], [1, 1, 0], [-5, -4, -3], [1e4, -1e4, 0]], dtype)
    y = np.array([0, 0, 0, 2, 1], "int32")
    for labels in (y, y[:, None]):
        np.testing.assert_array_equal(losses.zero_one(labels, z), np.array([0, 1, 0.5, 0, 1], dtype))
    np.testing.assert_array_equal(logit_gradient(losses.zero_one, y, z), np.zeros_like(z))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_value_an_example(name):
    y, z = example(name, n=6)
    assert FUNCTIONS[name](y, z).shape == (6,)
    folded = FUNCTIONS[name](y.reshape(2, 3, *y.shape[1:]), z.reshape(2, 3, -1))
    np.testing.assert_array_equal(np.ravel(folded), FUNCTIONS[name](y, z))


@pytest.mark.parametrize("name", BINARY)
def test_labels_without_the_last_axis_are_not_paired_with_every_logit(name):
    y, z = np.array([1.0, 0.0, 1.0], "float32"), np.array([[-3.0], [0.0], [4.0]], "float32")
    np.testing.assert_array_equal(BINARY[name](y, z), BINARY[name](y[:, None], z))
    np.testing.assert_array_equal(CLASSES[name]()(y, z), CLASSES[name]()(y[:, None], z))


def test_integer_labels_may_have_a_last_axis():
    y, z = example("sparse")
    np.testing.assert_array_equal(
        losses.sparse_categorical_crossentropy(y[:, None], z), losses.sparse_categorical_crossentropy(y, z)
    )


@pytest.mark.parametrize(
    ("name", "y", "z"),
    [
        ("binary", (4,), (4, 4)),
        ("binary", (4, 1), (4, 3)),
        ("brier", (4,), (4, 4)),
        ("categorical", (4, 1), (4, 3)),
        ("sparse", (4, 3), (4, 3)),
        ("sparse", (3,), (4, 3)),
    ],
)
def test_shapes_that_do_not_match_are_refused(name, y, z):
    with pytest.raises(ValueError, match="differ in shape"):
        FUNCTIONS[name](np.zeros(y), np.zeros(z))


@pytest.mark.parametrize("dtype", ("bfloat16", "float16"))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_half_precision_logits_are_computed_in_float32(name, dtype):
    y, z = example(name)
    half = tf.cast(z, dtype)
    actual = FUNCTIONS[name](y, half)
    assert actual.dtype == tf.float32
    np.testing.assert_array_equal(actual, FUNCTIONS[name](y, tf.cast(half, "float32")))


# --- the Keras classes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES)
def test_classes_reduce_and_weight_as_keras_does(name):
    y, z = example(name)
    values = FUNCTIONS[name](y, z, 0.1)
    weights = np.array([0.5, 0.0, 2.0, 1.0], "float32")
    expected = {
        "sum_over_batch_size": np.sum(values * weights) / 4,
        "sum": np.sum(values * weights),
        "mean_with_sample_weight": np.sum(values * weights) / weights.sum(),
        None: values * weights,
    }
    for reduction, value in expected.items():
        loss = CLASSES[name](label_smoothing=0.1, reduction=reduction)
        np.testing.assert_allclose(loss(y, z, sample_weight=weights), value, rtol=1e-6)


@pytest.mark.parametrize("name", CLASSES)
def test_masked_examples_do_not_count(name):
    y, z = example(name)
    masked = tf.constant(z)
    masked._keras_mask = tf.constant([True, False, True, False])
    np.testing.assert_allclose(CLASSES[name]()(y, masked), np.mean(FUNCTIONS[name](y, z)[::2]), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("binary", keras.losses.BinaryCrossentropy(from_logits=True)),
        ("categorical", keras.losses.CategoricalCrossentropy(from_logits=True)),
        ("sparse", keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
    ],
)
def test_classes_agree_with_the_built_ins_on_logits(name, builtin):
    y, z = example(name)
    np.testing.assert_allclose(CLASSES[name]()(y, z), builtin(y, z), rtol=1e-6)


@pytest.mark.parametrize("name", CLASSES)
def test_a_float64_loss_computes_in_float64(name):
    y, z = example(name)
    actual = CLASSES[name](dtype="float64", reduction=None)(y, z.astype("float64"))
    np.testing.assert_array_equal(actual, FUNCTIONS[name](y, z.astype("float64")))


@pytest.mark.parametrize("name", CLASSES)
def test_configuration_survives_the_round_trip(name):
    loss = CLASSES[name](label_smoothing=0.2, reduction="sum", name="mine", dtype="float64")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is CLASSES[name]
    assert again.get_config() == loss.get_config()
    assert again.get_config() == {
        "label_smoothing": 0.2,
        "reduction": "sum",
        "name": "mine",
        "dtype": "float64",
    }


@pytest.mark.parametrize("name", CLASSES)
def test_a_compiled_model_is_saved_and_loaded_with_its_loss(name, tmp_path):
    y, x = example(name)
    model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Dense(x.shape[1])])
    model.compile("sgd", CLASSES[name](label_smoothing=0.2))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == model.loss.get_config()
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("alpha", (-0.1, 1.1, float("nan")))
def test_smoothing_outside_the_unit_interval_is_refused(name, alpha):
    with pytest.raises(ValueError, match="label_smoothing"):
        CLASSES[name](label_smoothing=alpha)


@pytest.mark.parametrize("kind", CLASSES)
def test_predictions_without_an_axis_of_labels_or_classes_are_refused(kind):
    """Their mean over the last axis would be one over the examples, weights or not."""
    y = np.array([1, 0, 1])
    with pytest.raises(ValueError, match=r"\[B, 1\]"):
        CLASSES[kind]()(y, np.array([0.5, -2.0, 3.0]), sample_weight=np.array([1.0, 0.0, 1.0]))
