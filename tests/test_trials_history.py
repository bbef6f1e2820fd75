"""What a finished training tells."""

import keras
import numpy as np
import pytest
from trial_programs import blobs, network, program

from crosscheck.diagnose import Data, Program
from crosscheck.diagnose.checks.history import HISTORY

PRIOR = float(-np.sum((shares := np.bincount(blobs()[1]) / len(blobs()[1])) * np.log(shares)))


def verdicts(history: dict[str, list[float]], **changed: object) -> dict[str, str]:
    healthy = program(**changed)
    given = Program(healthy.model, healthy.training, epochs=len(history["loss"]), history=history)
    return {f.check: f.verdict for check in HISTORY for f in check(given)}


def test_a_training_that_went_well_has_no_fault():
    found = verdicts({"loss": [1.0, 0.5, 0.3], "val_loss": [0.9, 0.6, 0.5]})
    assert found == {"history-finite": "✓", "history-below-prior": "✓"}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_a_fault(bad):
    assert verdicts({"loss": [1.0, bad, bad]})["history-finite"] == "✗"


def test_a_loss_at_the_prior_is_a_fault_and_one_below_it_is_none():
    assert verdicts({"loss": [1.2, PRIOR * 1.01, PRIOR * 1.001]})["history-below-prior"] == "✗"
    assert verdicts({"loss": [1.2, PRIOR * 1.01, PRIOR * 0.99]})["history-below-prior"] == "✓"
    assert verdicts({"loss": [1.2, 1.2, 1.2], "val_loss": [PRIOR * 0.9] * 3})["history-below-prior"] == "✓"


def test_a_loss_above_the_prior_beside_a_score_of_decisions_is_undecided():
    assert verdicts({"loss": [5.0, 4.0, 3.0], "accuracy": [0.7, 0.8, 0.9]})["history-below-prior"] == "?"


def test_with_dropout_a_training_loss_above_the_prior_is_undecided():
    model = network(16, keras.layers.Dropout(0.5))
    assert verdicts({"loss": [2.0, 1.5, 1.3]}, model=model)["history-below-prior"] == "?"


def test_a_penalty_in_the_loss_is_not_held_against_it():
    model = network(keras.layers.Dense(16, kernel_regularizer="l2"))
    assert "history-below-prior" not in verdicts({"loss": [2.0, 1.5, 1.3]}, model=model)


def test_a_loss_that_still_falls_is_noted():
    falling = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert verdicts({"loss": falling})["still-falling"] == "note"
    assert "still-falling" not in verdicts({"loss": [*falling, 0.399]})


def test_a_validation_loss_that_rises_while_the_loss_falls_is_noted():
    loss, validation = [1.0, 0.5, 0.3, 0.2, 0.1], [1.0, 0.6, 0.7, 0.8, 0.9]
    assert verdicts({"loss": loss, "val_loss": validation})["overfitting"] == "note"
    assert "overfitting" not in verdicts({"loss": loss, "val_loss": [1.0, 0.6, 0.6, 0.61, 0.6]})


def test_confidence_above_accuracy_on_held_out_rows_is_noted():
    x, y = blobs(600, separation=0.7)
    given = program(network(64), (x[:60], y[:60]))
    given.model.fit(x[:60], y[:60], epochs=300, verbose=0)
    for validation, noted in ((Data(x[60:], y[60:]), True), (Data(x[:60], y[:60]), False)):
        finished = Program(given.model, given.training, validation, history={"loss": [1.0, 0.1]})
        found = {f.check: f for check in HISTORY for f in check(finished)}
        assert ("overconfident" in found) is noted
    assert "temperature" in found.get("overconfident", next(iter(found.values()))).measured or not noted


def test_a_loss_of_numbers_has_no_prior():
    regression = program(network(16, outputs=1), (blobs()[0], blobs()[0][:, :1]), loss="mse")
    given = Program(regression.model, regression.training, history={"loss": [9.0, 9.0, 9.0]})
    assert {f.check for check in HISTORY for f in check(given)} == {"history-finite"}
