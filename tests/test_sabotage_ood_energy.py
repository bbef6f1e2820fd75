"""`ood_energy` and `ood_published` sabotaged: what held must fail, and controls must come out otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from judged_arms import arms

from crosscheck import detection, losses
from crosscheck.claims import register
from crosscheck.lab.outliers import harm

study, published = register.load("ood_energy"), register.load("ood_published")
SEEDS = tuple(range(18))
SOUND = ("holds", "fails", "holds")
RNG = np.random.default_rng(0)


def logits(scale: float, count: int = 120) -> np.ndarray:
    """Of networks with a winning logit of about `scale`, [S, N, 4]."""
    return RNG.normal(size=(len(SEEDS), count, 4)) + scale * np.eye(4)[RNG.integers(0, 4, count)]


def test_an_energy_off_by_one_per_cent_is_seen_and_scipys_is_not(monkeypatch) -> None:
    assert arms(study.IDENTITY, study.measure_identity(())) == SOUND
    sound = losses.energy
    monkeypatch.setattr(losses, "energy", lambda z: 1.01 * sound(z))
    assert arms(study.IDENTITY, study.measure_identity(())) == ("fails", "fails", "holds")


def implicit(last: float, held: float):
    start = {kind: logits(0) for kind in ("in", *study.KINDS, study.TRAINED_ON, study.EMPTY)}
    end = {kind: logits(0) for kind in start} | {"in": logits(last), study.TRAINED_ON: logits(6)}
    return list(study.implicit_rows("digits", SEEDS, [start, *[end] * study.STAGES], logits(held)))


def test_an_energy_that_does_not_fall_is_seen_and_one_that_is_not_held_spoils_the_control() -> None:
    assert arms(study.IMPLICIT, implicit(6, 0)) == SOUND
    assert arms(study.IMPLICIT, implicit(0.5, 0)) == ("fails", "fails", "holds")
    assert arms(study.IMPLICIT, implicit(6, 6))[:2] == ("invalid", "holds")
    assert arms(study.IMPLICIT_APART, implicit(6, 0)) == SOUND
    assert arms(study.IMPLICIT_APART, implicit(0, 0))[::2] == ("invalid", "fails")


def areas(**others: float) -> dict[str, np.ndarray]:
    """Of each way to fine-tune, AUROC about this high."""
    heights = {"λ = 0": 0.9, harm.PAIRS: 0.95, "mnist": 1.0, "mnist, wrong sign": 0.1, **others}
    return {arm: height + np.linspace(-1e-3, 1e-3, len(SEEDS)) for arm, height in heights.items()}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, SOUND),
        ({harm.PAIRS: 0.4}, ("fails", "fails", "holds")),
        ({"mnist": 0.4}, ("invalid", "fails", "fails")),
        ({"mnist, wrong sign": 0.95}, ("invalid", "holds", "holds")),
    ],
)
def test_harm_is_seen_where_there_is_harm(monkeypatch, found, expected) -> None:
    monkeypatch.setattr(harm, "measured", lambda seeds, images: (areas(**found), []))
    assert arms(study.COVERAGE_IMAGES, study.train_larger(SEEDS, 640)) == expected


def photographs():
    """Rows of seeds whose networks tell inliers from outliers well."""
    z = {kind: logits(scale, 400) for kind, scale in (("in", 6), ("dtd", 0))}
    for seed in SEEDS:
        of_seed = {kind: values[seed : seed + 1] for kind, values in z.items()}
        rates = published.rates_by_detector({"before": of_seed, "mixed": of_seed}, "dtd", seed)
        yield from published.number_rows(rates, seed)


def test_a_rate_at_another_recall_spoils_the_control_that_must_hold(monkeypatch) -> None:
    assert arms(published.PUBLISHED_ENERGY, photographs())[1:] == ("fails", "holds")
    sound = detection.fpr95
    monkeypatch.setattr(detection, "fpr95", lambda i, o, positive: sound(i, o, positive, 0.5))
    assert arms(published.PUBLISHED_ENERGY, photographs())[2] == "fails"
