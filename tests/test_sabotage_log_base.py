"""`log_base` sabotaged by hand: what holds must then fail, and its controls must be able to do either."""

from __future__ import annotations

import keras
import pytest
from sabotaged import QUICK, judged, words

from crosscheck import losses
from crosscheck.claims import register
from crosscheck.lab import bases, steps

log_base = register.load("log_base")
SEEDS = tuple(range(50_000, 50_006))


@pytest.mark.parametrize(("smoothing", "expected"), [(0.0, "holds"), (1e-6, "fails")])
def test_shares_of_another_loss_are_seen(monkeypatch, smoothing: float, expected: str) -> None:
    sound = losses.categorical_crossentropy
    smoothed = lambda y, z, a=0.0: sound(y, z, smoothing if a == 0 else a)
    monkeypatch.setattr(losses, "categorical_crossentropy", smoothed)
    assert words(judged(log_base.BASE, log_base.measure_shares(())))[0] in (expected, "invalid")
    if expected == "holds":
        assert words(judged(log_base.BASE, log_base.measure_shares(()))) == ("holds", "fails", "holds")


def test_controls_of_the_shares_can_do_either(monkeypatch) -> None:
    sound = keras.ops.categorical_crossentropy
    off = lambda *given, **options: sound(*given, **options) ** 1.001
    monkeypatch.setattr(keras.ops, "categorical_crossentropy", off)
    assert words(judged(log_base.BASE, log_base.measure_shares(()))) == ("invalid", "fails", "fails")
    monkeypatch.undo()
    own = losses.categorical_crossentropy
    monkeypatch.setattr(losses, "categorical_crossentropy", lambda y, z, a=0.0: own(y, z))
    assert words(judged(log_base.BASE, log_base.measure_shares(()))) == ("invalid", "holds", "holds")


def test_distances_that_are_scaled_and_trainings_in_one_base_are_seen(monkeypatch) -> None:
    sound, seen = bases.ends, {}
    monkeypatch.setattr(bases, "ends", lambda *given: seen.setdefault("", sound(*given)))
    verdicts_of = lambda check: words(judged(check, log_base.train_sgd(SEEDS, 640), QUICK))
    assert verdicts_of(log_base.BASE_SGD) == ("holds", "fails", "holds")
    assert verdicts_of(log_base.BASE_PENALTY) == ("fails", "fails", "holds")
    with monkeypatch.context() as patch:
        distance = steps.distance
        patch.setattr(steps, "distance", lambda *weights: distance(*weights) + 0.002)
        assert verdicts_of(log_base.BASE_SGD) == ("invalid", "fails", "fails")
    monkeypatch.setattr(bases, "ends", sound)
    in_one = lambda y, z, ln_base: losses.sparse_categorical_crossentropy(y, z) + 0 * ln_base
    monkeypatch.setattr(bases, "in_base", in_one)
    assert "holds" not in verdicts_of(log_base.BASE_SGD)[::2]
