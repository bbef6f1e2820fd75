"""Faults of training, each seeded alone: named rightly; and their healthy neighbours: silent."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from trial_programs import FAULTY, HEALTHY, blobs, program

from crosscheck.diagnose import Data
from crosscheck.diagnose._by_trials import by_trials

SECONDS = 300.0  # plenty, so that no verdict hangs on what else the machine does
QUICK = (
    "perceptron",
    "rare class, weighted",
    "noise for labels",
    "input lost",
    "gradient descent at 30",
    "logarithm of negative numbers",
)


def some(programs):
    """The names of programs, all but a few of them for the long run alone."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in programs]


@pytest.mark.parametrize("name", some(HEALTHY))
def test_a_healthy_program_has_no_fault(name):
    trials = by_trials(HEALTHY[name](), SECONDS)
    assert not [f for f in trials.findings if f.verdict == "✗"]
    assert any(f.decided == "statistical" for f in trials.findings), trials.skipped


@pytest.mark.parametrize("name", some(FAULTY))
def test_a_fault_is_named(name):
    check, faulty = FAULTY[name]
    trials = by_trials(faulty(), SECONDS)
    assert [f.check for f in trials.findings if f.verdict == "✗"] == [check]


@pytest.mark.long
def test_dead_units_are_no_fault_where_living_ones_learn_nothing_either():
    """The labels are noise: LeakyReLU, the control, does not train."""
    _, dead = FAULTY["biases at -100"]
    noise = np.random.default_rng(1).integers(0, 3, 400)
    trials = by_trials(replace(dead(), training=Data(blobs()[0], noise)), SECONDS)
    assert not [f for f in trials.findings if f.verdict == "✗"]


@pytest.mark.every_backend
def test_the_users_model_is_left_as_it_was():
    given = program()
    before = [np.array(v) for v in given.model.get_weights()]
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    trials = by_trials(given, SECONDS)
    assert trials.findings
    for value, kept in zip(before, given.model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, kept)
    assert int(given.model.optimizer.iterations) == 0
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_what_more_training_may_mend_is_no_fault_of_a_program_that_is_short() -> None:
    """Adam's default rate, 8 steps: none of the twelve copies learns, and a hundredfold rate does."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 8)).astype("float32")
    y = (x @ rng.normal(size=(8, 3))).argmax(1)
    short = program(data=(x, y), optimizer=keras.optimizers.Adam(1e-3), epochs=1)
    for given in (short, replace(short, epochs=None)):
        trials = by_trials(given, SECONDS)
        assert not [f for f in trials.findings if f.verdict == "✗"]
