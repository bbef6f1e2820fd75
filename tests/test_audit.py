"""The audit's checks of theory, its scorecard, its command and its use inside pytest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import pytest
from click.testing import CliRunner
from keras import ops

from crosscheck import losses
from crosscheck.audit import command, elsewhere, scorecard, subjects, theories
from crosscheck.audit.checks import theory
from crosscheck.audit.contract import Finding, asked
from crosscheck.claims import BACKENDS
from crosscheck.cli.main import cli
from crosscheck.errors import UsageError
from crosscheck.testing import check_loss, parametrize_with_checks

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


def unclear(y_true, logits):
    return ops.sum(logits, -1) * 0.0 + 1.0


def findings(loss: Callable[..., Any], kind: str = "categorical") -> dict[str, Finding]:
    made = subjects.subject(loss.__name__, loss, kind, {})
    return {each.check: each for each in asked(theory.CHECKS, made)}


def failures(loss: Callable[..., Any], kind: str = "categorical") -> set[str]:
    return {name for name, each in findings(loss, kind).items() if each.verdict == "failed"}


@pytest.mark.parametrize(("loss", "kind"), SOUND)
def test_sound_losses_pass_every_check_of_theory(loss, kind):
    assert failures(loss, kind) == set()


@pytest.mark.parametrize("name", KERAS)
def test_keras_from_logits_is_sound_on_valid_use(name):
    made = subjects.subject(name, getattr(keras.losses, name), None, {"from_logits": True})
    found = asked(scorecard.CHECKS, made)
    failed = {each.check for each in found if each.verdict == "failed"}
    assert {each for each in failed if scorecard.USE_OF[each] == "valid"} == set()
    assert {each.check for each in found if each.verdict == "passed"} >= {"centre", "wrong tail", "finite"}


@pytest.mark.parametrize(
    ("loss", "named", "besides"),
    [
        (doubled, "centre", set()),
        (clipped, "wrong tail", {"dead gradient", "half precision", "unnormalised"}),
        (clipped, "dead gradient", {"wrong tail", "half precision", "unnormalised"}),
        (overflowing, "finite", {"wrong tail", "right tail", "dead gradient", "half precision"}),
        (
            stopped,
            "derivative",
            {"centre", "wrong tail", "proper", "hessian", "unnormalised", "half precision"},
        ),
        (offset, "shift", {"proper", "symmetry", "half precision"}),
        (lossy, "right tail", {"proper", "shift", "half precision"}),
    ],
)
def test_a_broken_loss_fails_the_check_named_for_its_fault(loss, named, besides):
    found = failures(loss)
    assert named in found
    assert found <= {named, *besides}


def test_causes_are_told():
    assert "factor 2" in findings(doubled)["centre"].cause
    assert "1e-7" in findings(clipped)["wrong tail"].cause
    assert "[[-16, 0, 0]]" in findings(clipped)["dead gradient"].at


def test_both_halves_of_the_shift_are_looked_at():
    assert "do not sum to zero" in findings(leaning)["shift"].cause
    assert "when 3 is added to every logit" in findings(drifting)["shift"].cause


def unheard_of(y_true, logits):
    """Proper, and of no theory that is known here: cross-entropy and half of Brier's score."""
    return losses.categorical_crossentropy(y_true, logits) + losses.categorical_brier(y_true, logits) / 2


def test_what_is_no_crossentropy_is_not_held_against_it():
    found = findings(unheard_of)
    told = {name for name, each in found.items() if each.verdict == "not applicable"}
    eager = {"modes"} if keras.backend.backend() == "torch" else set()
    unasked = {"activation", "backends", "large batch", "half loss"} | eager
    assert told == {"centre", "wrong tail", "right tail"} | unasked
    assert "--theory" in found["centre"].note
    assert (
        found["derivative"].verdict == found["proper"].verdict == found["half precision"].verdict == "passed"
    )


def test_an_oracle_of_the_users_own_is_held_against_the_loss():
    told = subjects.subject("unheard_of", unheard_of, "categorical", {}, theory="test_audit:heard_of")
    wrong = subjects.subject(
        "brier", losses.categorical_brier, "categorical", {}, theory="test_audit:heard_of"
    )
    found = {each.check: each for each in asked(theory.CHECKS, told)}
    assert {name for name, each in found.items() if each.verdict == "failed"} == set()
    assert found["centre"].verdict == found["right tail"].verdict == "passed"
    assert "centre" in {each.check for each in asked(theory.CHECKS, wrong) if each.verdict == "failed"}


def heard_of(z, y):
    return theories.class_crossentropy(z, y, 0) + theories.class_brier(z, y) / 2


def in_floats(z, y):
    return 1.0


def test_a_loss_that_cannot_be_called_fails_every_check_that_calls_it():
    found = asked(theory.CHECKS, subjects.subject("raising", raising, "categorical", {}))
    called = [each for each in found if each.verdict != "not applicable"]
    assert called and all(each.verdict == "failed" and "not today" in str(each.measured) for each in called)


def test_a_loss_of_all_examples_together_passes_no_check_of_single_ones():
    made = subjects.subject("batch_mean", batch_mean, "categorical", {})
    found = {each.check: each for each in asked(scorecard.CHECKS, made)}
    assert all(found[check.id].verdict == "not applicable" for check in theory.CHECKS)
    assert "values of shape ()" in found["finite"].note and "`per example`" in found["finite"].note
    assert found["per example"].verdict == "failed"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nosuch.module:Loss"], "cannot be imported"),
        (["crosscheck.losses:Nothing"], "has no Nothing"),
        (["crosscheck.losses"], "package.module:Name"),
        (["crosscheck.losses:BinaryCrossentropy", "--config", "["], "not JSON"),
        (["crosscheck.losses:BinaryCrossentropy", "--config", '{"gamma": 1}'], "cannot be made"),
        (["test_audit:unclear"], "--kind"),
        (
            ["crosscheck.losses:brier", "--theory", "brierley"],
            "No theory of binary labels is called 'brierley'",
        ),
        (["crosscheck.losses:brier", "--theory", "test_audit:nowhere"], "cannot be had"),
        (["crosscheck.losses:brier", "--theory", "test_audit:in_floats"], "gave float"),
    ],
)
def test_bad_usage_is_told_in_one_line(arguments, told):
    with pytest.raises(UsageError, match=told):
        CliRunner().invoke(cli, ["audit", *arguments], catch_exceptions=False, standalone_mode=False)


def test_the_command_tells_a_scorecard_as_json():
    ran = CliRunner().invoke(
        cli, ["audit", "crosscheck.losses:CategoricalCrossentropy", "--json"], standalone_mode=False
    )
    (card,) = json.loads(ran.output[ran.output.index("[") :])
    assert card["theory"] == "categorical crossentropy"
    told = {each["check"]: each for each in card["checks"]}
    note = told["backends"]["note"]
    others = set(BACKENDS) - {keras.backend.backend()}
    assert all(f"{name} agrees" in note or f"{name} is not installed" in note for name in others)
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
    with pytest.raises(AssertionError, match=r"wrong by a factor 3"):
        check_loss(Scaled(3.0), "categorical")


def test_a_check_inside_pytest_raises_with_the_input():
    mark = parametrize_with_checks([clipped], "categorical")
    (check,) = [
        check for (_, check), name in zip(mark.args[1], mark.kwargs["ids"], strict=True) if "wrong" in name
    ]
    with pytest.raises(AssertionError, match=r"clipping of p at 1e-7"):
        check(clipped)


def test_a_function_is_saved_by_its_name():
    made = subjects.subject("printing", printing, "categorical", {})
    (check,) = (each for each in scorecard.CHECKS if each.id == "saved model")
    assert check.ask(made).verdict == "passed"


def printing(y_true, logits):
    print("heard")
    return losses.categorical_crossentropy(y_true, logits)


def test_what_a_loss_prints_is_told_and_not_shown(capsys):
    card = scorecard.scorecard(subjects.subject("printing", printing, "categorical", {}), beside=False)
    assert {each.check for each in card.findings if each.verdict == "failed"} >= {"quiet"}
    assert "heard" not in capsys.readouterr().out


def focal(y_true, logits):
    p = ops.softmax(logits)
    return -0.25 * ops.sum(y_true * (1 - p) ** 2 * ops.log_softmax(logits), -1)


def test_a_focal_loss_stands_beside_one_that_is_not_taken_for_crossentropy():
    card = scorecard.scorecard(subjects.subject("focal", focal, "categorical", {}))
    assert card.subject.theory == "categorical focal" and "Focal" in card.beside
    mine, theirs = ({each.check: each.verdict for each in found} for found in (card.findings, card.theirs))
    assert mine["wrong tail"] == mine["centre"] == theirs["centre"] == "passed"
    assert theirs["wrong tail"] == "failed"


def test_all_losses_of_keras_go_into_a_table_and_a_file(tmp_path, monkeypatch):
    focal = [
        each for each in subjects.builtins() if each.config.get("gamma") == 0.5 and each.kind == "binary"
    ]
    monkeypatch.setattr(command, "builtins", lambda: focal[:1])
    monkeypatch.setattr(elsewhere, "compared", lambda subjects, here: subjects)
    heard = []
    assert not command.every(tmp_path, heard.append)
    backend = keras.backend.backend()
    ending = "" if backend == "tensorflow" else f"-{backend}"
    (card,) = json.loads((tmp_path / f"audit{ending}.json").read_text())
    assert {each["check"]: each["verdict"] for each in card["checks"]}["finite"] == "failed"
    table = (tmp_path / f"table{ending}.md").read_text()
    assert "gamma=0.5" in table and "NaN" in table.split("## What failed")[1]
    brief = {each["check"]: each for each in card["checks"]}
    assert set(brief["per example"]) == {"check", "verdict"} and brief["shift"]["note"]
    assert card["failed"]["valid"] > 0 and "## Misuse" in table
    assert heard[0].split(" of ")[1].startswith(f"{len(scorecard.CHECKS)} checks failed")
