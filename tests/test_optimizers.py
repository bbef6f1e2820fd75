"""`Proximal` against closed forms, ISTA in NumPy and scikit-learn, around many of Keras' optimisers."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from crosscheck import losses
from crosscheck.models import perceptron
from crosscheck.optimizers import Proximal, proximal, soft_threshold
from crosscheck.replicates import Replicates, batch_order

pytestmark = pytest.mark.every_backend

L1 = 0.03
N, D = 200, 12
STEPS = 400


def falling(rate):
    return keras.optimizers.schedules.CosineDecay(rate, STEPS)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(1.0),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.05),
    "rmsprop": lambda: keras.optimizers.RMSprop(falling(0.05)),
    "adagrad": lambda: keras.optimizers.Adagrad(0.5),
    "nadam": lambda: keras.optimizers.Nadam(falling(0.1)),
    "adamax": lambda: keras.optimizers.Adamax(falling(0.1)),
    "lion": lambda: keras.optimizers.Lion(falling(0.05)),
    "clipped": lambda: keras.optimizers.SGD(0.5, clipnorm=0.2),
    "averaged": lambda: keras.optimizers.SGD(0.5, use_ema=True),
}


def linear(bias=False):
    return perceptron(D, [], 1, use_bias=bias)


def examples(seed=0):
    rng = np.random.default_rng(seed)
    truth = np.zeros(D)
    truth[:4] = [2, -2, 1.5, -1]
    x = rng.normal(size=(N, D)).astype("float32")
    return x, (rng.random(N) < 1 / (1 + np.exp(-x @ truth))).astype("float32")[:, None]


def solved(x, y, l1):
    """scikit-learn's optimum of the mean loss + λ‖w‖₁, [D]."""
    model = LogisticRegression(
        penalty="l1",
        solver="liblinear",
        C=1 / (len(x) * l1),
        fit_intercept=False,
        tol=1e-12,
        max_iter=100_000,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn 1.8 renamed `penalty`
        return model.fit(x, y[:, 0]).coef_[0]


def kernel(model):
    return keras.ops.convert_to_numpy(model.trainable_variables[0])[:, 0]


def fitted(optimizer, x, y, steps=STEPS, build=None):
    """A model after so many steps on the whole set, as one long epoch: epochs are slow."""
    keras.utils.set_random_seed(1)
    model = (build or linear())()
    model.compile(optimizer, losses.binary_crossentropy)
    repeated = (np.tile(array, (steps, 1)) for array in (x, y))
    model.fit(*repeated, batch_size=len(x), shuffle=False, verbose=0)
    return model


def descended(optimizer, gradient, start, steps):
    """A kernel moved by the gradients `gradient(w)`, [D]."""
    variable = keras.Variable(np.asarray(start, "float32"), name="kernel")
    optimizer.build([variable])
    for _ in range(steps):
        w = keras.ops.convert_to_numpy(variable)
        optimizer.apply([keras.ops.convert_to_tensor(gradient(w).astype("float32"))], [variable])
    return keras.ops.convert_to_numpy(variable)


# --- the step ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("w", [-1.5, -0.2, 0.0, 0.3, 4.0])
def test_the_soft_threshold_minimises_what_a_proximal_step_minimises(w, t):
    best = optimize.minimize_scalar(lambda u: (u - w) ** 2 / 2 + t * abs(u), bounds=(-5, 5), method="bounded")
    assert float(soft_threshold(np.float32(w), t)) == pytest.approx(best.x, abs=1e-4)


def test_around_plain_sgd_it_is_ista_step_by_step():
    """Gradients so large that weights cross zero in one step, and so small that they stay there."""
    rng, rate, l1 = np.random.default_rng(0), 0.3, 1.0
    noise = rng.normal(size=(60, 50)) * rng.choice([0.3, 3, 10], size=(60, 50))
    variable = keras.Variable(np.ones(50, "float32"), name="kernel")
    optimizer = Proximal(keras.optimizers.SGD(rate), l1)
    w, crossings, zeros, stays = np.ones(50), 0, 0, 0
    for gradient in noise:
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype("float32"))], [variable])
        moved = w - rate * gradient
        after = np.sign(moved) * np.maximum(np.abs(moved) - rate * l1, 0)
        crossings += (after * w < 0).sum()
        zeros, stays, w = zeros + (after == 0).sum(), stays + ((after == 0) & (w == 0)).sum(), after
        actual = keras.ops.convert_to_numpy(variable)
        np.testing.assert_allclose(actual, w, rtol=1e-5, atol=2e-5)
        np.testing.assert_array_equal(actual == 0, w == 0)
    assert min(crossings, zeros, stays) > 30


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_ends_at_the_closed_form_of_a_quadratic(name):
    """min Σ a (w − c)²/2 + λ|w| is at S(c, λ/a); four of the optima are zero."""
    a, c = np.array([0.5, 1, 1, 0.3, 1, 0.7]), np.array([1, -0.4, 0.1, -0.2, -0.05, 0.2])
    l1 = 0.15
    true = np.sign(c) * np.maximum(np.abs(c) - l1 / a, 0)
    assert (true == 0).sum() == 4
    actual = descended(Proximal(OPTIMIZERS[name](), l1), lambda w: a * (w - c), 1 - c, STEPS)
    np.testing.assert_allclose(actual, true, atol=1e-3)
    np.testing.assert_array_equal(actual == 0, true == 0)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_a_threshold_of_rate_times_l1_after_the_step_ends_elsewhere(name):
    """As the docstring has it: under momentum β at the optimum of λ(1 − β), after Adam near that of λ = 0."""
    a, c, l1, rate, beta = np.ones(3), np.array([1, 0.5, -0.3]), 0.1, 0.01, 0.9
    kinds = {
        "momentum": keras.optimizers.SGD(rate, momentum=beta),
        "adam": keras.optimizers.Adam(rate, beta_2=0.9),
    }
    optimizer, variable = kinds[name], keras.Variable(np.zeros(3, "float32"))
    for _ in range(STEPS):
        w = keras.ops.convert_to_numpy(variable)
        optimizer.apply([keras.ops.convert_to_tensor((a * (w - c)).astype("float32"))], [variable])
        variable.assign(soft_threshold(variable.value, rate * l1))
    left = np.abs(c) - np.abs(keras.ops.convert_to_numpy(variable))
    if name == "momentum":
        np.testing.assert_allclose(left, l1 * (1 - beta), atol=1e-3)
    else:
        assert (left < l1 / 4).all()


def test_without_strength_momentum_may_carry_a_weight_off_zero():
    w, moved, still = (np.full(1, value, "float32") for value in (0.0, 0.1, 0.0))
    assert float(proximal(w, moved, still, 0.0)[0]) == moved[0]
    assert float(proximal(w, moved, still, 0.5)[0]) == 0


def test_without_strength_it_is_the_wrapped_optimiser():
    x, y = examples()
    for make in (OPTIMIZERS["momentum"], OPTIMIZERS["adam"]):
        plain, wrapped = fitted(make(), x, y, 20), fitted(Proximal(make(), 0.0), x, y, 20)
        np.testing.assert_array_equal(kernel(wrapped), kernel(plain))


# --- in training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "nadam"])
def test_fit_finds_scikit_learns_solution(name):
    x, y = examples()
    true = solved(x, y, L1)
    actual = kernel(fitted(Proximal(OPTIMIZERS[name](), L1), x, y))
    assert 0 < (true == 0).sum() < D
    np.testing.assert_allclose(actual, true, atol=1e-4)
    np.testing.assert_array_equal(actual == 0, true == 0)


@pytest.mark.parametrize("mode", ["stacked", "loop"])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_replicates_find_it_each_at_its_own_strength(name, mode):
    x, y = examples()
    strengths = [0.02, 0.03, 0.1, 0.2, 0.05]
    replicas = Replicates(linear(), range(5), mode=mode)
    replicas.compile(Proximal(OPTIMIZERS[name](), 1.0), losses.binary_crossentropy, penalty_scale=strengths)
    replicas.fit(x, y, batch_size=N, epochs=STEPS, shuffle=False)
    for l1, actual in zip(strengths, replicas.get_weights()[0][..., 0], strict=True):
        true = solved(x, y, l1)
        np.testing.assert_allclose(actual, true, atol=1e-4)
        np.testing.assert_array_equal(actual == 0, true == 0)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_replicate_equals_a_plain_fit_in_minibatches(name):
    x, y = examples()
    replicas = Replicates(perceptron(D, [6], 1), [3, 4], mode="stacked")
    replicas.compile(Proximal(OPTIMIZERS[name](), L1), losses.binary_crossentropy)
    replicas.fit(x, y, batch_size=50, epochs=3)
    keras.utils.set_random_seed(4)
    model = perceptron(D, [6], 1)()
    model.compile(Proximal(OPTIMIZERS[name](), L1), losses.binary_crossentropy)
    for epoch in range(3):
        order = batch_order(4, epoch, N)
        model.fit(x[order], y[order], 50, shuffle=False, verbose=0)
    zeros = 0
    for mine, theirs in zip(replicas.get_weights(), model.variables, strict=True):
        theirs = keras.ops.convert_to_numpy(theirs)
        np.testing.assert_allclose(mine[1], theirs, atol=1e-5)
        np.testing.assert_array_equal(mine[1] == 0, theirs == 0)
        zeros += (theirs == 0).sum()
    assert zeros > 3


def test_a_wrapped_optimiser_that_couples_replicates_is_refused():
    replicas = Replicates(linear(), [0, 1], mode="stacked")
    with pytest.raises(ValueError, match="clipnorm"):
        replicas.compile(Proximal(keras.optimizers.SGD(0.1, clipnorm=1.0), L1), losses.binary_crossentropy)


def test_accumulated_gradients_of_equal_batches_find_the_solution_too():
    x, y = examples()
    optimizer = Proximal(keras.optimizers.SGD(1.0, gradient_accumulation_steps=2), L1)
    actual = kernel(fitted(optimizer, x, y, 2 * STEPS))
    np.testing.assert_allclose(actual, solved(x, y, L1), atol=1e-4)
    np.testing.assert_array_equal(actual == 0, solved(x, y, L1) == 0)


def test_a_loss_scale_leaves_the_strength_as_it_is():
    x, y = examples()
    scaled = fitted(Proximal(keras.optimizers.SGD(0.5, loss_scale_factor=64.0), L1), x, y, 50)
    around = fitted(keras.optimizers.LossScaleOptimizer(Proximal(keras.optimizers.SGD(0.5), L1)), x, y, 50)
    plain = fitted(Proximal(keras.optimizers.SGD(0.5), L1), x, y, 50)
    np.testing.assert_allclose(kernel(scaled), kernel(plain), atol=1e-6)
    np.testing.assert_allclose(kernel(around), kernel(plain), atol=1e-6)


def test_embeddings_become_zero_too():
    """A quadratic in each entry: those near zero end there. On TensorFlow the gradients are slices."""
    table = keras.Sequential([keras.Input((), dtype="int32"), keras.layers.Embedding(4, 1)])
    table.compile(Proximal(keras.optimizers.SGD(0.5), 0.1, only="embeddings"), "mse")
    c = np.array([[1.0], [0.1], [-0.05], [-2.0]], "float32")
    table.fit(np.arange(4), c, batch_size=4, epochs=100, verbose=0)
    actual = keras.ops.convert_to_numpy(table.trainable_variables[0])
    np.testing.assert_allclose(actual, np.sign(c) * np.maximum(np.abs(c) - 0.1 * 2, 0), atol=1e-3)
    np.testing.assert_array_equal(actual[1:3], 0)


# --- which variables --------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
def matrix(variable):
    return len(variable.shape) > 1


@pytest.mark.parametrize("only", ["kernel", matrix])
def test_biases_are_left_alone_unless_named(only):
    x, y = examples()
    model = fitted(Proximal(keras.optimizers.SGD(0.5), 10.0, only=only), x, y, 50, linear(bias=True))
    w, b = (keras.ops.convert_to_numpy(v) for v in model.trainable_variables)
    assert (w == 0).all() and (b != 0).all()
    both = fitted(Proximal(keras.optimizers.SGD(0.5), 10.0, only="dense"), x, y, 50, linear(bias=True))
    assert all((keras.ops.convert_to_numpy(v) == 0).all() for v in both.trainable_variables)


def test_stacked_variables_go_by_the_models_paths():
    x, y = examples()
    hidden = lambda: keras.Sequential(
        [keras.Input((D,)), keras.layers.Dense(4, "relu", name="first"), keras.layers.Dense(1, name="last")]
    )
    replicas = Replicates(hidden, [0, 1], mode="stacked")
    replicas.compile(
        Proximal(keras.optimizers.SGD(0.1), 10.0, only="first/kernel"), losses.binary_crossentropy
    )
    replicas.fit(x, y, batch_size=N, epochs=30)
    first, _, last, _ = replicas.get_weights()
    assert (first == 0).all() and (last != 0).all()


def test_a_name_that_no_variable_has_is_an_error():
    x, y = examples()
    with pytest.raises(ValueError, match=r"'kernal'.*dense.*/kernel"):
        fitted(Proximal("sgd", L1, only="kernal"), x, y, 1)


@pytest.mark.parametrize("l1", [-0.1, float("nan")])
def test_a_strength_that_is_none_is_refused(l1):
    with pytest.raises(ValueError, match="l1"):
        Proximal("sgd", l1)


# --- rate, count, files -----------------------------------------------------------------------------


def test_rate_and_count_are_the_wrapped_optimisers():
    x, y = examples()
    optimizer = Proximal(keras.optimizers.SGD(0.5), L1)
    optimizer.learning_rate = 0.25
    assert float(optimizer.optimizer.learning_rate) == float(optimizer.learning_rate) == 0.25
    seen = []
    note = keras.callbacks.LearningRateScheduler(lambda epoch, rate: seen.append(rate) or rate / 2)
    keras.utils.set_random_seed(1)
    model = linear()()
    model.compile(optimizer, losses.binary_crossentropy)
    model.fit(x, y, batch_size=N, epochs=3, callbacks=[note], verbose=0)
    assert seen == [0.25, 0.125, 0.0625]
    assert int(optimizer.iterations) == int(optimizer.optimizer.iterations) == 3


@pytest.mark.parametrize("only", ["kernel", matrix])
def test_configuration_survives_the_round_trip(only):
    optimizer = Proximal(keras.optimizers.SGD(falling(0.5), momentum=0.5), L1, only=only, name="mine")
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is Proximal
    assert again.get_config() == optimizer.get_config()
    assert (again.l1, again.only, again.name) == (L1, only, "mine")
    assert again.optimizer.get_config() == optimizer.optimizer.get_config()


def test_a_saved_model_goes_on_where_it_stopped(tmp_path):
    x, y = examples()
    model = fitted(Proximal(keras.optimizers.Adam(0.05), L1), x, y, 20)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert int(again.optimizer.iterations) == 20
    for run in (model, again):
        run.fit(x, y, batch_size=N, epochs=20, shuffle=False, verbose=0)
    np.testing.assert_array_equal(kernel(again), kernel(model))
    assert (kernel(model) == 0).any()


def test_saved_replicates_go_on_where_they_stopped(tmp_path):
    x, y = examples()
    replicas = Replicates(linear(), [0, 1], mode="stacked")
    replicas.compile(
        Proximal(keras.optimizers.Adam(0.05), 1.0), losses.binary_crossentropy, penalty_scale=[L1, 0.1]
    )
    replicas.fit(x, y, batch_size=N, epochs=20)
    replicas.save(tmp_path / "replicates")
    again = Replicates.load(tmp_path / "replicates")
    for run in (replicas, again):
        run.fit(x, y, batch_size=N, epochs=20)
    np.testing.assert_array_equal(again.get_weights()[0], replicas.get_weights()[0])
