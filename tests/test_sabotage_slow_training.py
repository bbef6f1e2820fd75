"""`slow_training` sabotaged by hand: what holds must then fail; its controls must be able to do either."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sabotaged import QUICK, judged, words

from crosscheck.claims import register
from crosscheck.lab import descent, separation

slow = register.load("slow_training")
SEEDS = tuple(range(50_000, 50_006))
DESCENTS = (slow.SLOWDOWN, slow.SLOWDOWN_NORM, slow.DIRECTION)


@pytest.fixture(scope="module")
def watched() -> tuple[np.ndarray, np.ndarray]:
    """One descent for all tests: time and weights."""
    seen = {}
    with pytest.MonkeyPatch.context() as patch:
        sound = descent.descend
        patch.setattr(descent, "descend", lambda *given: seen.setdefault("", sound(*given)))
        list(slow.train_slowdown(SEEDS, 10_000))
    return seen[""]


def verdicts_of(monkeypatch, time: np.ndarray, weights: np.ndarray, checks=DESCENTS) -> list[str]:
    monkeypatch.setattr(descent, "descend", lambda *_: (time, weights))
    rows = list(slow.train_slowdown(SEEDS, 10_000))
    return [judged(check, rows, QUICK).verdict for check in checks]


def test_descents_hold_as_they_are_and_fail_with_a_clock_that_is_wrong(monkeypatch, watched) -> None:
    time, weights = watched
    assert verdicts_of(monkeypatch, time, weights) == ["holds"] * 3
    assert verdicts_of(monkeypatch, time, weights, [slow.SLOWDOWN_EARLY]) == ["fails"]
    assert "holds" not in verdicts_of(monkeypatch, time**1.2, weights)


def test_weights_whose_direction_is_off_by_little_are_seen(monkeypatch, watched) -> None:
    time, weights = watched
    angle = 0.02
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert verdicts_of(monkeypatch, time, weights @ turn, [slow.DIRECTION]) != ["holds"]


def test_decay_and_a_single_point_in_each_others_place_void_the_checks(monkeypatch) -> None:
    monkeypatch.setattr(separation, "DECAY", 0.0)
    rows = list(slow.train_slowdown(SEEDS, 10_000))
    for check in DESCENTS:
        record = judged(check, rows, QUICK)
        assert record.control.verdict != "fails" and record.verdict == "invalid"


def test_times_that_are_a_tenth_too_long_are_seen(monkeypatch) -> None:
    sound, by_hand, seen = descent.crossing_time, descent.crossing_by_hand, {}
    factor = {"claim": 1.1, "positive": 1.0}

    def crossing(x: np.ndarray, b: np.ndarray, loss: Any, *rest: Any) -> np.ndarray:
        if loss not in seen:
            seen[loss] = sound(x, b, loss, *rest)
        return seen[loss] * factor["claim"]

    monkeypatch.setattr(descent, "crossing_time", crossing)
    monkeypatch.setattr(descent, "crossing_by_hand", lambda *given: by_hand(*given) * factor["positive"])
    for check in (slow.RECOVERY, slow.RECOVERY_SQUARED):
        factor.update(claim=1.1, positive=1.0)
        assert words(judged(check, slow.train_recovery(SEEDS), QUICK)) == ("fails", "fails", "holds")
        factor.update(claim=1.0, positive=1.1)
        assert words(judged(check, slow.train_recovery(SEEDS), QUICK)) == ("invalid", "fails", "fails")
        factor.update(claim=1.0, positive=1.0)
        assert words(judged(check, slow.train_recovery(SEEDS), QUICK)) == ("holds", "fails", "holds")
