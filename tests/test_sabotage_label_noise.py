"""`label_noise` and `robust_losses`, sabotaged: what held must fail, and the controls still do so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sabotaged import QUICK, judged, words

from crosscheck import losses, restoring
from crosscheck.claims import register
from crosscheck.lab import memorising, noise, robust

study, robust_study = register.load("label_noise"), register.load("robust_losses")
SEEDS = tuple(range(50_000, 50_006))
SOUND = ("holds", "fails", "holds")


def test_noise_that_keeps_its_own_label_is_seen(monkeypatch) -> None:
    """A T whose wrong labels may be the right one: its ε is less than it says."""
    assert words(judged(study.SMOOTHING, study.measure_smoothing(()), QUICK)) == SOUND
    sound = noise.uniform
    monkeypatch.setattr(noise, "uniform", lambda k, share: sound(k, share * (k - 1) / k))
    record = judged(study.SMOOTHING, study.measure_smoothing(()), QUICK)
    assert [part.verdict for part in record.parts] == ["fails", "fails"]


@pytest.mark.parametrize(("transposed", "expected"), [(False, "holds"), (True, "fails")])
def test_a_transposed_transition_is_seen(monkeypatch, transposed: bool, expected: str) -> None:
    """The optima of made-up trainings, in place of networks'; pair flips are not symmetric."""
    monkeypatch.setattr(noise, "trained", exact_optima(transposed))
    rows = list(study.train_laws(SEEDS))
    for check in (study.PLAIN, study.FORWARD):
        by_setting = {part.setting: str(part.verdict) for part in judged(check, rows, QUICK).parts}
        assert by_setting == {"ε = 0.2": "holds", "ε = 0.4": "holds", "pair flip, 0.3": expected}
        assert words(judged(check, rows, QUICK))[1:] == ("fails", "holds")


def exact_optima(transposed: bool):
    """What `noise.trained` would end at with examples without number: Tᵀη, corrected."""

    drawn = np.random.default_rng(0)
    laws = [np.eye(noise.CLASSES), *(make(share) for make, share in study.NOISE.values())]
    seen = [noise.sampled(SEEDS[:1], 2 * study.EXAMPLES, law)[1][0] for law in laws]

    def optima(seeds, x, y, correction, looked_at, *_):
        undone = np.linalg.inv(np.eye(noise.CLASSES) if correction is None else correction)
        of_arms = [law_of(labels) for labels in y[:: len(SEEDS)]]
        ends = np.stack([noise.posterior(looked_at) @ law @ undone for law in of_arms])
        ends = np.repeat(ends, len(SEEDS), 0)
        return ends + drawn.normal(0, 1e-3, ends.shape)

    def law_of(labels):
        """The noise of these labels, or its transpose."""
        law = laws[[np.array_equal(labels, y) for y in seen].index(True)]
        return law.T if transposed else law

    return optima


def test_the_control_is_corrected_for_half_of_its_own_noise(monkeypatch) -> None:
    monkeypatch.setattr(noise, "trained", exact_optima(transposed=False))
    rows = pd.concat(study.train_laws(SEEDS))
    control = rows[(rows["check"] == study.FORWARD.id) & (rows["arm"] == "control")]
    fresh, _ = noise.sampled([SEEDS[0] + 10**6], study.LOOKED_AT, np.eye(noise.CLASSES))
    eta = noise.posterior(fresh[0])
    for setting, (make, share) in study.NOISE.items():
        half_undone = eta @ make(share) @ np.linalg.inv(make(share / 2))
        seen = control.loc[control["setting"] == setting, "value"]
        np.testing.assert_allclose(seen, noise.rms(half_undone[None], eta)[0], rtol=0.02)


@pytest.mark.parametrize(("by_class", "verdict"), [(False, "holds"), (True, "fails")])
def test_people_whose_noise_goes_by_the_class_are_seen(by_class: bool, verdict: str) -> None:
    """Predictions as good as can be, of made-up people: every image has shares of its own, or its class's."""
    rng, clean = np.random.default_rng(0), np.arange(500) % 10
    own = 0.4 * rng.dirichlet(np.full(10, 0.3), 500) + 0.6 * np.eye(10)[clean]
    law = noise.by_class(own)
    laws = law[clean] if by_class else own
    q = (
        np.stack([np.random.default_rng(seed).multinomial(study.JUDGES, laws) for seed in SEEDS])
        / study.JUDGES
    )
    jitter = rng.normal(0, 1e-3, (len(SEEDS), 1, 1))
    nearest = np.stack([noise.nearest_mixture(law, shares) for shares in q]) @ np.linalg.inv(law)
    p = [at + jitter for at in (q, nearest, law[q.argmax(-1)], np.eye(10)[q.argmax(-1)])]
    rows = list(study.human_rows(p, q, law, {"setting": "fashion_mnist_h", "seed": SEEDS}))
    for check in (study.HUMAN, study.HUMAN_TRAINED)[: 1 + (not by_class)]:
        record = judged(check, rows, QUICK)
        assert [str(part.verdict) for part in record.parts] == [verdict], check.id
        assert record.control.verdict == "fails", check.id


def test_networks_that_forget_nothing_are_seen(monkeypatch) -> None:
    """Made-up courses: the share of flipped images that are taken for what they are peaks, or does not."""
    monkeypatch.setattr(memorising, "images", lambda *_: (np.zeros((4, 64)),) * 4)
    for end, verdict in ((0.3, "holds"), (0.7, "fails")):
        monkeypatch.setattr(memorising, "followed", made_up_course(end))
        rows = list(study.train_flipped(SEEDS, "digits"))
        assert words(judged(study.EARLY_LEARNING, rows, QUICK)) == (verdict, "fails", "holds")
        assert words(judged(study.MEMORISED, rows, QUICK)) == (verdict, "fails", "holds")
        share = judged(study.GRADIENT_SHARE, rows, QUICK)
        assert words(share) == SOUND, "it counts up to its peak, wherever it ends"


def made_up_course(end: float):
    """Courses by arm: cross-entropy ends as told, the others always alike."""

    def followed(seeds, x, *arguments):
        jitter = np.random.default_rng(0).normal(
            0, 1e-3, (len(study.LOOKS), len(memorising.ARMS), len(seeds))
        )
        ends = {
            "cross-entropy": end,
            "generalised": 0.75,
            "fewer flipped": 0.3,
            "generalised, fewer flipped": 0.75,
        }
        between = [0.8] * (len(study.LOOKS) - 2)
        true = (
            np.array([[0.1, *between, ends.get(arm, 0.5)] for arm in memorising.ARMS]).T[..., None] + jitter
        )
        hidden = arguments[-2]
        memorised = 1 - true if hidden else 0.1 + jitter
        true = true if hidden else 0.1 + jitter
        return memorising.Course(true, memorised, true, true)

    return followed


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "holds"), (0.9, "fails")])
def test_a_restored_law_that_is_off_is_seen(monkeypatch, factor: float, verdict: str) -> None:
    sound = restoring.generalised_restored
    monkeypatch.setattr(restoring, "generalised_restored", lambda z, q: sound(z, factor * q))
    monkeypatch.setattr(robust, "trained_biases", exact_biases)
    rows = list(robust_study.train_sharpened(SEEDS, 2))
    assert words(judged(robust_study.GCE_MINIMISER, rows, QUICK)) == SOUND
    record = judged(robust_study.GCE_RESTORED, rows, QUICK)
    assert words(record) == (verdict, "fails", "holds")


def exact_biases(eta, powers, seeds, _):
    """The logits that theory has, with a little noise."""
    jitter = np.random.default_rng(0).normal(0, 1e-3, (1 + len(powers), len(seeds), len(eta)))
    scale = 1 / (1 - np.array([0.0, *powers]))
    return np.tile(eta, (len(seeds), 1)) + jitter[0], scale[:, None, None] * np.log(eta) + jitter


def test_a_corrected_loss_by_way_of_probabilities_is_seen(monkeypatch) -> None:
    assert words(judged(robust_study.STABLE, robust_study.measure_corrections(()), QUICK)) == SOUND
    clipped = lambda y, z, law: robust.through_probabilities(law)(y, z)
    monkeypatch.setattr(losses, "forward_corrected_crossentropy", clipped)
    record = judged(robust_study.STABLE, robust_study.measure_corrections(()), QUICK)
    assert [part.verdict for part in record.parts] == ["fails", "fails"]


def test_a_backward_loss_by_the_transposed_inverse_is_seen(monkeypatch) -> None:
    assert words(judged(robust_study.BACKWARD, robust_study.measure_corrections(()), QUICK)) == SOUND
    monkeypatch.setattr(robust, "backward", lambda loss, law: loss @ np.linalg.inv(law))
    record = judged(robust_study.BACKWARD, robust_study.measure_corrections(()), QUICK)
    assert [str(part.verdict) for part in record.parts] == ["holds", "fails"]  # uniform noise is symmetric
