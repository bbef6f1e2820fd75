"""`hierarchy` sabotaged: a tree, a gradient or a decision that is off is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sabotaged import QUICK, judged, words

from crosscheck import data
from crosscheck.claims import register
from crosscheck.lab import tiers

study = register.load("hierarchy")
SEEDS = tuple(range(50_000, 50_006))
SOUND = ("holds", "fails", "holds")
IDENTITIES = (study.CHAIN_RULE, study.FLAT_IS_TREE, study.COARSE_GRADIENT)


def test_domains_whose_logits_are_off_are_seen(monkeypatch) -> None:
    rows = list(study.measure_tree(()))
    for check in IDENTITIES:
        assert words(judged(check, rows)) == SOUND, check.id
    sound = tiers.coarse_logits
    monkeypatch.setattr(tiers, "coarse_logits", lambda z, tree: 1.01 * sound(z, tree))
    rows = list(study.measure_tree(()))
    for check in IDENTITIES:
        assert words(judged(check, rows))[0] != "holds", check.id


def test_a_weighted_loss_that_is_not_proper_is_seen(monkeypatch) -> None:
    assert words(judged(study.SAME_OPTIMUM, study.train_gaussian(SEEDS), QUICK)) == SOUND
    sound = tiers.coarse_loss
    monkeypatch.setattr(tiers, "coarse_loss", lambda y, z, tree: sound(0.8 * y + 0.2 / 6, z, tree))
    record = judged(study.SAME_OPTIMUM, study.train_gaussian(SEEDS), QUICK)
    assert [part.verdict for part in record.parts][-1] == "fails"


def test_soft_targets_of_another_tree_are_seen(monkeypatch) -> None:
    assert words(judged(study.SOFT_LABELS, study.train_soft(SEEDS), QUICK)) == SOUND
    sound = tiers.biases
    other = lambda seeds, counts, targets: sound(seeds, counts, [np.roll(t, 1, axis=1) for t in targets])
    monkeypatch.setattr(tiers, "biases", other)
    assert words(judged(study.SOFT_LABELS, study.train_soft(SEEDS), QUICK))[0] != "holds"


def predictions() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Made-up chances of intents, blurred within domains, and labels that are drawn from them."""
    rng = np.random.default_rng(0)
    z = 1.5 * rng.standard_normal((6, 3000, 10)).repeat(15, -1) + rng.standard_normal((6, 3000, 150))
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    y = (np.cumsum(p, -1) < rng.random((6, 3000, 1))).sum(-1).clip(max=149)
    _, random = tiers.relabelled(SEEDS, tiers.CLINC)
    return dict.fromkeys(("w = 0", "w = 1", "w = 4", "random, w = 4"), p), y, random


@pytest.mark.parametrize("broken", [False, True])
def test_a_decision_that_looks_at_the_class_alone_is_seen(monkeypatch, broken: bool) -> None:
    p, y, random = predictions()
    place = {"setting": "8 components", "seed": np.array(SEEDS)}
    if broken:
        monkeypatch.setattr(tiers, "nearest", lambda p, tree: p.argmax(-1))
    rows = list(study.decision_rows(p, y, random, place))
    expected = ("invalid", "fails", "fails") if broken else SOUND
    assert words(judged(study.DECISION, rows, QUICK)) == expected


@pytest.mark.parametrize("better", ["w = 1", "w = 4"])
def test_the_better_of_two_weights_is_the_one_that_is_milder(better: str) -> None:
    p, y, random = predictions()
    worse = {"w = 1": "w = 4", "w = 4": "w = 1"}[better]
    p = p | {worse: np.roll(p[worse], 40, -1)}  # of other domains; the better one is the unweighted model
    place = {"setting": "8 components", "seed": np.array(SEEDS)}
    rows = pd.concat(study.decision_rows(p, y, random, place))
    claim = rows[(rows["check"] == study.MILDER.id) & (rows["arm"] == "claim")]
    np.testing.assert_array_equal(claim["value"], 0)


def test_violations_are_counted_on_the_tree_that_the_sigmoids_were_trained_on(monkeypatch) -> None:
    """Made-up sigmoids, each a tenth below its own domain's: none violates its tree, all violate another."""

    def below(seeds, split, trees, rate, epochs):
        rng = np.random.default_rng(0)
        nodes = rng.random((len(seeds), 50, 10))
        parents = [
            np.take_along_axis(nodes, np.broadcast_to(t[:, None], (len(t), 50, 150)), -1) for t in trees
        ]
        flat = rng.dirichlet(np.ones(150), (len(seeds), 50))
        return [np.concatenate([0.9 * own, nodes], -1) for own in parents], flat

    monkeypatch.setattr(tiers, "sigmoids_and_softmax", below)
    rows = list(study.sigmoid_rows(SEEDS, None, 0.1, "clinc_oos"))
    record = judged(study.VIOLATIONS, rows, QUICK)
    assert [part.verdict for part in record.parts] == ["fails"]
    assert (record.control.verdict, record.positive.verdict) == ("fails", "fails")


def test_the_published_tree_is_the_one_that_the_set_comes_with() -> None:
    if not data.prepared("clinc_oos"):
        pytest.skip("clinc_oos is not prepared")
    tfds = pytest.importorskip("tensorflow_datasets")
    source = tfds.builder("clinc_oos", data_dir=data.data_dir()).as_data_source("test")
    for query in source:
        assert tiers.CLINC[query["intent"]] == query["domain"]
