"""Standardised features and their principal components, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from crosscheck.data import principal_components, standardised


def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) * 10 ** rng.normal(size=6) + 50).astype(
        "float32"
    )


def test_standardised_features_are_scikit_learns() -> None:
    found = standardised(features())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, StandardScaler().fit_transform(features()), atol=1e-4)


def test_a_feature_that_never_varies_becomes_0() -> None:
    x = features()
    x[:, 2] = 7
    assert (standardised(x)[:, 2] == 0).all()


def test_principal_components_are_scikit_learns_up_to_their_sign() -> None:
    found, x = principal_components(features(), 3), standardised(features())
    judge = PCA(3, whiten=True, svd_solver="full").fit_transform(x.astype(float))
    signs = np.sign((found * judge).sum(0))
    np.testing.assert_allclose(found * signs, judge * np.sqrt(200 / 199), atol=1e-4)
    np.testing.assert_allclose(found.std(0), 1, rtol=1e-5)


@pytest.mark.parametrize("count", (0, 6, 7))
def test_more_directions_than_there_are_is_refused(count: int) -> None:
    x = features()
    x[:, 5] = x[:, 4]
    with pytest.raises(ValueError, match="directions"):
        principal_components(x, count)
