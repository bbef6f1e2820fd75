"""The study `calibration`, sabotaged: what held must then fail, and controls do otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from sabotaged import QUICK

from crosscheck import calibration as temperatures
from crosscheck import metrics
from crosscheck.claims import register, verdicts
from crosscheck.claims.rows import gathered
from crosscheck.lab import overtraining

study = register.load("calibration")
DRAWS = tuple(range(50_000, 50_000 + 16 * study.GROUP))


def judged(check, frames, setting: str):
    """The check as it comes out at one setting."""
    rows = gathered(frames)
    rows = rows[(rows["check"] == check.id) & (rows["setting"] == setting)]
    absent = [other for other in check.settings if other != setting]
    return verdicts.judge_check(check, rows, QUICK, absent)


def test_both_measures_hold_and_their_controls_do_what_they_must() -> None:
    frames = list(study.measure_bias(DRAWS, 250))
    for check, setting in ((study.FLOOR, "N = 250"), (study.DEBIASED, "calibrated")):
        record = judged(check, frames, setting)
        assert (record.verdict, record.control.verdict, record.positive.verdict) == (
            "holds",
            "fails",
            "holds",
        )


def test_an_estimate_that_keeps_a_third_of_the_bias_is_seen(monkeypatch) -> None:
    sound = metrics.squared_calibration_error
    third = lambda p, y: sound(p, y) + (p[..., 0] * p[..., 1]).mean(-1) * 15 / p.shape[1] / 3
    monkeypatch.setattr(metrics, "squared_calibration_error", third)
    record = judged(study.DEBIASED, study.measure_bias(DRAWS, 250), "calibrated")
    assert record.verdict == "fails" and record.positive.verdict == "holds"


def test_a_floor_without_its_factor_is_seen(monkeypatch) -> None:
    sound = metrics.calibration_floor
    monkeypatch.setattr(metrics, "calibration_floor", lambda p: sound(p) * np.sqrt(np.pi / 2))
    record = judged(study.FLOOR, study.measure_bias(DRAWS, 250), "N = 250")
    assert record.verdict == "invalid" and record.positive.verdict == "fails"
    assert record.control.verdict == "holds"  # as much too sure as the floor is too high


def test_a_temperature_in_half_precision_is_seen(monkeypatch) -> None:
    class Halved:
        def __init__(self, temperature: float):
            self.temperature = np.float16(temperature)

        def __call__(self, logits: np.ndarray) -> np.ndarray:
            return logits / self.temperature

    monkeypatch.setattr(temperatures, "Temperature", Halved)
    assert judged(study.DECISIONS, study.measure_decisions(()), "").verdict == "fails"


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "holds"), (1.5, "fails")])
def test_a_temperature_that_is_off_does_not_mend(monkeypatch, off: float, verdict: str) -> None:
    """On logits that are twice too large, of labels with the probabilities of their halves."""
    seeds, rng = tuple(range(50_000, 50_024)), np.random.default_rng(0)
    halved = rng.normal(0, 2, (len(seeds), 2000, 10))
    y = overtraining.drawn(halved[:1], rng)[0]
    halved[:] = halved[:1] + rng.normal(0, 0.01, halved.shape)
    logits = np.stack([halved, 2 * halved])
    sound = overtraining.temperatures
    monkeypatch.setattr(overtraining, "temperatures", lambda z, labels: off * sound(z, labels))
    measured = [overtraining.measured(at, y) for at in logits]
    course = overtraining.Course(*(np.stack(values) for values in zip(*measured, strict=True)))
    frames = study.squared_rows(course, [course] * 4, logits, y, {"setting": "digits", "seed": seeds})
    record = judged(study.TEMPERATURE, frames, "digits")
    assert [part.verdict for part in record.parts] == [verdict]
