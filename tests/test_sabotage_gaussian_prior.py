"""`gaussian_prior` sabotaged: what held must fail, and controls must come out otherwise."""

from __future__ import annotations

import numpy as np
from judged_arms import arms

from crosscheck.claims import register
from crosscheck.lab import averaged, posteriors, variational

study = register.load("gaussian_prior")
SOUND = ("holds", "fails", "holds")


def test_a_penalty_off_by_one_per_cent_is_seen(monkeypatch) -> None:
    assert arms(study.IDENTITY, study.measure_identity(())) == SOUND
    sound = posteriors.penalties
    off = lambda *at: {name: 1.01 * value for name, value in sound(*at).items()}
    monkeypatch.setattr(posteriors, "penalties", off)
    assert arms(study.IDENTITY, study.measure_identity(()))[0] == "fails"


def test_a_quadrature_off_by_two_per_cent_spoils_the_control_that_must_hold(monkeypatch) -> None:
    monkeypatch.setattr(study, "OPTIMISED", ())
    assert arms(study.ELBO, study.measure_elbo(())) == SOUND
    sound = variational.excess
    monkeypatch.setattr(variational, "excess", lambda *at: 1.02 * sound(*at))
    assert arms(study.ELBO, study.measure_elbo(()))[::2] == ("invalid", "fails")


def test_a_prior_twice_as_wide_as_it_says_is_seen(monkeypatch) -> None:
    """Then twice as narrow a one is the best, and the control of that side has nothing to gain."""
    zeros = lambda sets, taus: np.zeros((len(taus), len(sets), averaged.WEIGHTS))
    monkeypatch.setattr(averaged, "modes", zeros)
    monkeypatch.setattr(averaged, "nodes_at", lambda tau, nodes: 12)  # enough to see it
    sound = averaged.predictive
    monkeypatch.setattr(averaged, "predictive", lambda x, y, new, tau, n: sound(x, y, new, 2 * tau, n))
    seeds = tuple(range(16 * study.DRAWS_A_MEAN))
    assert arms(study.BAYES_MEAN_LOSS, study.train_drawn(seeds))[0] == "fails"


def test_predictions_by_quadrature_are_those_of_a_dense_grid() -> None:
    ((x, y, fresh, _),) = averaged.drawn((50_000,), 1.0)
    side = np.linspace(-8, 8, 401)
    w = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    weight = np.exp(-(w**2).sum(1) / 2 - np.logaddexp(0, -(w @ np.where(y[:, None], x, -x).T)).sum(1))
    by_sum = weight @ (1 / (1 + np.exp(-w @ fresh.T))) / weight.sum()
    np.testing.assert_allclose(averaged.predictive(x, y, fresh, 1.0, averaged.NODES), by_sum, atol=2e-4)


def test_newton_and_scipy_find_scikit_learns_modes() -> None:
    ((x,), (y,)) = posteriors.linear_sets((50_000,), 100, 6)
    np.testing.assert_allclose(posteriors.mode_by_newton(x, y, 1.0), posteriors.mode(x, y, 1.0), atol=1e-3)
    np.testing.assert_allclose(
        posteriors.mode_of_logits_by_search(x, y, 1.0), posteriors.mode_of_logits(x, y, 1.0), atol=1e-4
    )
