"""Replicate r is a plain `model.fit`: the same weights, the same batches, the same numbers."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import (
    MODELS,
    QUICK,
    SEEDS,
    assert_same,
    convolutional,
    dense,
    embedded,
    examples,
    normalised,
    plainly_fitted,
    trained,
)

from crosscheck import losses
from crosscheck.replicates import Replicates, batch_order

pytestmark = pytest.mark.every_backend

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(1e-2),
    "adamw": lambda: keras.optimizers.AdamW(1e-2, weight_decay=0.1),
}


OPTIMIZERS |= {
    "global clipnorm": lambda: keras.optimizers.SGD(0.5, global_clipnorm=0.1),
    "clipnorm, accumulated": lambda: keras.optimizers.SGD(0.5, clipnorm=0.1, gradient_accumulation_steps=3),
    "averaged": lambda: keras.optimizers.Adam(
        1e-2, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3
    ),
    "averaged at the end": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8),
    "nadam": lambda: keras.optimizers.Nadam(1e-2),
    "lamb": lambda: keras.optimizers.Lamb(1e-2),
    "adafactor": lambda: keras.optimizers.Adafactor(1e-2),
    "muon": lambda: keras.optimizers.Muon(1e-2),
    "ftrl": lambda: keras.optimizers.Ftrl(1e-2),
}


# Each of its own kind: the norm of all gradients, a state that branches, averages, a number that all
# variables share, products of matrices.
SHARP = ("global clipnorm", "clipnorm, accumulated", "averaged", "nadam", "muon")


@pytest.mark.parametrize(
    ("build", "optimizer", "mode"),
    [
        *((build, "adam", "stacked") for build in MODELS),
        *((build, "adam", "loop") for build in (convolutional, embedded)),
        *(pytest.param(build, "adam", "loop", marks=pytest.mark.long) for build in MODELS),
        *((dense, optimizer, "stacked") for optimizer in SHARP),
        *(
            pytest.param(dense, optimizer, "stacked", marks=pytest.mark.long)
            for optimizer in OPTIMIZERS
            if optimizer not in (*SHARP, "adam")
        ),
        *(
            pytest.param(build, optimizer, "stacked", marks=pytest.mark.long)
            for build in (normalised, embedded)
            for optimizer in OPTIMIZERS
            if optimizer != "adam"
        ),
    ],
)
def test_replicate_equals_a_plain_fit(build, optimizer, mode):
    if build is convolutional and mode == "stacked" and keras.backend.backend() == "torch":
        with pytest.raises(NotImplementedError, match=r"\(Conv2D\).*channels"):
            Replicates(build, SEEDS, mode=mode)
        return
    if build is embedded and optimizer == "adafactor" and keras.backend.backend() == "tensorflow":
        refuse_adafactor_by_name()
        return
    x, y = examples()  # 50 is not divisible by 16
    xla = build in (dense, normalised) and optimizer == "adam"
    options = {"jit_compile": "auto"} if xla else {}
    replicas = trained(build, SEEDS, x, y, OPTIMIZERS[optimizer](), mode=mode, epochs=2, **options)
    assert replicas.plan.mode == mode
    for r, seed in list(enumerate(SEEDS))[::2]:
        model = plainly_fitted(build, seed, OPTIMIZERS[optimizer](), x, y, 2, 16)
        assert_same(replicas, r, model, 1e-5)
        np.testing.assert_allclose(replicas.predict(x)[r], model.predict_on_batch(x), atol=1e-5)


def refuse_adafactor_by_name():
    """Its state branches, and TensorFlow cannot stack that for the slices that an embedding's gradient is."""
    x, y = examples()
    named = r"be stacked: tensorflow .*: Tried to stack .*/adafactor\w*/cond/.*mode=\"loop\"\) trains"
    with pytest.raises(NotImplementedError, match=named):
        trained(embedded, SEEDS, x, y, OPTIMIZERS["adafactor"](), mode="stacked", epochs=2)


@pytest.fixture
def policy(request):
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64" if request.param == "float64" else floatx)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("policy", ["float64"], indirect=True)
@pytest.mark.parametrize(
    "build", [dense, *(pytest.param(build, marks=pytest.mark.long) for build in (normalised, convolutional))]
)
def test_replicate_equals_a_plain_fit_in_float64(build, policy):
    if keras.backend.backend() == "torch":
        pytest.skip("Keras 3.15 reduces every loss in float32 on PyTorch (`divide_no_nan`)")
    x, y = examples()
    for optimizer in ("adam",):
        replicas = trained(build, SEEDS, x, y, OPTIMIZERS[optimizer](), **QUICK)
        for r, seed in list(enumerate(SEEDS))[1:]:
            model = plainly_fitted(build, seed, OPTIMIZERS[optimizer](), x, y, 3, 16)
            assert model.get_weights()[0].dtype == "float64"
            assert_same(replicas, r, model, 1e-10)


def optimizer_values(replicas):
    """What the optimiser holds of all replicates, by the path of the variable."""
    variables = replicas.engine.blocks.program.task.variables["optimizer"]
    return dict(zip([v.path for v in variables], replicas.engine.blocks.values("optimizer"), strict=True))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
@pytest.mark.parametrize("mode", ["stacked", "loop"])
def test_replicate_equals_a_plain_fit_under_mixed_policies(policy, mode):
    """To half precision's rounding; float16 needs a loss scale, one each, that starts as Keras' does."""
    x, y = examples()
    replicas = trained(dense, SEEDS, x, y, OPTIMIZERS["momentum"](), mode=mode, **QUICK)
    for r, seed in list(enumerate(SEEDS))[:2]:
        model = plainly_fitted(dense, seed, OPTIMIZERS["momentum"](), x, y, 3, 16)
        assert_same(replicas, r, model, 5e-3)
    scaled = any("dynamic_scale" in path for path in optimizer_values(replicas))
    assert scaled == (policy == "mixed_float16")


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_a_replicate_that_overflows_skips_steps_and_the_others_do_not(policy):
    x, y = (np.stack(part) for part in zip(*(examples(seed=s) for s in SEEDS), strict=True))
    large = x.copy()
    large[1] *= 1e4
    calm, wild = (trained(dense, SEEDS, inputs, y, epochs=1, **QUICK) for inputs in (x, large))
    start = Replicates(dense, SEEDS).get_weights()
    scales = next(value for path, value in optimizer_values(wild).items() if "dynamic_scale" in path)
    np.testing.assert_array_equal(wild.get_weights()[0][1], start[0][1])
    assert scales[1] < scales[0] == scales[2]
    for mine, theirs in zip(calm.get_weights(), wild.get_weights(), strict=True):
        np.testing.assert_array_equal(mine[[0, 2]], theirs[[0, 2]])


def dropping():
    """Dropout's variable, its seed and calls so far, is drawn between the weights of the other layers."""
    layers = keras.layers
    return keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.Dropout(0.5), layers.Dense(4)])


@pytest.mark.parametrize("build", [*MODELS, dropping])
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


def test_dropout_is_drawn_anew_for_each_replicate_and_step_at_its_rate():
    """Inputs and weights of ones, and the output for a loss: an update is the mask of the survivors."""

    def build():
        layers = keras.layers
        head = layers.Dense(1, kernel_initializer="ones", use_bias=False)
        return keras.Sequential([keras.Input((400,)), layers.Dropout(0.25), head])

    def survivors(y_true, y_pred):
        return y_pred[:, 0]  # its gradient is the mask over 1 − rate

    def kernel(replicas):
        return next(w[..., 0] for w in replicas.get_weights() if w.shape == (40, 400, 1))

    x, y = np.ones((2, 400), "float32"), np.zeros((2, 1), "float32")
    moves = []
    replicas = Replicates(build, range(40))
    replicas.compile(keras.optimizers.SGD(1.0), survivors, jit_compile="auto")
    for _ in range(2):
        before = kernel(replicas)
        replicas.fit(x, y, batch_size=1, epochs=1)
        moves.append(before - kernel(replicas))  # [R, 400], the sum of two masks
    kept = np.stack(moves) * 0.75
    assert set(np.unique(kept.round(4))) == {0.0, 1.0, 2.0}
    # 64,000 draws: five standard deviations of a share are 0.0086.
    assert abs(kept.mean() / 2 - 0.75) < 0.0086
    assert abs(np.corrcoef(kept[0].ravel(), kept[1].ravel())[0, 1]) < 5 / np.sqrt(kept[0].size)
    assert abs(np.corrcoef(kept[0, 0], kept[0, 1])[0, 1]) < 5 / np.sqrt(400)
    np.testing.assert_array_equal(replicas.predict(x), replicas.predict(x))


def test_own_data_and_loss_arguments():
    x, y = (np.stack(part) for part in zip(*(examples(seed=s) for s in SEEDS), strict=True))
    alphas = np.array([0.0, 0.1, 0.3], "float32")
    loss_arguments = {"label_smoothing": alphas}
    replicas = trained(dense, SEEDS, x, y, loss_arguments=loss_arguments)
    for r, seed in list(enumerate(SEEDS))[1:]:
        loss = lambda t, z, a=alphas[r]: losses.sparse_categorical_crossentropy(t, z, a)
        model = plainly_fitted(dense, seed, keras.optimizers.SGD(0.1), x[r], y[r], 3, 16, loss=loss)
        assert_same(replicas, r, model, 1e-5)


def test_replicates_do_not_touch_one_another():
    """One poisoned with NaN: the others are unchanged bit for bit."""
    x, y = (np.stack(part) for part in zip(*(examples(seed=s) for s in SEEDS), strict=True))
    poisoned = x.copy()
    poisoned[1] = np.nan
    clean, sick = (trained(dense, SEEDS, inputs, y) for inputs in (x, poisoned))
    assert np.isnan(sick.get_weights()[0][1]).all()
    for mine, theirs in zip(clean.get_weights(), sick.get_weights(), strict=True):
        np.testing.assert_array_equal(mine[[0, 2]], theirs[[0, 2]])


def test_twice_the_same_bit_for_bit_and_going_on_is_the_same_as_going_through():
    x, y = examples()
    once, again = (trained(dense, SEEDS, x, y, epochs=4, jit_compile="auto") for _ in range(2))
    halves = trained(dense, SEEDS, x, y, epochs=2, jit_compile="auto")
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
    replicas.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy, **QUICK)
    history = replicas.fit(x, y, 16, 3)
    assert history.epoch == [0, 1, 2] and history.history["loss"].shape == (3, 3)
    keras.utils.set_random_seed(SEEDS[0])
    model = dense()
    model.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy)
    order = batch_order(SEEDS[0], 0, len(x))
    plain = model.fit(x[order], y[order], 16, shuffle=False, verbose=0)
    assert history.history["loss"][0, 0] == pytest.approx(plain.history["loss"][0], rel=1e-5)


@pytest.mark.parametrize("mode", ["stacked", "loop"])
def test_blocks_change_nothing(mode):
    """A limit of no memory at all: blocks of one, parked between epochs, to the same weights."""
    x, y = examples()
    whole = trained(dense, SEEDS, x, y, mode=mode)
    tight = Replicates(dense, SEEDS, mode=mode, memory_limit=1)
    tight.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy, **QUICK)
    tight.fit(x, y, 16, 3)
    assert tight.plan.size == 1 and tight.plan.parked and not whole.plan.parked
    values = [v for block in tight.engine.blocks.blocks for kind in block.values.values() for v in kind]
    assert all(isinstance(value, np.ndarray) for value in values), "off the device"
    assert tight.predict(x).shape == (3, 50, 4)
    for mine, theirs in zip(whole.get_weights(), tight.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)


def test_a_last_block_that_is_not_full():
    x, y = examples()
    few = Replicates(dense, range(5), memory_limit=100_000)
    plan = dataclasses.replace(few.plan, size=2)
    few._planned = lambda batch_size: plan
    few.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy, **QUICK)
    history = few.fit(x, y, 16, 2)
    assert history.history["loss"].shape == (2, 5) and few.predict(x).shape == (5, 50, 4)
    assert_same(few, 4, plainly_fitted(dense, 4, keras.optimizers.SGD(0.1), x, y, 2, 16), 1e-5)
