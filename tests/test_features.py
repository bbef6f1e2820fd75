"""Standardised features against their formula, principal components against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from crosscheck.data import principal_components, standardised


def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) * 10 ** rng.normal(size=6) + 50).astype(
        "float32"
    )


def test_standardised_features_have_mean_0_and_variance_1_to_the_last_bit() -> None:
    z, x = standardised(features()), features().astype("float64")
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, ((x - x.mean(0)) / x.std(0)).astype("float32"))


def test_a_feature_that_never_varies_becomes_0() -> None:
    x = features()
    x[:, 2] = 7
    assert (standardised(x)[:, 2] == 0).all()


def test_principal_components_are_scikit_learns_up_to_their_sign() -> None:
    components, x = principal_components(features(), 3), standardised(features())
    judge = PCA(3, whiten=True, svd_solver="full").fit_transform(x.astype(float))
    signs = np.sign((components * judge).sum(0))
    np.testing.assert_allclose(components * signs, judge * np.sqrt(200 / 199), atol=1e-4)
    np.testing.assert_allclose(components.std(0), 1, rtol=1e-5)


@pytest.mark.parametrize("count", (0, 6, 7))
def test_more_directions_than_there_are_is_refused(count: int) -> None:
    x = features()
    x[:, 5] = x[:, 4]
    with pytest.raises(ValueError, match="directions"):
        principal_components(x, count)
