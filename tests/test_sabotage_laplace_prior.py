"""`laplace_prior` sabotaged: what held must fail, and controls must come out otherwise."""

from __future__ import annotations

import numpy as np
from judged_arms import arms

from crosscheck.claims import register
from crosscheck.lab import one_weight, posteriors, sparse_models

study = register.load("laplace_prior")
SEEDS = tuple(range(18))
CASES = [("digits", seed) for seed in SEEDS]
SOUND = ("holds", "fails", "holds")


def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = zip(*(study.examples(*case) for case in CASES), strict=True)
    return np.stack(x), np.stack(y)


def test_a_penalty_off_by_one_per_cent_is_seen(monkeypatch) -> None:
    assert arms(study.IDENTITY, study.measure_identity(())) == SOUND
    sound = posteriors.penalties
    off = lambda *at: {name: 1.01 * value for name, value in sound(*at).items()}
    monkeypatch.setattr(posteriors, "penalties", off)
    assert arms(study.IDENTITY, study.measure_identity(()))[0] == "fails"


def test_a_constant_features_weight_that_moves_is_seen() -> None:
    x, y = digits()
    start = {name: np.random.default_rng(0).normal(size=(len(x), 64)) for name in ("none", "L2")}
    moved = sparse_models.descended(x, y, start["none"], steps=3)
    sound = {"none": moved, "L2": 0.9 * start["L2"]}
    rows = lambda w: study.untouched_rows(start, w, x, y, "SGD", CASES)
    assert arms(study.UNTOUCHED, rows(sound)) == SOUND
    assert arms(study.UNTOUCHED, rows({**sound, "none": 0.9 * moved}))[0] == "fails"
    kept = {**sound, "L2": sparse_models.descended(x, y, start["L2"], steps=3)}
    assert arms(study.UNTOUCHED, rows(kept))[:2] == ("invalid", "holds")


def test_the_mean_would_be_zero_on_data_that_pull_neither_way(monkeypatch) -> None:
    monkeypatch.setattr(study, "SETS", ("synthetic",))
    measure = lambda: study.measure_posterior(SEEDS[:16])
    assert arms(study.POSTERIOR_MEAN, measure()) == ("fails", "fails", "holds")
    sound = study.examples

    def balanced(name: str, seed: int):
        x, y = sound(name, seed)
        return np.concatenate([x, x]), np.concatenate([y, 1 - y])

    monkeypatch.setattr(study, "examples", balanced)
    assert arms(study.POSTERIOR_MEAN, measure())[:2] == ("invalid", "holds")


def test_a_maximum_that_misses_zero_spoils_the_control_that_must_hold(monkeypatch) -> None:
    monkeypatch.setattr(study, "SETS", ("synthetic",))
    sound = one_weight.maximum
    monkeypatch.setattr(one_weight, "maximum", lambda density: sound(density) + 0.01)
    assert arms(study.POSTERIOR_MEAN, study.measure_posterior(SEEDS[:16])) == ("invalid", "fails", "fails")


def test_solvers_agree_and_one_off_by_two_per_cent_is_seen() -> None:
    x, y = digits()
    l1 = 1 / (study.N * study.SCALE)
    pairs = list(zip(x, y, strict=True))
    w = {
        "scikit-learn": np.stack([sparse_models.solved(*pair, l1) for pair in pairs]),
        "half λ": np.stack([sparse_models.solved(*pair, l1 / 2, tol=1e-4) for pair in pairs]),
        "FISTA": sparse_models.iterated(x, y, l1),
    }
    rows = lambda factor: study.agreement_rows(
        {**w, "proximal": factor * w["FISTA"]}, setting="digits, SGD", seed=SEEDS
    )
    assert arms(study.AGREES, rows(1.0)) == SOUND
    assert arms(study.AGREES, rows(1.02)) == ("fails", "fails", "holds")
