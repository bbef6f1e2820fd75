"""Losses looked at point by point, against formulas."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck import losses
from crosscheck.lab import pointwise

P = np.array([0.01, 0.1, 0.5, 0.9])
KERAS = [f"{kind}, {api}" for kind in ("binary", "categorical", "sparse") for api in ("class", "function")]
WAYS = [("ours", "logits"), *((name, entry) for name in KERAS for entry in ("logits", "probabilities"))]


@pytest.mark.parametrize(("name", "entry"), WAYS)
def test_the_cross_entropy_of_a_probability_is_its_surprise(name: str, entry: str) -> None:
    assert pointwise.cross_entropy(name, entry, P, "float64") == pytest.approx(-np.log(P), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("binary, class", np.log1p(np.exp(-P))),  # the logit is p
        ("categorical, function", np.log1p(np.exp(1 - 2 * P))),  # the logits are p and 1 − p
        ("sparse, class", np.log1p(np.exp(1 - 2 * P))),
    ],
)
def test_probabilities_as_logits_are_what_the_loss_takes_for_logits(name: str, expected: np.ndarray) -> None:
    mistaken = pointwise.cross_entropy(name, "probabilities as logits", P, "float64")
    assert mistaken == pytest.approx(expected)


def test_a_slope_is_p_minus_y_with_a_label_for_each_logit_or_one_for_all() -> None:
    z = np.linspace(-3, 3, 5)
    p = 1 / (1 + np.exp(-z))
    labels = np.linspace(0, 1, 5)
    assert pointwise.slopes(losses.binary_crossentropy, z, labels, "float64") == pytest.approx(p - labels)
    assert pointwise.slopes(losses.binary_crossentropy, z, 1.0, "float64") == pytest.approx(p - 1)
