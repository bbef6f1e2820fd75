"""The softmax's competition and its features, sabotaged: what held must fail, and the control still hold."""

from __future__ import annotations

import numpy as np
import pytest
from sabotaged_checks import BROKEN, SOUND, came_out

from crosscheck import losses
from crosscheck.claims import register
from crosscheck.lab import collapse, landscape, steps

study, features = register.load("softmax_competition"), register.load("neural_collapse")


@pytest.mark.parametrize(("factor", "expected"), [(1.0, SOUND), (1.01, BROKEN)])
def test_a_gradient_off_by_one_per_cent_is_seen(monkeypatch, factor: float, expected: list[str]) -> None:
    sound = losses.categorical_crossentropy
    monkeypatch.setattr(losses, "categorical_crossentropy", lambda y, z: factor * sound(y, z))
    assert came_out(study.GRADIENT, study.measure_gradient(())) == expected
    assert came_out(study.TWO_CLASSES, study.measure_two_classes(())) == expected
    assert came_out(study.ONE_LOGIT, study.measure_coupling(())) == expected


def test_a_control_that_is_the_claim_itself_is_seen(monkeypatch) -> None:
    monkeypatch.setattr(landscape, "narrowed", lambda z: z)
    assert came_out(study.GRADIENT, study.measure_gradient(())) == ["holds", "holds", "holds"]


def test_a_control_that_must_hold_and_does_not_is_seen(monkeypatch) -> None:
    monkeypatch.setattr(steps, "gain_by_complex_step", lambda z, step: 1.01 * steps.gain(z, step))
    assert came_out(study.PROBABILITY_LAW, study.measure_step(())) == ["holds", "fails", "fails"]


def test_a_step_the_other_way_is_seen(monkeypatch) -> None:
    sound = steps.changes
    monkeypatch.setattr(steps, "changes", lambda z, push, rates: sound(z, -push, rates))
    assert came_out(study.PROBABILITY, study.measure_step(()))[0] == "fails"


@pytest.mark.parametrize("shuffled", [False, True])
def test_angles_tell_features_of_their_classes_from_others(shuffled: bool) -> None:
    """Sixteen sets of a hundred examples in ten corners of a simplex, with a little noise."""
    classes = np.arange(100) % 10
    noise = np.random.default_rng(0).normal(scale=0.05, size=(16, 100, 10))
    h = np.eye(10)[np.random.default_rng(0).permutation(classes) if shuffled else classes] + noise
    rows = features.ANGLES.rows(collapse.unequal_angles(h, classes), 1.0, positive=0.0, seed=range(16))
    assert came_out(features.ANGLES, rows) == (BROKEN if shuffled else SOUND)
    assert (collapse.spread(h, classes) < 0.5).all() == (not shuffled)
