"""Scores against mpmath, separation against scikit-learn; the losses that see outliers."""

from __future__ import annotations

import keras
import mpmath
import numpy as np
import pytest
from keras import ops
from plainly import PLAINLY, repeated
from sklearn import metrics as referee

from crosscheck import detection, losses
from crosscheck.autodiff import logit_gradient
from crosscheck.replicates import Replicates
from crosscheck.replicates._additive import adds_up

pytestmark = pytest.mark.every_backend

DTYPES = ("float32", "float64")
K = 5


def numpy(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def in_digits(score: str, z: np.ndarray) -> float:
    """A score from its definition, at 400 digits: 1 − p must not round either."""
    with mpmath.workdps(400):
        z = [mpmath.mpf(float(logit)) for logit in z]
        total = mpmath.fsum(map(mpmath.exp, z))
        p = [mpmath.exp(logit) / total for logit in z]
        values = {
            "softmax": lambda: mpmath.log(1 - max(p)),
            "logit": lambda: -max(z),
            "energy": lambda: -mpmath.log(total),
            "entropy": lambda: -mpmath.fsum(probability * mpmath.log(probability) for probability in p),
        }
        return float(values[score]())


def spread_logits(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    scales = np.array([0, 1e-3, 1, 10, 30, 80])[:, None]
    return (scales * rng.normal(size=(6, K))).astype(dtype)


# --- scores -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("score", detection.SCORES)
def test_scores_follow_their_definition_however_sure_the_prediction(score: str, dtype: str) -> None:
    z = spread_logits(dtype)
    expected = np.array([in_digits(score, row) for row in z])
    actual = numpy(detection.SCORES[score](z))
    assert str(actual.dtype) == dtype
    # An exponential of a number of size d is off by d units in the last place.
    units = 4 + np.ptp(z, axis=-1).astype(float)
    error = units * np.finfo(dtype).eps * np.abs(expected)
    if score in ("softmax", "energy"):  # a difference, a logarithm of logits
        error += 4 * np.finfo(dtype).eps * np.maximum(1, np.abs(z).max(-1))
    assert (np.abs(actual - expected) <= error + np.finfo(dtype).tiny).all()


@pytest.mark.parametrize("score", detection.SCORES)
def test_scores_are_larger_where_the_logits_say_less(score: str) -> None:
    sure = np.linspace(60, 0, 20)[:, None] * np.eye(1, K)
    actual = numpy(detection.SCORES[score](sure.astype("float32")))
    assert (np.diff(actual) > 0).all()


def test_the_softmax_score_tells_apart_what_the_probability_no_longer_does() -> None:
    z = np.array([[30.0, 0, 0], [40.0, 0, 0]], "float32")
    assert (numpy(ops.softmax(z)).max(-1) == 1).all()
    first, second = numpy(detection.softmax_score(z))
    assert first > second


def test_the_energy_has_a_temperature_and_the_largest_logit_as_its_limit() -> None:
    z = spread_logits("float64")
    cold = numpy(detection.energy_score(z, 1e-4))
    np.testing.assert_allclose(cold, numpy(detection.logit_score(z)), atol=1e-3)
    np.testing.assert_allclose(numpy(detection.energy_score(z, 2.0)), 2 * numpy(losses.energy(z / 2)))
    with pytest.raises(ValueError, match="temperature"):
        detection.energy_score(z, 0)


def test_one_class_has_no_softmax_score() -> None:
    with pytest.raises(ValueError, match="One class"):
        detection.softmax_score(np.zeros((3, 1)))


def test_leading_axes_stay() -> None:
    z = np.random.default_rng(0).normal(size=(2, 3, K))
    assert all(detection.scored(score, z).shape == (2, 3) for score in detection.SCORES)


# --- separation -------------------------------------------------------------------------------------

ROUNDED = (8, 1, 0)  # decimals: no ties, some, and few distinct scores


def drawn(decimals: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(decimals)
    return rng.normal(size=137).round(decimals), rng.normal(0.7, 1.5, size=211).round(decimals)


def labelled(inside, outside, positive: str) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores for scikit-learn, the positive class having the larger ones."""
    truth = np.repeat([0, 1], [len(inside), len(outside)])
    scores = np.concatenate([inside, outside])
    return (truth, scores) if positive == "out" else (1 - truth, -scores)


@pytest.mark.parametrize("decimals", ROUNDED)
@pytest.mark.parametrize("positive", ["in", "out"])
def test_separation_is_scikit_learns(positive: str, decimals: int) -> None:
    pair = drawn(decimals)
    truth, scores = labelled(*pair, positive)
    assert detection.auroc(*pair) == pytest.approx(referee.roc_auc_score(truth, scores))
    assert detection.aupr(*pair, positive) == pytest.approx(referee.average_precision_score(truth, scores))
    false, true, _ = referee.roc_curve(truth, scores, drop_intermediate=False)
    assert detection.fpr95(*pair, positive) == pytest.approx(false[true >= 0.95].min())


@pytest.mark.parametrize("positive", ["in", "out"])
def test_constant_scores_tell_nothing(positive: str) -> None:
    pair = np.zeros(30), np.zeros(10)
    assert detection.auroc(*pair) == 0.5
    assert detection.aupr(*pair, positive) == {"in": 0.75, "out": 0.25}[positive]
    assert detection.fpr95(*pair, positive) == 1


@pytest.mark.parametrize("positive", ["in", "out"])
def test_scores_apart_tell_all_and_the_wrong_way_round_nothing(positive: str) -> None:
    low, high = np.arange(20.0), np.arange(20.0) + 100
    assert detection.auroc(low, high) == detection.aupr(low, high, positive) == 1
    assert detection.fpr95(low, high, positive) == 0
    assert detection.auroc(high, low) == 0
    assert detection.fpr95(high, low, positive) == 1


def test_the_two_conventions_of_fpr95_differ() -> None:
    """One inlier in ten is hopeless: to let in 95 % of the inliers is to let in everything."""
    inside, outside = np.repeat([0.0, 9.0], [90, 10]), np.full(50, 5.0)
    assert detection.fpr95(inside, outside, "in") == 1
    assert detection.fpr95(inside, outside, "out") == 0.1


def test_the_recall_is_counted_without_rounding() -> None:
    assert detection.fpr95(np.arange(20.0), np.array([18.0, 18.5, 19.0]), "in") == pytest.approx(1 / 3)


def test_infinite_scores_have_a_place_and_nan_has_none() -> None:
    assert detection.auroc(np.array([-np.inf, 0]), np.array([np.inf, 1])) == 1
    for bad in (np.array([np.nan, 1]), np.array([])):
        with pytest.raises(ValueError, match="Scores"):
            detection.auroc(bad, np.zeros(3))


def test_conventions_must_be_named() -> None:
    with pytest.raises(ValueError, match="positive"):
        detection.fpr95(np.zeros(3), np.ones(3), "positive")
    with pytest.raises(ValueError, match="recall"):
        detection.fpr95(np.zeros(3), np.ones(3), "in", recall=0)


def test_replicates_are_judged_one_by_one() -> None:
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(size=(2, 3, 40)), rng.normal(1, size=(2, 3, 50))
    actual = detection.fpr95(inside, outside, "in")
    assert actual.shape == (2, 3)
    assert actual[1, 2] == detection.fpr95(inside[1, 2], outside[1, 2], "in")


# --- losses -----------------------------------------------------------------------------------------


def batch(dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Six inliers and four outliers."""
    rng = np.random.default_rng(1)
    y = np.concatenate([np.eye(K)[rng.integers(0, K, 6)], np.zeros((4, K))])
    return y.astype("float32"), (4 * rng.normal(size=(10, K))).astype(dtype)


def plainly(y, z, low: float, high: float, weight: float) -> np.ndarray:
    values = []
    for label, row in zip(y, z.astype("float64"), strict=True):
        e = -np.log(np.exp(row).sum())
        if label.any():
            values.append(-e - row[label.argmax()] + weight * max(0, e - low) ** 2)
        else:
            values.append(weight * max(0, high - e) ** 2)
    return np.array(values)


def assert_close(actual, expected, dtype: str = "float32") -> None:
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(numpy(actual), expected, rtol=100 * eps, atol=100 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_is_minus_the_logit_minus_the_energy(dtype: str) -> None:
    y, z = batch(dtype)
    y, z = y[:6], z[:6]
    expected = -(y * z).sum(-1) - numpy(losses.energy(z))
    assert_close(losses.categorical_crossentropy(y, z), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_margin_loss_follows_its_formula(dtype: str) -> None:
    y, z = batch(dtype)
    actual = losses.energy_margin_crossentropy(y, z, -6.0, -3.0, 0.3)
    assert_close(actual, plainly(y, z, -6, -3, 0.3), dtype)


def test_its_gradient_is_zero_beyond_the_margins_and_that_of_the_formula_within() -> None:
    y, z = batch("float64")
    wide = lambda y, z: losses.energy_margin(y, z, 50.0, 60.0)
    assert (logit_gradient(wide, y, z)[:6] == 0).all()
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    e = -np.log(np.exp(z).sum(-1, keepdims=True))
    slope = np.where(y.any(-1, keepdims=True), -2 * np.maximum(e + 6, 0) * p, 2 * np.maximum(-3 - e, 0) * p)
    near = lambda y, z: losses.energy_margin(y, z, -6.0, -3.0)
    np.testing.assert_allclose(logit_gradient(near, y, z), slope, atol=1e-12)


@pytest.mark.parametrize("alpha", (0.0, 0.2))
def test_outliers_know_no_smoothing_and_inliers_no_exposure(alpha: float) -> None:
    y, z = batch()
    actual = numpy(losses.outlier_exposure_crossentropy(y, z, 0.5, alpha))
    assert_close(actual[:6], numpy(losses.categorical_crossentropy(y[:6], z[:6], alpha)))
    even = np.full((4, K), 1 / K, "float32")
    assert_close(actual[6:], 0.5 * numpy(losses.categorical_crossentropy(even, z[6:])))


def test_a_weight_of_zero_leaves_cross_entropy() -> None:
    y, z = batch()
    expected = numpy(losses.categorical_crossentropy(y, z))
    assert_close(losses.energy_margin_crossentropy(y, z, -6.0, -3.0, 0.0), expected)
    assert_close(losses.outlier_exposure_crossentropy(y, z, 0.0), expected)


def test_margins_in_the_wrong_order_are_refused() -> None:
    y, z = batch()
    with pytest.raises(ValueError, match="swapped"):
        losses.EnergyMarginCrossentropy(-5.0, -23.0)
    with pytest.raises(ValueError, match="swapped"):
        losses.energy_margin_crossentropy(y, z, -5.0, -5.0)
    with pytest.raises(ValueError, match="weight"):
        losses.EnergyMarginCrossentropy(-23.0, -5.0, weight=-1.0)


LOSSES = (
    losses.EnergyMarginCrossentropy(-6.0, -3.0, weight=0.2, label_smoothing=0.1),
    losses.OutlierExposureCrossentropy(0.3, label_smoothing=0.1),
)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_class_survives_a_round_trip_and_reduces_as_keras_does(loss) -> None:
    y, z = batch()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    values = numpy(type(loss).from_config({**loss.get_config(), "reduction": None})(y, z))
    assert values.shape == (10,)
    assert_close(loss(y, z), values.mean())
    weights = np.arange(10, dtype="float32")
    assert_close(loss(y, z, sample_weight=weights), (weights * values).mean())
    assert adds_up(loss)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_plain_keras_fits_with_it(policy: str) -> None:
    y, _ = batch()
    x = np.random.default_rng(2).normal(size=(10, 3)).astype("float32")
    layers = [keras.Input((3,)), keras.layers.Dense(K, dtype=policy)]
    model = keras.Sequential(layers)
    model.compile("sgd", losses.EnergyMarginCrossentropy(-6.0, -3.0), **PLAINLY)
    before = model.evaluate(x, y, verbose=0)
    *examples, weights = repeated(20, x, y, losses.role_weights(y))
    model.fit(*examples, batch_size=len(x), sample_weight=weights, shuffle=False, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before


def test_role_weights_make_two_means_of_one() -> None:
    y, z = batch()
    values = numpy(losses.energy_margin_crossentropy(y, z, -6.0, -3.0))
    weights = losses.role_weights(y)
    np.testing.assert_allclose((weights * values).mean(), values[:6].mean() + values[6:].mean(), rtol=1e-6)
    assert losses.role_weights(np.stack([y, y])).shape == (2, 10)
    with pytest.raises(ValueError, match="outliers"):
        losses.role_weights(y[:6])


def test_each_replicate_has_its_own_margins_and_weight() -> None:
    y, _ = batch()
    x = np.random.default_rng(2).normal(size=(10, 3)).astype("float32")
    build = lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(K)])
    own = {"margin_in": [-8.0, -3.0], "margin_out": [-2.0, 1.0], "weight": [0.1, 0.7]}
    together = Replicates(build, (0, 0), paired=True)
    together.compile(
        keras.optimizers.SGD(0.05),
        losses.energy_margin_crossentropy,
        loss_arguments={name: np.array(value, "float32") for name, value in own.items()},
        **PLAINLY,
    )
    together.fit(x, y, batch_size=4, epochs=3)
    for r, arguments in enumerate(zip(*own.values(), strict=True)):
        alone = Replicates(build, (0,))
        alone.compile(keras.optimizers.SGD(0.05), losses.EnergyMarginCrossentropy(*arguments), **PLAINLY)
        alone.fit(x, y, batch_size=4, epochs=3)
        np.testing.assert_allclose(together.member_weights(r)[0], alone.member_weights(0)[0], rtol=2e-5)


def test_margins_follow_their_rule_and_keep_their_order() -> None:
    inside = np.array([[-10.0, -8.0], [-10.0, -8.0]])  # mean −9, standard deviation 1
    low, high = losses.energy_margins(inside, np.array([[-2.0], [-20.0]]))
    np.testing.assert_allclose(low, [-9, -9])
    np.testing.assert_allclose(high, [-2, -6])
    for bad in (np.full(3, -1.0), np.array([np.nan, 1.0])):
        with pytest.raises(ValueError, match="Energies"):
            losses.energy_margins(bad, inside[0])
