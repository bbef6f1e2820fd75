"""The two scores, sabotaged: what held must fail, and the control still hold."""

from __future__ import annotations

import numpy as np
import pytest
from sabotaged_checks import BROKEN, SOUND, came_out

from crosscheck import calibration
from crosscheck.claims import register
from crosscheck.lab import contests, risk, scores
from crosscheck.lab.comparisons import COMPARED
from crosscheck.lab.standings import compared_rows

study, people = register.load("brier_vs_kl"), register.load("people")


@pytest.mark.parametrize(("factor", "expected"), [(1.0, SOUND), (1.01, BROKEN)])
@pytest.mark.parametrize("score", study.SCORES)
def test_a_score_off_by_one_per_cent_is_seen(
    monkeypatch, score: str, factor: float, expected: list[str]
) -> None:
    sound = risk.LOSSES[score]
    monkeypatch.setitem(risk.LOSSES, score, lambda y, z: factor * sound(y, z))
    frames = list(study.measure_excess(()))
    checks = [study.EXCESS, study.WEIGHTS] + [study.GRADIENT] * (score == "brier")
    assert [came_out(check, frames, settings=pick(check, score)) for check in checks] == [expected] * len(
        checks
    )


def pick(check, score: str) -> tuple[str, ...]:
    return (score,) if score in check.settings else check.settings


def test_a_score_that_is_not_proper_is_seen(monkeypatch) -> None:
    sound = risk.LOSSES["brier"]
    monkeypatch.setitem(risk.LOSSES, "brier", lambda y, z: sound(y, z) + 1e-3 * risk.LOSSES["absolute"](y, z))
    assert came_out(study.PROPER, study.measure_minimisers((), 5), settings=("brier",)) == BROKEN


@pytest.mark.parametrize(("of", "expected"), [("focal", SOUND), ("cross-entropy", BROKEN)])
def test_the_inverse_of_focal_loss_is_seen_to_be_needed(monkeypatch, of: str, expected: list[str]) -> None:
    """Minimisers in place of training: what they are the minimisers of, the inverse has to know."""

    def at_minimum(by_name, labels):
        q = np.tile(study.KNOWN, len(labels) // len(study.KNOWN))
        least = {name: np.tile(risk.minimisers(name, study.KNOWN), len(q) // 3) for name in by_name}
        return {**least, "focal": least[of]}

    monkeypatch.setattr(contests, "trained_chances", at_minimum)
    assert came_out(study.FOCAL_RESTORED, study.train_to_known(tuple(range(16)))) == expected


def test_an_inverse_that_is_a_little_off_is_seen(monkeypatch) -> None:
    sound = calibration.focal_restored
    monkeypatch.setattr(calibration, "focal_restored", lambda z, gamma: sound(z, 0.8 * gamma))
    q = np.tile(study.KNOWN, 16)
    p = np.tile(risk.minimisers("focal", study.KNOWN), 16)
    at = [f"q = {chance:g}" for chance in q]
    shared = {"reference": q, "setting": at, "seed": np.repeat(range(16), 3)}
    rows = study.FOCAL_RESTORED.rows(risk.restored(p, 2.0), risk.restored(p, 1.0), positive=q, **shared)
    assert came_out(study.FOCAL_RESTORED, rows) == BROKEN


@pytest.mark.parametrize(("swapped", "expected"), [(False, SOUND), (True, ["fails", "fails", "holds"])])
def test_two_losses_that_are_taken_for_each_other_are_seen(swapped: bool, expected: list[str]) -> None:
    """Logits of known truth, once honest and once twice as large, as if by either loss."""
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(16, 300, 10))
    y = np.array([[rng.choice(10, p=p) for p in one] for one in scores.probabilities(z)])
    pair = [2 * z, z][:: -1 if swapped else 1]
    logits = dict(zip(("wide, brier", "wide, cross-entropy"), pair, strict=True))
    check = study.CONTEST["wide"][0]
    scored = scores.of_changed(logits, y, scores.held_out)
    rows = compared_rows(check, COMPARED[check.id], scored, setting="digits", seed=range(16))
    assert came_out(check, rows, settings=("digits",))[0] == expected[0]
