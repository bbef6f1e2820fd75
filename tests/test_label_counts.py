"""Tables of counts: a sample is of the population that goes with it, and a shuffled label shares nothing."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck import data, information
from crosscheck.lab import label_counts

CAUSE = data.CommonCause(2, 0.9, revealed=0.5)


@pytest.mark.parametrize("shuffle", ["", "label", "features"])
def test_a_sample_is_of_its_population(shuffle: str) -> None:
    counts = label_counts.sampled(CAUSE, 100_000, 0, shuffle)
    assert counts.sum() == 100_000
    shares = counts / counts.sum(1, keepdims=True)
    np.testing.assert_allclose(shares, label_counts.population(CAUSE, shuffle), atol=0.01)


def test_shuffled_features_say_nothing_and_a_shuffled_label_shares_nothing() -> None:
    by_feature = label_counts.population(CAUSE, "features")
    np.testing.assert_array_equal(by_feature[0], by_feature[2])
    for table in label_counts.population(CAUSE, "label"):
        assert information.total_correlation(table.reshape(2, 2)) == pytest.approx(0, abs=1e-12)


def test_the_held_out_gap_is_the_total_correlation_and_0_once_a_label_is_shuffled() -> None:
    y = np.random.default_rng(0).integers(2, size=(6000, 1)).repeat(2, axis=1)  # a label, twice
    gaps = label_counts.held_out_gaps((0, 1, 2), y, 64, 0.05, 300)
    assert gaps.shape == (2, 3)
    np.testing.assert_allclose(gaps[0], np.log(2), atol=0.01)
    np.testing.assert_allclose(gaps[1], 0, atol=0.01)
