"""Temperature scaling against known factors, a grid and logistic regression; the Keras models around it."""

from __future__ import annotations

import keras
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from crosscheck import metrics
from crosscheck.calibration import Temperature, calibrate, fit_temperature, focal_restored, with_temperature
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

pytestmark = pytest.mark.every_backend


def example(seed: int = 0, n: int = 600, k: int = 4, scale: float = 2.0):
    """Logits that are honest, and labels drawn from their softmax."""
    rng = np.random.default_rng(seed)
    z = scale * rng.normal(size=(n, k))
    return z, (rng.random((n, 1)) > special.softmax(z, -1).cumsum(1)[:, :-1]).sum(1)


def binary(seed: int = 0, n: int = 600):
    rng = np.random.default_rng(seed)
    z = 2 * rng.normal(size=(n, 1))
    return z, (rng.random(n) < special.expit(z[:, 0])).astype(int)


# --- the temperature --------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_a_known_factor_is_recovered(seed: int, factor: float) -> None:
    z, y = example(seed)
    assert fit_temperature(factor * z, y) == pytest.approx(factor * fit_temperature(z, y), rel=1e-9)


def test_honest_logits_have_a_temperature_of_one() -> None:
    z, y = example(n=100_000)
    assert fit_temperature(z, y) == pytest.approx(1, abs=0.02)
    assert fit_temperature(3 * z, y) == pytest.approx(3, abs=0.06)
    z, y = binary(n=100_000)
    assert fit_temperature(z, y) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_no_temperature_of_a_grid_is_better(seed: int) -> None:
    z, y = example(seed, n=200)
    z *= 2.5
    best = fit_temperature(z, y)
    grid = np.geomspace(0.1, 50, 2001)
    scaled = z / grid[:, None, None]  # [2001, N, K]
    losses = np.mean(np.log(np.exp(scaled).sum(-1)) - scaled[:, np.arange(200), y], axis=-1)
    assert log_loss(y, special.softmax(z / best, -1)) <= losses.min() + 1e-12
    assert abs(np.log(grid[losses.argmin()] / best)) <= np.log(grid[1] / grid[0])


def test_of_a_single_output_it_is_one_over_the_slope_of_logistic_regression() -> None:
    z, y = binary()
    slope = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(z, y).coef_.item()
    for labels in (y, y[:, None], y.astype("float32")):
        assert fit_temperature(z, labels) == pytest.approx(1 / slope, rel=1e-5)
    assert fit_temperature(np.concatenate([-z, z], 1) / 2, y) == pytest.approx(1 / slope, rel=1e-5)


def test_labels_may_be_integers_one_hot_or_soft() -> None:
    z, y = example()
    expected = fit_temperature(z, y)
    assert fit_temperature(z, y[:, None]) == expected
    assert fit_temperature(z, np.eye(4)[y]) == pytest.approx(expected, rel=1e-12)
    assert fit_temperature(2 * z, special.softmax(z, -1).astype("float32")) == pytest.approx(2, rel=1e-5)


def test_each_replicate_has_its_own() -> None:
    parts = [example(seed) for seed in range(3)]
    z, y = (np.stack(part) for part in zip(*parts, strict=True))
    alone = [fit_temperature(*part) for part in parts]
    np.testing.assert_array_equal(fit_temperature(z, y), alone)
    shared = fit_temperature(z[0] * np.array([1, 2, 4])[:, None, None], y[0])
    np.testing.assert_allclose(shared, alone[0] * np.array([1, 2, 4]))


def test_far_logits_do_not_overflow() -> None:
    z, y = example()
    assert fit_temperature(1e200 * z, y) == pytest.approx(1e200 * fit_temperature(z, y), rel=1e-9)
    assert fit_temperature(z + 1e6, y) == pytest.approx(fit_temperature(z, y), rel=1e-6)


right = np.eye(3)[[0, 1, 2, 0]]


@pytest.mark.parametrize(
    ("message", "z", "y"),
    [
        ("finite; 1 of them", [[0.0, np.nan], [1, 0]], [0, 1]),
        ("finite", [[0.0, np.inf], [1, 0]], [0, 1]),
        ("probabilities.*from_logits", [[0.3, 0.7], [0.9, 0.1]], [0, 1]),
        ("probabilities.*from_logits", [[0.3], [0.9]], [0, 1]),
        ("one class only, 2", 5 * right, [2, 2, 2, 2]),
        ("one class only, 0", [[-1.0], [2.0]], [0, 0]),
        ("Every example is right", 5 * right, [0, 1, 2, 0]),
        ("point away", -5 * right, [0, 1, 2, 0]),
        ("all alike", np.zeros((4, 3)), [0, 1, 2, 0]),
        ("classes of the 3", 5 * right, [0, 1, 3, 0]),
        ("do not fit", 5 * right, [0, 1, 2]),
        (r"\[N, K\]", np.zeros(4), [0, 1, 1, 0]),
        ("Replicate 1: .*finite", [[[-1.0], [2], [-0.5]], [[np.nan], [1], [2]]], [0, 1, 1]),
        (r"`y` must be \[3", np.zeros((2, 3, 4)), [0, 1]),
    ],
)
def test_what_has_no_temperature_is_refused(message: str, z, y) -> None:
    with pytest.raises(ValueError, match=message):
        fit_temperature(np.asarray(z), np.asarray(y))


def test_of_probabilities_their_logarithm_will_do() -> None:
    z, y = example()
    assert fit_temperature(special.log_softmax(z, -1), y) == pytest.approx(fit_temperature(z, y), rel=1e-9)


# --- models -----------------------------------------------------------------------------------------


def trained(outputs: int = 3, activation: str | None = None):
    """An overconfident model, and examples that it has not seen."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 4)).astype("float32")
    keras.utils.set_random_seed(0)
    head = keras.layers.Dense(outputs, activation, name="head", kernel_initializer="glorot_normal")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "tanh"), head])
    head.kernel.assign(5 * head.kernel)
    guess = decided(model.predict(x, verbose=0) - 0.5 * (activation == "sigmoid"))
    y = np.where(np.arange(200) % 2, guess, rng.integers(0, max(outputs, 2), 200))  # better than chance
    return model, x, y


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_calibrated_model_decides_alike_and_is_likelier(outputs: int, tmp_path) -> None:
    model, x, y = trained(outputs)
    calibrated = calibrate(model, x, y)
    before, after = (scaled.predict(x, verbose=0) for scaled in (model, calibrated))
    np.testing.assert_array_equal(decided(before), decided(after))
    called = keras.ops.convert_to_numpy(calibrated(x))
    np.testing.assert_allclose(called, after, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after, before / fit_temperature(before, y), rtol=1e-5, atol=1e-6)
    seen = []
    for logits in (before, after):
        metric = metrics.NegativeLogLikelihood(from_logits=True)
        metric.update_state(y, logits)
        seen.append(float(metric.result()))
    assert seen[1] < seen[0]
    calibrated.save(tmp_path / "calibrated.keras")
    again = keras.models.load_model(tmp_path / "calibrated.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), after)


def decided(logits: np.ndarray) -> np.ndarray:
    return logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1)


def test_half_precision_logits_are_divided_in_float32() -> None:
    model, x, _ = trained()
    half = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="mixed_bfloat16")])
    with_temperature(half, 3.0)  # its output is bfloat16, as the policy's would be
    assert with_temperature(half, 3.0).output.dtype == "float32"
    wide = Temperature(3.0, dtype="mixed_float16")(keras.ops.convert_to_tensor(model.predict(x, verbose=0)))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(wide), model.predict(x, verbose=0) / 3, rtol=1e-6)


def test_models_of_models_and_without_a_graph() -> None:
    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.head = keras.layers.Dense(3)

        def call(self, x):
            return self.head(x)

    model, x, _ = trained()
    nested = keras.Sequential([keras.Input((4,)), model])
    subclassed = Subclassed()
    for wrapped in (nested, subclassed):
        before, after = wrapped.predict(x, verbose=0), with_temperature(wrapped, 2.0).predict(x, verbose=0)
        np.testing.assert_allclose(after, before / 2, rtol=1e-6)
    by_name = {name: keras.Input((4,), name=name) for name in "ab"}
    merged = keras.Model(by_name, keras.layers.Dense(3)(keras.layers.Add()(list(by_name.values()))))
    pair = {"a": x, "b": -x}
    np.testing.assert_allclose(
        *map(keras.ops.convert_to_numpy, (with_temperature(merged, 2.0)(pair), merged(pair) / 2))
    )


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "layer", "activation", "nested"])
def test_a_model_that_ends_in_probabilities_is_refused_with_the_remedy(kind: str) -> None:
    outputs = 1 if kind == "sigmoid" else 3
    bare = kind in ("layer", "activation")
    model, x, y = trained(outputs, None if bare else "sigmoid" if kind == "sigmoid" else "softmax")
    name = "last" if bare else "head"
    if bare:
        layers = keras.layers
        model.add(layers.Softmax(name=name) if kind == "layer" else layers.Activation("softmax", name=name))
    if kind == "nested":
        model = keras.Sequential([keras.Input((4,)), model])
    with pytest.raises(ValueError, match=f'"{name}".*from_logits=True'):
        calibrate(model, x, y)


def test_the_remedy_helps() -> None:
    model, x, y = trained(activation="softmax")
    model.predict(x, verbose=0)
    model.layers[-1].activation = keras.activations.linear
    assert calibrate(model, x, y).layers[-1].temperature > 1


def test_several_outputs_and_impossible_temperatures_are_refused() -> None:
    inputs = keras.Input((4,))
    two = keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(2)(inputs)])
    with pytest.raises(ValueError, match="2 outputs"):
        with_temperature(two, 1.0)
    for temperature in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="temperature"):
            Temperature(temperature)


def test_replicates_are_calibrated_member_by_member() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(150, 4)).astype("float32")
    y = np.where(rng.random(150) < 0.3, rng.integers(0, 3, 150), x[:, :3].argmax(1))
    replicas = Replicates(perceptron(4, [], 3), [1, 2])
    replicas.set_weights([np.stack([3 * np.eye(4, 3), 9 * np.eye(4, 3)]), np.zeros((2, 3))])
    actual = fit_temperature(replicas.predict(x), y)
    assert actual[1] == pytest.approx(3 * actual[0], rel=1e-5)
    for r in range(2):
        calibrated = with_temperature(replicas.member(r), actual[r])
        np.testing.assert_allclose(calibrated.predict(x, verbose=0), x[:, :3] * 3 / actual[0], rtol=1e-4)


# --- focal loss undone --------------------------------------------------------------------------------


def restored_by_the_formula(z: np.ndarray, gamma: float) -> list[float]:
    """ln η_k of logits [K], from the formula as it is printed, at 1000 digits."""
    with mpmath.workdps(1000):
        powers = [mpmath.exp(mpmath.mpf(float(logit))) for logit in z]
        shares = [power / mpmath.fsum(powers) for power in powers]
        rests = [mpmath.fsum(powers[:k] + powers[k + 1 :]) / mpmath.fsum(powers) for k in range(len(powers))]
        eta = [
            p / (rest**gamma - gamma * rest ** (gamma - 1) * p * mpmath.log(p))
            for p, rest in zip(shares, rests, strict=True)
        ]
        return [float(mpmath.log(one / mpmath.fsum(eta))) for one in eta]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_loss_is_undone_to_the_last_digits_however_sure_the_model(dtype: str, gamma: float) -> None:
    z = np.array([[0, 0, 0], [1, 2, 3.5], [0, 0, -60], [30, 0, -3], [200, 0.5, 0], [-1000, 3, 800]], dtype)
    restored = keras.ops.convert_to_numpy(focal_restored(keras.ops.convert_to_tensor(z, dtype=dtype), gamma))
    expected = np.array([restored_by_the_formula(row, gamma) for row in z])
    assert restored.dtype == dtype and restored.shape == z.shape
    assert np.abs(restored - expected).max() <= 8 * np.finfo(dtype).eps * max(1, np.abs(expected).max())
    np.testing.assert_allclose(restored[:3], expected[:3], rtol=16 * np.finfo(dtype).eps)


CHANCES = ([0.1, 0.9], [0.5, 0.5], [0.6, 0.3, 0.1], [0.25] * 4, [0.97, 0.02, 0.01])


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("q", CHANCES, ids=str)
def test_where_the_expected_focal_loss_is_least_the_true_chances_come_back(
    gamma: float, q: list[float]
) -> None:
    focal = lambda p: -(np.array(q) * (1 - p) ** gamma * np.log(p)).sum()
    search = {"xatol": 1e-9, "fatol": 1e-15, "maxiter": 10_000}
    least = optimize.minimize(
        lambda z: focal(special.softmax(np.append(z, 0.0))),
        np.zeros(len(q) - 1),
        method="Nelder-Mead",
        options=search,
    )
    z = np.append(least.x, 0.0)
    all_classes = keras.ops.convert_to_numpy(focal_restored(z[None], gamma))
    np.testing.assert_allclose(special.softmax(all_classes)[0], q, atol=1e-5)
    if len(q) == 2:  # one logit tells the same as two
        one = keras.ops.convert_to_numpy(focal_restored(z[None, :1] - z[None, 1:], gamma))
        np.testing.assert_allclose(special.expit(one)[0], q[:1], atol=1e-5)


def test_undoing_focal_loss_changes_no_decision_and_takes_no_negative_gamma() -> None:
    z = np.random.default_rng(0).normal(0, 4, (200, 10))
    restored = keras.ops.convert_to_numpy(focal_restored(z))
    np.testing.assert_array_equal(np.argsort(restored), np.argsort(z))
    for gamma in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="gamma"):
            focal_restored(z, gamma)


# --- sequences, and batches -------------------------------------------------------------------------------


def test_every_step_of_a_sequence_is_an_example_of_one_model() -> None:
    z, y = example(n=600)
    one = fit_temperature(z, y)
    assert fit_temperature(z.reshape(60, 10, 4), y.reshape(60, 10), replicates=False) == one
    assert fit_temperature(z.reshape(60, 10, 4), y.reshape(60, 10, 1), replicates=False) == one
    assert fit_temperature(z.reshape(60, 5, 2, 4), np.eye(4)[y].reshape(60, 5, 2, 4), replicates=False) == one
    with pytest.raises(ValueError, match="do not fit"):
        fit_temperature(z.reshape(60, 10, 4), y[:60], replicates=False)
    with pytest.raises(ValueError, match="replicates=False"):
        fit_temperature(z.reshape(60, 5, 2, 4), y.reshape(60, 5, 2))


def test_a_model_of_sequences_gets_one_temperature() -> None:
    z, y = example(n=600)
    sequences = z.reshape(60, 10, 4).astype("float32")
    model = keras.Sequential([keras.Input((10, 4)), keras.layers.Identity()])
    calibrated = calibrate(model, sequences, y.reshape(60, 10))
    assert calibrated.layers[-1].temperature == pytest.approx(fit_temperature(z, y), rel=1e-5)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 100

    def __getitem__(self, i):
        return self.x[100 * i : 100 * (i + 1)], self.y[100 * i : 100 * (i + 1)]


def test_batches_are_taken_as_fit_takes_them() -> None:
    z, y = example(n=600)
    x = z.astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Identity()])
    expected = calibrate(model, x, y).layers[-1].temperature
    assert calibrate(model, Batches(x, y)).layers[-1].temperature == pytest.approx(expected, rel=1e-6)
    weighted = [(x[:300], y[:300], np.ones(300)), (x[300:], y[300:], np.ones(300))]
    assert calibrate(model, weighted).layers[-1].temperature == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="wants labels"):
        calibrate(model, [(x,)])


def test_a_data_set_of_tensorflow_is_taken() -> None:
    tf = pytest.importorskip("tensorflow")
    z, y = example(n=600)
    data = tf.data.Dataset.from_tensor_slices((z.astype("float32"), y)).batch(128)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Identity()])
    expected = fit_temperature(z.astype("float32"), y)
    assert calibrate(model, data).layers[-1].temperature == pytest.approx(expected, rel=1e-5)
