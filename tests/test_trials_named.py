"""What the trials name: rates at which nothing moves, penalties, inputs that fade; and what they must not."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from trial_programs import CLASSES, FEATURES, network, program

from crosscheck.diagnose import Program
from crosscheck.diagnose._by_trials import by_trials
from crosscheck.diagnose._chance import is_decisive
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._outcomes import MYRIADS, STANDARDISED, TEN, THOUSAND, Arm, Outcome
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose.checks import by_heart, training
from crosscheck.diagnose.checks.by_heart import freed, has_penalties
from crosscheck.diagnose.checks.training import learning_rate_too_low

SECONDS = 300.0


def penalised(size: float = 3.0) -> Program:
    """A perceptron whose L2 penalty leaves its weights nothing."""
    penalty = keras.regularizers.L2(size)
    hidden = keras.layers.Dense(16, activation="relu", kernel_regularizer=penalty)
    model = keras.Sequential(
        [keras.Input((FEATURES,)), hidden, keras.layers.Dense(CLASSES, kernel_regularizer=penalty)]
    )
    return program(model)


def faded() -> Program:
    """Inputs divided by 10,000 on the way to a softmax, and a rate that does not make up for it."""
    head = keras.layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Rescaling(1e-4), head])
    return program(model, optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")


def at(rate: float) -> Callable[[], Program]:
    return lambda: program(optimizer=keras.optimizers.Adam(rate))


NAMED: dict[str, tuple[str, str, Callable[[], Program]]] = {
    "a rate of 2e-6": ("learning-rate-low", "the learning rate is too low", at(2e-6)),
    "a rate of 2e-8": ("learning-rate-low", "the learning rate is too low", at(2e-8)),
    "a penalty of 3": ("overfits-few-rows", "its penalties outweigh the loss", penalised),
    "inputs that fade": ("uses-its-input", "the output is the same, or nearly", faded),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_fault_is_named_with_its_reason(name: str) -> None:
    check, why, faulty = NAMED[name]
    faults = [f for f in by_trials(faulty(), SECONDS).findings if f.verdict == "✗"]
    assert [fault.check for fault in faults] == [check]
    assert why in faults[0].why


def test_a_mild_penalty_is_no_fault() -> None:
    assert not [f for f in by_trials(penalised(1e-3), SECONDS).findings if f.verdict == "✗"]


def test_penalties_are_left_out_and_everything_else_stays() -> None:
    given = penalised()
    assert has_penalties(given.model) and not has_penalties(network(16))
    copy = freed(given)
    assert not has_penalties(copy.model) and has_penalties(given.model)
    for mine, theirs in zip(copy.model.get_weights(), given.model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert copy.model.layers[0].activation is keras.activations.relu


# --- which settings are tried, on made-up outcomes --------------------------------------------------


def outcome(loss: float, arm: Arm = STANDARDISED, moved: float = 1.0, error: float = 0.6) -> Outcome:
    """Of 12 seeds alike, where the prior loses 1 and errs in 0.6."""
    every = lambda value: np.full(12, value)
    numbers = (every(value) for value in (loss, error, loss, error, 1.0, 0.6, moved))
    return Outcome(arm, *numbers, np.zeros((12, 4, 3)), np.zeros((12, 4, 3)), [])


def laboratory(
    own: Outcome, affordable: int = 9, compression: float = 1.0, **losses: float
) -> SimpleNamespace:
    """One that would come to these losses by the arm's rate, as `rate_10`; other rates change nothing."""
    reached = {float(name.removeprefix("rate_").replace("_", ".")): loss for name, loss in losses.items()}
    train = lambda arms: [
        outcome(reached.get(arm.rate, 1.0), arm, error=reached.get(arm.rate, 0.6)) for arm in arms
    ]
    lab = SimpleNamespace(as_it_is=own, seeds=range(12), rate=1e-3, skipped=[], brevity="", train=train)
    lab.lags, lab.compression = Laboratory.lags.func(lab), compression
    lab.affordable, lab.can_be_tried = lambda: affordable, lambda arm: True
    lab.compared, lab.limit = lambda other: "", lambda tried: "one step here stands for many"
    lab.rescues = Laboratory.rescues.func(lab)
    lab.of_own_steps = Laboratory.of_own_steps.fget(lab)
    lab.own_steps_fail = Laboratory.own_steps_fail.func(lab)
    return lab


def test_what_hardly_moves_is_tried_at_larger_rates_first() -> None:
    still = laboratory(outcome(1.0, moved=0.01), affordable=2)
    assert list(still.rescues) == [STANDARDISED.name, THOUSAND.name]
    assert MYRIADS.name in laboratory(outcome(1.0, moved=0.01)).rescues
    moving = laboratory(outcome(1.0, moved=2.0))
    assert "a tenth of the learning rate" in moving.rescues and MYRIADS.name not in moving.rescues
    assert not laboratory(outcome(0.1)).rescues


def test_most_seeds_that_lag_suffice_to_try_others() -> None:
    own = outcome(1.0)
    own.loss[:5] = 0.1
    assert laboratory(own).rescues
    own.loss[:7] = 0.1
    assert not laboratory(own).rescues


@pytest.mark.parametrize(
    ("compression", "losses", "is_shown"),
    [
        (1.0, {"rate_10": 0.01}, True),
        (9.0, {"rate_10": 0.01}, False),  # its own steps, nine times as many, may do
        (9.0, {"rate_100": 0.01}, True),
        (30.0, {"rate_100": 0.01}, False),
        (30.0, {"rate_1000": 0.01}, True),
        (30.0, {"rate_1000": 0.01, "rate_10": 0.2}, False),  # within its own steps
    ],
)
def test_a_rate_is_too_low_beyond_what_its_own_steps_make_up_for(
    compression: float, losses: dict[str, float], is_shown: bool
) -> None:
    (suspicion,) = learning_rate_too_low(laboratory(outcome(1.0), compression=compression, **losses))
    assert suspicion.is_shown(0.001) == is_shown


def test_a_rate_is_not_called_too_low_where_what_its_own_steps_reach_was_not_tried() -> None:
    lab = laboratory(outcome(1.0, moved=0.01), affordable=2, compression=30.0, rate_1000=0.01)
    assert TEN.name not in lab.rescues
    (suspicion,) = learning_rate_too_low(lab)
    assert suspicion.limit and not suspicion.is_shown(0.001)


def test_one_seed_that_gains_little_elsewhere_is_rescued_where_most_gain() -> None:
    """By chance, where few rows are held out; one that loses there is not, nor is any where few gain."""
    own, other = outcome(1.0), outcome(0.01, error=0.0)
    other.held_out_error[:] = [0.55, 0.7, *[0.1] * 10]
    assert own.rescued_by(other).tolist() == [True, False, *[True] * 10]
    other.held_out_error[:] = 0.55
    assert not own.rescued_by(other).any()


def test_a_loss_that_is_no_number_is_rescued_by_any_that_is_one() -> None:
    assert outcome(np.nan).rescued_by(outcome(0.01, error=0.0)).all()
    assert not outcome(1.0).rescued_by(outcome(np.nan)).any()


@pytest.mark.parametrize(("seconds", "count"), [(1e-6, 20), (1.0, 12)])
def test_more_seeds_are_trained_where_they_are_cheap(seconds: float, count: int) -> None:
    lab = SimpleNamespace(given_seeds=None, seconds=45.0, program=program(), seconds_of_a_step=seconds)
    assert len(Laboratory.seeds.func(lab)) == count
    lab.given_seeds = range(3)
    assert Laboratory.seeds.func(lab) == (0, 1, 2)


def test_two_of_twenty_seeds_may_not_show_a_fault_and_none_of_twelve() -> None:
    for count, silent, is_shown in ((12, 0, True), (12, 1, False), (20, 2, True), (20, 3, False)):
        shown = np.arange(count) >= silent
        assert Suspicion("c", shown[None], Finding("c", "✗", "")).is_shown(0.001) == is_shown
        assert is_decisive(shown) == is_shown


def test_no_rate_is_called_fine_where_nothing_learns_and_another_fault_is_named() -> None:
    """Too little time for the rate that would do: it was not tried, so that it is not denied either."""
    trials = by_trials(program(optimizer=keras.optimizers.SGD(1e-6), epochs=20), SECONDS)
    said = {finding.check: finding for finding in trials.findings}
    (named,) = (finding.check for finding in trials.findings if finding.verdict == "✗")
    assert said["learning-rate-low"].verdict != "✓" and said["inputs-scale"].verdict == "?"
    assert f"see {named}: mend that first" in said["inputs-scale"].why


@pytest.mark.parametrize(("on_few_rows", "is_shown"), [(1.0, True), (0.01, False)])
def test_what_learns_a_few_rows_by_heart_is_not_said_not_to(on_few_rows: float, is_shown: bool) -> None:
    """The remedy learns all rows and few; the program not all."""
    lab = laboratory(outcome(1.0))
    lab.program, lab.rows, lab.splits = SimpleNamespace(model=network(16)), 256, np.zeros((2, 12, 256), int)
    lab.can_afford = lambda trainings: True
    lab.limit = lambda tried: "" if tried else "nothing was tried"
    own = lambda rows: 1.0 if rows is None else on_few_rows
    lab.train = lambda arms, rows=None, optimizer=None: [
        outcome(0.01, error=0.0) if optimizer else outcome(own(rows), error=0.6 * own(rows))
    ]
    (suspicion,) = by_heart.cannot_overfit(lab)
    assert suspicion.is_shown(0.001) == is_shown


@pytest.mark.parametrize(
    ("loss", "compression", "alike", "is_shown"),
    [
        (1.0, 1.0, "head", True),
        (0.1, 1.0, "head", False),  # it learns all the same
        (1.0, 2.0, "head", False),  # it takes twice as many steps, and may still
        (1.0, 1.0, "hidden", None),  # a hidden layer hands on next to nothing: not its input
        (1.0, 1.0, "", True),  # which layer is not known
    ],
)
def test_outputs_that_are_nearly_alike_are_an_input_that_is_lost_only_where_nothing_is_learnt(
    monkeypatch: pytest.MonkeyPatch, loss: float, compression: float, alike: str, is_shown: bool | None
) -> None:
    model = network(16)
    layer = {"head": model.layers[-1], "hidden": model.layers[0], "": None}[alike]
    monkeypatch.setattr(training, "first_layer_alike", lambda lab, share: layer)
    own = outcome(loss)
    own.outputs[:] = own.initial_outputs[:] = 1 + np.array([0, 0.002, 0.004, 0.005])[:, None]
    lab = laboratory(own, compression=compression)
    lab.x, lab.program = np.eye(4), SimpleNamespace(model=model)
    said = list(training.ignores_input(lab))
    assert [one.is_shown(0.001) for one in said] == ([] if is_shown is None else [is_shown])


def test_a_seed_is_rescued_by_its_loss_though_its_decisions_are_fair() -> None:
    """0.55 of the prior's loss with a third of the errors: another setting leaves 0.01 and none."""
    assert outcome(0.55, error=0.2).rescued_by(outcome(0.01, error=0.0)).all()
    assert not outcome(0.45, error=0.2).rescued_by(outcome(0.01, error=0.0)).any()
    assert not outcome(0.55, error=0.1).rescued_by(outcome(0.01, error=0.0)).any(), (
        "on others it decides well"
    )
