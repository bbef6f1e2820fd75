"""What stands in for the 0-1 loss, sabotaged: what held must fail, and the control still hold."""

from __future__ import annotations

import numpy as np
import pytest
from sabotaged_checks import BROKEN, SOUND, came_out

from crosscheck import losses
from crosscheck.claims import register
from crosscheck.lab import excesses, log_odds

study, consistency = register.load("surrogate"), register.load("consistency")


@pytest.mark.parametrize(("factor", "expected"), [(1.0, SOUND), (1.01, BROKEN)])
def test_a_loss_off_by_one_per_cent_is_seen(monkeypatch, factor: float, expected: list[str]) -> None:
    sound = losses.sparse_categorical_crossentropy
    monkeypatch.setattr(losses, "sparse_categorical_crossentropy", lambda y, z: factor * sound(y, z))
    frames = list(study.measure_boundary(()))
    assert came_out(study.BOUNDARY, frames) == expected
    assert came_out(study.SINGLE_PULL, frames) == expected
    assert came_out(study.AT_THE_BOUNDARY, frames) == BROKEN  # which the chapter's sentence is


def test_a_gradient_that_is_taken_at_another_prediction_is_seen(monkeypatch) -> None:
    monkeypatch.setattr(study, "EVEN", 0.6)
    assert (
        came_out(study.AT_THE_BOUNDARY, study.pull_rows(losses.sparse_categorical_crossentropy))[0] == "holds"
    )


def test_a_zero_one_loss_that_leaks_a_gradient_is_seen(monkeypatch) -> None:
    sound = losses.zero_one
    monkeypatch.setattr(losses, "zero_one", lambda y, z: sound(y, z) + 1e-6 * z[:, 0])
    assert came_out(study.GRADIENT, study.measure_boundary(())) == BROKEN


@pytest.mark.parametrize(("factor", "expected"), [(1.0, SOUND), (1.4, BROKEN)])
def test_slopes_that_are_too_steep_are_seen(monkeypatch, factor: float, expected: list[str]) -> None:
    """scikit-learn's in place of the training, which has a test of its own: only the judging is tried."""
    exact = lambda seeds, x, y: log_odds.by_scikit(x, y)
    scaled = lambda seeds, x, y: tuple(factor * part for part in exact(seeds, x, y))
    monkeypatch.setattr(log_odds, "by_cross_entropy", scaled)
    frames = study.train_risk(tuple(range(16)), 4096, 2)
    assert came_out(study.BAYES_POSTERIOR, frames) == expected


@pytest.mark.parametrize(("factor", "expected"), [(1.0, SOUND), (0.9, BROKEN)])
def test_an_excess_that_is_too_small_is_seen(monkeypatch, factor: float, expected: list[str]) -> None:
    sound = excesses.log_excess
    monkeypatch.setattr(excesses, "log_excess", lambda eta, z: factor * sound(eta, z))
    assert came_out(consistency.BOUND, consistency.measure_two(())) == expected


def test_a_tie_in_place_of_a_lead_is_seen(monkeypatch) -> None:
    sound = excesses.lead
    tied = {"cross-entropy": "multi-class hinge"}
    monkeypatch.setattr(excesses, "lead", lambda name, q: sound(tied.get(name, name), np.array(q)))
    monkeypatch.setattr(consistency, "CHANCES", consistency.CHANCES[:1])
    assert came_out(consistency.MANY, consistency.measure_many(())) == BROKEN
