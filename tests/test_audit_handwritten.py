"""The audit on losses that newcomers write from a formula: sound ones leave with 0, slips are named."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import handwritten_losses as written
import keras
import numpy as np
import pytest
from audited import without_xla

from crosscheck.audit import CHECKS, Finding, scorecard
from crosscheck.audit.checks.theory.direction import rewards_mistakes
from crosscheck.audit.checks.use.calls import aligned
from crosscheck.audit.contract import OF_KERAS
from crosscheck.audit.scorecard import as_shared, judge
from crosscheck.audit.subjects import subject_of

pytestmark = pytest.mark.every_backend
CHECKS_RUN = [check for check in CHECKS if check.id not in ("cost", "awake", "saved model")]
OF_LOGITS = [
    (written.smoothed_crossentropy_of_logits, "categorical"),
    (written.weighted_binary_crossentropy_of_logits, "binary"),
    (written.PosWeight, "binary"),
    (written.coral, "ordinal"),
    (written.Coral, "ordinal"),
    (written.coral_levels, "multilabel"),
    (written.AsymmetricLoss, "multilabel"),
    (written.poly1_of_logits, "categorical"),
]
OF_PROBABILITIES = [  # p is clipped: their tails are cut, and nothing else is wrong
    (written.smoothed_crossentropy, "categorical"),
    (written.smoothed_binary_crossentropy, "binary"),
    (written.weighted_binary_crossentropy, "binary"),
    (written.asymmetric_of_probabilities, "multilabel"),
    (written.poly1, "categorical"),
    (written.Poly1, "categorical"),
    (written.focal, "categorical"),
]
TAILS = {"wrong tail", "right tail", "dead gradient", "activation", "half precision"}


@functools.cache
def findings(loss: Any, kind: str) -> dict[str, Finding]:
    subject = subject_of(loss, kind)
    if subject.obstacle:
        return {subject.obstacle.check: subject.obstacle}
    with without_xla():
        return {check.id: judge(check, subject) for check in CHECKS_RUN}


def failed(loss: Any, kind: str) -> dict[str, Any]:
    return {
        check: (finding.at, finding.measured, finding.expected)
        for check, finding in findings(loss, kind).items()
        if finding.verdict in ("failed", "could not look")
    }


@pytest.mark.parametrize(("loss", "kind"), OF_LOGITS)
def test_a_sound_loss_of_logits_fails_nothing(loss: Any, kind: str) -> None:
    assert failed(loss, kind) == {}


@pytest.mark.parametrize(("loss", "kind"), OF_PROBABILITIES)
def test_a_sound_formula_of_clipped_probabilities_fails_in_its_tails_alone(loss: Any, kind: str) -> None:
    assert set(failed(loss, kind)) <= TAILS and "dead gradient" in failed(loss, kind)


@pytest.mark.parametrize(
    ("loss", "theory", "parameters"),
    [
        (written.poly1, "poly1", {}),
        (written.Poly1(epsilon=2.5), "poly1", {"epsilon": 2.5}),
        (written.asymmetric, "asymmetric", {"gamma_positive": 1.0, "factor": 2.0}),
        (written.AsymmetricLoss(gamma_neg=3.0), "asymmetric", {"gamma_negative": 3.0, "margin": 0.0}),
    ],
)
def test_more_theories_are_recognised(loss: Any, theory: str, parameters: dict[str, float]) -> None:
    subject = subject_of(loss, "categorical" if theory == "poly1" else "multilabel")
    assert (subject.theory, subject.parameters) == (theory, pytest.approx(parameters))
    assert subject_of(written.symmetric_crossentropy, "categorical").theory is None


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (written.reversed_focal, "categorical"),
        (written.reversed_focal_of_logits, "categorical"),
        (written.reversed_binary_focal, "binary"),
        (written.ReversedFocal, "categorical"),
    ],
)
def test_a_focal_loss_that_is_reversed_rewards_mistakes(loss: Any, kind: str) -> None:
    finding = findings(loss, kind)["dead gradient"]
    assert finding.verdict == "failed" and "cross-entropy times p^2" in finding.cause
    assert "its gradient is" in finding.note and "(1 − p)^γ" in finding.remedy


def test_so_does_a_loss_with_its_sign_turned() -> None:
    finding = findings(written.negated_margin, "categorical")["dead gradient"]
    assert finding.verdict == "failed" and "makes mistakes worse" in finding.cause
    assert finding.remedy.startswith("turn its sign")


def test_what_rounding_costs_grows_with_the_weight_of_every_class() -> None:
    found = set(failed(written.weighted_difference, "categorical"))
    assert not found & {"centre", "shift"}
    assert found <= ({"right tail"} if keras.backend.backend() == "jax" else set())  # a fused product: 1e-5


def test_labels_in_another_order_may_be_meant_or_a_mistake_and_the_audit_says_that_it_cannot_tell() -> None:
    finding = findings(written.renumbered_crossentropy, "categorical")["dead gradient"]
    assert finding.verdict == "could not look" and "--theory" in finding.remedy
    assert "categorical crossentropy, but labels 0, 1, 2 stand for logits 1, 2, 0" in finding.note


@pytest.mark.parametrize(("loss", "kind"), [*OF_LOGITS, *OF_PROBABILITIES])
def test_no_sound_loss_rewards_mistakes(loss: Any, kind: str) -> None:
    assert rewards_mistakes(subject_of(loss, kind)) is None


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (written.swapped_crossentropy, "categorical"),
        (written.swapped_crossentropy, None),
        (written.swapped_binary_crossentropy, "binary"),
        (written.swapped_crossentropy_of_logits, "categorical"),
        (written.Swapped, "categorical"),
    ],
)
def test_swapped_arguments_are_named_and_nothing_else(loss: Any, kind: str | None) -> None:
    card = scorecard.scorecard(subject_of(loss, kind))
    assert card.exit_code == 1 and [finding.check for finding in card.findings] == ["call"]
    assert "its arguments are swapped: (y_pred, y_true)" in str(card)
    assert "its values are those of" in card.findings[0].note


def test_names_alone_are_no_fault() -> None:
    def error(predictions, targets):  # the order makes no difference
        return keras.ops.sum(keras.ops.square(predictions - targets), axis=-1)

    def crossentropy(y_pred, y_true):  # named the wrong way round, and used so
        return written.crossentropy(y_pred, y_true)

    for loss in (error, crossentropy, written.swapped_in_names_alone):
        assert subject_of(loss, "categorical", from_logits=False).obstacle is None


@pytest.mark.parametrize("loss", [written.swapped_inside, written.reverse_crossentropy])
def test_labels_and_predictions_exchanged_inside_are_described(loss: Any) -> None:
    subject = subject_of(loss, "categorical", from_logits=False)
    finding = judge(CHECKS[0], subject)
    assert (subject.theory, subject.reverse) == (None, "categorical crossentropy")
    assert finding.verdict == "described" and "swap its arguments" in finding.remedy
    assert "the reverse of categorical crossentropy" in scorecard.headline(subject)


def test_keras_aligns_the_labels_of_a_function_and_not_those_of_a_class() -> None:
    by_hand = findings(written.weighted_binary_crossentropy_of_logits, "binary")["column"]
    assert by_hand.verdict == "described" and "as `compile` calls a function" in by_hand.note
    unaligned = findings(written.Unaligned, "binary")["column"]
    assert unaligned.verdict == "failed" and "not for a class" in unaligned.remedy
    assert losses_in_fit(written.weighted_binary_crossentropy_of_logits) == pytest.approx([1.939144] * 2)
    assert losses_in_fit(written.Unaligned()) == pytest.approx([1.465950, 1.939144])


@pytest.mark.parametrize("shapes", [((2,), (2, 1)), ((2, 1), (2,)), ((2, 3), (2, 3, 1)), ((2, 3, 1), (2, 3))])
def test_labels_are_aligned_as_compile_aligns_them(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    seen = []
    model = keras.Sequential([keras.Input(shapes[1][1:]), keras.layers.Activation("linear")])
    model.compile("sgd", lambda y, x: seen.append((len(y.shape), len(x.shape))) or keras.ops.mean(x - y, -1))
    model.test_on_batch(np.ones(shapes[1]), np.ones(shapes[0]))
    mine = aligned(*map(keras.ops.ones, shapes))
    assert seen[-1] == tuple(len(array.shape) for array in mine)


def losses_in_fit(loss: Any) -> list[float]:
    """What `fit` reports for labels (B,) and (B, 1) of four examples."""
    x, y = np.array([[0.5], [1.5], [-1.0], [0.0]], "float32"), np.array([1, 0, 1, 0], "float32")
    reported = []
    for labels in (y, y[:, None]):
        model = keras.Sequential(
            [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")]
        )
        model.compile(keras.optimizers.SGD(0.0), loss)
        reported.append(model.fit(x, labels, verbose=0).history["loss"][0])
    return reported


def test_what_an_ordinal_loss_makes_of_no_label_is_described_unless_it_is_something_else() -> None:
    for check in ("label range", "label NaN", "label fraction"):
        assert findings(written.coral, "ordinal")[check].verdict == "described"
    check = next(check for check in CHECKS if check.id == "label range")
    wrapping = subject_of(lambda y, z: written.coral(y % 3, z), "ordinal")
    assert judge(check, wrapping).verdict == "failed"


def test_what_keras_own_loss_fails_under_misuse_too_is_described() -> None:
    check = next(check for check in CHECKS if check.id == "label fraction")
    shared = judge(check, subject_of(written.smoothed_sparse_crossentropy, "sparse"))
    assert shared.verdict == "described" and "SparseCategoricalCrossentropy" in shared.note
    own = judge(check, subject_of(keras.losses.SparseCategoricalCrossentropy(from_logits=True)))
    assert own.verdict == "failed"


@pytest.mark.parametrize(
    ("check", "theirs", "evidence", "verdict"),
    [
        ("label range", "failed", "", "described"),
        ("label range", "passed", "", "failed"),  # Keras' own tells, and this one does not
        ("label range", "failed", OF_KERAS, "failed"),
        ("sample weights", "failed", "", "failed"),  # on valid use nothing is excused
    ],
)
def test_misuse_is_described_only_where_keras_own_loss_does_not_notice_it_either(
    check: str, theirs: str, evidence: str, verdict: str
) -> None:
    assert check in {one.id for one in CHECKS}
    neighbour = subject_of(keras.losses.SparseCategoricalCrossentropy, "sparse")
    mine = replace(subject_of(written.smoothed_sparse_crossentropy, "sparse"), evidence=evidence)
    found = as_shared(Finding(check, "failed"), mine, [Finding(check, theirs)], neighbour)
    assert found.verdict == verdict


def overlap_of_an_image(y: Any, z: Any) -> Any:
    """Tversky's of all places of an image together, as segmentation has it."""
    p, axes = keras.ops.sigmoid(z), list(range(1, len(z.shape)))
    y = keras.ops.cast(keras.ops.reshape(y, keras.ops.shape(z)), p.dtype)
    hit = keras.ops.sum(p * y, axes) + 1
    return 1 - hit / (hit + 0.3 * keras.ops.sum(p * (1 - y), axes) + 0.7 * keras.ops.sum((1 - p) * y, axes))


def overlap_along_the_batch(y: Any, z: Any) -> Any:
    """The same with its axes taken for one another: of a place, over the examples."""
    if len(z.shape) == 3:
        y, z = (keras.ops.transpose(a, (1, 0, 2)) for a in (keras.ops.reshape(y, keras.ops.shape(z)), z))
    return overlap_of_an_image(y, z)


def overlap_with_labels_of_others(y: Any, z: Any) -> Any:
    """Labels read off column by column: an image alone is right, and among others has theirs."""
    y = keras.ops.reshape(y, keras.ops.shape(z))
    return overlap_of_an_image(keras.ops.transpose(y, (1, 0, 2)) if len(z.shape) == 3 else y, z)


@pytest.mark.parametrize("wrong", [overlap_along_the_batch, overlap_with_labels_of_others])
def test_an_overlap_of_an_image_takes_its_places_together(wrong: Any) -> None:
    found = findings(overlap_of_an_image, "binary")["square"]
    assert found.verdict == "passed", found
    assert findings(wrong, "binary")["square"].verdict == "failed"
