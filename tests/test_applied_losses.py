"""Losses of imbalance, noise, trees and many labels: 50 digits, minimisers, and limits."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from applied_losses import APPLIED, NOISE, OF_CLASSES, OF_LABELS, PRIORS, WEIGHTS, exact, example
from scipy import optimize

from crosscheck import losses, restoring
from crosscheck.autodiff import logit_gradient

pytestmark = pytest.mark.every_backend

DTYPES = ("float32", "float64")


def numbers(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


# --- value and gradient -----------------------------------------------------------------------------

RESTORED = (
    *("weighted", "weighted label", "adjusted", "generalised", "generalised label"),
    *("asymmetric", "asymmetric, no margin"),
)
LEADS = np.array([0, 0.5, 3, 10, 16, 30, 60, 80])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OF_LABELS)
def test_labels_are_exact_relative_to_their_own_size_in_both_tails(name: str, dtype: str) -> None:
    """To 8 units, and 1.5 |z| more: z + ln π, or a power e^(−γ ln p), rounds in proportion to |z|.

    With a margin the loss of label 0 is exact against the margin, for p − m cancels.
    """
    z = np.concatenate([-LEADS[::-1], LEADS]).astype(dtype)[:, None]
    info = np.finfo(dtype)
    for label in (0.0, 1.0):
        y = np.full_like(z, label)
        value, slope = exact(name, y, z)
        unit = (8 + 1.5 * np.abs(z[:, 0])) * info.eps
        floor = 4 * info.eps * 0.05 if name == "asymmetric" and label == 0 else 4 * info.tiny
        error = np.abs(numbers(APPLIED[name](y, z)) - value)
        np.testing.assert_array_less(error, unit * np.abs(value) + floor)
        error = np.abs(logit_gradient(APPLIED[name], y, z) - slope)[:, 0]
        np.testing.assert_array_less(error, unit * np.abs(slope[:, 0]) + floor)


def every_lead(dtype: str, offset: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Each of three classes true in turn, and each ahead: labels, logits [N, 3], which is ahead, by what."""
    cases = [(true, ahead, lead) for true in range(3) for ahead in range(3) for lead in LEADS]
    true, ahead, lead = (np.array(column) for column in zip(*cases, strict=True))
    z = lead[:, None] * np.eye(3)[ahead] - 0.5 * np.eye(3)[(ahead + 1) % 3] + offset
    return np.eye(3, dtype=dtype)[true], z.astype(dtype), ahead, lead


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", (0, 1e4))
@pytest.mark.parametrize("name", OF_CLASSES)
def test_classes_are_exact_where_cross_entropy_is(name: str, offset: float, dtype: str) -> None:
    """Value and gradient to 8 units against 1, times the greatest weight of a class or node."""
    y, z, _, _ = every_lead(dtype, offset)
    value, slope = exact(name, y, z)
    unit = 8 * np.finfo(dtype).eps * {"weighted": max(WEIGHTS), "tree": 3}.get(name, 1)
    error = np.abs(numbers(APPLIED[name](y, z)) - value)
    np.testing.assert_array_less(error, unit * (1 + np.abs(value)))
    np.testing.assert_array_less(np.abs(logit_gradient(APPLIED[name], y, z) - slope), unit)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", (0, 1e4))
@pytest.mark.parametrize("name", OF_CLASSES)
def test_components_of_classes_that_are_not_ahead_are_exact_to_their_own_size(
    name: str, offset: float, dtype: str
) -> None:
    """As in cross-entropy, p rounds in proportion to the lead. Where two terms nearly cancel, the corrected
    loss's p_i − p_i T_iy / P(y) and a tree's p − p / P(node), what is left is exact against p."""
    y, z, ahead, lead = every_lead(dtype, offset)
    slope = exact(name, y, z)[1]
    error, step = np.abs(logit_gradient(APPLIED[name], y, z) - slope), np.finfo(dtype).eps
    size = np.abs(slope)
    if name in ("corrected", "tree"):
        size = size + 8 * softmax(z - z.max(-1, keepdims=True).astype("float64"))
    bound = 8 * step * (1 + lead[:, None]) * size + 8 * np.finfo(dtype).tiny
    behind = np.arange(3) != ahead[:, None]
    np.testing.assert_array_less(error[behind], bound[behind])


@pytest.mark.parametrize("name", APPLIED)
def test_the_largest_logits_stay_finite(name: str) -> None:
    y, z = example(name)
    for scale in (-1e4, 1e4):
        assert np.isfinite(numbers(APPLIED[name](y, scale * np.sign(z)))).all()
        assert np.isfinite(logit_gradient(APPLIED[name], y, scale * np.sign(z))).all()


@pytest.mark.parametrize("name", APPLIED)
def test_soft_labels_follow_the_formula(name: str) -> None:
    y, z = example(name)
    rng = np.random.default_rng(6)
    y = rng.dirichlet(np.ones(3), len(z)) if name in OF_CLASSES else rng.random(z.shape)
    z = z.astype("float64")
    value, slope = exact(name, y, z)
    np.testing.assert_allclose(numbers(APPLIED[name](y, z)), value, rtol=1e-13)
    np.testing.assert_allclose(logit_gradient(APPLIED[name], y, z), slope, atol=1e-13)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_integers_are_rows_and_no_class_is_nan(name: str) -> None:
    y, z = example(name)
    expected = numbers(APPLIED[name](y, z))
    for labels in (y.argmax(1), y.argmax(1)[:, None], y.argmax(1).astype("float32")):
        np.testing.assert_array_equal(numbers(APPLIED[name](labels, z)), expected)
    wrong = numbers(APPLIED[name](np.array([0, 3, -1, 0.5, 2, 1]), z))
    assert np.isnan(wrong).tolist() == [False, True, True, True, False, False]


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize(("y", "z"), [((4, 2), (4, 3)), ((3,), (4, 3)), ((4, 1), (4, 1)), ((4,), (4, 2, 3))])
def test_shapes_that_do_not_fit_are_refused(name: str, y, z) -> None:
    with pytest.raises(ValueError, match=r"differ in shape|one class|of 1 classes"):
        APPLIED[name](np.zeros(y), np.zeros(z))


# --- what the losses are least at -------------------------------------------------------------------


def least(name: str, law: np.ndarray) -> np.ndarray:
    """The logits [1, K] of least expected loss, found by BFGS on the loss itself in float64."""
    z0 = np.zeros(law.shape[-1])

    def value_and_slope(z: np.ndarray) -> tuple[float, np.ndarray]:
        row = z[None].astype("float64")
        return float(numbers(APPLIED[name](law, row))[0]), logit_gradient(APPLIED[name], law, row)[0]

    found = optimize.minimize(value_and_slope, z0, jac=True, method="BFGS", options={"gtol": 1e-11})
    return found.x[None]


def softmax(z: np.ndarray) -> np.ndarray:
    shares = np.exp(z - z.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", [name for name in APPLIED if APPLIED[name].minimiser])
def test_the_minimiser_is_the_one_in_the_docstring(name: str) -> None:
    law = np.array([[0.35, 0.4, 0.25]]) if name in OF_CLASSES else np.array([[0.2, 0.5, 0.65]])
    z = least(name, APPLIED[name].seen(law))
    p = softmax(z) if name in OF_CLASSES else 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(p, APPLIED[name].minimiser(law), atol=1e-7)


def restored(name: str, z: np.ndarray) -> np.ndarray:
    """The chances that a restoring function tells, of logits at the optimum."""
    config = APPLIED[name].config
    sigmoid = lambda logits: 1 / (1 + np.exp(-numbers(logits)))
    return {
        "weighted": lambda: softmax(numbers(restoring.class_weights_restored(z, WEIGHTS))),
        "weighted label": lambda: sigmoid(restoring.label_weights_restored(z, config.get("class_weights"))),
        "adjusted": lambda: softmax(numbers(restoring.prior_corrected(z, [1 / 3] * 3, PRIORS))),
        "generalised": lambda: softmax(numbers(restoring.generalised_restored(z, 0.7))),
        "generalised label": lambda: sigmoid(restoring.generalised_restored(z, 0.7)),
        "asymmetric": lambda: numbers(restoring.asymmetric_restored(z, **config)),
        "asymmetric, no margin": lambda: numbers(restoring.asymmetric_restored(z, **config)),
    }[name]()


@pytest.mark.parametrize("name", RESTORED)
def test_what_is_restored_is_the_law(name: str) -> None:
    law = np.array([[0.35, 0.4, 0.25]]) if name in OF_CLASSES else np.array([[0.2, 0.5, 0.65]])
    z = least(name, law)
    np.testing.assert_allclose(restored(name, z), law, atol=1e-6)
    p = softmax(z) if name in OF_CLASSES else 1 / (1 + np.exp(-z))
    assert np.abs(p - law).max() > 0.05, "there was something to restore"


def test_two_classes_restore_as_one_logit() -> None:
    z, pair = np.array([[0.3], [-2.0]]), np.array([[0.0, 0.3], [0.0, -2.0]])
    ahead = lambda logits: np.diff(numbers(logits))
    for one, two in (
        (restoring.class_weights_restored(z, [1, 5]), restoring.class_weights_restored(pair, [1, 5])),
        (
            restoring.prior_corrected(z, [0.9, 0.1], [0.5, 0.5]),
            restoring.prior_corrected(pair, [0.9, 0.1], [0.5, 0.5]),
        ),
    ):
        np.testing.assert_allclose(numbers(one), ahead(two), rtol=1e-14)
    np.testing.assert_allclose(
        numbers(restoring.label_weights_restored(z, (1, 5))),
        numbers(restoring.class_weights_restored(z, [1, 5])),
    )


def test_prior_correction_is_bayes_under_another_prior() -> None:
    """Enumerated: P(x | class) of four inputs, and the posterior under either prior."""
    likelihood = np.random.default_rng(8).dirichlet(np.ones(4), 3)  # [K, x]
    before, after = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])
    posterior = lambda prior: (prior[:, None] * likelihood / (prior @ likelihood)).T
    corrected = numbers(restoring.prior_corrected(np.log(posterior(before)), before, after))
    np.testing.assert_allclose(softmax(corrected), posterior(after), rtol=1e-12)


# --- limits -----------------------------------------------------------------------------------------


def test_limits_are_cross_entropy() -> None:
    y, z = example("weighted")
    z = z.astype("float64")
    plain = numbers(losses.categorical_crossentropy(y, z))
    same = lambda values, **how: np.testing.assert_allclose(numbers(values), plain, **({"rtol": 1e-12} | how))
    same(losses.class_weighted_crossentropy(y, z, [1, 1, 1]))
    same(losses.logit_adjusted_crossentropy(y, z, PRIORS, tau=0))
    same(losses.logit_adjusted_crossentropy(y, z, [1 / 3] * 3))
    same(losses.forward_corrected_crossentropy(y, z, np.eye(3)))
    same(losses.generalised_crossentropy(y, z, q=1e-7), rtol=1e-5)
    same(losses.hierarchical_crossentropy(y, z, [0, 0, 1], weight=0))
    same(losses.hierarchical_crossentropy(y, z, [0, 0, 0], weight=3))
    same(numbers(losses.hierarchical_crossentropy(y, z, [0, 1, 2], weight=1)) / 2)


def test_limits_of_labels_are_binary_cross_entropy() -> None:
    y, z = example("asymmetric")
    z = z.astype("float64")
    plain = numbers(losses.binary_crossentropy(y, z))
    for values in (
        losses.class_weighted_binary_crossentropy(y, z, (1, 1)),
        losses.logit_adjusted_binary_crossentropy(y, z, 0.5),
        losses.forward_corrected_binary_crossentropy(y, z),
        losses.asymmetric_loss(y, z, 0, 0, 0),
    ):
        np.testing.assert_allclose(numbers(values), plain, rtol=1e-13)
    np.testing.assert_allclose(numbers(losses.generalised_binary_crossentropy(y, z, 1e-7)), plain, rtol=1e-5)


def test_labels_may_have_rates_of_their_own() -> None:
    y, z = example("asymmetric")
    apart = lambda loss, *lists: np.mean(
        [numbers(loss(y[:, i : i + 1], z[:, i : i + 1], *(a[i] for a in lists))) for i in range(3)], 0
    )
    rates = [0.1, 0.3, 0.5]
    adjusted, corrected = (
        losses.logit_adjusted_binary_crossentropy,
        losses.forward_corrected_binary_crossentropy,
    )
    np.testing.assert_allclose(numbers(adjusted(y, z, rates)), apart(adjusted, rates), rtol=1e-6)
    lost, invented = [0.1, 0.2, 0.3], [0.3, 0.0, 0.1]
    np.testing.assert_allclose(
        numbers(corrected(y, z, lost, invented)), apart(corrected, lost, invented), rtol=1e-6
    )
    weights = [1, 2, 3], [5, 1, 2]
    pairs = list(zip(*weights, strict=True))
    weighted = losses.class_weighted_binary_crossentropy
    np.testing.assert_allclose(numbers(weighted(y, z, weights)), apart(weighted, pairs), rtol=1e-6)


def test_a_tensor_of_arguments_gives_each_example_its_own() -> None:
    y, z = example("weighted", n=3)
    values = np.array([0.2, 0.5, 0.9], "float32")
    for loss in (
        lambda y, z, a: losses.logit_adjusted_crossentropy(y, z, PRIORS, a),
        losses.generalised_crossentropy,
        lambda y, z, a: losses.hierarchical_crossentropy(y, z, [0, 0, 1], a),
    ):
        apart = [numbers(loss(y[i : i + 1], z[i : i + 1], float(a)))[0] for i, a in enumerate(values)]
        together = numbers(loss(y, z, keras.ops.convert_to_tensor(values)))
        np.testing.assert_allclose(together, apart, rtol=1e-5)


def test_uniform_noise_is_label_smoothing_in_expectation() -> None:
    """applied: noise ε over the other classes, smoothing α = εK/(K − 1)."""
    y, z = (values.astype("float64") for values in example("weighted"))
    noise = 0.3
    expected = (1 - noise) * y + noise / 2 * (1 - y)
    np.testing.assert_allclose(
        numbers(losses.categorical_crossentropy(expected, z)),
        numbers(losses.categorical_crossentropy(y, z, noise * 3 / 2)),
        rtol=1e-12,
    )


def test_three_levels_add_up_and_weights_are_of_each() -> None:
    """The chain rule by enumeration: every node's probability summed over its classes."""
    z = np.random.default_rng(9).normal(size=(5, 8))
    y, p = np.array([0, 3, 5, 6, 7]), softmax(z)
    levels = [[0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1]]
    expected = -np.log(p[np.arange(5), y])
    for level, weight in zip(levels, (0.5, 3.0), strict=True):
        inside = np.equal(level, np.array(level)[y][:, None])
        expected -= weight * np.log((p * inside).sum(1))
    actual = losses.hierarchical_crossentropy(y, z, levels, [0.5, 3.0])
    np.testing.assert_allclose(numbers(actual), expected, rtol=1e-12)
    nodes = numbers(losses.node_logits(z, levels[0]))
    np.testing.assert_allclose(softmax(nodes), p.reshape(5, 4, 2).sum(-1), rtol=1e-12)


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.LogitAdjustedCrossentropy([0.5, 0.6]), "sum to 1"),
        (lambda: losses.LogitAdjustedCrossentropy([1.0, 0.0]), "positive"),
        (lambda: losses.LogitAdjustedBinaryCrossentropy(1.0), "between 0 and 1"),
        (lambda: losses.ClassWeightedCrossentropy([1, -1]), "positive"),
        (lambda: losses.ClassWeightedBinaryCrossentropy([1, 2, 3]), "positive"),
        (lambda: losses.ClassWeightedBinaryCrossentropy(3), "positive"),
        (lambda: losses.ForwardCorrectedCrossentropy([[0.5, 0.4], [0, 1]]), "distributions"),
        (lambda: losses.ForwardCorrectedCrossentropy([[1.0, 0.0], [1.0, 0.0]]), "label 1"),
        (lambda: losses.ForwardCorrectedCrossentropy([0.5, 0.5]), r"\[K, K\]"),
        (lambda: losses.ForwardCorrectedBinaryCrossentropy(0.6, 0.5), "sum below 1"),
        (lambda: losses.GeneralisedCrossentropy(0), "q"),
        (lambda: losses.GeneralisedBinaryCrossentropy(1.5), "q"),
        (lambda: losses.HierarchicalCrossentropy([[0, 0, 1], [0, 1, 1]]), "nest"),
        (lambda: losses.HierarchicalCrossentropy([0, 0, 1], [1, 2]), "levels"),
        (lambda: losses.HierarchicalCrossentropy([0, 0, 1], -1.0), "negative"),
        (lambda: losses.HierarchicalCrossentropy([0, 0.5, 1]), "whole"),
        (lambda: losses.AsymmetricLoss(-1), "negative"),
        (lambda: losses.AsymmetricLoss(margin=1.0), "margin"),
        (lambda: restoring.generalised_restored(np.zeros((1, 2)), 1), "q"),
        (lambda: restoring.class_weights_restored(np.zeros((1, 3)), [1, 2]), "3 classes"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", OF_CLASSES)
def test_arguments_of_another_number_of_classes_are_refused(name: str) -> None:
    if name != "generalised":
        with pytest.raises(ValueError, match=r"4 classes|of 4"):
            APPLIED[name](np.eye(4), np.zeros((4, 4)))


def test_the_noise_of_the_tests_is_one() -> None:
    assert np.allclose(np.sum(NOISE, 1), 1) and 0 in np.ravel(NOISE)
