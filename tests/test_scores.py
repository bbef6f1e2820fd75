"""Scores of held-out predictions against scikit-learn's and SciPy's own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax
from sklearn import metrics as referee

from crosscheck.lab import scores

R, N, K = 3, 50, 4


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=3, size=(R, N, K))


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, K, (R, N))


@pytest.fixture
def shares() -> np.ndarray:
    q = np.random.default_rng(2).dirichlet(np.full(K, 0.5), (R, N))
    q[:, 0] = np.eye(K)[0]  # 0 ln 0 = 0
    return q


def by_replicate(function, *arrays) -> np.ndarray:
    return np.array([function(*pair) for pair in zip(*arrays, strict=True)])


def test_scores_of_labels(logits, labels) -> None:
    p = softmax(logits, -1)
    log_loss = by_replicate(lambda y, p: referee.log_loss(y, p, labels=range(K)), labels, p)
    squared = by_replicate(referee.mean_squared_error, np.eye(K)[labels], p) * K
    np.testing.assert_allclose(scores.nll(logits, labels), log_loss, rtol=1e-12)
    np.testing.assert_allclose(scores.brier(logits, labels), squared, rtol=1e-12)
    accuracy = by_replicate(referee.accuracy_score, labels, p.argmax(-1))
    np.testing.assert_array_equal(scores.accuracy(logits, labels), accuracy)


def test_divergences_from_shares(logits, shares) -> None:
    p = softmax(logits, -1)
    np.testing.assert_allclose(scores.entropy(shares), stats.entropy(shares, axis=-1).mean(-1))
    np.testing.assert_allclose(scores.kl(logits, shares), stats.entropy(shares, p, axis=-1).mean(-1))
    squared = by_replicate(referee.mean_squared_error, shares, p) * K
    np.testing.assert_allclose(scores.squared_distance(logits, shares), squared)


def test_the_excess_of_a_score_over_its_least_is_its_divergence(logits, shares) -> None:
    """E_y S(p, y) − E_y S(q, y) over labels from q: KL(q‖p) for the likelihood, Σ(p − q)² for Brier."""
    best = np.log(np.maximum(shares, 1e-300))
    for score, divergence in ((scores.nll, scores.kl), (scores.brier, scores.squared_distance)):

        def expected(z, score=score):
            by_class = [
                [score(z[r, [i]], np.array([k])) for i in range(N) for k in range(K)] for r in range(R)
            ]
            return (np.reshape(by_class, (R, N, K)) * shares).sum(-1).mean(-1)

        np.testing.assert_allclose(expected(logits) - expected(best), divergence(logits, shares), rtol=1e-9)


def test_a_confident_error_costs_its_logit() -> None:
    z = np.array([[[0.0, 2000.0]]])
    assert scores.nll(z, np.array([[0]])) == pytest.approx([2000.0])
    assert scores.brier(z, np.array([[0]])) == pytest.approx([2.0])


def test_reports_name_every_score(logits, labels, shares) -> None:
    report = scores.held_out(logits, labels)
    assert list(report) == ["accuracy", "NLL", "Brier score", "ECE", "ECE's floor"]
    assert all(value.shape == (R,) for value in report.values())
    assert all(value.shape == (R,) for value in scores.from_people(logits, shares).values())
    one = scores.held_out(logits[:1], labels[:1])
    assert all(one[name] == report[name][:1] for name in report)
