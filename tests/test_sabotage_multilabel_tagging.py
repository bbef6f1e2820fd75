"""`multilabel_tagging` sabotaged: a head that learns something else is seen, and controls can do either."""

from __future__ import annotations

import numpy as np
from sabotaged import QUICK, judged, words

from crosscheck import losses
from crosscheck.claims import register
from crosscheck.lab import tagging, tags

study = register.load("multilabel_tagging")
SEEDS = tuple(range(50_000, 50_006))
SOUND = ("holds", "fails", "holds")


def test_heads_that_learn_each_others_law_are_seen(monkeypatch) -> None:
    rows = list(study.train_sets(SEEDS))
    for check in (study.PER_TAG, study.MULTI_HOT, study.NORMALISED, study.ORDER):
        assert words(judged(check, rows, QUICK)) == SOUND, check.id
    sound = tags.targets
    swapped = {"multi-hot": "normalised", "normalised": "multi-hot", "sigmoids": "sigmoids"}
    learned = tags.trained
    monkeypatch.setattr(
        tags, "trained", lambda s, cases, n: learned(s, [(swapped[head], law) for head, law in cases], n)
    )
    rows = list(study.train_sets(SEEDS))
    assert words(judged(study.PER_TAG, rows, QUICK)) == SOUND
    for check in (study.MULTI_HOT, study.NORMALISED):
        assert words(judged(check, rows, QUICK)) == ("invalid", "holds", "holds"), check.id
    assert words(judged(study.ORDER, rows, QUICK))[0] != "holds"
    assert tags.targets is sound


def test_annotators_who_agree_too_often_are_seen(monkeypatch) -> None:
    rows = list(study.train_annotators(SEEDS, "digits"))
    checks = (study.ANNOTATORS, study.ANNOTATORS_SIGMOIDS)
    for check in checks:
        assert words(judged(check, rows, QUICK)) == SOUND, check.id
    sound = tagging.sets_of_two

    def often_alike(q: np.ndarray, rng: np.random.Generator, pairs: int) -> np.ndarray:
        """Sets of two of whom the second, in half of the pairs, says what the first says."""
        alone = np.eye(q.shape[-1])[[rng.choice(len(p), pairs, p=p / p.sum()) for p in q.astype("float64")]]
        return np.where(rng.random((len(q), pairs, 1)) < 0.5, alone, sound(q, rng, pairs))

    monkeypatch.setattr(tagging, "sets_of_two", often_alike)
    rows = list(study.train_annotators(SEEDS, "digits"))
    found = [judged(check, rows, QUICK) for check in checks]
    assert [part.verdict for record in found for part in record.parts] == ["holds", "fails"]


def test_a_gradient_off_by_one_per_cent_is_seen(monkeypatch) -> None:
    checks = (study.TWO_TAGS, study.KERAS_MEAN)
    rows = list(study.measure_loss(()))
    for check in checks:
        assert words(judged(check, rows)) == SOUND, check.id
    categorical, binary = losses.categorical_crossentropy, losses.binary_crossentropy
    monkeypatch.setattr(losses, "categorical_crossentropy", lambda y, z: 1.01 * categorical(y, z))
    monkeypatch.setattr(losses, "binary_crossentropy", lambda y, z: 1.01 * binary(y, z))
    rows = list(study.measure_loss(()))
    for check in checks:
        assert words(judged(check, rows))[2] == "fails", check.id


def test_where_keras_own_descent_ends_is_told_from_where_ours_does(monkeypatch) -> None:
    rows = list(study.measure_keras(SEEDS))
    assert words(judged(study.KERAS_ENDS, rows, QUICK)) == SOUND
    assert words(judged(study.TWO_TAGS_KERAS, rows)) == ("fails", "fails", "holds")
    monkeypatch.setattr(tags, "projected", lambda point: point / point.sum())
    record = judged(study.KERAS_ENDS, study.measure_keras(SEEDS), QUICK)
    assert words(record) == ("invalid", "holds", "holds")


def test_the_switch_of_kernels_is_put_back() -> None:
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    with tags.kernels(not before):
        assert config.is_op_determinism_enabled() is not before
    assert config.is_op_determinism_enabled() is before
