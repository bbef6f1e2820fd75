"""`Proximal` against closed forms, ISTA in NumPy and scikit-learn, around many of Keras' optimisers."""

from __future__ import annotations

import functools
import warnings

import keras
import numpy as np
import pytest
from plainly import PLAINLY, fitted_beside, repeated
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


@functools.cache
def solved(l1):
    """scikit-learn's optimum of the mean loss of the examples + λ‖w‖₁, [D].

    Below a tolerance of 1e-10 rounding may keep its search, which draws the coordinates' order, from its end.
    """
    x, y = examples()
    model = LogisticRegression(
        penalty="l1",
        solver="liblinear",
        C=1 / (len(x) * l1),
        fit_intercept=False,
        tol=1e-10,
        max_iter=100_000,
        random_state=0,
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
    model.compile(optimizer, losses.binary_crossentropy, **PLAINLY)
    model.fit(*repeated(steps, x, y), batch_size=len(x), shuffle=False, verbose=0)
    return model


def trained_beside(optimizers, steps):
    """Kernels that the optimisers bring through so many steps on the examples, all from the same start."""
    loss = lambda y, z: len(optimizers) * losses.binary_crossentropy(y + keras.ops.zeros_like(z), z)
    start = np.random.default_rng(1).normal(size=D)
    return fitted_beside(optimizers, *examples(), loss, steps, start)


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


A, C, QUADRATIC_L1 = np.array([0.5, 1, 1, 0.3, 1, 0.7]), np.array([1, -0.4, 0.1, -0.2, -0.05, 0.2]), 0.15


def descended(optimizers, a, c, start):
    """Where the gradients of Σ a (w − c)²/2 bring a kernel w, by optimiser: logit i is w_i."""
    loss = lambda y, z: len(a) * keras.ops.sum(y[:, :1] * (z - y[:, 1:]) ** 2 / 2, axis=-1)
    return fitted_beside(optimizers, np.eye(len(a)), np.stack([a, c], 1), loss, STEPS, start)


@pytest.fixture(scope="module")
def ends():
    optimizers = {name: Proximal(make(), QUADRATIC_L1) for name, make in OPTIMIZERS.items()}
    return descended(optimizers, A, C, start=1 - C)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_ends_at_the_closed_form_of_a_quadratic(name, ends):
    """min Σ a (w − c)²/2 + λ|w| is at S(c, λ/a); four of the optima are zero."""
    true = np.sign(C) * np.maximum(np.abs(C) - QUADRATIC_L1 / A, 0)
    assert (true == 0).sum() == 4
    np.testing.assert_allclose(ends[name], true, atol=1e-3)
    np.testing.assert_array_equal(ends[name] == 0, true == 0)


class ThresholdedAfter:
    """What `Proximal` is not: an optimiser's step on the loss alone, then a threshold of its rate times λ."""

    def __init__(self, optimizer, l1):
        self.optimizer, self.l1 = optimizer, l1
        self.build = optimizer.build

    @property
    def variables(self):
        return self.optimizer.variables

    def apply(self, grads, variables):
        self.optimizer.apply(grads, variables)
        variables[0].assign(soft_threshold(variables[0].value, self.optimizer.learning_rate * self.l1))


def test_a_threshold_of_rate_times_l1_after_the_step_ends_elsewhere():
    """As the docstring has it: under momentum β at the optimum of λ(1 − β), after Adam near that of λ = 0."""
    c, l1, rate, beta = np.array([1, 0.5, -0.3]), 0.1, 0.01, 0.9
    kinds = {
        "momentum": ThresholdedAfter(keras.optimizers.SGD(rate, momentum=beta), l1),
        "adam": ThresholdedAfter(keras.optimizers.Adam(rate, beta_2=0.9), l1),
    }
    ends = descended(kinds, np.ones(3), c, np.zeros(3))
    left = {name: np.abs(c) - np.abs(w) for name, w in ends.items()}
    np.testing.assert_allclose(left["momentum"], l1 * (1 - beta), atol=1e-3)
    assert (left["adam"] < l1 / 4).all()


def test_without_strength_momentum_may_carry_a_weight_off_zero():
    w, moved, still = (keras.ops.full(1, value, "float32") for value in (0.0, 0.1, 0.0))
    assert float(proximal(w, moved, still, 0.0)[0]) == float(moved[0])
    assert float(proximal(w, moved, still, 0.5)[0]) == 0


def test_without_strength_it_is_the_wrapped_optimiser():
    names = ("momentum", "adam")
    plain = {name: OPTIMIZERS[name]() for name in names}
    wrapped = {f"{name}, wrapped": Proximal(OPTIMIZERS[name](), 0.0) for name in names}
    kernels = trained_beside({**plain, **wrapped}, 20)
    for name in names:
        np.testing.assert_array_equal(kernels[f"{name}, wrapped"], kernels[name])


# --- in training ------------------------------------------------------------------------------------


IN_TRAINING = {name: OPTIMIZERS[name] for name in ("sgd", "momentum", "adam", "nadam")}
IN_TRAINING["accumulated"] = lambda: keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)


@pytest.fixture(scope="module")
def solutions():
    """What training by each optimiser finds; accumulating over two equal batches takes twice the steps."""
    return trained_beside({name: Proximal(make(), L1) for name, make in IN_TRAINING.items()}, 2 * STEPS)


@pytest.mark.parametrize("name", IN_TRAINING)
def test_fit_finds_scikit_learns_solution(name, solutions):
    true = solved(L1)
    assert 0 < (true == 0).sum() < D
    np.testing.assert_allclose(solutions[name], true, atol=1e-4)
    np.testing.assert_array_equal(solutions[name] == 0, true == 0)


@pytest.mark.parametrize(
    ("name", "mode", "strengths"),
    [
        ("sgd", "stacked", [0.02, 0.03, 0.1, 0.2, 0.05]),
        ("adam", "stacked", [0.02, 0.03, 0.1, 0.2, 0.05]),
        ("adam", "loop", [0.03, 0.1]),  # a program for each strength
    ],
)
def test_replicates_find_it_each_at_its_own_strength(name, mode, strengths):
    x, y = examples()
    replicas = Replicates(linear(), range(len(strengths)), mode=mode)
    replicas.compile(
        Proximal(OPTIMIZERS[name](), 1.0), losses.binary_crossentropy, penalty_scale=strengths, **PLAINLY
    )
    replicas.fit(*repeated(STEPS, x, y), batch_size=N, shuffle=False)
    for l1, actual in zip(strengths, replicas.get_weights()[0][..., 0], strict=True):
        true = solved(l1)
        np.testing.assert_allclose(actual, true, atol=1e-4)
        np.testing.assert_array_equal(actual == 0, true == 0)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_replicate_equals_a_plain_fit_in_minibatches(name):
    x, y = examples()
    replicas = Replicates(perceptron(D, [6], 1), [3, 4], mode="stacked")
    replicas.compile(Proximal(OPTIMIZERS[name](), L1), losses.binary_crossentropy, **PLAINLY)
    replicas.fit(x, y, batch_size=50, epochs=3)
    keras.utils.set_random_seed(4)
    model = perceptron(D, [6], 1)()
    model.compile(Proximal(OPTIMIZERS[name](), L1), losses.binary_crossentropy, **PLAINLY)
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


def test_a_wrapped_optimiser_that_clips_does_so_in_each_replicate():
    x, y = examples()
    make = lambda: Proximal(keras.optimizers.SGD(0.5, global_clipnorm=0.1), L1)
    both, own = Replicates(linear(), [0, 1], mode="stacked"), np.stack([x, 100 * x])
    both.compile(make(), losses.binary_crossentropy, **PLAINLY)
    both.fit(own, np.stack([y, y]), 32, 2)
    for r in range(2):
        alone = Replicates(linear(), [r], mode="stacked")
        alone.compile(make(), losses.binary_crossentropy, **PLAINLY)
        alone.fit(own[r], y, 32, 2)
        np.testing.assert_allclose(both.member_weights(r)[0], alone.member_weights(0)[0], atol=1e-6)


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
    table.compile(Proximal(keras.optimizers.SGD(0.5), 0.1, only="embeddings"), "mse", **PLAINLY)
    c = np.array([[1.0], [0.1], [-0.05], [-2.0]], "float32")
    table.fit(np.tile(np.arange(4), 100), np.tile(c, (100, 1)), batch_size=4, shuffle=False, verbose=0)
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
        Proximal(keras.optimizers.SGD(0.1), 10.0, only="first/kernel"), losses.binary_crossentropy, **PLAINLY
    )
    replicas.fit(*repeated(30, x, y), batch_size=N)
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
    model.compile(optimizer, losses.binary_crossentropy, **PLAINLY)
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
        run.fit(*repeated(20, x, y), batch_size=N, shuffle=False, verbose=0)
    np.testing.assert_array_equal(kernel(again), kernel(model))
    assert (kernel(model) == 0).any()


def test_saved_replicates_go_on_where_they_stopped(tmp_path):
    x, y = examples()
    replicas = Replicates(linear(), [0, 1], mode="stacked")
    replicas.compile(
        Proximal(keras.optimizers.Adam(0.05), 1.0),
        losses.binary_crossentropy,
        penalty_scale=[L1, 0.1],
        **PLAINLY,
    )
    replicas.fit(x, y, batch_size=N, epochs=20)
    replicas.save(tmp_path / "replicates")
    again = Replicates.load(tmp_path / "replicates")
    for run in (replicas, again):
        run.fit(x, y, batch_size=N, epochs=20)
    np.testing.assert_array_equal(again.get_weights()[0], replicas.get_weights()[0])
