"""The audit's checks of theory, its scorecard, its command and its use inside pytest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import pytest
from click.testing import CliRunner
from keras import ops

from suite import losses
from suite.audit import command, scorecard, subjects, theory
from suite.audit.contract import Finding, asked
from suite.cli import cli
from suite.errors import UsageError
from suite.testing import check_loss, parametrize_with_checks

SOUND = (
    (losses.binary_crossentropy, "binary"),
    (losses.BinaryCrossentropy, "binary"),
    (losses.CategoricalCrossentropy, "categorical"),
    (losses.SparseCategoricalCrossentropy, "sparse"),
    (losses.CategoricalBrier, "categorical"),
)
KERAS = ("BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy")


def doubled(y_true, logits):
    return 2 * losses.categorical_crossentropy(y_true, logits)


def overflowing(y_true, logits):
    return ops.log(ops.sum(ops.exp(logits), -1)) - ops.sum(y_true * logits, -1)


def clipped(y_true, logits):
    p = ops.clip(ops.softmax(logits), 1e-7, 1 - 1e-7)
    return -ops.sum(y_true * ops.log(p), -1)


def stopped(y_true, logits):
    """The value of cross-entropy with twice its gradient."""
    loss = losses.categorical_crossentropy(y_true, logits)
    return 2 * loss - ops.stop_gradient(loss)


def offset(y_true, logits):
    """It knows the mean of the logits, which no probability does."""
    return losses.categorical_crossentropy(y_true, logits) + 0.01 * ops.mean(logits, -1)


def leaning(y_true, logits):
    """Its gradient does not sum to 0, though its value does not know of shifts."""
    mean = 0.01 * ops.mean(logits, -1)
    return losses.categorical_crossentropy(y_true, logits) + mean - ops.stop_gradient(mean)


def drifting(y_true, logits):
    """Its value knows of shifts, though its gradient sums to 0."""
    return losses.categorical_crossentropy(y_true, logits) + 0.01 * ops.stop_gradient(ops.mean(logits, -1))


def lossy(y_true, logits):
    """A right example counts a little too much."""
    return losses.categorical_crossentropy(y_true, logits) + 1e-5 * ops.sigmoid(
        ops.sum(y_true * logits, -1) - 12
    )


def raising(y_true, logits):
    raise RuntimeError("not today")


def batch_mean(y_true, logits):
    return ops.mean(losses.categorical_crossentropy(y_true, logits))


def findings(loss: Callable[..., Any], kind: str = "categorical") -> dict[str, Finding]:
    made = subjects.subject(loss.__name__, loss, kind, {})
    return {each.check: each for each in asked(theory.CHECKS, made)}


def failures(loss: Callable[..., Any], kind: str = "categorical") -> set[str]:
    return {name for name, each in findings(loss, kind).items() if each.verdict == "failed"}


@pytest.mark.parametrize(("loss", "kind"), SOUND)
def test_sound_losses_pass_every_check_of_theory(loss, kind):
    assert failures(loss, kind) == set()


@pytest.mark.parametrize("name", KERAS)
def test_keras_from_logits_is_sound(name):
    made = subjects.subject(name, getattr(keras.losses, name), None, {"from_logits": True})
    found = asked(theory.CHECKS, made)
    assert {each.check for each in found if each.verdict == "failed"} == set()
    assert {each.check for each in found if each.verdict == "passed"} >= {"centre", "wrong tail", "finite"}


@pytest.mark.parametrize(
    ("loss", "named", "besides"),
    [
        (doubled, "centre", {"wrong tail", "right tail"}),
        (clipped, "wrong tail", {"dead gradient"}),
        (clipped, "dead gradient", {"wrong tail"}),
        (overflowing, "finite", {"wrong tail", "right tail", "shift", "dead gradient"}),
        (stopped, "derivative", {"centre", "wrong tail"}),
        (offset, "shift", {"centre", "wrong tail", "right tail"}),
        (lossy, "right tail", set()),
    ],
)
def test_a_broken_loss_fails_the_check_named_for_its_fault(loss, named, besides):
    found = failures(loss)
    assert named in found
    assert found <= {named, *besides}


def test_causes_are_told():
    assert "factor of 2" in findings(doubled)["centre"].cause
    assert "1e-7" in findings(clipped)["wrong tail"].cause
    assert "17.0" in findings(clipped)["dead gradient"].at


def test_both_halves_of_the_shift_are_looked_at():
    assert findings(leaning)["shift"].at == "gradient summed over classes"
    assert findings(drifting)["shift"].at == "1 added to all logits"


def test_what_is_no_crossentropy_is_not_held_against_it():
    found = findings(losses.categorical_brier)
    assert found["centre"].verdict == "not applicable"
    assert found["derivative"].verdict == "passed"


@pytest.mark.parametrize(("loss", "told"), [(raising, "not today"), (batch_mean, "values of shape")])
def test_a_loss_that_cannot_be_called_fails_every_check_that_calls_it(loss, told):
    found = asked(theory.CHECKS, subjects.subject(loss.__name__, loss, "categorical", {}))
    called = [each for each in found if each.verdict != "not applicable"]
    assert called and all(each.verdict == "failed" and told in str(each.measured) for each in called)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nosuch.module:Loss"], "cannot be imported"),
        (["suite.losses:Nothing"], "has no Nothing"),
        (["suite.losses"], "package.module:Name"),
        (["suite.losses:BinaryCrossentropy", "--config", "["], "not JSON"),
        (["suite.losses:BinaryCrossentropy", "--config", '{"gamma": 1}'], "cannot be made"),
        (["suite.losses:brier"], "--kind"),
    ],
)
def test_bad_usage_is_told_in_one_line(arguments, told):
    with pytest.raises(UsageError, match=told):
        CliRunner().invoke(cli, ["audit", *arguments], catch_exceptions=False, standalone_mode=False)


def test_the_command_tells_a_scorecard_as_json():
    ran = CliRunner().invoke(
        cli, ["audit", "suite.losses:CategoricalCrossentropy", "--json"], standalone_mode=False
    )
    (card,) = json.loads(ran.output[ran.output.index("[") :])
    assert card["theory"] == "cross-entropy"
    assert len(card["checks"]) == len(scorecard.CHECKS)
    assert card["beside"]["loss"].startswith("keras.losses:CategoricalCrossentropy")
    assert ran.return_value == (1 if any(each["verdict"] == "failed" for each in card["checks"]) else 0)


def test_check_loss_raises_with_the_scorecard():
    with pytest.raises(AssertionError, match=r"wrong tail +FAILED"):
        check_loss(clipped, "categorical")


@parametrize_with_checks([losses.CategoricalCrossentropy()])
def test_checks_inside_pytest(loss, check):
    assert check(loss).verdict in ("passed", "not applicable")


class Scaled(keras.losses.Loss):
    """Right for a factor of 1; `get_config` does not tell the factor."""

    def __init__(self, factor=1.0, reduction="sum_over_batch_size", name=None):
        super().__init__(name, reduction)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * losses.categorical_crossentropy(y_true, y_pred)


def test_a_loss_that_was_made_is_checked_as_it_is():
    with pytest.raises(AssertionError, match=r"wrong by a factor of 3"):
        check_loss(Scaled(3.0), "categorical")


def test_a_check_inside_pytest_raises_with_the_input():
    mark = parametrize_with_checks([clipped], "categorical")
    (check,) = [
        check for (_, check), name in zip(mark.args[1], mark.kwargs["ids"], strict=True) if "wrong" in name
    ]
    with pytest.raises(AssertionError, match=r"cut off at 1e-7"):
        check(clipped)


def printing(y_true, logits):
    print("heard")
    return losses.categorical_crossentropy(y_true, logits)


def test_what_a_loss_prints_is_told_and_not_shown(capsys):
    card = scorecard.scorecard(subjects.subject("printing", printing, "categorical", {}), beside=False)
    assert {each.check for each in card.findings if each.verdict == "failed"} >= {"quiet"}
    assert "heard" not in capsys.readouterr().out


def test_a_focal_loss_stands_beside_one_that_is_not_taken_for_crossentropy():
    made = subjects.subject("focal", keras.losses.CategoricalFocalCrossentropy, "categorical", {})
    card = scorecard.scorecard(made)
    assert "Focal" in card.beside
    assert {each.check: each.verdict for each in card.theirs}["centre"] == "not applicable"


def test_all_losses_of_keras_go_into_a_table_and_a_file(tmp_path, monkeypatch):
    focal = [each for each in subjects.builtins() if each.config.get("gamma") == 0 and each.kind == "binary"]
    monkeypatch.setattr(command, "builtins", lambda: focal)
    heard = []
    assert not command.every(tmp_path, heard.append)
    (card,) = json.loads((tmp_path / "audit.json").read_text())
    assert {each["check"]: each["verdict"] for each in card["checks"]}["finite"] == "failed"
    table = (tmp_path / "table.md").read_text()
    assert "gamma=0.0" in table and "NaN" in table.split("## What failed")[1]
    assert heard[0].split(" of ")[1].startswith(f"{len(scorecard.CHECKS)} checks failed")
