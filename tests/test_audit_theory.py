"""The audit's checks of theory: losses broken on purpose, one a fault, and sound ones of different make."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import theory_losses
from audited import (
    BROKEN_IN_THEORY,
    CATALOGUE,
    OF_KERAS,
    SOUND_IN_THEORY,
    TENSORFLOW,
    failures,
    subject_named,
    theory_findings,
)
from keras import ops
from theory_losses import crossentropy

from crosscheck import losses
from crosscheck.audit import points
from crosscheck.audit.checks.theory import CHECKS
from crosscheck.audit.checks.theory.proper import chances, logits_of, outcomes
from crosscheck.audit.checks.use import nearest_keras_loss
from crosscheck.audit.claims import full_theory_name, theory_parameters
from crosscheck.audit.contract import Finding, LossCheck, Subject, passed, run_checks
from crosscheck.audit.judging import first_deviation
from crosscheck.audit.keras_losses import configurations
from crosscheck.audit.probe import CLASSES, Probe, hard_labels
from crosscheck.audit.recognition import recognise
from crosscheck.audit.subjects import keras_subjects, subject_of
from crosscheck.audit.theories import (
    THEORIES,
    LossTheory,
    ValueAndGradient,
    class_crossentropy,
    evaluate,
    over,
)


def failed(name: str) -> dict[str, Finding]:
    return failures(theory_findings(name))


def check_named(name: str) -> LossCheck:
    return next(check for check in CHECKS if check.id == name)


@pytest.mark.parametrize("name", BROKEN_IN_THEORY)
def test_a_broken_loss_fails_the_check_that_is_named_for_its_fault(name: str) -> None:
    audited, findings = CATALOGUE[name], failed(name)
    assert audited.check in findings
    assert set(findings) <= {audited.check, *audited.also}
    assert findings[audited.check].at
    assert findings[audited.check].measured is not None


def test_every_check_of_theory_has_a_broken_loss() -> None:
    elsewhere = set() if TENSORFLOW else {"modes"}
    elsewhere |= {
        "right tail",
        "unnormalised",
        "activation",
        "backends",
        "half loss",
    }  # tested by name, below
    assert {audited.check for audited in BROKEN_IN_THEORY.values()} | elsewhere >= {
        check.id for check in CHECKS
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("in bits", "logarithms to base 2"),
        ("twice", "factor 2"),
        ("clipped", "exactly zero"),
        ("overflowing softmax", "NaN"),
        ("wrong sign", "wrong way round"),
    ],
)
def test_the_cause_is_named(name: str, words: str) -> None:
    findings = failed(name).values()
    assert any(words in finding.cause for finding in findings)
    assert not any("from_logits" in finding.remedy for finding in findings)  # they take logits already


def test_causes_are_named_at_the_first_input_that_shows_them() -> None:
    assert "factor 2" in failed("twice")["centre"].cause
    assert "1e-7" in failed("clipped")["wrong tail"].cause
    assert "[[-16, 0, 0]]" in failed("clipped")["dead gradient"].at


def test_both_halves_of_the_shift_are_looked_at() -> None:
    assert "do not sum to zero" in failed("leaning")["shift"].cause
    assert "when 3 is added to every logit" in failed("drifting")["shift"].cause


@pytest.mark.parametrize("name", SOUND_IN_THEORY)
def test_a_sound_loss_passes_every_check(name: str) -> None:
    assert subject_named(name).theory
    assert failed(name) == {}


@pytest.mark.parametrize("name", OF_KERAS)
def test_keras_losses_from_logits_fail_the_sum_in_half_precision_alone(name: str) -> None:
    """But for the gradient by labels that sum to something else than 1, which is no derivative."""
    findings = failed(name)
    unnormalised = {"unnormalised"} if TENSORFLOW and name == "Keras, classes" else set()
    assert set(findings) == {"half loss"} | unnormalised
    assert not np.isfinite(findings["half loss"].measured)


def test_a_loss_of_probabilities_fails_behind_an_activation_that_keras_cannot_undo() -> None:
    subject = subject_of(keras.losses.SparseCategoricalCrossentropy)
    checks = [check_named(name) for name in ("wrong tail", "dead gradient", "activation")]
    failed_checks = {
        finding.check: finding for finding in run_checks(checks, subject) if finding.verdict == "failed"
    }
    assert {"wrong tail", "dead gradient", *(["activation"] if TENSORFLOW else [])} <= set(failed_checks)
    assert not TENSORFLOW or "reshape" in failed_checks["activation"].at
    assert "clipping of p at 1e-7" in failed_checks["wrong tail"].cause


def test_a_dead_label_is_not_hidden_by_another_that_lives() -> None:
    check = check_named("dead gradient")
    assert check.ask(subject_of(keras.losses.BinaryCrossentropy, "multilabel")).verdict == "failed"


def test_without_a_theory_a_gradient_is_dead_where_it_stops_and_not_where_it_fades() -> None:
    check = check_named("dead gradient")
    fading = replace(subject_named("Brier of classes"), theory=None)
    assert check.ask(subject_named("unheard of")).verdict == "passed"
    assert check.ask(fading).verdict == "passed"
    assert check.ask(subject_named("unheard of and clipped")).verdict == "failed"


def test_a_bounded_or_improper_loss_is_reported_and_not_failed() -> None:
    findings = theory_findings("Brier")
    assert findings["dead gradient"].verdict == "passed"
    assert "bounded" in findings["dead gradient"].note
    focal = subject_of(keras.losses.BinaryFocalCrossentropy, from_logits=True)
    finding = check_named("proper").ask(focal)
    assert finding.verdict == "passed" and "not proper" in finding.note


def test_backends_that_differ_are_told_with_the_input() -> None:
    subject = subject_named("ours, classes")
    same = {"logits": Probe(subject)(*places_of(subject))}
    off = {"logits": [same["logits"].value + 1e-3, same["logits"].gradient]}
    check = check_named("backends")
    compared = lambda answers: check.ask(replace(subject, other_backends=lambda: answers))
    assert compared({"jax": same, "torch": "torch is not installed"}).verdict == "passed"
    assert compared({"torch": "torch is not installed"}).verdict == "not applicable"
    finding = compared({"jax": off})
    assert finding.verdict == "failed" and "jax" in finding.cause and "loss(" in finding.at


def places_of(subject: Subject) -> Any:
    from crosscheck.audit.checks.theory.agreement import agreement_points

    return agreement_points(subject)


@pytest.mark.parametrize(
    ("loss", "kind", "logits", "theory"),
    [
        (losses.Brier, "binary", True, "binary brier"),
        (losses.sparse_categorical_crossentropy, "sparse", True, "categorical crossentropy"),
        (losses.brier, "binary", True, "binary brier"),
        (keras.losses.CategoricalHinge, "categorical", True, "keras categorical hinge"),
        (keras.losses.binary_focal_crossentropy, "binary", False, "binary focal"),
        (keras.losses.KLDivergence, "categorical", False, "kl divergence"),
        (theory_losses.in_bits, "categorical", True, "categorical crossentropy"),
    ],
)
def test_kind_way_in_and_theory_are_inferred(loss: Any, kind: str, logits: bool, theory: str) -> None:
    subject = subject_of(loss)
    assert (subject.kind, subject.from_logits, subject.theory) == (kind, logits, theory)


@pytest.mark.parametrize("alpha", [0.037, 0.62])
def test_any_smoothing_is_recognised(alpha: float) -> None:
    for loss, kind in (
        (losses.CategoricalCrossentropy, "categorical"),
        (losses.BinaryCrossentropy, "multilabel"),
    ):
        subject = subject_of(loss(label_smoothing=alpha), kind)
        assert subject.theory and subject.theory.endswith("crossentropy")
        assert subject.parameters == {"label_smoothing": alpha}
        without_config = replace(subject, config={}, theory=None, parameters={})
        assert recognise(without_config).parameters == pytest.approx({"label_smoothing": alpha}, abs=2e-6)


@pytest.mark.parametrize(
    ("short", "kind", "name"),
    [
        ("focal", "categorical", "categorical focal"),
        ("focal", "multilabel", "binary focal"),
        ("cross-entropy", "sparse", "categorical crossentropy"),
        ("Hinge", "binary", "hinge"),
        ("dice", "multilabel", "multilabel dice"),
        ("kl_divergence", "categorical", "kl divergence"),
    ],
)
def test_a_theory_is_named_in_short(short: str, kind: Any, name: str) -> None:
    assert full_theory_name(short, kind) == name


def test_arguments_of_the_constructor_are_parameters_of_the_theory() -> None:
    config = {"gamma": 3, "alpha": 0.25, "from_logits": True, "apply_class_balancing": True, "name": "x"}
    assert theory_parameters("binary focal", config) == {"gamma": 3.0, "balanced": 1.0}


def test_the_oracle_is_cross_entropy_where_float64_can_tell() -> None:
    z, y = np.array([[0.3, -1.2, 2.0]]), np.array([[0.2, 0.5, 0.3]])
    p = np.exp(z) / np.exp(z).sum()
    exact = evaluate(THEORIES["categorical crossentropy"], {}, z, y)
    np.testing.assert_allclose(exact.value, [-(y * np.log(p)).sum()], rtol=1e-14)
    np.testing.assert_allclose(exact.gradient, p - y, rtol=1e-13)


@pytest.mark.parametrize("name", [name for name, theory in THEORIES.items() if theory.over != "rows"])
def test_the_theories_that_are_called_proper_are_stationary_at_the_truth(name: str) -> None:
    theory = THEORIES[name]
    kind = "binary" if theory.over == "labels" else "categorical"
    q = points.simplex(kind)[3::16]
    exact = evaluate(theory, {}, *points.paired(logits_of(kind, q), outcomes(kind)))
    slopes = exact.gradient.reshape(len(q), len(outcomes(kind)), -1)
    at_truth = np.abs(np.einsum("qj,qjk->qk", chances(kind, q), slopes))
    assert (np.nanmax(at_truth) < 1e-12) == (theory.proper or theory.hessian)


def test_every_builtin_setting_is_known_and_can_be_called() -> None:
    for subject in keras_subjects():
        assert subject.theory
        if subject.config != {} or "Dice" not in subject.name:  # which takes the batch as one by default
            example = np.zeros((1, CLASSES[subject.kind])), hard_labels(subject.kind)[:1]
            value = Probe(subject)(*example, mode="eager").value
            assert np.isfinite(value).all()
    assert {over(kind) for _, kind, _ in configurations()} == {"labels", "classes"}


def test_a_check_that_speaks_under_another_name_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="gave a finding of"):
        run_checks(
            [LossCheck("a", "", lambda subject: passed("b", "ran"))], subject_of(crossentropy, "categorical")
        )


def test_a_check_that_raises_has_failed_and_the_others_go_on() -> None:
    def refuse(subject: Subject) -> Any:
        raise ZeroDivisionError("by design")

    checks = (LossCheck("a", "", refuse), LossCheck("b", "", lambda subject: passed("b", "ran")))
    findings = run_checks(checks, subject_of(crossentropy, "categorical"))
    assert [finding.verdict for finding in findings] == ["failed", "passed"]


def test_a_gradient_that_fades_fast_is_not_taken_for_one_that_breaks_off() -> None:
    subject = subject_of(theory_losses.fading_fast, "categorical")
    assert check_named("dead gradient").ask(subject).verdict == "passed"


def of_probabilities(y, p):
    return -(y * ops.log(p) + (1 - y) * ops.log(1 - p))[..., 0]


def test_a_binary_loss_of_probabilities_is_excused_what_the_rounding_of_p_costs() -> None:
    subject = subject_of(of_probabilities, "binary")
    assert not subject.from_logits and subject.theory == "binary crossentropy"
    checks = [check_named(name) for name in ("centre", "derivative", "shift")]
    assert not [finding for finding in run_checks(checks, subject) if finding.verdict == "failed"]


def test_a_formula_that_treats_classes_unlike_is_not_asked_for_symmetry() -> None:
    theories = {
        "plain": LossTheory(lambda z, y: class_crossentropy(z, y, 0), "classes"),
        "lopsided": LossTheory(lambda z, y: class_crossentropy(z, y, 0) * (1 + y[0]), "classes"),
    }
    check = check_named("symmetry")
    for name in ("by hand", "lopsided"):
        own = replace(subject_named(name), theory=f"test:{name}", parameters={})
        verdicts = {
            claim: check.ask(replace(own, own_theory=own_theory)).verdict
            for claim, own_theory in theories.items()
        }
        assert verdicts["lopsided"] == "not applicable"
        assert verdicts["plain"] == ("failed" if name == "lopsided" else "passed")


@pytest.mark.parametrize(
    ("loss", "kind", "name"),
    [
        (keras.losses.Hinge, "binary", "Hinge"),
        (keras.losses.KLDivergence, "categorical", "KLDivergence"),
        (losses.CategoricalCrossentropy, "categorical", "CategoricalCrossentropy"),
        (losses.CategoricalBrier, "categorical", "CategoricalCrossentropy"),
    ],
)
def test_the_loss_of_keras_beside_is_that_of_the_same_theory(loss: Any, kind: str, name: str) -> None:
    assert nearest_keras_loss(subject_of(loss, kind)).name == f"keras.losses:{name}"


def differences_of_tempered_logits(y, logits):
    """Sound; where the true logit is large, its rounding over 2.423 shows in the other classes' gradients."""
    z = logits / 2.423
    return ops.sum(y * ops.logsumexp(z[..., None, :] - z[..., :, None], axis=-1), axis=-1)


def test_the_rounding_of_large_logits_is_excused_in_a_gradient_as_far_as_it_goes() -> None:
    exact = LossTheory(lambda z, y: class_crossentropy([logit / 2.423 for logit in z], y, 0), "classes")
    subject = subject_of(differences_of_tempered_logits, "categorical")
    check = check_named("wrong tail")
    assert check.ask(replace(subject, theory="tempered", own_theory=exact, parameters={})).verdict == "passed"


@pytest.mark.parametrize("place", [-1, 0, 1])
def test_nan_deviates_unless_the_theory_has_a_kink_there(place: int) -> None:
    right, numbers = np.zeros((1, 3)), np.zeros((1, 3))
    numbers[0, place + 1] = np.nan
    theory = ValueAndGradient(right[:, 0], right[:, 1:])
    measured = ValueAndGradient(numbers[:, 0], numbers[:, 1:])
    deviation = first_deviation(measured, theory, tolerance=1.0)
    assert deviation is not None and deviation.logit == place
    kinked = first_deviation(theory, measured, tolerance=1.0)  # the theory's own NaN
    assert (kinked is None) == (place >= 0)
