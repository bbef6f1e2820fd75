"""Studies sabotaged by hand: what was claimed to hold must then fail, by the study's own criteria."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from crosscheck import data, losses
from crosscheck.claims import register, verdicts
from crosscheck.claims.rows import gathered

saturation = register.load("saturation")
LEVEL = verdicts.interval_level([register.load(name) for name in register.NAMES], "smoke")


def verdict(check, frames) -> str:
    """What the check makes of its rows among those that a measuring function yields."""
    rows = gathered(frames)
    return verdicts.judge_check(check, rows[rows["check"] == check.id], LEVEL).verdict


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "holds"), (1.01, "fails")])
def test_a_gradient_off_by_one_per_cent_is_seen(monkeypatch, factor: float, expected: str) -> None:
    sound = losses.binary_crossentropy
    monkeypatch.setattr(losses, "binary_crossentropy", lambda y, z, a=0.0: factor * sound(y, z, a))
    assert verdict(saturation.GRADIENT, saturation.measure_identity(())) == expected


@pytest.mark.parametrize(("shuffled", "expected"), [(False, "holds"), (True, "fails")])
def test_shuffled_labels_are_seen(monkeypatch, shuffled: bool, expected: str) -> None:
    digits = data.load("digits")
    if shuffled:
        labels = np.random.default_rng(0).permutation(digits.y_train)
        digits = dataclasses.replace(digits, y_train=labels)
    monkeypatch.setattr(data, "load", lambda name, most: digits)
    on_digits = dataclasses.replace(saturation.FOCUS, settings=("digits",))
    assert verdict(on_digits, saturation.train_focus(tuple(range(8)), "digits", 1297)) == expected
