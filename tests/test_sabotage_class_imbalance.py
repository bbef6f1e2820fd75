"""`class_imbalance` and `class_weights`, sabotaged: what held must fail, and the controls still do so."""

from __future__ import annotations

import numpy as np
import pytest
from sabotaged import QUICK, judged, words

from crosscheck import restoring
from crosscheck.claims import register
from crosscheck.lab import imbalance, long_tails

study, weights = register.load("class_imbalance"), register.load("class_weights")
SEEDS = tuple(range(50_000, 50_006))
SOUND = ("holds", "fails", "holds")


@pytest.mark.parametrize(("sharper", "expected"), [(1.0, SOUND), (0.8, ("fails", "fails", "fails"))])
def test_a_gap_that_falls_too_slowly_is_seen(monkeypatch, sharper: float, expected: tuple) -> None:
    """Gaps of points x = ±1, whose law is known, in place of trained ones."""
    norm = np.geomspace(10, 100, 40)[:, None] * np.ones(len(SEEDS))
    noisy = 1 + np.random.default_rng(0).normal(0, 1e-3, norm.shape)
    fading = (
        noisy
        * [[imbalance.gap_of_two(at, study.WEIGHT) for at in row] for row in norm]
        * norm ** (1 - sharper)
    )
    gaps = {imbalance.WEIGHTED: fading, imbalance.ADDED: fading, imbalance.MULTIPLIED: noisy}
    seen = imbalance.Boundaries(np.arange(1, 41), dict.fromkeys(gaps, norm), gaps)
    monkeypatch.setattr(imbalance, "boundaries", lambda *_: seen)
    record = judged(study.SEPARABLE, study.follow_boundaries(SEEDS, 40), QUICK)
    assert (
        *[part.verdict for part in record.parts],
        record.control.verdict,
        record.positive.verdict,
    ) == expected


def test_a_closed_form_for_the_other_prior_is_seen(monkeypatch) -> None:
    lines = exact_lines()
    sound = words(judged(study.BALANCED_ERROR, study.error_rows(0.1, lines, even_lines(), SEEDS), QUICK))
    assert sound == SOUND
    wrong = imbalance.balanced_error
    monkeypatch.setattr(
        imbalance, "balanced_error", lambda share, c=0.0: wrong(share / 2 if c == 0 else share, c)
    )
    record = judged(study.BALANCED_ERROR, study.error_rows(0.1, lines, even_lines(), SEEDS), QUICK)
    assert [part.verdict for part in record.parts] == ["fails", "holds", "holds", "holds"]


def exact_lines(share: float = 0.1) -> list[imbalance.Lines]:
    """The population's lines, plain, weighted, adjusted, focal as plain, with a little noise over seeds."""
    odds, noise = np.log(share / (1 - share)), np.random.default_rng(0).normal(0, 1e-3, len(SEEDS))
    slope = np.full(len(SEEDS), imbalance.APART)
    return [imbalance.Lines(slope, offset + noise) for offset in (odds, 0.0, 0.0, odds)]


def even_lines() -> list[imbalance.Lines]:
    return [imbalance.Lines(line.slope, line.offset * 0 + 1e-3 * i) for i, line in enumerate(exact_lines())]


def test_focal_loss_that_helps_the_rare_class_is_seen() -> None:
    plain, weighted, adjusted, _ = exact_lines()
    for focal, verdict in ((plain.moved(1e-3), "holds"), (plain.moved(0.5), "fails")):
        group = [plain, weighted, adjusted, focal]
        record = judged(study.FOCAL_RECALL, study.error_rows(0.1, group, even_lines(), SEEDS), QUICK)
        assert words(record) == (verdict, "fails", "holds")


@pytest.mark.parametrize("off", [0.0, 0.02])
def test_networks_that_differ_by_two_hundredths_are_seen(monkeypatch, off: float) -> None:
    """Made-up balanced accuracies in place of networks'."""
    score = {"plain": (0.5, 0.7), "adjusted": (0.8, 0.8), "weighted": (0.75, 0.7), "focal": (0.51, 0.7)}
    score |= {"plain, L2": (0.5, 0.5), "weighted, L2": (0.75, 0.74), "corrected": (0.8 + off, 0.8)}
    draw = np.random.default_rng(0)
    made = {
        arm: np.array(pair)[:, None] + draw.normal(0, 1e-3, (2, len(SEEDS))) for arm, pair in score.items()
    }
    images = long_tails.Tail(*[np.zeros(1)] * 2, np.full(10, 0.1), *[np.zeros(1)] * 2)
    monkeypatch.setattr(long_tails, "tail", lambda *_: images)
    monkeypatch.setattr(
        long_tails, "followed", lambda *_: {arm: made[arm] for arm in made if arm != "corrected"}
    )
    monkeypatch.setattr(long_tails, "balanced_accuracy", lambda z, y: z.astype("float64"))
    monkeypatch.setattr(long_tails, "recall_of_rare", lambda z, y: z)
    monkeypatch.setattr(restoring, "prior_corrected", lambda *_: np.array(made["corrected"]))
    monkeypatch.setattr("crosscheck.autodiff.numbers", lambda tensor: tensor)
    rows = list(study.train_tails(SEEDS, "fashion_mnist", len(SEEDS)))
    assert words(judged(study.POST_HOC, rows, QUICK)) == (("fails" if off else "holds"), "fails", "holds")
    assert words(judged(study.INTERPOLATING, rows, QUICK)) == SOUND


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "holds"), (0.9, "fails")])
def test_a_subtraction_that_falls_short_is_seen(monkeypatch, factor: float, verdict: str) -> None:
    sound = restoring.class_weights_restored
    monkeypatch.setattr(restoring, "class_weights_restored", lambda z, w: sound(z, w**factor))
    monkeypatch.setattr(imbalance, "trained_laws", made_up_laws)
    rows = list(weights.train_laws(SEEDS, 3))
    assert words(judged(weights.MINIMISER, rows, QUICK)) == SOUND
    assert words(judged(weights.RESTORED, rows, QUICK)) == (verdict, "fails", "holds")


def made_up_laws(laws: np.ndarray, given: np.ndarray, seeds: tuple[int, ...], _: int) -> np.ndarray:
    """The logits of w η, with a little noise, in place of training."""
    noise = np.random.default_rng(0).normal(0, 1e-3, (len(laws), len(seeds), laws.shape[1]))
    return np.log(laws * given)[:, None] + noise


def test_a_mean_over_weights_is_seen(monkeypatch) -> None:
    assert words(judged(weights.KERAS_WEIGHT, weights.measure_keras(()), QUICK)) == SOUND
    sound = weights.reported
    normalised = lambda z, y, how, w, weight: sound(z, y, how, w, weight) / w.mean()
    monkeypatch.setattr(weights, "reported", normalised)
    record = judged(weights.KERAS_WEIGHT, weights.measure_keras(()), QUICK)
    assert [part.verdict for part in record.parts] == ["fails", "fails"]
