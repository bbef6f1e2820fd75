"""What the trainings of `saturation` count, against plain second counts; and the other small measures."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck import data
from crosscheck.lab import bases, concentration, likelihood, paired, rivals, sigmoids


def test_shares_are_counted_by_hand() -> None:
    size = np.array([[[0.9, 0.5, 0.3, 0.1, 0.2]]])  # |p − y| of one seed at one look
    flipped = np.array([[True, False, False, False, True]])
    on_flipped, borderline = concentration.shares(size, flipped, 0.25)
    assert on_flipped[0, 0] == pytest.approx(1.1 / 2) and borderline[0, 0] == pytest.approx(0.8 / 2)
    assert concentration.shares(size, flipped, 0.1)[1][0, 0] == pytest.approx(0.5 / 2)


def test_what_is_dropped_and_turned_goes_by_the_arm() -> None:
    size = np.array([[1e-4, 1e-7, 0.5, 1e-5, 0.9]])
    kept = {arm: concentration.keep(arm, size)[0].tolist() for arm in concentration.ARMS}
    assert kept["quiet dropped"] == [0, 0, 1, 0, 1] and kept["every second dropped"] == [0, 1, 1, 0, 1]
    assert kept["all"] == kept["quiet turned"] == kept["labels flipped"] == [1, 1, 1, 1, 1]
    many = np.tile(size, 500)
    turned = concentration.turned("quiet turned", many, [3])
    assert turned[many >= 1e-3].sum() == 0
    assert turned[many < 1e-3].mean() == pytest.approx(concentration.TURNED, abs=0.1)
    assert not concentration.turned("all", many, [3]).any()


def test_as_many_labels_are_flipped_in_every_seed() -> None:
    flipped = concentration.flips([1, 2], 100, 0.1)
    assert flipped.sum(1).tolist() == [10, 10] and (flipped[0] != flipped[1]).any()


def test_the_gradient_of_an_example_does_not_cancel() -> None:
    size = concentration.wrongness(np.array([[40.0, -40.0, 0.0]]), np.array([1, 1, 0]))
    np.testing.assert_allclose(size, [[np.exp(-40), 1, 0.5]], rtol=1e-12)


def test_a_paired_error_counts_only_where_two_differ() -> None:
    one = np.tile([True, False], (1, 50))
    assert paired.error(one, one) == [0]
    other = one.copy()
    other[0, 0] = False
    assert paired.error(one, other)[0] == pytest.approx(np.sqrt(0.01 * 0.99) / 10)


def test_rivals_differ_in_their_loss_or_labels_alone() -> None:
    y = np.arange(1_000) % 10
    labels = dict(zip(rivals.ARMS, rivals.targets([1, 2], y, 10).reshape(4, 2, -1), strict=True))
    assert all((labels[arm] == y).all() for arm in rivals.ARMS if arm != rivals.NOISY)
    assert (labels[rivals.NOISY] != y).mean() == pytest.approx(0.9 * rivals.NOISE, abs=0.03)
    numbers = rivals.arguments(2)
    assert numbers["squares"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert numbers["alpha"] == pytest.approx([0, 0, 0.1, 0.1, 0, 0, 0, 0])
    z = np.array([[2.0, 0.0, 1.0]])
    assert float(rivals.mixed(np.array([0]), z, 1.0, 0.0)[0]) == pytest.approx((1 + 0 + 1) / 3)
    assert float(rivals.mixed(np.array([0]), z, 0.0, 0.0)[0]) == pytest.approx(np.log(np.exp(z - 2).sum()))


def test_large_images_are_averaged_and_small_ones_left() -> None:
    digits = data.load("digits")
    assert rivals.pixels(digits, digits.x_test) is digits.x_test


def test_runs_of_one_base_are_scaled_losses() -> None:
    z = np.array([[2.0, 0.0, 1.0]], "float32")
    natural, two = (float(bases.in_base(np.array([1]), z, base)[0]) for base in (1.0, np.log(2)))
    assert two == pytest.approx(natural / np.log(2))


@pytest.mark.parametrize("number", range(3))
def test_the_likeliest_weights_are_a_maximum_of_the_product(number: int) -> None:
    x, y = likelihood.problem(number)
    product = lambda w: np.prod(1 / (1 + np.exp(-np.where(y == 1, 1, -1) * (x @ w))))
    best = likelihood.likeliest(x, y)
    around = best + 1e-3 * np.random.default_rng(0).standard_normal((50, 2))
    assert max(map(product, around)) < product(best)


def test_products_underflow_where_the_least_float_says() -> None:
    assert likelihood.underflow(0.5, "float64") == pytest.approx(1075)
    assert likelihood.gone_after(0.5, "float64", np.prod) == 1075
    assert (
        likelihood.running_product(np.full(1074, 0.5)) > 0 == likelihood.running_product(np.full(1075, 0.5))
    )


def test_the_chain_rule_is_right_where_p_is_well_inside_and_breaks_where_it_is_not() -> None:
    z, y = np.array([-2.0, 0.0, 3.0, 100.0]), np.array([1.0, 0.0, 1.0, 0.0])
    slope = sigmoids.chain_rule(z, y, "float64")
    np.testing.assert_allclose(slope[:3], 1 / (1 + np.exp(-z[:3])) - y[:3], rtol=1e-12)
    assert np.isnan(slope[3])
