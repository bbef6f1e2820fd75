"""Entropy and total correlation against closed forms, SciPy and the common cause's own formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crosscheck import information
from crosscheck.data import CommonCause

tables = st.tuples(st.integers(1, 4), st.integers(0, 10**6)).map(
    lambda drawn: (
        np.random.default_rng(drawn[1]).dirichlet(np.full(2 ** drawn[0], 0.5)).reshape([2] * drawn[0])
    )
)


def test_the_first_label_is_the_highest_bit() -> None:
    np.testing.assert_array_equal(information.outcomes(2), [[0, 0], [0, 1], [1, 0], [1, 1]])
    for labels in (1, 3, 5):
        np.testing.assert_array_equal(
            information.outcome_of(information.outcomes(labels)), np.arange(2**labels)
        )


def test_outcomes_are_in_the_order_of_the_common_cause() -> None:
    cause = CommonCause(labels=3, strength=0.6, revealed=0.0)
    np.testing.assert_allclose(
        cause.joint().ravel(), [cause.joint()[tuple(bits)] for bits in information.outcomes(3)]
    )


def test_counts_keep_the_leading_axes() -> None:
    y = np.random.default_rng(0).integers(0, 2, (4, 50, 3))
    actual = information.counts(y)
    assert actual.shape == (4, 8)
    np.testing.assert_array_equal(actual.sum(-1), 50)
    expected = [(y[2] == bits).all(-1).sum() for bits in information.outcomes(3)]
    np.testing.assert_array_equal(actual[2], expected)


@settings(deadline=None, max_examples=50)
@given(tables)
def test_total_correlation_is_the_divergence_from_the_product_of_the_marginals(p) -> None:
    product = 1.0
    for axis in range(p.ndim):
        product = np.multiply.outer(product, information.marginal(p, axis))
    expected = stats.entropy(p.ravel(), np.ravel(product))
    assert information.total_correlation(p) == pytest.approx(expected, abs=1e-12)


def test_total_correlation_of_the_common_cause() -> None:
    for labels in (2, 3, 5):
        cause = CommonCause(labels, strength=0.8, revealed=0.0)
        assert information.total_correlation(cause.joint()) == pytest.approx(cause.total_correlation())


def test_certain_and_even_outcomes_have_their_entropies() -> None:
    assert information.entropy(np.array([0.0, 1.0])) == 0
    assert information.entropy(np.full((2, 2), 1 / 4)) == pytest.approx(2 * np.log(2))


def test_copies_of_a_fair_coin_share_all_but_one_of_their_bits() -> None:
    y = np.repeat([[0], [1]], 3, axis=1)
    assert information.empirical_total_correlation(y) == pytest.approx(2 * np.log(2))


def test_the_empirical_bias_is_that_of_the_degrees_of_freedom() -> None:
    """2N times the total correlation of independent labels is χ² with 2^L − 1 − L degrees of freedom."""
    n, labels = 400, 3
    y = np.random.default_rng(0).integers(0, 2, (2000, n, labels))
    actual = 2 * n * np.array([information.empirical_total_correlation(labels) for labels in y])
    freedom = 2**labels - 1 - labels
    assert actual.mean() == pytest.approx(freedom, abs=5 * np.sqrt(2 * freedom / len(y)))


@pytest.mark.parametrize("y", ([[0.5, 1]], [[2, 0]], [[-1, 1]]))
def test_labels_that_are_neither_0_nor_1_are_refused(y) -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        information.empirical_total_correlation(np.array(y))


def test_no_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="no examples"):
        information.empirical_total_correlation(np.zeros((0, 2), int))


def test_a_first_label_shuffled_keeps_both_sides_frequencies() -> None:
    counts = np.array([30, 10, 0, 5, 2, 8, 25, 20])
    actual = np.stack([information.first_shuffled(np.random.default_rng(s), counts) for s in range(4000)])
    np.testing.assert_array_equal(
        actual.reshape(-1, 2, 4).sum(1), np.tile(counts.reshape(2, 4).sum(0), (4000, 1))
    )
    np.testing.assert_array_equal(
        actual.reshape(-1, 2, 4).sum(2), np.tile(counts.reshape(2, 4).sum(1), (4000, 1))
    )
    mean = information.first_apart(counts / 100, counts / 100) * 100
    np.testing.assert_allclose(actual.mean(0), mean, atol=5 * actual.std(0).max() / np.sqrt(4000))


def test_a_first_label_set_apart_shares_nothing() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(8), 3)  # given each of three features
    law = p.mean(0)
    apart = information.first_apart(p, law)
    np.testing.assert_allclose(apart.reshape(3, 2, 4).sum(1), p.reshape(3, 2, 4).sum(1))
    np.testing.assert_allclose(
        apart.reshape(3, 2, 4).sum(2), np.broadcast_to(law.reshape(2, 4).sum(1), (3, 2))
    )
    for table in apart:
        assert information.total_correlation(table.reshape(2, 4)) == pytest.approx(0, abs=1e-12)
