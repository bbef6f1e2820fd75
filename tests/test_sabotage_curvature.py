"""Curvature in logits, weights and training, sabotaged: what held must fail, and the control still hold."""

from __future__ import annotations

import numpy as np
import pytest
from sabotaged_checks import BROKEN, SOUND, came_out

from crosscheck import losses
from crosscheck.claims import register
from crosscheck.lab import landscape

study, network = register.load("curvature"), register.load("network_curvature")


@pytest.mark.parametrize(("factor", "expected"), [(1.0, SOUND), (1.01, BROKEN)])
def test_a_curvature_off_by_one_per_cent_is_seen(monkeypatch, factor: float, expected: list[str]) -> None:
    for name in ("binary_crossentropy", "categorical_crossentropy"):
        sound = getattr(losses, name)
        if name == "categorical_crossentropy":  # the positive control of the binary loss, too
            frames = list(study.measure_binary(()))
            assert came_out(study.BINARY, frames) == expected
            assert came_out(study.FLAT, frames) == expected
        monkeypatch.setattr(losses, name, lambda y, z, sound=sound: factor * sound(y, z))
    assert came_out(study.HESSIAN, study.measure_hessian(())) == expected


def test_a_penalty_on_the_logits_is_seen_in_fishers_information_and_in_the_kernel(monkeypatch) -> None:
    sound = losses.categorical_crossentropy
    monkeypatch.setattr(losses, "categorical_crossentropy", lambda y, z: sound(y, z) + 1e-6 * (z * z)[:, 0])
    frames = list(study.measure_hessian(()))
    assert came_out(study.FISHER, frames) == BROKEN
    assert came_out(study.NULL_VECTOR, frames) == BROKEN


def test_draws_that_are_not_from_p_are_seen_and_do_not_count_against_the_claim(monkeypatch) -> None:
    sound = landscape.drawn_covariance
    monkeypatch.setattr(landscape, "drawn_covariance", lambda seed, p, n: sound(seed, 0.7 * p + 0.1, n))
    assert came_out(study.COVARIANCE, study.draw_covariance(range(16))) == ["fails", "fails", "fails"]


def test_a_wrong_eigenvector_is_seen(monkeypatch) -> None:
    sound = landscape.curvature_along
    monkeypatch.setattr(study, "DIRECTIONS", 30)
    assert came_out(study.DIRECTION_EIGENVECTOR, study.measure_direction(())) == SOUND
    monkeypatch.setattr(landscape, "curvature_along", lambda loss, y, z, v: sound(loss, y, z, v[:, ::-1]))
    assert came_out(study.DIRECTION_EIGENVECTOR, study.measure_direction(())) == ["fails", "fails", "fails"]


@pytest.mark.parametrize(("linear", "expected"), [(False, SOUND), (True, BROKEN)])
def test_a_network_that_is_none_is_seen(monkeypatch, linear: bool, expected: list[str]) -> None:
    sound = landscape.bends_down
    swapped = lambda kind: "linear" if linear and kind == "network" else kind
    monkeypatch.setattr(landscape, "bends_down", lambda s, x, y, kind: sound(s, x, y, swapped(kind)))
    assert came_out(network.WEIGHTS, network.measure_weights(range(16))) == expected


def test_curvature_that_does_not_fall_is_seen(monkeypatch) -> None:
    def trained(seeds, x, y, looks, looked_at, classes=10):
        falls = np.linspace(0.3, 0.05, len(looks))[:, None] + 0.001 * np.random.default_rng(0).random(
            len(seeds)
        )
        return falls if classes == 2 else falls[::-1]

    monkeypatch.setattr(landscape, "curvature_in_training", trained)
    frames = list(network.train_curvature(tuple(range(20)), "digits", 200))
    for check in (network.TRAINING, network.TRAINING_STEADILY):
        assert came_out(check, frames, settings=("digits",)) == BROKEN
