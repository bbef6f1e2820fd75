"""The landscape of cross-entropy: its Hessian, and where it is looked at from."""

from __future__ import annotations

import numpy as np

from crosscheck import losses, paths
from crosscheck.lab import landscape


def test_the_second_derivative_is_p_times_its_rest_in_the_dtype_that_it_was_asked_for_in() -> None:
    z = np.array([-3.0, 0.1, 2.0])
    p = 1 / (1 + np.exp(-z))
    whole, half = (
        landscape.second_derivative(losses.binary_crossentropy, z, d) for d in ("float64", "float32")
    )
    np.testing.assert_allclose(whole, p * (1 - p), rtol=1e-14)
    np.testing.assert_allclose(half, p * (1 - p), rtol=1e-6)
    assert (half != whole).any() and half.dtype == "float64"


def test_the_hessian_is_that_of_the_oracle_at_logits_of_every_size() -> None:
    z = landscape.scattered_logits(20, 4, 30.0)
    hessian = landscape.softmax_hessian(paths.softmax(z))
    np.testing.assert_allclose(hessian, paths.softmax_jacobian(z), rtol=1e-12)


def test_the_hessian_keeps_its_digits_where_a_probability_rounds_to_1() -> None:
    hessian = landscape.softmax_hessian(np.array([1.0, 1e-20]))
    assert hessian[0, 0] == 1e-20


def test_the_largest_eigenvalue_is_a_half_at_a_tie_of_two_and_1_over_k_at_one_of_all() -> None:
    tie, uniform = np.array([0.0, 0.0, -60.0, -60.0]), np.zeros(4)
    logits = np.array([[tie, tie], [tie, uniform]], "float32")  # [R, N, K]
    np.testing.assert_allclose(landscape.largest_eigenvalue(logits), [1 / 2, (1 / 2 + 1 / 4) / 2])


def test_scattered_logits_grow_to_the_largest_scale_and_every_class_has_its_turn() -> None:
    z = landscape.scattered_logits(1000, 10, 50.0)
    assert 0.09 < z[:20].std() < 0.12
    assert 42 < z[-20:].std() < 55
    np.testing.assert_array_equal(landscape.every_label(4, 3).argmax(1), [0, 1, 2, 0])


def test_curvature_is_looked_at_before_training_and_after_each_span_of_epochs() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(128, 4)).astype("float32"), np.zeros(128, "int32")
    seen = landscape.curvature_in_training((0, 1), x, y, (0, 5, 200), x[:10])
    assert seen.shape == (3, 2)
    assert (seen[2] < seen[0]).all()  # a single label is learned by heart
