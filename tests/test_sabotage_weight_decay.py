"""The study `weight_decay`, sabotaged: what held must then fail, and controls do otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from sabotaged import QUICK

from crosscheck.claims import register, verdicts
from crosscheck.claims.rows import gathered
from crosscheck.lab import optima, penalties

study = register.load("weight_decay")
SEEDS = tuple(range(50_000, 50_018))
OFFSET = np.arange(5)


def judged(check, frames):
    rows = gathered(frames)
    return verdicts.judge_check(check, rows[rows["check"] == check.id], QUICK)


def trained(fall_of_kernels: float, fall_of_biases: float):
    """In place of training: a logit that falls by so much with each tenfold λ, a residual that rises."""

    def after_training(build, seeds, lambdas):
        layer = build().layers[0]
        fall = fall_of_kernels if layer.kernel_regularizer else fall_of_biases
        steps = np.repeat(np.arange(len(lambdas))[:, None], len(seeds), 1)
        numbers = (np.exp(-fall * steps), np.exp(fall * steps - 9), np.ones_like(steps))
        return dict(zip(("largest logit", "mean residual", "accuracy"), numbers, strict=True))

    return after_training


@pytest.mark.parametrize(
    ("kernels", "biases", "expected"),
    [(0.4, 0.0, "holds"), (0.1, 0.0, "invalid"), (0.4, 0.4, "invalid")],
)
def test_controls_could_come_out_otherwise(monkeypatch, kernels, biases, expected: str) -> None:
    """It is seen where the wider network's logits fall no more, or the biases' penalty lowers them too."""
    monkeypatch.setattr(penalties, "after_training", trained(kernels, biases))
    for check in (study.LOGITS, study.RESIDUAL):
        assert judged(check, study.train_penalised(SEEDS)).verdict == expected


def test_a_pull_of_the_data_off_by_two_per_cent_is_seen(monkeypatch) -> None:
    """At the optimum of another solver, so that nothing is trained."""
    x, y = penalties.own_digits(SEEDS[:2], 256)
    solved = optima.by_scikit_learn(x, y, 0.2)
    assert optima.imbalance(solved, x, y, 0.2).max() < 1e-4
    sound = optima.data_gradient
    monkeypatch.setattr(optima, "data_gradient", lambda *at: 1.02 * sound(*at))
    margin = study.STATIONARITY.criterion.margin
    assert optima.imbalance(solved, x, y, 0.2).min() > margin


def test_an_epsilon_or_a_bias_behind_the_weights_is_seen(monkeypatch) -> None:
    assert judged(study.SCALE, study.measure_scale(())).verdict == "holds"
    sound = penalties.normalised
    monkeypatch.setattr(penalties, "normalised", lambda layer, z, **more: sound(layer, z + OFFSET, **more))
    assert judged(study.SCALE, study.measure_scale(())).verdict == "fails"
