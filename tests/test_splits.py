"""Random splits, and images averaged to a coarser grid."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck import data

X = np.random.default_rng(0).random((40, 16)).astype("float32")
Y = np.arange(40)


def test_a_split_has_every_example_at_most_once_with_its_own_label() -> None:
    split = data.random_splits(X, Y, (3, 4), 25, 10)
    assert split.x.shape == (2, 25, 16) and split.x_test.shape == (2, 10, 16)
    for s, seed in enumerate((3, 4)):
        seen = np.concatenate([split.y[s], split.y_test[s]])
        assert len(set(seen)) == 35
        alone = data.random_splits(X, Y, (seed,), 25, 10)
        np.testing.assert_array_equal(split.x[s], alone.x[0])
        spread = X[split.y[s]].std(0) + 0.1
        np.testing.assert_allclose(
            split.x_test[s], (X[split.y_test[s]] - X[split.y[s]].mean(0)) / spread, 1e-4
        )
    assert (split.y[0] != split.y[1]).any()


def test_shares_of_people_stay_with_their_image() -> None:
    shares = np.eye(40, dtype="float32")
    split = data.random_splits(X, shares, (0,), 30, 10)
    np.testing.assert_array_equal(split.y.argmax(-1), data.random_splits(X, Y, (0,), 30, 10).y)


def test_more_examples_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="30 \\+ 20 examples"):
        data.random_splits(X, Y, (0,), 30, 20)


def test_images_are_averaged_block_by_block() -> None:
    image = np.kron([[1.0, 2.0], [3.0, 4.0]], [[0.5, 1.5], [1.0, 1.0]]).reshape(1, 16)
    np.testing.assert_allclose(data.averaged(image, (4, 4, 1), 2), [[1, 2, 3, 4]])
    np.testing.assert_array_equal(data.averaged(X, (4, 4, 1), 8), X)
    assert data.averaged(np.zeros((2, 784)), (28, 28, 1), 8).shape == (2, 49)


@pytest.mark.parametrize(("shape", "side"), [((5, 5, 1), 3), ((2, 8, 1), 2), ((2, 2, 4), 2)])
def test_images_that_do_not_fit_are_refused(shape, side: int) -> None:
    with pytest.raises(ValueError, match="cannot be averaged"):
        data.averaged(X, shape, side)
