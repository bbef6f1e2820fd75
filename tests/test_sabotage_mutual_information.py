"""The study `mutual_information`, sabotaged: what held must then fail, and controls do otherwise."""

from __future__ import annotations

import pytest
from sabotaged import QUICK

from crosscheck.claims import register, verdicts
from crosscheck.claims.rows import gathered
from crosscheck.lab import independence

study = register.load("mutual_information")
SEEDS = tuple(range(50_000, 50_016))


def judged(check, frames, settings=None):
    rows = gathered(frames)
    absent = [setting for setting in check.settings if settings and setting not in settings]
    return verdicts.judge_check(check, rows[rows["check"] == check.id], QUICK, absent)


@pytest.fixture(autouse=True)
def fitted(monkeypatch) -> None:
    """The closed form in place of training, for time; `test_independence` holds both to be the same."""
    monkeypatch.setattr(
        independence,
        "trained_on_counts",
        lambda seeds, counts, rate, steps: independence.fitted_to_counts(counts),
    )


@pytest.mark.parametrize(("scale", "expected"), [(1.0, "holds"), (1.02, "fails")])
def test_a_gap_off_by_two_per_cent_is_seen(monkeypatch, scale: float, expected: str) -> None:
    sound = independence.gap
    monkeypatch.setattr(independence, "gap", lambda logits, p: scale * sound(logits, p))
    at = ("strength 1",)
    parts = judged(study.GAP, study.train_pairs(SEEDS), at).parts
    assert [part.verdict for part in parts] == [expected]


def test_the_formula_would_hold_if_the_feature_told_nothing(monkeypatch) -> None:
    record = judged(study.SYNERGY, study.train_synergy(SEEDS))
    assert (record.verdict, record.control.verdict, record.positive.verdict) == ("fails", "fails", "holds")
    monkeypatch.setattr(study.label_counts, "exclusive_or", lambda wrong: NOTHING)
    again = judged(study.SYNERGY, study.train_synergy(SEEDS))
    assert again.verdict == "invalid" and again.control.verdict == "holds"


NOTHING = study.label_counts.exclusive_or(0.5)


def test_wrong_marginals_would_be_seen(monkeypatch) -> None:
    record = judged(study.MARGINALS, study.train_marginals(SEEDS))
    assert (record.verdict, record.control.verdict, record.positive.verdict) == ("fails", "fails", "holds")
    sound = independence.marginal_error
    monkeypatch.setattr(independence, "marginal_error", lambda logits, chances: sound(logits + 0.3, chances))
    assert judged(study.MARGINALS, study.train_marginals(SEEDS)).verdict == "invalid"
