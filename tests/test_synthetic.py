"""The seeded generators against brute force: Bayes' rule, integrals, linear programmes and enumeration."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import linprog
from scipy.special import expit
from scipy.stats import multivariate_normal

from crosscheck.data import (
    CommonCause,
    GaussianMixture,
    hinge_slope,
    logistic,
    overlapping,
    reliability,
    samples,
    separable,
    worth,
)

MIXTURES = [
    GaussianMixture(2.0),
    GaussianMixture(1.0, dim=5, prior=0.2),
    GaussianMixture(0.0, dim=1, prior=0.7),
]
CAUSES = [
    CommonCause(2, 0.6, 0.3),
    CommonCause(3, 0.9, 0.0),
    CommonCause(4, 1.0, 0.5),
    CommonCause(1, 0.5, 1.0),
]


def densities(mixture, x):
    """Prior times density of each class, [2, n], from the definition."""
    means = np.zeros((2, mixture.dim))
    means[:, 0] = -mixture.separation / 2, mixture.separation / 2
    priors = 1 - mixture.prior, mixture.prior
    return np.array([p * multivariate_normal(m).pdf(x) for p, m in zip(priors, means, strict=True)])


@pytest.mark.parametrize("mixture", MIXTURES, ids=repr)
def test_mixture_posterior_is_bayes_rule(mixture):
    x, _ = mixture.sample(np.random.default_rng(0), 200)
    joint = densities(mixture, x)
    np.testing.assert_allclose(mixture.posterior(x), joint[1] / joint.sum(0), rtol=1e-6)


@pytest.mark.parametrize("mixture", MIXTURES, ids=repr)
def test_mixture_bayes_error_is_the_integral_of_the_smaller_density(mixture):
    line = dataclasses.replace(mixture, dim=1)
    error, _ = quad(lambda x: densities(line, [[x]]).min(), -12, 12, points=[0], limit=200)
    assert mixture.bayes_error() == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("mixture", MIXTURES, ids=repr)
def test_mixture_samples_follow_it(mixture):
    n = 100_000
    x, y = mixture.sample(np.random.default_rng(1), n)
    assert (x.shape, x.dtype, y.dtype) == ((n, mixture.dim), np.float32, np.int32)
    six_errors = 6 / np.sqrt(n)  # a standard deviation of at most 1 in each average
    assert y.mean() == pytest.approx(mixture.prior, abs=six_errors)
    assert ((mixture.posterior(x) > 0.5) != y).mean() == pytest.approx(mixture.bayes_error(), abs=six_errors)
    centred = x[:, 0] - mixture.separation * (y - 0.5)
    assert centred.mean() == pytest.approx(0, abs=six_errors)
    assert centred.var() == pytest.approx(1, abs=2 * six_errors)


def separates(x, y):
    """Whether some hyperplane through the origin has every label on its side, by linear programming."""
    signed = (2 * y - 1)[:, None] * x.astype(float)
    result = linprog(np.zeros(x.shape[1]), A_ub=-signed, b_ub=-np.ones(len(x)), bounds=(None, None))
    return result.status == 0


@pytest.mark.parametrize(("n", "dim", "margin"), [(40, 1, 0.5), (100, 2, 0.1), (100, 20, 1e-3), (5, 50, 2.0)])
def test_separable_keeps_its_margin(n, dim, margin):
    x, y = separable(np.random.default_rng(2), n, dim, margin)
    normal = np.random.default_rng(2).standard_normal(dim)
    normal /= np.linalg.norm(normal)
    assert ((2 * y - 1) * (x.astype(float) @ normal)).min() >= margin
    assert set(y) == {0, 1} and (x.dtype, y.dtype) == (np.float32, np.int32)
    assert separates(x, y)


@pytest.mark.parametrize("margin", [0.1, 0.3, 0.7])
def test_separable_keeps_its_margin_where_float32_rounds_down(margin):
    on_the_plane = SimpleNamespace(
        standard_normal=lambda shape: np.zeros(shape) if isinstance(shape, tuple) else np.ones(shape),
        permutation=np.asarray,
    )
    x, _ = separable(on_the_plane, 4, 1, margin)
    assert np.abs(x).astype(float).min() >= margin


@pytest.mark.parametrize(("n", "dim", "flip"), [(100, 2, 0.1), (40, 60, 0.1), (10, 30, 0.5), (4, 2, 0.25)])
def test_overlapping_is_separable_by_nothing(n, dim, flip):
    x, y = overlapping(np.random.default_rng(3), n, dim, flip)
    _, straight = separable(np.random.default_rng(3), n, dim)
    assert (y != straight).sum() == round(flip * n)
    assert not separates(np.column_stack([x, np.ones(n)]), y)


def enumerated(model):
    """P(feature, y) from the definition, one hidden state, feature and outcome at a time: [3, 2**L]."""
    table = np.zeros((3, 2**model.labels))
    for h, feature in itertools.product(range(2), range(3)):
        seen = model.revealed * (feature == h) + (1 - model.revealed) * (feature == 2)
        on = (1 + model.strength) / 2 if h else (1 - model.strength) / 2
        for index, y in enumerate(itertools.product(range(2), repeat=model.labels)):
            table[feature, index] += 0.5 * seen * np.prod([on if bit else 1 - on for bit in y])
    return table


def entropy(p):
    p = np.asarray(p)[np.asarray(p) > 0]
    return float(-(p * np.log(p)).sum())


def total_correlation(p, labels):
    """Σ_l H(Y_l) − H(Y) of a flat table of outcomes."""
    cube = np.reshape(p, [2] * labels)
    others = [tuple(m for m in range(labels) if m != label) for label in range(labels)]
    return sum(entropy(cube.sum(axis)) for axis in others) - entropy(p)


@pytest.mark.parametrize("model", CAUSES, ids=repr)
def test_common_cause_tables_are_those_of_its_definition(model):
    table = enumerated(model)
    np.testing.assert_allclose(model.feature_probabilities(), table.sum(1), atol=1e-15)
    np.testing.assert_allclose(
        model.feature_probabilities()[:, None] * model.joint_given_feature(), table, atol=1e-15
    )
    np.testing.assert_allclose(model.joint().ravel(), table.sum(0), atol=1e-15)
    np.testing.assert_allclose((model.joint_given(0) + model.joint_given(1)) / 2, model.joint(), atol=1e-15)
    assert model.joint().shape == (2,) * model.labels


@pytest.mark.parametrize("model", CAUSES, ids=repr)
def test_common_cause_correlation_by_enumeration(model):
    table = enumerated(model)
    assert model.total_correlation() == pytest.approx(
        total_correlation(table.sum(0), model.labels), abs=1e-12
    )
    rows = [row for row in table if row.sum() > 0]
    conditional = sum(row.sum() * total_correlation(row / row.sum(), model.labels) for row in rows)
    assert model.conditional_total_correlation() == pytest.approx(conditional, abs=1e-12)


@pytest.mark.parametrize("model", CAUSES, ids=repr)
def test_common_cause_samples_follow_it(model):
    n = 100_000
    x, y = model.sample(np.random.default_rng(4), n)
    assert (x.dtype, y.dtype) == (np.float32, np.int32) and (x.sum(1) == 1).all()
    outcomes = y @ (2 ** np.arange(model.labels)[::-1])
    counts = np.zeros((3, 2**model.labels))
    np.add.at(counts, (x.argmax(1), outcomes), 1)
    np.testing.assert_allclose(counts / n, enumerated(model), atol=6 * 0.5 / np.sqrt(n))


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianMixture(-1.0),
        lambda: GaussianMixture(1.0, prior=1.0),
        lambda: CommonCause(0, 0.5, 0.5),
        lambda: CommonCause(2, 1.5, 0.5),
        lambda: separable(np.random.default_rng(0), 5, margin=-1.0),
        lambda: overlapping(np.random.default_rng(0), 5, flip=0.0),
        lambda: overlapping(np.random.default_rng(0), 50, flip=-0.2),
        lambda: overlapping(np.random.default_rng(0), 2, flip=0.5),
    ],
)
def test_generators_refuse_impossible_parameters(make):
    with pytest.raises(ValueError, match=r"needs|must be|too small"):
        make()


SLOPES, OFFSET = np.array([[1.5, 0.4, -0.3], [0.8, -1.0, 0.2], [-0.5, 0.1, 0.0]]), np.array([-0.5, 1.0, 0.3])
MANY = 400_000


@pytest.mark.parametrize("feature", [np.positive, np.abs], ids=["seen", "its size"])
def test_the_worth_of_scores_is_what_samples_show(feature):
    mixture = GaussianMixture(1.5, dim=3, prior=0.3)
    x, y = mixture.sample(np.random.default_rng(0), MANY)
    eta = mixture.posterior(x)
    x[:, 0] = feature(x[:, 0])
    score = x @ SLOPES.T + OFFSET  # [n, R]
    p = 1 / (1 + np.exp(-score))
    value = worth(mixture, SLOPES, OFFSET, feature)
    np.testing.assert_allclose(value.error, ((score > 0) != y[:, None]).mean(0), atol=0.003)
    np.testing.assert_allclose(value.distance**2, ((p - eta[:, None]) ** 2).mean(0), atol=0.001)
    kl = eta[:, None] * np.log(eta[:, None] / p) + (1 - eta[:, None]) * np.log((1 - eta[:, None]) / (1 - p))
    np.testing.assert_allclose(value.excess, kl.mean(0), atol=0.005)


def test_the_posterior_itself_is_worth_the_bayes_error():
    mixture = GaussianMixture(2.0, dim=2, prior=0.2)
    value = worth(mixture, np.array([[2.0, 1e-9]]), np.array([np.log(0.2 / 0.8)]))
    np.testing.assert_allclose(value.error, mixture.bayes_error(), rtol=1e-3)  # a step between two nodes
    np.testing.assert_allclose((value.distance, value.excess), 0, atol=1e-7)


@pytest.mark.parametrize("row", range(len(SLOPES)))
def test_reliability_is_what_samples_show(row):
    mixture, chance = GaussianMixture(1.5, dim=3, prior=0.3), np.array([0.25, 0.35, 0.5])
    slopes, offset = SLOPES[row : row + 1], OFFSET[row : row + 1]
    (predictions,), (density,) = reliability(mixture, slopes, offset, chance)
    x, y = mixture.sample(np.random.default_rng(1), MANY)
    p = 1 / (1 + np.exp(-(x @ slopes[0] + offset[0])))
    width = 0.01  # of the chance, to either side
    ends = np.sort([reliability(mixture, slopes, offset, chance + d)[0][0] for d in (-width, width)], axis=0)
    for k, (low, high) in enumerate(ends.T):
        near = (p > low) & (p < high)
        assert low < predictions[k] < high
        assert abs(y[near].mean() - chance[k]) < 4 * np.sqrt(0.25 / near.sum())
        assert near.mean() / (2 * width) == pytest.approx(density[k], rel=0.05)


@pytest.mark.parametrize("separation", [0.5, 1.0, 3.0])
def test_hinge_slope_is_where_the_hinge_risk_is_least(separation):
    m = np.random.default_rng(2).normal(separation / 2, 1, MANY)
    best = hinge_slope(separation)
    risk = [np.maximum(0, 1 - w * m).mean() for w in (0.9 * best, best, 1.1 * best)]
    assert risk[1] < min(risk[0], risk[2])


def test_samples_are_those_of_each_mixture_and_seed():
    mixtures = [GaussianMixture(1.0), GaussianMixture(3.0, prior=0.2)]
    x, y = samples(mixtures, (4, 7), 50)
    assert x.shape == (4, 50, 2)
    for r, (mixture, seed) in enumerate(itertools.product(mixtures, (4, 7))):
        own_x, own_y = mixture.sample(np.random.default_rng(seed), 50)
        np.testing.assert_array_equal(x[r], own_x)
        np.testing.assert_array_equal(y[r], own_y)


def test_a_logistic_model_s_labels_weights_and_features_follow_its_law():
    tau, n = 0.7, 4000
    drawn = [logistic(np.random.default_rng(seed), n, 5, tau) for seed in range(40)]
    for x, y, w in drawn:
        assert x.shape == (n, 5) and y.shape == (n, 1) and w.shape == (5,)
        assert x.dtype == y.dtype == np.float32 and set(np.unique(y)) == {0, 1}
    weights = np.stack([w for *_, w in drawn])
    assert weights.std() == pytest.approx(tau, abs=5 * tau / np.sqrt(2 * weights.size))
    # Σ (y − p) x has mean 0 and variance Σ p (1 − p) x² where the labels follow the model.
    for x, y, w in drawn[:5]:
        p = expit(x.astype("float64") @ w)
        score, spread = x.T @ (y[:, 0] - p), np.sqrt((p * (1 - p)) @ x.astype("float64") ** 2)
        assert (np.abs(score) < 5 * spread).all()
