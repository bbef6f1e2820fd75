"""`saturation` sabotaged by hand: what holds must then fail, and its controls must be able to do either."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from sabotaged import QUICK, judged, words

from crosscheck import data, losses
from crosscheck.claims import register
from crosscheck.lab import concentration, sigmoids

saturation = register.load("saturation")
SOUND = ("holds", "fails", "holds")


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "holds"), (1.01, "fails")])
def test_a_gradient_off_by_one_per_cent_is_seen(monkeypatch, factor: float, expected: str) -> None:
    sound = losses.binary_crossentropy
    monkeypatch.setattr(losses, "binary_crossentropy", lambda y, z, a=0.0: factor * sound(y, z, a))
    identity = list(saturation.measure_identity(()))
    assert words(judged(saturation.GRADIENT, identity)) == (expected, "fails", "holds")
    tails = list(saturation.measure_tails(()))
    for check in (saturation.EASY, saturation.HARD):
        assert words(judged(check, tails)) == (expected, "fails", "holds")


def test_controls_put_in_each_others_place_void_the_check(monkeypatch) -> None:
    formula = saturation.formula
    monkeypatch.setattr(saturation, "smoothed", formula("binary"))
    assert words(judged(saturation.GRADIENT, saturation.measure_identity(()))) == (
        "invalid",
        "holds",
        "holds",
    )
    monkeypatch.undo()
    off = lambda y, z: losses.binary_crossentropy(y, z, 1e-3)
    monkeypatch.setattr(saturation, "formula", lambda kind: off)
    assert words(judged(saturation.GRADIENT, saturation.measure_identity(()))) == (
        "invalid",
        "fails",
        "fails",
    )


def test_a_sigmoid_that_stops_short_of_one_is_seen(monkeypatch) -> None:
    rows = list(saturation.measure_sigmoid(()))
    assert words(judged(saturation.OPEN_INTERVAL, rows)) == SOUND
    assert words(judged(saturation.OPEN_INTERVAL_FLOATS, rows)) == SOUND
    assert words(judged(saturation.CHAIN_RULE, rows)) == ("fails", "fails", "holds")
    sound = keras.ops.sigmoid
    monkeypatch.setattr(keras.ops, "sigmoid", lambda z: keras.ops.clip(sound(z), 1e-6, 1 - 1e-6))
    monkeypatch.setattr(sigmoids, "by_exponential", lambda z: 0.999 * sigmoids.by_tangent(z))
    rows = list(saturation.measure_sigmoid(()))
    assert words(judged(saturation.OPEN_INTERVAL_FLOATS, rows))[0] == "fails"
    assert words(judged(saturation.OPEN_INTERVAL, rows))[0] == "fails"


def trained(seeds: int = 6) -> list:
    """Rows of the digits' training, at the smallest length that shows both findings."""
    return list(saturation.train_parity(tuple(range(50_000, 50_000 + seeds)), "digits", 1_297))


def test_dropped_and_flipped_labels_that_are_swapped_are_seen(monkeypatch) -> None:
    rows = trained()
    assert words(judged(saturation.DROPPED, rows, QUICK)) == SOUND
    assert words(judged(saturation.FLIPPED, rows, QUICK)) == ("fails", "fails", "holds")
    monkeypatch.setattr(concentration, "keep", lambda arm, size: (size < 2) * (arm == "all") * 1.0)
    monkeypatch.setattr(concentration, "shares", lambda *_, shares=concentration.shares: shares(*_)[::-1])
    with monkeypatch.context() as patch:
        patch.setattr(concentration, "Replicates", FewEpochs)
        rows = trained()
    assert words(judged(saturation.DROPPED, rows, QUICK))[0] != "holds"
    assert words(judged(saturation.FLIPPED, rows, QUICK))[0] != "fails"


class FewEpochs(concentration.Replicates):
    """Trains so little in the first half that what is dropped then would still have taught much."""

    def fit(self, *arguments, epochs: int = 1, **options):
        return super().fit(*arguments, epochs=epochs if epochs > 8 else 1, **options)


def test_shuffled_test_labels_are_seen(monkeypatch) -> None:
    digits = data.load("digits")
    digits = dataclasses.replace(digits, y_test=np.random.default_rng(0).permutation(digits.y_test))
    monkeypatch.setattr(data, "load", lambda name, most: digits)
    record = judged(saturation.DROPPED, trained(), QUICK)
    assert record.control.verdict != "fails" and record.verdict == "invalid"
