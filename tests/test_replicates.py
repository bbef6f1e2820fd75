"""Replicate r is a plain `model.fit`: the same weights, the same batches, the same numbers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite import losses
from suite.models import perceptron
from suite.replicates import Replicates, batch_order

SEEDS = (3, 5, 8)
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(1e-2),
    "adamw": lambda: keras.optimizers.AdamW(1e-2, weight_decay=0.1),
}


def dense():
    return perceptron(6, [8], 4)()


def penalised():
    layers = keras.layers
    hidden = layers.Dense(8, "relu", kernel_regularizer=keras.regularizers.L2(0.01))
    return keras.Sequential([keras.Input((6,)), hidden, layers.Dense(4)])


def normalised():
    """No bias before the normalisation: its gradient is rounding alone, which Adam scales up to a step."""
    layers = keras.layers
    hidden = [layers.Dense(8, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(4)])


def examples(n=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 6)).astype("float32"), rng.integers(0, 4, n).astype("int32")


def plainly_fitted(build, seed, optimizer, x, y, epochs, batch_size):
    keras.utils.set_random_seed(seed)
    model = build()
    model.compile(optimizer, losses.sparse_categorical_crossentropy)
    for epoch in range(epochs):
        order = batch_order(seed, epoch, len(x))
        model.fit(x[order], y[order], batch_size, shuffle=False, verbose=0)
    return model


def trained(build, seeds, x, y, optimizer=None, epochs=3, batch_size=16, **compiled):
    replicas = Replicates(build, seeds)
    loss = compiled.pop("loss", losses.sparse_categorical_crossentropy)
    replicas.compile(optimizer or keras.optimizers.SGD(0.1), loss, **compiled)
    replicas.fit(x, y, batch_size, epochs)
    return replicas


def assert_same(stacked, r, model, tolerance):
    for mine, theirs in zip(stacked.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(mine[r], theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("build", [dense, penalised, normalised])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_replicate_equals_a_plain_fit(build, optimizer):
    x, y = examples()  # 50 is not divisible by 16
    replicas = trained(build, SEEDS, x, y, OPTIMIZERS[optimizer]())
    for r, seed in enumerate(SEEDS):
        model = plainly_fitted(build, seed, OPTIMIZERS[optimizer](), x, y, 3, 16)
        assert_same(replicas, r, model, 1e-5)
        np.testing.assert_allclose(replicas.predict(x)[r], model.predict(x, verbose=0), atol=1e-5)


def test_replicate_equals_a_plain_fit_in_float64():
    def build():
        layers = keras.layers
        first, last = (layers.Dense(n, dtype="float64") for n in (8, 4))
        return keras.Sequential(
            [keras.Input((6,), dtype="float64"), first, layers.ReLU(dtype="float64"), last]
        )

    x, y = examples()
    x = x.astype("float64")
    loss = losses.SparseCategoricalCrossentropy(dtype="float64")
    replicas = trained(build, SEEDS, x, y, keras.optimizers.SGD(0.1), loss=loss)
    for r, seed in enumerate(SEEDS):
        keras.utils.set_random_seed(seed)
        model = build()
        model.compile(keras.optimizers.SGD(0.1), loss)
        for epoch in range(3):
            order = batch_order(seed, epoch, len(x))
            model.fit(x[order], y[order], 16, shuffle=False, verbose=0)
        assert_same(replicas, r, model, 1e-10)


@pytest.mark.parametrize("build", [dense, normalised])
def test_initial_weights_are_those_of_build_under_the_seed(build):
    seeds = (0, 1, 12345)
    replicas = Replicates(build, seeds)
    for r, seed in enumerate(seeds):
        keras.utils.set_random_seed(seed)
        assert_same(replicas, r, build(), 0)


def test_an_initialiser_with_a_seed_of_its_own_gives_all_the_same():
    def build():
        start = keras.initializers.GlorotUniform(seed=7)
        return keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, kernel_initializer=start)])

    kernel, _ = Replicates(build, (1, 2)).get_weights()
    np.testing.assert_array_equal(kernel[0], kernel[1])


def test_a_variable_without_an_initialiser_is_found_by_building_each():
    class Odd(keras.layers.Layer):
        def build(self, shape):
            self.anything = self.add_weight(shape=(shape[-1], 4), initializer="glorot_uniform")

        def call(self, x):
            return x @ self.anything

    def build():
        return keras.Sequential([keras.Input((6,)), Odd()])

    replicas = Replicates(build, (1, 2))
    for r, seed in enumerate((1, 2)):
        keras.utils.set_random_seed(seed)
        assert_same(replicas, r, build(), 0)


def test_dropout_differs_between_replicates_and_is_off_in_prediction():
    def build():
        layers = keras.layers
        return keras.Sequential(
            [keras.Input((6,)), layers.Dropout(0.5), layers.Dense(1, kernel_initializer="ones")]
        )

    x, y = np.ones((16, 6), "float32"), np.zeros((16, 1), "float32")
    replicas = trained(build, (1, 2), x, y, loss=losses.brier, epochs=1)
    (kernel,) = (w for w in replicas.get_weights() if w.shape == (2, 6, 1))
    assert np.abs(kernel[0] - kernel[1]).max() > 1e-4
    np.testing.assert_array_equal(replicas.predict(x), replicas.predict(x))


def test_own_data_and_loss_arguments():
    x, y = (np.stack(part) for part in zip(*(examples(seed=s) for s in SEEDS), strict=True))
    alphas = np.array([0.0, 0.1, 0.3], "float32")
    loss_arguments = {"label_smoothing": alphas}
    replicas = trained(dense, SEEDS, x, y, loss_arguments=loss_arguments)
    for r, seed in enumerate(SEEDS):
        alone = trained(
            dense,
            [seed],
            x[r],
            y[r],
            loss=lambda t, z, a=alphas[r]: losses.sparse_categorical_crossentropy(t, z, a),
        )
        assert_same(replicas, r, alone.member(0), 1e-5)


def test_replicates_do_not_touch_one_another():
    """One poisoned with NaN: the others are unchanged bit for bit."""
    x, y = (np.stack(part) for part in zip(*(examples(seed=s) for s in SEEDS), strict=True))
    poisoned = x.copy()
    poisoned[1] = np.nan
    clean, sick = (trained(dense, SEEDS, each, y) for each in (x, poisoned))
    assert np.isnan(sick.get_weights()[0][1]).all()
    for mine, theirs in zip(clean.get_weights(), sick.get_weights(), strict=True):
        np.testing.assert_array_equal(mine[[0, 2]], theirs[[0, 2]])


def test_twice_the_same_bit_for_bit_and_going_on_is_the_same_as_going_through():
    x, y = examples()
    once, again = (trained(dense, SEEDS, x, y, epochs=4) for _ in range(2))
    halves = trained(dense, SEEDS, x, y, epochs=2)
    halves.fit(x, y, 16, 2)
    for a, b, c in zip(once.get_weights(), again.get_weights(), halves.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


@settings(max_examples=4, deadline=None)
@given(r=st.integers(1, 4), n=st.integers(1, 40), batch_size=st.integers(1, 50))
def test_any_number_of_replicates_and_examples(r, n, batch_size):
    x, y = examples(n)
    replicas = trained(dense, range(r), x, y, epochs=1, batch_size=batch_size)
    model = plainly_fitted(dense, r - 1, keras.optimizers.SGD(0.1), x, y, 1, batch_size)
    assert_same(replicas, r - 1, model, 1e-5)


def test_history_is_keras_mean_loss_per_epoch():
    x, y = examples()
    replicas = Replicates(dense, SEEDS)
    replicas.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy)
    history = replicas.fit(x, y, 16, 3)
    assert history.epoch == [0, 1, 2] and history.history["loss"].shape == (3, 3)
    keras.utils.set_random_seed(SEEDS[0])
    model = dense()
    model.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy)
    order = batch_order(SEEDS[0], 0, len(x))
    plain = model.fit(x[order], y[order], 16, shuffle=False, verbose=0)
    assert history.history["loss"][0, 0] == pytest.approx(plain.history["loss"][0], rel=1e-5)


def test_a_member_is_a_keras_model_that_saves_and_loads(tmp_path):
    x, y = examples()
    replicas = trained(dense, SEEDS, x, y)
    member = replicas.member(1)
    member.save(tmp_path / "member.keras")
    loaded = keras.models.load_model(tmp_path / "member.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), replicas.predict(x)[1], atol=1e-6)


def test_bad_input_is_refused_by_name():
    x, y = examples()
    replicas = Replicates(dense, SEEDS)
    with pytest.raises(ValueError, match="seeds"):
        Replicates(dense, [])
    with pytest.raises(ValueError, match="optimizer"):
        replicas.compile(keras.optimizers.SGD(0.1, global_clipnorm=1.0), losses.brier)
    with pytest.raises(ValueError, match="label_smoothing"):
        replicas.compile(keras.optimizers.SGD(0.1), losses.brier, {"label_smoothing": [0.1]})
    replicas.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy)
    with pytest.raises(ValueError, match="`y`"):
        replicas.fit(x, y[:-1])
    with pytest.raises(ValueError, match="`x`"):
        replicas.fit(np.stack([x, x]), np.stack([y, y]))
