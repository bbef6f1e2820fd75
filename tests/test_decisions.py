"""Thresholds of F1, decisions of least cost, trees, and the transition matrix, each against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from sklearn.metrics import f1_score

from crosscheck.decisions import (
    Threshold,
    best_f1_threshold,
    calibrated_f1_threshold,
    least_cost,
    nearest_in_tree,
)
from crosscheck.transitions import noisy_threshold, transition_matrix
from crosscheck.trees import as_levels, tree_distances

# --- thresholds -------------------------------------------------------------------------------------


def tried(p: np.ndarray, y: np.ndarray) -> float:
    """The greatest F1 of all thresholds, by trying one below, between and above all probabilities."""
    values = np.unique(p)
    middles = [-1.0, *((values[1:] + values[:-1]) / 2), 2.0]
    return max(f1_score(y, p > t, zero_division=0) for t in middles)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.booleans())
def test_the_best_threshold_is_that_of_trying_all(seed: int, n: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random(n).round(1) if coarse else rng.random(n)
    y = rng.integers(0, 2, n)
    found = best_f1_threshold(p, y)
    assert found.f1 == pytest.approx(tried(p, y), abs=1e-12)
    assert f1_score(y, p > found.threshold, zero_division=0) == pytest.approx(found.f1, abs=1e-12)


def test_thresholds_are_of_each_label_or_of_all() -> None:
    rng = np.random.default_rng(1)
    p, y = rng.random((40, 3)), rng.integers(0, 2, (40, 3))
    macro = best_f1_threshold(p, y)
    for i in range(3):
        assert Threshold(macro.threshold[i], macro.f1[i]) == best_f1_threshold(p[:, i], y[:, i])
    assert f1_score(y, p > macro.threshold, average="macro") == pytest.approx(macro.f1.mean())
    micro = best_f1_threshold(p, y, "micro")
    assert f1_score(y, p > micro.threshold, average="micro") == pytest.approx(micro.f1)
    assert micro.f1 == pytest.approx(tried(p.ravel(), y.ravel()))


def test_a_label_that_never_occurs_is_not_predicted() -> None:
    assert best_f1_threshold([0.2, 1.0], [0, 0]) == Threshold(1.0, 0.0)


@pytest.mark.parametrize("law", [stats.beta(0.5, 3), stats.beta(2, 2), stats.beta(0.2, 0.3)])
def test_the_calibrated_threshold_is_half_of_the_greatest_f1(law) -> None:
    """The maximum of 2 ∫_t p dF / (1 − F(t) + E p) over t, by integration and Brent's method."""
    above = lambda t: integrate.quad(lambda u: law.ppf(u), law.cdf(t), 1, limit=200)[0]
    f1 = lambda t: 2 * above(t) / (law.sf(t) + law.mean())
    best = optimize.minimize_scalar(lambda t: -f1(t), bounds=(1e-6, 0.999), method="bounded")
    found = calibrated_f1_threshold(law.ppf((np.arange(20_000) + 0.5) / 20_000))
    assert found.f1 == pytest.approx(-best.fun, abs=1e-4)
    assert found.threshold == found.f1 / 2 == pytest.approx(best.x, abs=1e-3)
    assert found.threshold < 0.5


def test_on_labels_drawn_from_the_probabilities_both_thresholds_agree() -> None:
    rng = np.random.default_rng(2)
    p = rng.beta([0.5, 1, 2], [3, 2, 2], (200_000, 3))
    y = rng.random(p.shape) < p
    for average in ("macro", "micro"):
        best, told = best_f1_threshold(p, y, average), calibrated_f1_threshold(p, average)
        np.testing.assert_allclose(best.threshold, told.threshold, atol=0.03)
        np.testing.assert_allclose(best.f1, told.f1, atol=0.005)
    doubled = 1 / (1 + np.exp(-2 * np.log(p / (1 - p))))  # twice the logits: no longer calibrated
    off = best_f1_threshold(doubled, y).threshold - calibrated_f1_threshold(doubled).threshold
    assert np.abs(off).max() > 0.05


def test_nothing_probable_has_no_f1() -> None:
    assert calibrated_f1_threshold([0.0, 0.0]) == Threshold(0.0, 0.0)
    assert calibrated_f1_threshold([1.0, 0.0]) == Threshold(0.5, 1.0), "½ only where F* = 1"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: best_f1_threshold([0.1, 0.2], [1]), r"\[N, L\]"),
        (lambda: best_f1_threshold([], []), r"\[N, L\]"),
        (lambda: best_f1_threshold([1.2], [1]), "sigmoid"),
        (lambda: best_f1_threshold([np.nan], [1]), "sigmoid"),
        (lambda: best_f1_threshold([0.2], [2]), "0 or 1"),
        (lambda: calibrated_f1_threshold([0.2], "example"), "macro"),
        (lambda: least_cost([0.2, 0.8], np.eye(3)), "do not fit"),
        (lambda: nearest_in_tree([0.2, 0.8], [0, 0, 1]), "do not fit"),
        (lambda: as_levels([[0, 0, 1], [0, 1, 1]]), "nest"),
        (lambda: as_levels([0.5, 1]), "whole"),
        (lambda: as_levels([]), "whole"),
        (lambda: noisy_threshold(0.6, 0.5), "sum"),
        (lambda: transition_matrix([0, 1], [0], 2), "pairs"),
        (lambda: transition_matrix([0, 2], [0, 1], 2), "whole numbers"),
        (lambda: transition_matrix([0, 1], [0, 1], 2, 1.0), "level"),
    ],
)
def test_what_means_nothing_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# --- trees ------------------------------------------------------------------------------------------


def test_distances_are_heights_of_the_lowest_common_node() -> None:
    levels = [["a", "a", "b", "b", "c"], ["x", "x", "x", "x", "y"]]
    numbered = [np.unique(level, return_inverse=True)[1] + 7 for level in levels]
    assert as_levels(numbered) == [[0, 0, 1, 1, 2], [0, 0, 0, 0, 1]]
    distance = tree_distances(numbered)
    for j, k in itertools.product(range(5), repeat=2):
        paths = [[i, *(f"{depth}{level[i]}" for depth, level in enumerate(levels)), "root"] for i in (j, k)]
        height = next(h for h, pair in enumerate(zip(*paths, strict=True)) if pair[0] == pair[1])
        assert distance[j, k] == height


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7))
def test_the_nearest_class_is_that_of_least_expected_distance(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    p, tree = rng.dirichlet(np.ones(k)), rng.integers(0, 3, k)
    apart = lambda j, i: 0 if i == j else 1 if tree[i] == tree[j] else 2
    expected = [sum(p[j] * apart(j, i) for j in range(k)) for i in range(k)]
    chosen = nearest_in_tree(p, tree)
    assert expected[chosen] == pytest.approx(min(expected), abs=1e-12)
    node = np.array([p[tree == tree[i]].sum() for i in range(k)])
    assert (p + node)[chosen] == pytest.approx((p + node).max(), abs=1e-12), "argmax p + p_node"


def test_the_nearest_class_may_not_be_the_most_probable() -> None:
    p = np.array([[0.3, 0.3, 0.4], [0.1, 0.1, 0.8]])
    assert nearest_in_tree(p, [0, 0, 1]).tolist() == [0, 2] and p.argmax(1).tolist() == [2, 2]


# --- the transition matrix --------------------------------------------------------------------------


def test_the_interval_is_that_of_clopper_and_pearson_with_bonferroni() -> None:
    rng = np.random.default_rng(3)
    clean, noisy = rng.integers(0, 3, 60), rng.integers(0, 2, 60)  # label 2 never occurs
    found = transition_matrix(clean, noisy, 3, level=0.9)
    for i, j in itertools.product(range(3), repeat=2):
        hits, n = int(((clean == i) & (noisy == j)).sum()), int((clean == i).sum())
        referee = stats.binomtest(hits, n).proportion_ci(1 - 0.1 / 9, "exact")
        assert found.low[i, j] == pytest.approx(referee.low, abs=1e-9)
        assert found.high[i, j] == pytest.approx(referee.high, abs=1e-9)
        assert found.estimate[i, j] == hits / n and found.counts[i, j] == hits


@pytest.mark.parametrize("flips", [(0.3, 0.1), (0.02, 0.5), (0.0, 1.0)])
@pytest.mark.parametrize("n", [3, 12])
def test_the_interval_holds_all_entries_as_often_as_it_says_by_enumeration(flips, n: int) -> None:
    """Every outcome of n examples a class, with its probability: no sampling."""
    truth, level = np.array([[1 - flips[0], flips[0]], [flips[1], 1 - flips[1]]]), 0.8
    held = 0.0
    for a, b in itertools.product(range(n + 1), repeat=2):
        noisy = [1] * a + [0] * (n - a) + [0] * b + [1] * (n - b)
        found = transition_matrix([0] * n + [1] * n, noisy, 2, level)
        inside = ((found.low <= truth) & (truth <= found.high)).all()
        held += inside * stats.binom.pmf(a, n, flips[0]) * stats.binom.pmf(b, n, flips[1])
    assert held >= level - 1e-12
    if flips == (0.3, 0.1) and n == 12:
        assert held < 0.99, "it is no interval from 0 to 1"


def test_a_class_that_was_not_seen_tells_nothing() -> None:
    found = transition_matrix([0, 0], [0, 1], 3)
    assert np.isnan(found.estimate[1:]).all()
    assert (found.low[1:] == 0).all() and (found.high[1:] == 1).all()


def test_the_noisy_threshold_decides_as_the_clean_chance_does() -> None:
    eta = np.linspace(0, 1, 1001)
    for lost, invented in ((0.3, 0.1), (0.0, 0.4), (0.2, 0.2)):
        seen = (1 - lost - invented) * eta + invented
        away = np.abs(eta - 0.5) > 1e-9
        assert ((seen > noisy_threshold(lost, invented)) == (eta > 0.5))[away].all()
