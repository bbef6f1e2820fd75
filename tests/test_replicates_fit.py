"""Replicates train as `fit` does: plans, initial weights, settings, files."""

from __future__ import annotations

import inspect
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import psutil
import pytest
from small_networks import (
    QUICK,
    SEEDS,
    assert_same,
    compiled,
    convolutional,
    dense,
    embedded,
    examples,
    in_order_of,
    normalised,
    penalised,
    plain,
    plainly_fitted,
    trained,
)

from crosscheck import losses
from crosscheck.replicates import Replicates, backends, grid
from crosscheck.replicates._initial import frozen_as
from crosscheck.replicates._plan import make_plan

pytestmark = pytest.mark.every_backend


def test_saved_and_loaded_they_go_on_as_if_nothing_had_been(tmp_path):
    x, y = examples()
    alphas = np.array([0.0, 0.1, 0.3], "float32")
    options = {"loss_arguments": {"label_smoothing": alphas}, "metrics": ["accuracy"]}
    through = compiled(optimizer=keras.optimizers.Adam(1e-2), **options)
    through.fit(x, y, 16, 4)
    halfway = compiled(optimizer=keras.optimizers.Adam(1e-2), **options)
    halfway.fit(x, y, 16, 2)
    halfway.save(tmp_path / "half.replicates")
    again = Replicates.load(tmp_path / "half.replicates")
    np.testing.assert_allclose(again.predict(x), halfway.predict(x), atol=1e-6)
    again.fit(x, y, 16, 2)
    for mine, theirs in zip(through.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)
    again.member(1).save(tmp_path / "member.keras")
    loaded = keras.models.load_model(tmp_path / "member.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), again.predict(x)[1], atol=1e-6)
    (tmp_path / "other").write_bytes(b"PK nothing of the kind")
    with pytest.raises(ValueError, match="other was not written by"):
        Replicates.load(tmp_path / "other")


def test_an_elementwise_optimiser_of_ones_own_is_taken():
    class Sign(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * keras.ops.sign(gradient))

    if keras.backend.backend() == "torch":
        pytest.skip("Keras' optimisers on PyTorch do not call `update_step`")
    x, y = examples()
    replicas = compiled(optimizer=Sign(0.01))
    replicas.fit(x, y, 16, 1)
    model = plain(optimizer=Sign(0.01))
    model.fit(*in_order_of(SEEDS[0], 0, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)


@keras.saving.register_keras_serializable("test_replicates_fit")
class Anchored(keras.optimizers.Optimizer):
    """Pulls back to where each weight began."""

    def build(self, variables):
        if not self.built:
            super().build(variables)
            (self.anchors,) = self.add_optimizer_variables(variables, ["anchor"])
            for anchor, variable in zip(self.anchors, variables, strict=True):
                anchor.assign(keras.ops.copy(variable))  # JAX wants memory of its own

    def update_step(self, gradient, variable, learning_rate):
        anchor = self.anchors[self._get_variable_index(variable)]
        step = gradient + 0.5 * (keras.ops.convert_to_tensor(variable) - anchor)
        self.assign_sub(variable, learning_rate * step)


class Unrepeatable(Anchored):
    def __init__(self, learning_rate, pull):
        super().__init__(learning_rate)


@pytest.mark.parametrize("mode", ["stacked", "loop"])
def test_what_an_optimiser_begins_with_from_the_weights_is_each_replicates_own(mode):
    x, y = examples()
    replicas = trained(dense, SEEDS, x, y, Anchored(0.1), mode=mode)
    for r, seed in enumerate(SEEDS):
        assert_same(replicas, r, plainly_fitted(dense, seed, Anchored(0.1), x, y, 3, 16), 1e-5)
    with pytest.raises(NotImplementedError, match="Unrepeatable begins with numbers other than 0"):
        trained(dense, SEEDS, x, y, Unrepeatable(0.1, 0.5), mode=mode)


def test_convolutions_run_in_a_loop_on_a_cpu_unless_told():
    assert Replicates(convolutional, SEEDS).plan.mode == "loop"
    assert "convolutions" in Replicates(convolutional, SEEDS).plan.why
    if keras.backend.backend() != "torch":
        assert Replicates(convolutional, SEEDS, mode="stacked").plan.mode == "stacked"
    assert Replicates(dense, SEEDS).plan.mode == "stacked"


def test_a_plan_goes_by_the_memory_that_is_available_not_by_what_is_free(monkeypatch):
    """Files that were read fill memory that is theirs only until somebody needs it."""
    if keras.backend.backend() != "tensorflow" or backends.current().device() != "cpu":
        pytest.skip("an accelerator has memory of its own")
    model = dense()
    memory = SimpleNamespace(total=2**34, free=2**10, available=2**32)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    plans = [make_plan(model, 1000, "auto", 16, limit) for limit in (None, 2**31, 2**9)]
    assert plans[0] == plans[1] != plans[2] and plans[2].parked


@pytest.mark.parametrize("method", ["compile", "fit", "evaluate", "predict"])
def test_arguments_by_position_are_keras_own(method):
    ours, theirs = (inspect.signature(getattr(kind, method)).parameters for kind in (Replicates, keras.Model))
    positional = [name for name, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == list(theirs)[: len(positional)]


def test_initialising_many_builds_two_models():
    calls = []

    def build():
        calls.append(1)
        return dense()

    Replicates(build, range(256))
    assert len(calls) == 2, "the first and the last, with which the draws are compared"


def test_repeated_seeds_are_paired_where_that_is_said():
    x, y = examples()
    replicas = Replicates(dense, [3, 3], paired=True)
    replicas.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy)
    replicas.fit(x, y, 16, 1)
    np.testing.assert_array_equal(*replicas.get_weights()[0])


def test_batches_are_filled_up_only_where_examples_keep_apart():
    from crosscheck.replicates._additive import fills_up
    from crosscheck.replicates._data import Data
    from crosscheck.replicates._task import Task

    def fills(build, loss=losses.sparse_categorical_crossentropy, metrics=None):
        model = build()
        model.compile("sgd", loss, metrics=metrics)
        x, y = examples(8)
        y = y % 2  # of which PyTorch's binary cross-entropy knows
        model.test_on_batch(x, y)
        return fills_up(Task(model), Data(1, model, x, y))

    def active():
        body = keras.layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.1))
        return keras.Sequential([keras.Input((6,)), body])

    def lambdas():
        return keras.Sequential([keras.Input((6,)), keras.layers.Lambda(lambda x: x - keras.ops.mean(x, 0))])

    def centred():
        return keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(4, lambda z: z - keras.ops.mean(z, 0))]
        )

    def operations():
        x = keras.Input((6,))
        return keras.Model(x, keras.layers.Dense(4)(x - keras.ops.mean(x, axis=0)))

    def one_output():
        return keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])

    kinds = keras.losses
    assert all(fills(build) for build in (dense, penalised, convolutional))
    assert not any(fills(build) for build in (normalised, active, lambdas, centred, operations))
    for loss in (losses.Brier(), kinds.BinaryCrossentropy(), kinds.mean_squared_error, "mean_squared_error"):
        assert fills(one_output, loss), loss
    for loss in (
        kinds.MeanSquaredError(reduction="sum"),
        lambda y_true, y_pred: keras.ops.mean(y_pred),
    ):
        assert not fills(one_output, loss), loss
    assert not fills(dense, kinds.SparseCategoricalCrossentropy(ignore_class=0))
    assert fills(dense, metrics=["accuracy"])
    assert not fills(dense, metrics=[keras.metrics.IoU(4, [0], sparse_y_pred=False)])


def test_settings_times_seeds_with_rates_and_decays_of_their_own():
    x, y = examples()
    rates, decays = np.array([0.1, 0.1, 0.02], "float32"), np.array([0.0, 0.3, 0.3], "float32")
    own = {"learning_rate": rates, "weight_decay": decays}
    replicas = compiled(optimizer=keras.optimizers.SGD(0.5, weight_decay=0.1), optimizer_arguments=own)
    replicas.fit(x, y, 16, 2)
    for r, seed in enumerate(SEEDS):
        model = plain(
            seed=seed, optimizer=keras.optimizers.SGD(float(rates[r]), weight_decay=float(decays[r]))
        )
        for epoch in range(2):
            model.fit(*in_order_of(seed, epoch, x, y), 16, shuffle=False, verbose=0)
        assert_same(replicas, r, model, 1e-5)


def test_weights_that_build_sets_and_draws_without_a_seed_are_each_replicate_s():
    def build():
        layers = keras.layers
        drawn = lambda shape, dtype=None: keras.random.normal(shape, dtype=dtype)
        constant = keras.initializers.Constant(keras.random.normal((8, 8)))
        hidden = [layers.Dense(8, name="body"), layers.Dense(8, kernel_initializer=constant)]
        model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(4, kernel_initializer=drawn)])
        model.get_layer("body").set_weights([np.full((6, 8), 7.0), np.zeros(8)])
        return model

    weights = Replicates(build, SEEDS).get_weights()
    for r, seed in enumerate(SEEDS):
        keras.utils.set_random_seed(seed)
        for mine, theirs in zip(weights, build().get_weights(), strict=True):
            np.testing.assert_array_equal(mine[r], theirs)


def test_constraints_hold_for_each_replicate():
    def build():
        layers = keras.layers
        hidden = layers.Dense(
            8, "relu", kernel_constraint="non_neg", bias_constraint=keras.constraints.MaxNorm(0.01)
        )
        unit = layers.Dense(4, kernel_constraint=keras.constraints.UnitNorm(axis=0))
        return keras.Sequential([keras.Input((6,)), hidden, unit])

    x, y = examples()
    replicas = compiled(build, optimizer=keras.optimizers.Adam(1e-2))
    replicas.fit(x, y, 16, 2)
    assert_same(replicas, 1, plainly_fitted(build, SEEDS[1], keras.optimizers.Adam(1e-2), x, y, 2, 16), 1e-5)
    assert (replicas.get_weights()[0] >= 0).all()


def test_a_grid_is_every_setting_under_every_seed():
    seeds, vectors = grid([4, 7], learning_rate=[0.1, 0.01, 0.001], momentum=[0.0, 0.9])
    assert seeds == [4, 7] * 6
    np.testing.assert_array_equal(vectors["learning_rate"].reshape(3, 2, 2)[:, 0, 0], [0.1, 0.01, 0.001])
    np.testing.assert_array_equal(vectors["momentum"].reshape(3, 2, 2)[0, :, 1], [0.0, 0.9])
    assert grid([1, 2]) == ([1, 2], {})


def test_replicates_decay_by_their_own_numbers_under_a_loss_scale():
    """`compile` wraps the optimiser by the policy; the numbers are the inner one's."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        x, y = examples()
        own = {"weight_decay": np.array([0.0, 0.0, 5.0], "float32")}
        optimizer = keras.optimizers.SGD(0.1, weight_decay=0.1)
        replicas = compiled(optimizer=optimizer, optimizer_arguments=own)
        replicas.fit(x, y, 16, 1)
        assert np.abs(replicas.get_weights()[0][2]).max() < 0.3 < np.abs(replicas.get_weights()[0][0]).max()
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("mode", ["stacked", "loop", "fit"])
def test_a_layer_frozen_after_it_was_built_stays(mode):
    """As one trains the head first, and then all: `trainable`, and `compile` again."""
    x, y = examples()
    replicas = compiled(normalised, mode=mode)
    model = plain(normalised)
    for of in (replicas.model, model):
        of.layers[1].trainable = False
    replicas.fit(x, y, 16, 1)
    model.fit(*in_order_of(SEEDS[0], 0, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)
    assert [layer.trainable for layer in replicas.member(1).layers] == [True, False, True, True]
    replicas.model.layers[1].trainable = model.layers[1].trainable = True
    if mode != "fit":
        with pytest.raises(ValueError, match="after training had begun: `compile` again"):
            replicas.fit(x, y, 16, 1)
    replicas.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy, **QUICK)
    eagerly = keras.backend.backend() == "tensorflow"
    model.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy, run_eagerly=eagerly)
    replicas.fit(x, y, 16, 1)
    model.fit(*in_order_of(SEEDS[0], 1, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)


def test_weights_that_no_replicate_would_have_are_refused():
    x, y = examples()
    replicas = compiled()
    replicas.fit(x, y, 16, 1)
    replicas.model(x, training=True)
    replicas.fit(x, y, 16, 1)
    replicas.model.set_weights([0.5 * weight for weight in replicas.model.get_weights()])
    with pytest.raises(ValueError, match=r"which no replicate has.*`set_weights`"):
        replicas.fit(x, y, 16, 1)


def test_a_layer_frozen_before_stacking_turns_out_impossible_stays():
    """On TensorFlow, where an embedding's gradient is slices and Adafactor's state branches."""
    x, y = examples()
    optimizer = lambda: keras.optimizers.Adafactor(0.01)
    replicas, model = compiled(embedded, optimizer=optimizer()), plain(embedded, optimizer=optimizer())
    for of in (replicas.model, model):
        of.layers[-1].trainable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how they are trained instead
        replicas.fit(x, y, 16, 1)
    model.fit(*in_order_of(SEEDS[0], 0, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)


def test_layers_that_compile_adds_hide_none_that_was_frozen():
    template, larger = dense(), keras.Sequential([keras.Input((6,)), *(keras.layers.Dense(4) for _ in "abc")])
    assert frozen_as(larger, template) is larger
    template.layers[0].trainable = False
    with pytest.raises(ValueError, match="Freeze layers in `build`"):
        frozen_as(larger, template)
