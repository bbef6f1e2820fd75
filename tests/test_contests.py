"""Contests of losses: who is trained on what, and whose score is held against whose."""

from __future__ import annotations

import numpy as np

from crosscheck import losses
from crosscheck.claims import Check, Exceeds
from crosscheck.lab import comparisons, contests, scores, standings

SEEDS = (0, 1)
CHECK = Check("c", "s", Exceeds(0.0), "t", control="k", settings=("here",))
SCORED = {name: {"NLL": np.array([i, i + 0.5])} for i, name in enumerate(("a, one", "a, two", "b, one"))}


def test_a_score_is_compared_with_another_and_in_the_controls_with_one_thing_changed() -> None:
    compared = comparisons.Comparison("NLL", "b, one", "a, one", ("b, one", "a, two"), ("a, two", "a, one"))
    rows = standings.compared_rows(CHECK, compared, SCORED, setting="here", seed=SEEDS)
    assert rows["arm"].tolist() == ["claim"] * 2 + ["control"] * 2 + ["positive"] * 2
    assert rows["value"].tolist() == [2, 2.5, 2, 2.5, 1, 1.5]
    assert rows["reference"].tolist() == [0, 0.5, 1, 1.5, 0, 0.5]


def test_what_is_compared_reads_as_a_sentence_and_says_what_its_controls_change() -> None:
    check = comparisons.check("soft_labels_own", ("here",))
    assert check.statement == (
        "Held-out KL: a linear model of people's shares trained on the Brier score has more than a linear "
        "model of people's shares trained on cross-entropy."
    )
    assert check.control == "the latter: instead of it a linear model of what most people choose"
    assert check.positive == "the former: instead of it a linear model of what most people choose"
    equal = comparisons.check("training_accuracy", ("here",))
    assert equal.control == "the latter: a tenth of its held-out labels replaced"
    assert equal.positive == "the latter against itself, its logits in half precision"


def test_shown_scores_come_back_with_their_subject() -> None:
    shown = standings.scores_shown(standings.shown_rows(SCORED, seed=SEEDS))
    assert shown["what"].tolist() == ["a", "a", "a", "a", "b", "b"]
    assert shown["loss"].tolist() == ["one", "one", "two", "two", "one", "one"]
    assert set(shown["score"]) == {"NLL"}


def test_people_have_shares_of_known_size_where_the_set_has_none() -> None:
    split = contests.images("digits", "people", SEEDS)
    assert split.x.shape == (2, 1297, 64) and split.y_test.shape == (2, 500, 10)
    np.testing.assert_allclose(np.sort(split.y)[0, 0, -4:], [0, *sorted(contests.LIKE.values())], atol=1e-12)
    assert contests.images("digits", "small", SEEDS).x.shape == (2, 1297, 4)


def test_each_loss_gives_held_out_logits_of_its_own_from_the_same_labels() -> None:
    split = contests.images("digits", "small", SEEDS)
    logits = contests.held_out_logits("small", SEEDS, split, {"true": scores.one_hot(split.y, 10)})
    assert list(logits) == ["true, cross-entropy", "true, brier"]
    by_log, by_square = logits.values()
    assert by_log.shape == (2, 500, 10)
    assert (scores.nll(by_log, split.y_test) < scores.nll(by_square, split.y_test)).all()


def test_trained_chances_are_the_share_of_ones_by_a_proper_loss() -> None:
    y = (np.random.default_rng(0).random((2, 500, 1)) < [[[0.2]], [[0.7]]]).astype("float32")
    (p,) = contests.trained_chances({"log": losses.binary_crossentropy}, y).values()
    np.testing.assert_allclose(p, y.mean((1, 2)), atol=1e-3)
