"""The audit on losses as people write them: what they take, what is design, what is told once."""

from __future__ import annotations

import functools
import json
from typing import Any

import field_losses as field
import keras
import numpy as np
import pytest
from audited import without_xla
from click.testing import CliRunner

from crosscheck.audit import CHECKS, Scorecard, contract, scorecard
from crosscheck.audit.claims import with_claim
from crosscheck.audit.contract import LossCheck, Subject, run_check
from crosscheck.audit.subjects import Told, load_subject, parse_call, subject_of
from crosscheck.cli.main import cli
from crosscheck.errors import UsageError
from crosscheck.testing import check_loss, parametrize_with_checks

pytestmark = pytest.mark.every_backend
TENSORFLOW = keras.backend.backend() == "tensorflow"
long = pytest.mark.long


def check_named(name: str) -> LossCheck:
    return next(check for check in CHECKS if check.id == name)


def verdict(name: str, subject: Subject) -> Any:
    return run_check(check_named(name), subject)


@functools.cache
def card_of(loss: Any, kind: str, theory: str | None = None) -> Scorecard:
    with without_xla():
        return scorecard.scorecard(subject_of(loss, kind, theory), beside=False)


def failed(loss: Any, kind: str, theory: str | None = None) -> set[str]:
    return {finding.check for finding in card_of(loss, kind, theory).failures()}


TAKEN = [  # loss, kind, whether logits (None: cannot tell), its values
    (field.clipped_focal, "categorical", False, "one for all"),
    (field.log_with_epsilon, "multilabel", False, "one for all"),
    (field.log_with_epsilon, "categorical", False, "one for all"),
    (field.normalised_and_weighted, "categorical", False, "one each"),
    (field.clipped_mean, "categorical", False, "one each"),
    (field.squared, "categorical", False, "one each"),
    (field.squared, "multilabel", False, "one each"),
    (field.rooted, "categorical", False, "one each"),
    (field.powered, "categorical", False, "one each"),
    (field.with_a_batch_statistic, "multilabel", False, "coupled"),
    (field.of_maps, "categorical", False, "one each"),
    (field.factory(), "categorical", None, "one each"),
    (field.factory(3), "categorical", None, "one each"),
    (field.focal_factory(), "categorical", True, "one each"),
    (field.crossentropy, "categorical", True, "one each"),
    (field.summed_over_labels, "multilabel", True, "one each"),
    (field.averaged_over_classes, "categorical", True, "one each"),
    (field.dice_of_sigmoid, "multilabel", True, "one each"),
    (field.punished, "categorical", True, "one each"),
    (field.normed, "categorical", None, "one each"),
    (field.ZLoss, "categorical", True, "one each"),
    (field.ZLoss(z_loss=0.1), "categorical", True, "one each"),
    (field.PositiveWeight, "multilabel", True, "one each"),
    (field.coral, "ordinal", True, "one each"),
    (field.of_steps, "categorical", True, "one each"),
    (field.NoneRefused, "sparse", True, "one each"),
    (field.DoubleSigmoid, "multilabel", True, "one each"),
    (field.DoubleSoftmax, "categorical", True, "one each"),
]


@pytest.mark.parametrize(("loss", "kind", "logits", "values"), TAKEN)
def test_what_a_loss_takes_is_found_or_asked(loss: Any, kind: str, logits: bool | None, values: str) -> None:
    subject = subject_of(loss, kind)
    assert subject.values == values
    if logits is None:
        assert subject.obstacle and "--probabilities" in subject.obstacle.remedy
        card = scorecard.scorecard(subject)
        assert card.exit_code == 2 and not card.sound and "could not be looked at" in str(card)
    else:
        assert not subject.obstacle and (subject.from_logits, bool(subject.evidence)) == (logits, True)


@pytest.mark.parametrize("logits", [True, False])
def test_what_it_takes_can_be_told(logits: bool) -> None:
    subject = subject_of(field.factory(), "categorical", from_logits=logits)
    assert (subject.from_logits, subject.obstacle) == (logits, None)


@pytest.mark.parametrize(
    ("loss", "kind", "theory", "parameters", "weights"),
    [
        (field.clipped_focal, "categorical", "categorical focal", {"alpha": 1.0}, ()),
        (field.log_with_epsilon, "multilabel", "binary crossentropy", {"factor": 2.0}, ()),
        (field.normalised_and_weighted, "categorical", "categorical crossentropy", {}, (0.5, 2, 10)),
        (field.averaged_over_classes, "categorical", "categorical crossentropy", {"factor": 1 / 3}, ()),
        (field.PositiveWeight, "multilabel", "binary crossentropy", {}, (1, 3)),
        (field.BalancedFocal, "binary", "binary focal", {"balanced": 1.0}, ()),
        (field.Generalized, "categorical", "generalized crossentropy", {"q": 0.7}, ()),
        (field.coral, "ordinal", "binary crossentropy", {"factor": 2.0}, ()),
    ],
)
def test_multiples_weights_and_parameters_are_recognised(
    loss: Any, kind: str, theory: str, parameters: dict[str, float], weights: tuple[float, ...]
) -> None:
    subject = subject_of(loss, kind)
    assert subject.theory == theory
    assert subject.parameters == pytest.approx(parameters, rel=1e-4)
    assert subject.class_weights == pytest.approx(weights, rel=1e-3)


@pytest.mark.parametrize(
    ("loss", "kind", "theory"),
    [
        (field.Generalized, "categorical", None),
        (field.BalancedFocal, "binary", "focal"),
        (field.ZLoss, "categorical", None),
        (field.PositiveWeight, "multilabel", None),
        pytest.param(field.Generalized, "categorical", "generalised cross-entropy", marks=long),
        pytest.param(field.BalancedFocal, "multilabel", None, marks=long),
        pytest.param(field.BalancedFocal, "multilabel", "focal", marks=long),
        pytest.param(field.SmoothedSparse, "sparse", None, marks=long),
        pytest.param(field.SmoothedSparse, "sparse", "cross-entropy", marks=long),
        pytest.param(field.PositiveWeight, "binary", None, marks=long),
        pytest.param(field.PositiveWeight, "multilabel", "cross-entropy", marks=long),
        pytest.param(field.NoConstructor, "categorical", None, marks=long),
    ],
)
def test_design_is_no_fault(loss: Any, kind: str, theory: str | None) -> None:
    assert failed(loss, kind, theory) == set()
    assert card_of(loss, kind, theory).exit_code == 0


def test_what_is_by_design_is_described() -> None:
    subject = subject_of(field.ZLoss, "categorical")
    shift = verdict("shift", subject)
    assert shift.verdict == "passed" and "described" in shift.note
    proper = verdict("proper", subject_of(field.dice_of_sigmoid, "multilabel"))
    assert proper.verdict == "passed" and "not proper, by design" in proper.note


def test_the_formula_itself_is_asked_about_shifts() -> None:
    told = with_claim(subject_of(field.ZLoss, "categorical"), "test_audit_field:z_loss_formula")
    assert verdict("centre", told).verdict == "passed"
    assert "itself changes with a shift" in verdict("shift", told).note
    other = with_claim(subject_of(field.ZLoss(z_loss=0.1), "categorical"), "cross-entropy")
    assert verdict("shift", other).verdict == "failed"


def z_loss_formula(z, y, z_loss):
    from mpmath import exp, fsum, log

    total = log(fsum(exp(logit) for logit in z))
    return fsum(label * (total - logit) for label, logit in zip(y, z, strict=True)) + z_loss * total**2


@pytest.mark.parametrize(
    ("loss", "kind", "check", "words"),
    [
        (field.WeightsColumn, "categorical", "sample weights", "each with each"),
        (field.ForgetsTemperature, "categorical", "arguments", "kept and not used"),
        (field.GammaOffByOne, "categorical", "arguments", "`gamma` = 2 is used as 1"),
        (field.FirstThree, "categorical", "classes", "written into the loss"),
        (field.DoubleSigmoid, "multilabel", "activated once", "is taken of the predictions"),
        (field.DoubleSigmoid, "binary", "activated once", "is taken of the predictions"),
        (field.DoubleSoftmax, "categorical", "activated once", "is taken of the predictions"),
        (field.SmoothedAlpha, "binary", "smoothing constant", "no longer are"),
        (field.with_a_batch_statistic, "multilabel", "per example", "statistic of the whole batch"),
        (field.clipped_focal, "categorical", "per example", "mean over the examples itself"),
    ],
)
def test_what_is_broken_fails_the_check_of_its_fault(loss: Any, kind: str, check: str, words: str) -> None:
    finding = verdict(check, subject_of(loss, kind))
    assert finding.verdict == "failed" and words in finding.cause


@pytest.mark.parametrize("loss", [field.Column, field.Threshold, field.WeighedByLabel])
def test_smoothing_of_columns_thresholds_and_weights_is_understood(loss: Any) -> None:
    finding = verdict("smoothing constant", subject_of(loss, "binary"))
    assert finding.verdict == "passed" and finding.measured.startswith("α/2")


def test_a_scalar_is_told_once_and_its_weights_are_not_asked() -> None:
    subject = subject_of(field.clipped_focal, "categorical")
    finding = verdict("per example", subject)
    assert "multiplies the whole by the mean of `sample_weight`" in finding.note
    for name in ("masks", "sample weights", "class weights", "zero weight", "large batch"):
        assert verdict(name, subject).verdict in ("not applicable",)
    assert verdict("centre", subject).verdict == "passed"
    assert "clipping of p at 1e-7" in verdict("wrong tail", subject).cause


def test_arguments_are_not_invented() -> None:
    assert verdict("config", subject_of(field.VectorWeights, "sparse")).verdict == "passed"
    weighing = subject_of(field.VectorWeights([1.0, 2.0, 3.0]), "sparse")
    finding = verdict("config", weighing)
    assert finding.verdict == "passed" and "class_weight" in finding.note.split(";")[0]


def test_a_weight_that_nothing_could_show_is_not_passed() -> None:
    def nothing(y, z):
        return 0.0 * field.crossentropy(y, z)

    subject = contract.Subject("nothing", lambda: nothing, "categorical", True, None, is_class=False)
    for name in ("masks", "sample weights", "class weights", "zero weight"):
        finding = verdict(name, subject)
        assert finding.verdict == "not applicable" and "different, finite losses" in finding.note


def test_batch_coupling_is_no_custom_gradient() -> None:
    subject = subject_of(field.with_a_batch_statistic, "multilabel")
    assert verdict("derivative", subject).verdict == "passed"


def test_losses_of_steps_and_maps_are_called_by_their_own_shapes() -> None:
    assert [subject_of(loss, "categorical").axes for loss in (field.of_steps, field.of_maps)] == [1, 2]
    assert verdict("centre", subject_of(field.of_steps, "categorical")).verdict == "passed"
    assert verdict("sample weights", subject_of(field.of_maps, "categorical")).verdict == "passed"
    assert verdict("square", subject_of(field.of_maps, "categorical")).verdict == "not applicable"


def test_an_ordinal_loss_is_called_with_one_logit_less() -> None:
    assert failed(field.coral, "ordinal") - {"label range", "label NaN", "label fraction"} == set()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["audit", *arguments], standalone_mode=False)


def test_a_factory_is_told_once_with_the_way_to_call_it() -> None:
    ran = run("field_losses:factory", "--kind", "categorical")
    assert ran.return_value == 2
    assert "'field_losses:factory(gamma=2.0)'" in ran.output and ran.output.count("COULD NOT LOOK") == 1


def test_a_factory_is_called_with_its_arguments() -> None:
    subject = load_subject("field_losses:focal_factory(gamma=3)", Told("categorical"))
    assert (subject.theory, subject.parameters["gamma"]) == ("categorical focal", 3.0)
    of_class = load_subject("field_losses:Generalized(0.5)", Told("categorical"))
    assert of_class.config == {"q": 0.5} and of_class.parameters == {}


@pytest.mark.parametrize("expression", ["f(", "f(x)", "f(1)(2)", "f(open('a'))"])
def test_what_is_no_call_with_literals_is_refused(expression: str) -> None:
    with pytest.raises(UsageError, match="not of the form"):
        parse_call(expression)


@pytest.mark.parametrize(
    ("loss", "words"),
    [(field.by_keras_2, "keras.ops")]
    + ([(field.by_tensorflow, "--backend tensorflow")] if not TENSORFLOW else []),
)
def test_what_cannot_be_called_is_told_once_with_the_way_out(loss: Any, words: str) -> None:
    card = scorecard.scorecard(subject_of(loss, "categorical"))
    (finding,) = card.findings
    assert (finding.verdict, card.exit_code) == ("could not look", 2) and words in finding.remedy


def test_class_weights_are_told() -> None:
    weights = [0.5, 2.0, 10.0]
    told = subject_of(field.normalised_and_weighted, "categorical", "cross-entropy", class_weights=weights)
    assert told.class_weights == tuple(weights) and not told.from_logits
    for name in ("centre", "derivative", "hessian", "proper"):
        assert verdict(name, told).verdict == "passed"
    wrong = subject_of(
        field.normalised_and_weighted, "categorical", "cross-entropy", class_weights=[1, 2, 10]
    )
    assert verdict("centre", wrong).verdict == "failed" or wrong.obstacle
    with pytest.raises(UsageError, match="one number for each"):
        subject_of(field.crossentropy, "categorical", class_weights=[1, 2])
    ran = run("field_losses:crossentropy", "--kind", "categorical", "--class-weights", "5")
    assert isinstance(ran.exception, UsageError)


def test_a_formula_of_ones_own_tells_what_predictions_are() -> None:
    own = subject_of(field.normalised_and_weighted, "categorical", "field_losses:weighted_crossentropy")
    assert not own.from_logits and verdict("centre", own).verdict == "passed"


def test_an_error_of_the_audit_is_no_finding_about_the_loss() -> None:
    def broken_check(subject: Subject) -> Any:
        return np.zeros(3)[4]

    def calling(subject: Subject) -> Any:
        return subject.make()(None, None)

    def raising(y, z):
        raise KeyError("mine")

    subject = Subject("raising", lambda: raising, "binary", True, None, is_class=False)
    here = contract.HERE
    try:
        contract.HERE = str(__file__)
        own = run_check(LossCheck("a", "", broken_check), subject)
    finally:
        contract.HERE = here
    assert own.verdict == "could not look" and "an error of the audit" in own.note
    assert run_check(LossCheck("a", "", calling), subject).verdict == "failed"


EXPECTED = {"smoothing constant": "positives are rare"}


def test_expected_failures_have_reasons_and_do_not_make_it_unsound(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [check for check in CHECKS if check.id in ("smoothing constant", "per example")]
    monkeypatch.setattr(scorecard, "CHECKS", some)
    subject = subject_of(field.SmoothedAlpha, "binary")
    assert scorecard.scorecard(subject, False).exit_code == 1
    card = scorecard.scorecard(subject, False, EXPECTED)
    assert card.sound and "failed as expected: positives are rare" in str(card)
    assert card.to_dict()["checks"][1]["verdict"] == "expected"
    needless = {**EXPECTED, "per example": "no reason at all"}
    assert scorecard.scorecard(subject, False, needless).sound
    strict = scorecard.scorecard(subject, False, needless, strict=True)
    assert [finding.check for finding in strict.failures()] == ["per example"]
    check_loss(field.SmoothedAlpha, "binary", expected_failures=EXPECTED)
    with pytest.raises(UsageError, match="no check 'smoothing'"):
        scorecard.scorecard(subject, False, {"smoothing": "?"})
    with pytest.raises(UsageError, match="without a reason"):
        scorecard.scorecard(subject, False, {"per example": ""})


def test_pytest_knows_what_is_expected() -> None:
    mark = parametrize_with_checks([field.SmoothedAlpha], "binary", expected_failures=EXPECTED, strict=True)
    marked = {case.id: case.marks for case in mark.args[1] if case.marks}
    assert list(marked) == ["SmoothedAlpha-smoothing constant"]
    (xfail,) = marked["SmoothedAlpha-smoothing constant"]
    assert xfail.kwargs == {"reason": "positives are rare", "strict": True}
    by_loss = parametrize_with_checks([field.Column], "binary", expected_failures=lambda loss: {})
    assert not any(case.marks for case in by_loss.args[1])


def test_the_command_expects_failures_with_reasons() -> None:
    ran = run("field_losses:crossentropy", "--kind", "categorical", "--expect", "proper")
    assert isinstance(ran.exception, UsageError) and "with its reason" in str(ran.exception)


def test_the_command_tells_what_cannot_be_told_as_json() -> None:
    ran = run("field_losses:factory(2.0)", "--kind", "categorical", "--json")
    (card,) = json.loads(ran.output[ran.output.index("[") :])
    assert ran.return_value == 2
    assert [record["verdict"] for record in card["checks"]] == ["could not look"]
