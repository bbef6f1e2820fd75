"""What must be true of the losses whatever the logits: invariants, convexity, derivatives by differences."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck import losses
from crosscheck.autodiff import gradient, logit_gradient, logit_hessian, numbers, tensors

LOGIT = st.floats(-20, 20, width=32)
STEP = 1e-2
patient = settings(max_examples=50, deadline=None)


def logits(k: int | None = None) -> st.SearchStrategy[np.ndarray]:
    size = st.integers(2, 6) if k is None else st.just(k)
    return size.flatmap(lambda n: st.lists(LOGIT, min_size=n, max_size=n)).map(lambda z: np.array([z]))


def labels(z: np.ndarray, seed: int) -> np.ndarray:
    """Soft labels that sum to 1, or a one-hot one for seed 0: [1, K]."""
    if seed == 0:
        return np.eye(1, z.shape[1])
    return np.random.default_rng(seed).dirichlet(np.ones(z.shape[1]), 1)


def value(loss: Callable, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return numbers(loss(*tensors(y, z)))


# --- invariants -------------------------------------------------------------------------------------


@patient
@given(logits(), st.integers(0, 9), st.floats(-50, 50, width=32))
def test_a_constant_added_to_all_logits_changes_nothing(z: np.ndarray, seed: int, shift: float) -> None:
    y = labels(z, seed)
    for measure in (value, logit_gradient):
        before, after = (measure(losses.categorical_crossentropy, y, logit) for logit in (z, z + shift))
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)


@patient
@given(logits(), st.integers(0, 9))
def test_the_gradient_sums_to_zero_and_is_p_minus_y(z: np.ndarray, seed: int) -> None:
    y = labels(z, seed)
    slope = logit_gradient(losses.categorical_crossentropy, y, z)
    p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    np.testing.assert_allclose(slope, p - y, atol=1e-14)
    assert abs(slope.sum()) < 1e-14


@patient
@given(logits(), st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_order_of_the_classes_does_not_matter(z: np.ndarray, seed: int, random) -> None:
    y, order = labels(z, seed), list(range(z.shape[1]))
    random.shuffle(order)
    loss = losses.categorical_crossentropy
    # To a unit against 1, as the loss promises: near 0 it is a difference of numbers of the logits' size.
    in_order, moved_too = value(loss, y, z), value(loss, y[:, order], z[:, order])
    np.testing.assert_allclose(moved_too, in_order, rtol=1e-13, atol=1e-15)
    moved = logit_gradient(loss, y[:, order], z[:, order])
    np.testing.assert_allclose(moved, logit_gradient(loss, y, z)[:, order], atol=1e-14)


@patient
@given(logits(2), st.floats(0, 1))
def test_two_classes_are_the_binary_loss_of_the_difference(z: np.ndarray, y: float) -> None:
    joint = value(losses.categorical_crossentropy, np.array([[y, 1 - y]]), z)
    binary = value(losses.binary_crossentropy, np.array([[y]]), z[:, :1] - z[:, 1:])
    np.testing.assert_allclose(joint, binary, rtol=1e-11, atol=1e-13)


@patient
@given(logits(), st.floats(0, 1), st.integers(0, 9))
def test_smoothing_mixes_the_labels_with_the_uniform(z: np.ndarray, alpha: float, seed: int) -> None:
    y = labels(z, seed)
    mixed = y * (1 - alpha) + alpha / z.shape[1]
    smoothed = value(lambda y, z: losses.categorical_crossentropy(y, z, alpha), y, z)
    np.testing.assert_allclose(
        smoothed, value(losses.categorical_crossentropy, mixed, z), rtol=1e-11, atol=1e-13
    )


# --- convexity --------------------------------------------------------------------------------------


@patient
@given(st.data(), st.integers(2, 6), st.integers(0, 9))
def test_cross_entropy_is_convex_in_the_logits(data, k: int, seed: int) -> None:
    one, other = data.draw(logits(k)), data.draw(logits(k))
    y = labels(one, seed)
    ends = [value(losses.categorical_crossentropy, y, z)[0] for z in (one, other)]
    middle = value(losses.categorical_crossentropy, y, (one + other) / 2)[0]
    assert middle <= np.mean(ends) + 1e-12 * max(1, *ends)


@patient
@given(logits(), st.integers(0, 9))
def test_its_hessian_is_positive_semidefinite(z: np.ndarray, seed: int) -> None:
    hessian = logit_hessian(losses.categorical_crossentropy, labels(z, seed), z)[0]
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-15)
    assert np.linalg.eigvalsh(hessian).min() > -1e-14


@pytest.mark.parametrize("loss", [losses.brier, losses.categorical_brier])
def test_the_brier_score_is_not_convex(loss: Callable) -> None:
    """On the wrong side it flattens out: halfway to a confident error it lies above the chord."""
    wide = 1 if loss is losses.brier else 2
    y = np.eye(1, wide)
    near, far = (np.eye(1, wide) * z for z in (0.0, -20.0))
    ends = [value(loss, y, z)[0] for z in (near, far)]
    assert value(loss, y, (near + far) / 2)[0] > np.mean(ends) + 0.1
    assert np.linalg.eigvalsh(logit_hessian(loss, y, far / 4)[0]).min() < -0.01


# --- derivatives ------------------------------------------------------------------------------------

ALL = {
    "binary": losses.binary_crossentropy,
    "binary, smoothed": lambda y, z: losses.binary_crossentropy(y, z, 0.1),
    "brier": losses.brier,
    "categorical": losses.categorical_crossentropy,
    "categorical, smoothed": lambda y, z: losses.categorical_crossentropy(y, z, 0.1),
    "categorical brier": losses.categorical_brier,
    "categorical brier, smoothed": lambda y, z: losses.categorical_brier(y, z, 0.1),
}


def differences(function: Callable[[np.ndarray], np.ndarray], z: np.ndarray) -> np.ndarray:
    """∂ function / ∂z_i of one row of logits, i first, by fourth-order central differences in one call."""
    shifts = STEP * np.eye(z.shape[1])
    values = function(np.concatenate([z + times * shifts for times in (-2, -1, 1, 2)]))
    far_below, below, above, far_above = np.split(values, 4)
    return (8 * (above - below) - (far_above - far_below)) / (12 * STEP)


@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("name", ALL)
@given(z=logits(3), seed=st.integers(0, 9))
def test_autodiff_agrees_with_finite_differences(name: str, z: np.ndarray, seed: int) -> None:
    loss, z = ALL[name], z / 4
    y = labels(z, seed)
    repeated = np.repeat(y, 4 * 3, axis=0)
    slope = differences(lambda rows: value(loss, repeated, rows), z)
    np.testing.assert_allclose(logit_gradient(loss, y, z)[0], slope, atol=1e-7)
    hessian = differences(lambda rows: logit_gradient(loss, repeated, rows), z)
    np.testing.assert_allclose(logit_hessian(loss, y, z)[0].T, hessian, atol=1e-7)


def test_what_does_not_depend_on_z_has_no_gradient() -> None:
    z = keras.ops.convert_to_tensor(np.ones((2, 3)), dtype="float64")
    constant = gradient(lambda z: keras.ops.ones((2,), dtype="float64"))
    np.testing.assert_array_equal(numbers(constant(z)), np.zeros((2, 3)))
    linear = gradient(lambda z: keras.ops.sum(2 * z, axis=-1))
    np.testing.assert_array_equal(numbers(gradient(linear)(z)), np.zeros((2, 3)))


def test_derivatives_keep_the_dtype_of_the_logits() -> None:
    for dtype in ("float32", "float64"):
        y, z = np.eye(2, 3, dtype=dtype), np.ones((2, 3), dtype)
        assert logit_gradient(losses.categorical_crossentropy, y, z).dtype == dtype
        assert logit_hessian(losses.categorical_crossentropy, y, z).shape == (2, 3, 3)


@patient
@given(logits(), st.floats(0, 3, width=32))
def test_labels_need_not_sum_to_one(z: np.ndarray, total: float) -> None:
    y = total * labels(z, 5)
    p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    actual = value(losses.categorical_crossentropy, y, z)[0]
    np.testing.assert_allclose(actual, -np.sum(y * np.log(p)), atol=1e-11)
    slope = logit_gradient(losses.categorical_crossentropy, y, z)
    np.testing.assert_allclose(slope, total * p - y, atol=1e-13)


def test_float64_stays_float64_on_every_backend() -> None:
    """Where `ops.mean` rounds to float32 (JAX, PyTorch), and `ops.softplus` is cut off at 20 (PyTorch)."""
    z = np.array([[-25.5], [-1 / 3], [0.0], [1 / 3], [22.25], [30.5]])
    y = np.zeros_like(z)
    expected = np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0)
    actual = value(losses.binary_crossentropy, y, z)
    np.testing.assert_allclose(actual, expected[:, 0], rtol=1e-15)
    slope = logit_gradient(losses.binary_crossentropy, y, z)
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-z)), rtol=1e-15)


def test_the_brier_score_of_two_classes_is_twice_the_binary_one() -> None:
    z = np.array([[2.0, -1.0], [0.5, 0.5], [-30.0, 8.0]])
    y = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    binary = value(losses.brier, y[:, :1], z[:, :1] - z[:, 1:])
    np.testing.assert_allclose(value(losses.categorical_brier, y, z), 2 * binary, rtol=1e-13)


@pytest.mark.parametrize("alpha", (0.0, 0.1))
@pytest.mark.parametrize("label", (-100, -1, 5, 2**40, 1.5, np.nan))
def test_an_impossible_label_makes_its_example_nan_and_no_other(label: float, alpha: float) -> None:
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 5, 4), rng.normal(size=(4, 5))
    one = np.where(np.arange(len(y)) == 1, label, y)
    loss = lambda y, z: losses.sparse_categorical_crossentropy(y, z, alpha)
    for measure in (value, logit_gradient):
        actual = measure(loss, one, z)
        assert np.isnan(actual[1]).all()
        np.testing.assert_array_equal(np.delete(actual, 1, 0), np.delete(measure(loss, y, z), 1, 0))
