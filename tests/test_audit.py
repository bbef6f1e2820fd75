"""The audit's checks of theory, its scorecard, its command and its use inside pytest."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import keras
import pytest
from audited import failures, theory_findings, use_findings, without_xla
from click.testing import CliRunner
from keras import ops
from theory_losses import clipped, unheard_of

import crosscheck
from crosscheck import losses
from crosscheck.audit import CHECKS, audit, command, other_backends, scorecard, subjects, theories
from crosscheck.audit.checks import theory
from crosscheck.audit.checks.theory import accuracy
from crosscheck.audit.checks.use import saving
from crosscheck.audit.contract import run_checks
from crosscheck.audit.subjects import subject_of
from crosscheck.claims import BACKENDS
from crosscheck.cli.main import cli
from crosscheck.errors import UsageError
from crosscheck.testing import check_loss, parametrize_with_checks

pytestmark = pytest.mark.every_backend


@pytest.fixture
def only(monkeypatch):
    """Lets a scorecard hold these checks alone."""

    def select(*names):
        monkeypatch.setattr(scorecard, "CHECKS", [check for check in CHECKS if check.id in names])

    return select


def unclear(y_true, logits):
    return ops.sum(logits, -1) * 0.0 + 1.0


@pytest.mark.parametrize("name", ["Keras", "Keras, classes", "Keras, sparse"])
def test_keras_from_logits_is_sound_on_valid_use(name):
    findings = {**theory_findings(name), **use_findings(name)}
    assert {check for check in failures(findings) if scorecard.USE_OF[check] == "valid"} == set()
    assert all(findings[check].verdict == "passed" for check in ("centre", "wrong tail", "finite"))


def test_what_is_no_crossentropy_is_not_held_against_it():
    findings = theory_findings("unheard of")
    left_out = {name for name, finding in findings.items() if finding.verdict == "not applicable"}
    eager = {"modes"} if keras.backend.backend() == "torch" else set()
    unasked = {"activation", "backends", "large batch", "half loss"} | eager
    assert left_out == {"centre", "wrong tail", "right tail"} | unasked
    assert "--theory" in findings["centre"].note
    assert all(findings[name].verdict == "passed" for name in ("derivative", "proper", "half precision"))


def test_an_oracle_of_the_users_own_is_held_against_the_loss():
    own = subject_of(unheard_of, "categorical", theory="test_audit:heard_of")
    with without_xla():
        findings = {finding.check: finding for finding in run_checks(theory.CHECKS, own)}
    assert failures(findings) == {}
    assert findings["centre"].verdict == findings["right tail"].verdict == "passed"
    other = subject_of(losses.categorical_brier, "categorical", theory="test_audit:heard_of")
    assert accuracy.centre(other).verdict == "failed"


def heard_of(z, y):
    return theories.class_crossentropy(z, y, 0) + theories.class_brier(z, y) / 2


def in_floats(z, y):
    return 1.0


def raising(y_true, logits):
    raise RuntimeError("not today")


def batch_mean(y_true, logits):
    return ops.mean(losses.categorical_crossentropy(y_true, logits))


def test_a_loss_that_cannot_be_called_is_told_once():
    card = audit(raising, "categorical")
    assert [finding.check for finding in card.findings] == ["call"]
    assert "not today" in card.findings[0].note and card.exit_code == 2


def test_a_loss_of_all_examples_together_gets_the_mathematics_and_is_told_once():
    with without_xla():
        findings = {
            finding.check: finding for finding in run_checks(CHECKS, subject_of(batch_mean, "categorical"))
        }
    assert {findings[name].verdict for name in ("centre", "wrong tail", "derivative", "proper")} == {"passed"}
    assert {check for check, finding in failures(findings).items()} == {"per example"}
    assert "takes the mean over the examples itself" in findings["per example"].cause


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_bad_usage_is_refused_with_the_reason(arguments, message):
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(cli, ["audit", *arguments], catch_exceptions=False, standalone_mode=False)


def test_the_command_tells_a_scorecard_as_json():
    ran = CliRunner().invoke(
        cli, ["audit", "crosscheck.losses:CategoricalCrossentropy", "--json"], standalone_mode=False
    )
    (card,) = json.loads(ran.output[ran.output.index("[") :])
    assert card["theory"] == "categorical crossentropy"
    note = next(record["note"] for record in card["checks"] if record["check"] == "backends")
    others = set(BACKENDS) - {keras.backend.backend()}
    assert all(f"{name} agrees" in note or f"{name} is not installed" in note for name in others)
    assert len(card["checks"]) == len(CHECKS)
    assert card["beside"]["loss"].startswith("keras.losses:CategoricalCrossentropy")
    assert ran.return_value == (1 if any(record["verdict"] == "failed" for record in card["checks"]) else 0)


def test_check_loss_raises_with_the_scorecard(only):
    only("wrong tail", "config")
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


def test_a_loss_that_was_made_is_checked_as_it_is(only):
    only("centre")
    with pytest.raises(AssertionError, match=r"wrong by a factor 3"):
        check_loss(Scaled(3.0), "categorical", theory="cross-entropy")


def test_a_check_inside_pytest_raises_with_the_input():
    mark = parametrize_with_checks([clipped], "categorical")
    (check,) = [case.values[1] for case in mark.args[1] if "wrong" in case.id]
    with pytest.raises(AssertionError, match=r"clipping of p at 1e-7"):
        check(clipped)


def test_a_function_is_saved_by_its_name():
    assert saving.saved(subject_of(printing, "categorical")).verdict == "passed"


def printing(y_true, logits):
    print("heard")
    return losses.categorical_crossentropy(y_true, logits)


def test_what_a_loss_prints_is_told_and_not_shown(capsys, only):
    only("centre", "quiet")
    card = audit(printing, "categorical", beside=False)
    assert "quiet" in {finding.check for finding in card.failures()}
    assert "heard" not in capsys.readouterr().out


def focal(y_true, logits):
    p = ops.softmax(logits)
    return -0.25 * ops.sum(y_true * (1 - p) ** 2 * ops.log_softmax(logits), -1)


def test_a_focal_loss_stands_beside_one_that_is_not_taken_for_crossentropy(only):
    only("centre", "wrong tail")
    card = audit(focal, "categorical")
    assert card.subject.theory == "categorical focal" and "Focal" in card.beside
    assert {finding.verdict for finding in card.findings} == {"passed"}
    assert card.theirs == ()  # Keras' loss is asked what failed, and nothing did


def test_all_losses_of_keras_go_into_a_table_and_a_file(tmp_path, monkeypatch):
    focal = [
        subject
        for subject in subjects.keras_subjects()
        if subject.config.get("gamma") == 0.5 and subject.kind == "binary"
    ]
    monkeypatch.setattr(command, "keras_subjects", lambda: focal[:1])
    monkeypatch.setattr(other_backends, "with_other_backends", lambda subjects, backend: subjects)
    lines = []
    assert not command.audit_keras_losses(tmp_path, lines.append)
    backend = keras.backend.backend()
    ending = "" if backend == "tensorflow" else f"-{backend}"
    (card,) = json.loads((tmp_path / f"audit{ending}.json").read_text())
    table = (tmp_path / f"table{ending}.md").read_text()
    assert "gamma=0.5" in table and "NaN" in table.split("## What failed")[1]
    brief = {record["check"]: record for record in card["checks"]}
    assert brief["finite"]["verdict"] == "failed"
    assert set(brief["per example"]) == {"check", "verdict"} and brief["shift"]["note"]
    assert card["failed"]["valid"] > 0 and "## Misuse" in table
    assert lines[0].split(" of ")[1].startswith(f"{len(CHECKS)} checks failed")


def test_another_backend_imports_the_package_that_this_process_imports(tmp_path, monkeypatch):
    """A package of the same name in the current folder, as in another checkout, is not taken for it."""
    impostor = tmp_path / "crosscheck"
    impostor.mkdir()
    (impostor / "__init__.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    code = "import crosscheck; print(crosscheck.__file__)"
    command_line = [*other_backends.PYTHON, "-c", code]
    environment = other_backends.environment_of(keras.backend.backend())
    ran = subprocess.run(command_line, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()) == Path(crosscheck.__file__)
