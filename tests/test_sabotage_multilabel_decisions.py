"""`multilabel_decisions` sabotaged: thresholds, sets and missing tags that are off are seen."""

from __future__ import annotations

import numpy as np
from sabotaged import QUICK, judged, words

from crosscheck.claims import register
from crosscheck.lab import tagging, tags

study = register.load("multilabel_decisions")
SEEDS = tuple(range(50_000, 50_006))
SOUND = ("holds", "fails", "holds")


def test_a_threshold_that_is_off_is_seen(monkeypatch) -> None:
    assert words(judged(study.THRESHOLD, study.measure_beta(SEEDS), QUICK)) == SOUND
    sound = tagging.best_threshold
    monkeypatch.setattr(tagging, "best_threshold", lambda p, y: sound(p, y) + 0.05)
    record = judged(study.THRESHOLD, study.measure_beta(SEEDS), QUICK)
    assert words(record) == ("invalid", "fails", "fails")


def test_missing_tags_that_are_written_down_more_often_are_seen(monkeypatch) -> None:
    rows = list(study.train_missing(SEEDS))
    for check in (study.MISSING, study.RESTORED):
        assert words(judged(check, rows, QUICK)) == SOUND, check.id
    sound = tags.thinned
    monkeypatch.setattr(tags, "thinned", lambda law, kept: sound(law, min(1.0, kept + 0.1)))
    rows = list(study.train_missing(SEEDS))
    for check in (study.MISSING, study.RESTORED):
        record = judged(check, rows, QUICK)
        assert [part.verdict for part in record.parts] == ["holds", "fails", "fails"], check.id


def test_a_joint_decision_that_takes_tags_apart_is_seen(monkeypatch) -> None:
    assert words(judged(study.SUBSET, study.train_subset(SEEDS), QUICK)) == SOUND
    sound = tagging.decisions
    monkeypatch.setattr(tagging, "decisions", lambda z, labels: (sound(z, labels)[0],) * 2)
    assert words(judged(study.SUBSET, study.train_subset(SEEDS), QUICK)) == ("invalid", "fails", "fails")


def test_calibration_errors_are_those_of_a_known_law() -> None:
    """Right on the mean where p is right, and the known gap where p is off by it."""
    rng = np.random.default_rng(0)
    p = rng.beta(2, 3, (40, 4000, 3))
    y = rng.random(p.shape) < p
    assert np.median(tagging.calibration_error(p, y)) < 0.006
    off = np.clip(p + 0.1, 0, 1)
    known = np.sqrt(np.square(off - p).mean())
    assert abs(np.median(tagging.calibration_error(off, y)) - known) < 0.005


def test_sigmoids_that_are_less_calibrated_than_either_softmax_are_seen(monkeypatch) -> None:
    trained: list[dict[str, np.ndarray]] = []
    sound = tagging.heads_of

    def remembered(*arguments) -> dict[str, np.ndarray]:
        trained.append(sound(*arguments))
        return trained[-1]

    monkeypatch.setattr(tagging, "heads_of", remembered)
    before = judged(study.CALIBRATION, study.train_real(SEEDS, "emotions"), QUICK)
    assert words(before) == SOUND
    (p,) = trained
    for changed in ({"sigmoids": 1 - p["sigmoids"]}, {"normalised": p["sigmoids"]}):
        monkeypatch.setattr(tagging, "heads_of", lambda *_, changed=changed: p | changed)
        after = judged(study.CALIBRATION, study.train_real(SEEDS, "emotions"), QUICK)
        assert after.parts[0].verdict == "fails", "one softmax that is as calibrated is enough"
