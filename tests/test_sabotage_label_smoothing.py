"""The study `label_smoothing`, sabotaged: what held must then fail, and controls do otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from sabotaged import QUICK, judged

from crosscheck import losses
from crosscheck.claims import register, verdicts
from crosscheck.claims.rows import gathered
from crosscheck.lab import speed

study = register.load("label_smoothing")


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "holds"), (1.01, "fails")])
def test_a_smoothing_off_by_one_per_cent_is_seen(monkeypatch, factor: float, expected: str) -> None:
    sound = losses.binary_crossentropy
    off = lambda y, z, label_smoothing=0.0: sound(y, z, factor * label_smoothing)
    monkeypatch.setattr(losses, "binary_crossentropy", off)
    assert judged(study.SATURATED_GRADIENT, study.gradient_rows(), QUICK).verdict == expected


@pytest.mark.parametrize(("target", "expected"), [("smoothed", "fails"), ("out of reach", "holds")])
def test_a_gradient_that_has_no_zero_is_seen(monkeypatch, target: str, expected: str) -> None:
    """With targets beyond what a sigmoid can reach, the chapter's sentence would hold."""
    if target == "out of reach":
        sound = losses.binary_crossentropy
        beyond = lambda y, z, label_smoothing=0.0: sound(y, z) - 0.1 * (label_smoothing > 0) * z[..., 0]
        monkeypatch.setattr(losses, "binary_crossentropy", beyond)
    assert judged(study.BOUNDED_EVERYWHERE, study.gradient_rows(), QUICK).verdict == expected


def curves(times: float) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and loss of a training that goes so many times as fast, epoch by epoch."""
    t = times * np.arange(1, speed.EPOCHS + 1)
    return 1 - 0.5 * np.exp(-t / 10), 0.1 + np.exp(-t / 10)


@pytest.mark.parametrize(("times", "expected"), [(1.0, "fails"), (2.0, "holds")])
def test_a_training_that_is_faster_would_be_seen(monkeypatch, times: float, expected: str) -> None:
    seeds = tuple(range(50_000, 50_020))
    arms = (speed.PLAIN, speed.Arm(smoothing=study.SPEED_ALPHA), speed.SLOW, speed.FAST)
    faster = dict(zip(arms, (1.0, times, 0.5, 3.0), strict=True))
    repeated = lambda curve: np.repeat(curve[:, None], len(seeds), -1)
    accuracy, loss = ({arm: repeated(curves(by)[i]) for arm, by in faster.items()} for i in (0, 1))
    course = speed.Course(accuracy, loss, dict.fromkeys(arms, np.zeros(len(seeds))))
    monkeypatch.setattr(speed, "followed", lambda *arguments: course)
    rows = gathered(study.train_speed(seeds))
    record = verdicts.judge_check(study.SPEED, rows[rows["check"] == "speed"], QUICK)
    assert (record.verdict, record.control.verdict, record.positive.verdict) == (expected, "fails", "holds")
