"""Binary losses in expectation: minimisers, and the closed forms of the excess at 50 digits."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck.lab import risk

Q = (0.1, 0.3, 0.8)


@pytest.mark.parametrize("q", Q)
@pytest.mark.parametrize(
    ("loss", "truth"),
    [
        ("cross-entropy", lambda q: q),
        ("brier", lambda q: q),
        ("absolute", lambda q: float(q > 0.5)),
    ],
)
def test_where_the_expected_loss_is_least(loss: str, truth, q: float) -> None:
    assert risk.minimisers(loss, [q, 0.4]) == pytest.approx([truth(q), truth(0.4)], abs=1e-6)


@pytest.mark.parametrize("q", Q)
def test_focal_loss_is_least_between_the_truth_and_one_half(q: float) -> None:
    (least,) = risk.minimisers("focal", [q])
    assert min(q, 0.5) + 0.05 < least < max(q, 0.5) - 0.05
    grid = np.linspace(-4, 4, 8001)
    best = grid[risk.expected_loss("focal", np.full(grid.shape, q), grid).argmin()]
    assert least == pytest.approx(1 / (1 + np.exp(-best)), abs=1e-3)


@pytest.mark.parametrize("loss", ["cross-entropy", "brier"])
def test_the_excess_follows_its_closed_form(loss: str) -> None:
    q, z = (axis.ravel() for axis in np.meshgrid(Q, np.linspace(-8, 8, 9)))
    np.testing.assert_allclose(risk.excess(loss, q, z), risk.exact_excess(loss, q, z), atol=1e-14)
    assert risk.excess(loss, q, 1.0, 1.0) == pytest.approx(0)


def test_the_closed_form_keeps_its_digits_where_float64_has_none_left() -> None:
    q, z = np.array([0.5]), np.array([1e-30])
    assert risk.exact_excess("brier", q, z) == pytest.approx([(1e-30 / 4) ** 2], rel=1e-12, abs=0)
    assert risk.exact_excess("cross-entropy", q, np.array([-2000.0])) == pytest.approx([1000 - np.log(2)])


def test_other_losses_have_no_closed_form() -> None:
    with pytest.raises(KeyError, match="focal"):
        risk.exact_excess("focal", np.array([0.5]), np.array([0.0]))
