"""How soon trainings get there: what is made of logits, and when an aim counts as reached."""

from __future__ import annotations

import numpy as np
from scipy import special

from crosscheck.lab import speed


def test_likelihoods_taken_a_few_replicates_at_a_time_are_those_of_all_at_once() -> None:
    chance = np.random.default_rng(0)
    logits, y = chance.normal(scale=5, size=(40, 7, 3)).astype("float32"), chance.integers(0, 3, 7)
    at_once = special.log_softmax(logits.astype("float64"), -1)[:, np.arange(7), y]
    np.testing.assert_array_equal(speed.log_likelihoods(logits, y), at_once)


def test_the_first_epoch_that_gets_there_counts_and_the_last_where_none_does() -> None:
    reached = np.array([[False, False], [True, False], [False, False]])
    assert speed.first(reached).tolist() == [2, 3]


def test_an_arm_of_few_seeds_is_held_against_the_plain_training_of_the_same() -> None:
    epochs = np.arange(1, speed.EPOCHS + 1)
    curve = lambda rates: 1 - np.exp(-epochs[:, None] * np.array(rates) / 10)
    accuracy = {speed.PLAIN: curve([1.0, 2.0, 3.0]), speed.FAST: curve([1.0, 4.0])}
    loss = {arm: 1.1 - values for arm, values in accuracy.items()}
    sooner = speed.sooner_than_plain(speed.Course(accuracy, loss, {}))
    for by_arm in sooner.values():
        np.testing.assert_array_equal(by_arm[speed.PLAIN], np.zeros(3))
        assert by_arm[speed.FAST][0] == 0 and by_arm[speed.FAST][1] > 0.5
