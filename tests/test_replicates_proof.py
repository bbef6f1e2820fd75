"""What is compared with Keras' own steps, and when; what is refused for it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_networks import QUICK, SEEDS, assert_same, dense, examples

from crosscheck import losses
from crosscheck.replicates import Replicates
from crosscheck.replicates._task import Task
from crosscheck.replicates._witness import Witness

pytestmark = pytest.mark.every_backend


def compiled(seeds=SEEDS, mode="auto", **options):
    replicas = Replicates(dense, seeds, mode=mode)
    loss = options.pop("loss", losses.sparse_categorical_crossentropy)
    replicas.compile(keras.optimizers.SGD(0.1), loss, **options, **QUICK)
    return replicas


def wrong_by(monkeypatch, factor, first=0):
    """Has every step from the first one named on scale the loss."""
    objective = Task.objective

    def wrong(self, values, batch, training=True):
        scaled, aside = objective(self, values, batch, training)
        return keras.ops.where(values["optimizer"][0] >= first, factor * scaled, scaled), aside

    monkeypatch.setattr(Task, "objective", wrong)


@pytest.mark.parametrize("mode", ["stacked", "loop"])
def test_a_step_that_is_refused_is_taken_back(monkeypatch, mode):
    wrong_by(monkeypatch, 1.01)
    replicas = compiled(mode=mode)
    before = replicas.get_weights()
    with pytest.raises(NotImplementedError, match="train_on_batch"):
        replicas.fit(*examples(), 16)
    for old, new in zip(before, replicas.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_wrong_step_in_half_precision_is_refused(monkeypatch, policy):
    wrong_by(monkeypatch, 1.5)
    keras.config.set_dtype_policy(policy)
    try:
        with pytest.raises(NotImplementedError, match="train_on_batch"):
            compiled().fit(*examples(), 16)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("batch_size", [16, 50])
def test_a_second_step_that_is_not_keras_own_is_refused(monkeypatch, batch_size):
    """Also where it is in the second epoch."""
    wrong_by(monkeypatch, 1.01, first=1)
    with pytest.raises(NotImplementedError, match="train_on_batch"):
        compiled().fit(*examples(), batch_size, 2)


def test_batch_by_batch_it_is_refused_also_when_tried_again(monkeypatch):
    class Hooked(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    wrong_by(monkeypatch, 1.01, first=1)
    replicas = compiled()
    for _ in range(2):
        with pytest.raises(NotImplementedError, match="train_on_batch"):
            replicas.fit(*examples(), 16, callbacks=[Hooked()])


@pytest.mark.parametrize("mode", ["stacked", "loop"])
def test_a_replicate_that_has_stopped_is_not_compared(mode):
    """The first one stands still, and Keras' own step of it would not."""
    replicas = compiled(mode=mode)
    before = replicas.get_weights()
    replicas.active[0] = False
    history = replicas.fit(*examples(), 16).history["loss"]
    assert np.isnan(history[:, 0]).all() and np.isfinite(history[:, 1:]).all()
    np.testing.assert_array_equal(before[0][0], replicas.get_weights()[0][0])


@pytest.mark.parametrize("kind", ["int32", "float32"])
def test_classes_are_read_off_one_hot_labels_as_keras_does(kind):
    x, classes = examples()
    y, weight = np.eye(4)[classes].astype(kind), {0: 3.0, 2: 0.5}
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    replicas = compiled(loss=loss)
    replicas.fit(x, y, 16, shuffle=False, class_weight=weight)
    keras.utils.set_random_seed(SEEDS[1])
    model = dense()
    model.compile(keras.optimizers.SGD(0.1), loss)
    model.fit(x, y, 16, shuffle=False, verbose=0, class_weight=weight)
    assert_same(replicas, 1, model, 1e-5)


def test_weights_of_classes_of_several_replicates_and_what_has_none():
    x, y = (np.stack(part) for part in zip(*(examples(seed=s) for s in SEEDS), strict=True))
    replicas, alone = compiled(), compiled(SEEDS[1:2])
    replicas.fit(x, y, 16, class_weight={1: 2.0})
    alone.fit(x[1], y[1], 16, class_weight={1: 2.0})
    np.testing.assert_allclose(replicas.member_weights(1)[0], alone.member_weights(0)[0], atol=1e-6)
    with pytest.raises(ValueError, match=r"`class_weight` is for one class an example.*\[50, 2, 1\]"):
        replicas.fit(x[0], np.zeros((50, 2, 1), "int32"), class_weight={1: 2.0})
    with pytest.raises(ValueError, match="cannot both be given"):
        replicas.fit(x[0], y[0], sample_weight=np.ones(50), class_weight={1: 2.0})


def test_an_optimiser_that_keras_applies_in_two_ways_is_refused():
    if keras.backend.backend() == "jax":
        pytest.skip("whose arrays never change")
    replicas = Replicates(dense, SEEDS)
    replicas.compile(keras.optimizers.ScheduleFreeAdamW(0.01), losses.sparse_categorical_crossentropy)
    with pytest.raises(NotImplementedError, match=r"ScheduleFreeAdamW.*fit"):
        replicas.fit(*examples())


def test_several_rates_of_each_replicate_are_refused():
    adam, sgd = keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.1)
    several = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(sgd, {".*kernel": adam}))
    replicas = Replicates(dense, SEEDS)
    replicas.compile(several, losses.sparse_categorical_crossentropy, **QUICK)
    with pytest.raises(ValueError, match=r"ReduceLROnPlateau.*MultiOptimizer.*fit"):
        replicas.fit(*examples(), callbacks=[keras.callbacks.ReduceLROnPlateau("loss")])


@pytest.mark.parametrize("weights", [None, np.ones(6, "float32")])
def test_a_step_that_is_rounding_alone_is_no_difference(weights):
    """The signs of an absolute error cancel over this batch; what is left of their sum is the order's."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.Adam(0.1), "mae")
    model.optimizer.build(model.trainable_variables)
    x, y = (np.array(values, "float32")[:, None] for values in ([1, 2, 3, 4, 5, 6], [3, -3, 2, -2, 1, -1]))
    witness, sign = Witness(Task(model)), np.sign(y[:, 0])
    model.train_on_batch(x, y)
    before, batch = witness.held(), (x, y, weights)
    reordered, wrong = (witness.step(before, (x, y, 1 + by * sign), {}, True) for by in (1e-7, 0.1))
    witness.require_same(before, reordered, batch, {}, True)
    with pytest.raises(NotImplementedError, match="train_on_batch"):
        witness.require_same(before, wrong, batch, {}, True)


class Idle(keras.layers.Layer):
    """Has a weight that nothing comes of."""

    def build(self, shape):
        self.idle = self.add_weight(shape=(2,), initializer="ones")

    def call(self, x):
        return 1.0 * x


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # so says Keras' own `fit`
@pytest.mark.parametrize("mode", ["stacked", "loop"])
def test_a_weight_on_which_the_loss_does_not_depend_stays(mode):
    build = lambda: keras.Sequential([keras.Input((6,)), Idle(), keras.layers.Dense(4)])
    replicas = Replicates(build, SEEDS, mode=mode)
    replicas.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy, **QUICK)
    x, y = examples()
    replicas.fit(x[:, :6], y, 16)
    assert (replicas.get_weights()[0] == 1).all()


@pytest.mark.parametrize("name", ["beta_1", "epsilon"])
def test_numbers_of_a_replicate_s_own_are_used_one_after_the_other_too(name):
    """PyTorch's optimisers take floats there, and no tensors."""
    ends = []
    for mode in ("stacked", "loop"):
        replicas = Replicates(dense, SEEDS, mode=mode)
        numbers = {name: np.linspace(0.5, 0.9, len(SEEDS))}
        loss = losses.sparse_categorical_crossentropy
        replicas.compile(keras.optimizers.Adam(0.01), loss, optimizer_arguments=numbers, **QUICK)
        replicas.fit(*examples(), 16)
        ends.append(replicas.get_weights())
    for stacked, looped in zip(*ends, strict=True):
        np.testing.assert_allclose(stacked, looped, rtol=1e-4, atol=1e-5)
