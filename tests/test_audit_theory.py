"""The audit's checks of theory: losses broken on purpose, one a fault, and sound ones of different make."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from crosscheck import losses
from crosscheck.audit import points, subjects
from crosscheck.audit.builtins import settings
from crosscheck.audit.checks.theory import CHECKS
from crosscheck.audit.checks.theory.proper import chances, logits_of, outcomes
from crosscheck.audit.checks.use import nearest
from crosscheck.audit.contract import Check, Finding, Subject, asked, passed
from crosscheck.audit.probe import CLASSES, Probe, hot
from crosscheck.audit.recognition import full_name, parameters_of, recognised
from crosscheck.audit.theories import THEORIES, Theory, class_crossentropy, oracle, over

TENSORFLOW = keras.backend.backend() == "tensorflow"


def crossentropy(y, logits):
    return -ops.sum(y * ops.log_softmax(logits), axis=-1)


def label_crossentropy(y, logits):
    return (y * ops.softplus(-logits) + (1 - y) * ops.softplus(logits))[..., 0]


def stuck_at_zero(y, logits):
    """The usual stable formula; where z is 0 its autodiff gives −y in place of ½ − y."""
    return (ops.relu(logits) - y * logits + ops.log1p(ops.exp(-ops.abs(logits))))[..., 0]


def twice(y, logits):
    return 2 * crossentropy(y, logits)


def in_bits(y, logits):
    return crossentropy(y, logits) / math.log(2)


def bent_tail(y, logits):
    return label_crossentropy(y, logits) + 5e-5 * ops.relu(ops.abs(logits) - 12)[..., 0]


def dead(y, logits):
    z = ops.where(ops.abs(logits) > 12, ops.stop_gradient(logits), logits)
    return label_crossentropy(y, z)


def clipped(y, logits):
    return -ops.sum(y * ops.log(ops.clip(ops.softmax(logits), 1e-7, 1 - 1e-7)), axis=-1)


def island_of_nan(y, logits):
    far = ops.max(ops.abs(logits), axis=-1)
    value = crossentropy(y, logits)
    return ops.where(ops.logical_and(far > 400, far < 600), ops.cast(np.nan, value.dtype), value)


def overflowing(y, logits):
    grown = ops.exp(logits)
    return -ops.sum(y * ops.log(grown / ops.sum(grown, axis=-1, keepdims=True)), axis=-1)


def detached(y, logits):
    """A focal factor that the gradient does not see."""
    p = ops.stop_gradient(ops.sum(y * ops.softmax(logits), axis=-1))
    return (1 - p) ** 2 * crossentropy(y, logits)


def wrong_sign(y, logits):
    value = crossentropy(y, logits)
    return 2 * ops.stop_gradient(value) - value


def anchored(y, logits):
    """Cross-entropy with a penalty on the normaliser, which no shift of the logits survives."""
    return crossentropy(y, logits) + 0.1 * ops.logsumexp(logits, axis=-1) ** 2


def lopsided(y, logits):
    return crossentropy(y, logits) * (1 + y[..., 0])


def improper(y, logits):
    p = ops.sum(y * ops.softmax(logits), axis=-1)
    return crossentropy(y, logits) * (1.1 - 0.1 * p)


def flat(y, logits):
    """Value and gradient right; the gradient is a constant to whoever differentiates it again."""
    slope = ops.stop_gradient(ops.softmax(logits) * ops.sum(y, axis=-1, keepdims=True) - y)
    value = ops.stop_gradient(crossentropy(y, logits))
    return value + ops.sum(slope * (logits - ops.stop_gradient(logits)), axis=-1)


def other_when_eager(y, logits):
    import tensorflow as tf

    return crossentropy(y, logits) * (1 + 1e-4 * tf.executing_eagerly())


def half_clipped(y, logits):
    low = keras.backend.standardize_dtype(logits.dtype) in ("float16", "bfloat16")
    return crossentropy(y, ops.clip(logits, -60, 60) if low else logits)


class SumsInHalf(losses.CategoricalCrossentropy):
    """Right for each example; it reduces in the predictions' own dtype."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        dtype = keras.backend.standardize_dtype(getattr(y_pred, "dtype", "float32"))
        values = self.call(ops.convert_to_tensor(y_true, dtype="float32"), y_pred)
        if self.reduction is None:
            return values
        return ops.sum(ops.cast(values, dtype)) / ops.cast(ops.shape(values)[0], dtype)


# loss: the check that is named for its fault, and whatever else it cannot but fail.
SOFT_FAULTS = {"centre", "wrong tail", "dead gradient", "unnormalised", "proper", "hessian", "half precision"}
BROKEN: dict[str, tuple[Callable[..., Any], str, str, set[str]]] = {
    "twice": (twice, "categorical", "centre", set()),
    "in bits": (in_bits, "categorical", "centre", set()),
    "bent tail": (bent_tail, "binary", "wrong tail", {"right tail"}),
    "dead": (dead, "binary", "dead gradient", {"wrong tail", "half precision"}),
    "clipped": (clipped, "categorical", "dead gradient", {"wrong tail", "half precision", "unnormalised"}),
    "island of NaN": (island_of_nan, "categorical", "finite", set()),
    "overflowing": (
        overflowing,
        "categorical",
        "finite",
        {"wrong tail", "right tail", "dead gradient", "half precision", "shift"},
    ),
    "detached": (detached, "categorical", "derivative", SOFT_FAULTS),
    "wrong sign": (wrong_sign, "categorical", "derivative", SOFT_FAULTS | {"right tail"}),
    "stuck at zero": (stuck_at_zero, "binary", "derivative", {"centre", "proper", "half precision"}),
    "anchored": (anchored, "categorical", "shift", {"proper", "half precision"}),
    "lopsided": (lopsided, "categorical", "symmetry", {"proper"}),
    "improper": (improper, "categorical", "proper", set()),
    "flat": (flat, "categorical", "hessian", set()),
    "half clipped": (half_clipped, "categorical", "half precision", set()),
    "sums in half": (SumsInHalf, "categorical", "large batch", {"half loss"}),
}
if TENSORFLOW:
    BROKEN["other when eager"] = (other_when_eager, "categorical", "modes", set())


def made(loss: Any, kind: str | None, **config: Any) -> Subject:
    if isinstance(loss, keras.losses.Loss):
        return subjects.subject(type(loss).__name__, type(loss), kind, loss.get_config(), made=loss)
    return subjects.subject(getattr(loss, "__name__", "loss"), loss, kind, config)


def fallen(subject: Subject) -> dict[str, Finding]:
    return {each.check: each for each in asked(CHECKS, subject) if each.verdict == "failed"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_loss_fails_the_check_that_is_named_for_its_fault(name: str) -> None:
    loss, kind, check, others = BROKEN[name]
    found = fallen(made(loss, kind))
    assert check in found
    assert set(found) <= {check, *others}
    assert found[check].at
    assert found[check].measured is not None


def test_every_check_of_theory_has_a_broken_loss() -> None:
    elsewhere = set() if TENSORFLOW else {"modes"}
    elsewhere |= {
        "right tail",
        "unnormalised",
        "activation",
        "backends",
        "half loss",
    }  # tested by name, below
    assert {check for _, _, check, _ in BROKEN.values()} | elsewhere >= {check.id for check in CHECKS}


def test_keras_gradient_is_no_derivative_for_unnormalised_labels() -> None:
    found = fallen(made(keras.losses.CategoricalCrossentropy, None, from_logits=True))
    assert set(found) == ({"unnormalised"} if TENSORFLOW else set()) | {"half loss"}


@pytest.mark.parametrize(
    ("loss", "kind", "words"),
    [
        (in_bits, "categorical", "logarithms to base 2"),
        (twice, "categorical", "factor 2"),
        (clipped, "categorical", "exactly zero"),
        (overflowing, "categorical", "NaN"),
        (wrong_sign, "categorical", "wrong way round"),
    ],
)
def test_the_cause_is_named(loss: Callable[..., Any], kind: str, words: str) -> None:
    found = fallen(made(loss, kind)).values()
    assert any(words in each.cause for each in found)
    assert not any("from_logits" in each.remedy for each in found)  # they take logits already


SOUND: dict[str, tuple[Any, str]] = {
    "ours": (losses.BinaryCrossentropy(), "binary"),
    "ours, labels": (losses.BinaryCrossentropy(label_smoothing=0.2), "multilabel"),
    "ours, classes": (losses.CategoricalCrossentropy(), "categorical"),
    "ours, smoothed": (losses.CategoricalCrossentropy(label_smoothing=0.1), "categorical"),
    "ours, sparse": (losses.SparseCategoricalCrossentropy(), "sparse"),
    "Brier": (losses.Brier(), "binary"),
    "Brier of classes": (losses.CategoricalBrier(), "categorical"),
    "our function": (losses.categorical_crossentropy, "categorical"),
    "by hand": (crossentropy, "categorical"),
    "by hand, labels": (label_crossentropy, "binary"),
}
OF_KERAS: dict[str, tuple[Any, str]] = {  # sound but for the sum of a loss made in float16
    "Keras": (keras.losses.BinaryCrossentropy(from_logits=True), "binary"),
    "Keras, labels": (keras.losses.BinaryCrossentropy(from_logits=True), "multilabel"),
    "Keras, smoothed": (keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1), "binary"),
    "Keras, sparse": (keras.losses.SparseCategoricalCrossentropy(from_logits=True), "sparse"),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_loss_passes_every_check(name: str) -> None:
    subject = made(*SOUND[name])
    assert subject.theory
    assert fallen(subject) == {}


@pytest.mark.parametrize("name", OF_KERAS)
def test_keras_losses_from_logits_fail_the_sum_in_half_precision_alone(name: str) -> None:
    found = fallen(made(*OF_KERAS[name]))
    assert set(found) == {"half loss"}
    assert found["half loss"].measured in (math.inf, -math.inf) or np.isnan(found["half loss"].measured)


def test_a_loss_of_probabilities_fails_behind_an_activation_that_keras_cannot_undo() -> None:
    found = fallen(made(keras.losses.SparseCategoricalCrossentropy, None))
    assert {"wrong tail", "dead gradient", *(["activation"] if TENSORFLOW else [])} <= set(found)
    assert not TENSORFLOW or "reshape" in found["activation"].at
    assert "clipping of p at 1e-7" in found["wrong tail"].cause


def test_a_dead_label_is_not_hidden_by_another_that_lives() -> None:
    assert "dead gradient" in fallen(made(keras.losses.BinaryCrossentropy, "multilabel"))


def unheard_of(y, logits):
    return crossentropy(y, logits) + 0.5 * ops.sum((ops.softmax(logits) - y) ** 2, axis=-1)


def unheard_of_and_clipped(y, logits):
    return clipped(y, logits) + 0.5 * ops.sum((ops.softmax(logits) - y) ** 2, axis=-1)


def test_without_a_theory_a_gradient_is_dead_where_it_stops_and_not_where_it_fades() -> None:
    assert "dead gradient" not in fallen(made(unheard_of, "categorical"))
    fading = replace(made(losses.CategoricalBrier(), "categorical"), theory=None)
    assert "dead gradient" not in fallen(fading)
    assert "dead gradient" in fallen(made(unheard_of_and_clipped, "categorical"))


def test_a_bounded_or_improper_loss_is_reported_and_not_failed() -> None:
    found = {each.check: each for each in asked(CHECKS, made(losses.Brier(), "binary"))}
    assert found["dead gradient"].verdict == "passed"
    assert "bounded" in found["dead gradient"].note
    focal = made(keras.losses.BinaryFocalCrossentropy, None, from_logits=True)
    told = {each.check: each for each in asked(CHECKS, focal)}
    assert told["proper"].verdict == "passed"
    assert "not proper" in told["proper"].note


def test_backends_that_differ_are_told_with_the_input() -> None:
    subject = made(losses.CategoricalCrossentropy(), "categorical")
    same = {"logits": Probe(subject)(*places_of(subject))}
    off = {"logits": [same["logits"].value + 1e-3, same["logits"].gradient]}
    (check,) = (each for each in CHECKS if each.id == "backends")
    told = lambda answers: check.ask(replace(subject, elsewhere=lambda: answers))
    assert told({"jax": same, "torch": "torch is not installed"}).verdict == "passed"
    assert told({"torch": "torch is not installed"}).verdict == "not applicable"
    found = told({"jax": off})
    assert found.verdict == "failed" and "jax" in found.cause and "loss(" in found.at


def places_of(subject: Subject) -> Any:
    from crosscheck.audit.checks.theory.agreement import places

    return places(subject)


@pytest.mark.parametrize(
    ("loss", "kind", "logits", "theory"),
    [
        (losses.Brier, "binary", True, "binary brier"),
        (losses.sparse_categorical_crossentropy, "sparse", True, "categorical crossentropy"),
        (losses.brier, "binary", True, "binary brier"),
        (keras.losses.CategoricalHinge, "categorical", True, "keras categorical hinge"),
        (keras.losses.binary_focal_crossentropy, "binary", False, "binary focal"),
        (keras.losses.KLDivergence, "categorical", False, "kl divergence"),
        (in_bits, "categorical", True, "categorical crossentropy"),
    ],
)
def test_kind_way_in_and_theory_are_inferred(loss: Any, kind: str, logits: bool, theory: str) -> None:
    found = made(loss, None)
    assert (found.kind, found.from_logits, found.theory) == (kind, logits, theory)


@pytest.mark.parametrize("alpha", [0.037, 0.62])
def test_any_smoothing_is_recognised(alpha: float) -> None:
    for loss, kind in (
        (losses.CategoricalCrossentropy, "categorical"),
        (losses.BinaryCrossentropy, "multilabel"),
    ):
        found = made(loss(label_smoothing=alpha), kind)
        assert found.theory and found.theory.endswith("crossentropy")
        assert found.parameters == {"label_smoothing": alpha}
        unsaid = replace(found, config={}, theory=None, parameters={})
        assert recognised(unsaid).parameters == pytest.approx({"label_smoothing": alpha}, abs=2e-6)


@pytest.mark.parametrize(
    ("told", "kind", "name"),
    [
        ("focal", "categorical", "categorical focal"),
        ("focal", "multilabel", "binary focal"),
        ("cross-entropy", "sparse", "categorical crossentropy"),
        ("Hinge", "binary", "hinge"),
        ("dice", "multilabel", "multilabel dice"),
        ("kl_divergence", "categorical", "kl divergence"),
    ],
)
def test_a_theory_is_named_in_short(told: str, kind: Any, name: str) -> None:
    assert full_name(told, kind) == name


def test_arguments_of_the_constructor_are_parameters_of_the_theory() -> None:
    config = {"gamma": 3, "alpha": 0.25, "from_logits": True, "apply_class_balancing": True, "name": "x"}
    assert parameters_of("binary focal", config) == {"gamma": 3.0, "balanced": 1.0}


def test_the_oracle_is_cross_entropy_where_float64_can_tell() -> None:
    z, y = np.array([[0.3, -1.2, 2.0]]), np.array([[0.2, 0.5, 0.3]])
    p = np.exp(z) / np.exp(z).sum()
    told = oracle("categorical crossentropy", {}, z, y)
    np.testing.assert_allclose(told.value, [-(y * np.log(p)).sum()], rtol=1e-14)
    np.testing.assert_allclose(told.gradient, p - y, rtol=1e-13)


@pytest.mark.parametrize("name", [name for name, each in THEORIES.items() if each.over != "rows"])
def test_the_theories_that_are_called_proper_are_stationary_at_the_truth(name: str) -> None:
    theory = THEORIES[name]
    kind = "binary" if theory.over == "labels" else "categorical"
    q = points.simplex(kind)[3::16]
    told = oracle(name, {}, *points.paired(logits_of(kind, q), outcomes(kind)))
    slopes = told.gradient.reshape(len(q), len(outcomes(kind)), -1)
    at_truth = np.abs(np.einsum("qj,qjk->qk", chances(kind, q), slopes))
    assert (np.nanmax(at_truth) < 1e-12) == (theory.proper or theory.hessian)


def test_every_builtin_setting_is_known_and_can_be_called() -> None:
    for each in subjects.builtins():
        assert each.theory
        if each.config != {} or "Dice" not in each.name:  # which takes the batch as one by default
            told = Probe(each)(np.zeros((1, CLASSES[each.kind])), hot(each.kind)[:1])
            assert np.isfinite(told.value).all()
    assert {over(kind) for _, kind, _ in settings()} == {"labels", "classes"}


def test_a_check_that_speaks_under_another_name_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="gave a finding of"):
        asked([Check("a", "", lambda subject: passed("b", "ran"))], made(crossentropy, "categorical"))


def test_a_check_that_raises_has_failed_and_the_others_go_on() -> None:
    def refuse(subject: Subject) -> Any:
        raise ZeroDivisionError("by design")

    checks = (Check("a", "", refuse), Check("b", "", lambda subject: passed("b", "ran")))
    found = asked(checks, made(crossentropy, "categorical"))
    assert [each.verdict for each in found] == ["failed", "passed"]


def tilted(y, logits):
    """From |z| = 500 on the gradient is off by 1e-4, where the rounding of the value hides as much."""
    far = ops.relu(ops.max(ops.abs(logits), axis=-1) - 500)
    return crossentropy(y, logits) + 1e-4 * (far - ops.stop_gradient(far))


def test_a_gradient_that_is_off_far_out_is_not_excused_by_what_rounds_the_value() -> None:
    assert "wrong tail" in fallen(made(tilted, "categorical"))


def fading_fast(y, logits):
    """Bounded: the gradient of a confident mistake fades like e^(−4t), and is large before it does."""
    p = ops.sum(y * ops.softmax(logits), axis=-1)
    return 1e12 * (1 - p**4)


def test_a_gradient_that_fades_fast_is_not_taken_for_one_that_breaks_off() -> None:
    assert "dead gradient" not in fallen(made(fading_fast, "categorical"))


def slightly_steeper(y, logits):
    """By 0.008 p (1 − p): less than the slope changes over a step of the differences."""
    p = ops.sum(y * ops.sigmoid(logits), axis=-1)
    return label_crossentropy(y, logits) + 0.008 * (p - ops.stop_gradient(p))


def test_a_gradient_that_is_off_by_little_is_no_derivative() -> None:
    """It lies between the slopes to both sides, which is enough at a kink alone."""
    assert "derivative" in fallen(made(slightly_steeper, "binary"))


def of_probabilities(y, p):
    return -(y * ops.log(p) + (1 - y) * ops.log(1 - p))[..., 0]


def test_a_binary_loss_of_probabilities_is_excused_what_the_rounding_of_p_costs() -> None:
    subject = made(of_probabilities, "binary")
    assert not subject.from_logits and subject.theory == "binary crossentropy"
    assert not {"centre", "derivative", "shift"} & set(fallen(subject))


def test_a_formula_that_treats_classes_unlike_is_not_asked_for_symmetry() -> None:
    told = {
        "plain": Theory(lambda z, y: class_crossentropy(z, y, 0), "classes"),
        "lopsided": Theory(lambda z, y: class_crossentropy(z, y, 0) * (1 + y[0]), "classes"),
    }
    (check,) = (each for each in CHECKS if each.id == "symmetry")
    for loss in (crossentropy, lopsided):
        own = replace(made(loss, "categorical"), theory=f"test:{loss.__name__}", parameters={})
        found = {name: check.ask(replace(own, formula=formula)).verdict for name, formula in told.items()}
        assert found["lopsided"] == "not applicable"
        assert found["plain"] == ("failed" if loss is lopsided else "passed")


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
    assert nearest(made(loss, kind)).name == f"keras.losses:{name}"


def differences_of_tempered_logits(y, logits):
    """Sound; where the true logit is large, its rounding over 2.423 shows in the other classes' gradients."""
    z = logits / 2.423
    return ops.sum(y * ops.logsumexp(z[..., None, :] - z[..., :, None], axis=-1), axis=-1)


def test_the_rounding_of_large_logits_is_excused_in_a_gradient_as_far_as_it_goes() -> None:
    exact = Theory(lambda z, y: class_crossentropy([each / 2.423 for each in z], y, 0), "classes")
    subject = made(differences_of_tempered_logits, "categorical")
    (check,) = (each for each in CHECKS if each.id == "wrong tail")
    assert check.ask(replace(subject, theory="tempered", formula=exact, parameters={})).verdict == "passed"
