"""Every metric alike: streaming, order, weights, masks, labels, what is no number, Keras, `Replicates`."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.src.backend.common.masking import set_keras_mask
from plainly import EAGERLY, PLAINLY
from predicted import binary_predictions, plainly, predictions, value

from crosscheck import losses, metrics
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

pytestmark = pytest.mark.every_backend

# Every metric of predicted distributions, each of its choices at least once.
METRICS = {
    "ece": lambda **more: metrics.ExpectedCalibrationError(**more),
    "ece equal mass": lambda **more: metrics.ExpectedCalibrationError(scheme="equal_mass", name="em", **more),
    "ece class-wise": lambda **more: metrics.ExpectedCalibrationError(
        10, kind="class_wise", norm="l2", name="cw", **more
    ),
    "squared": lambda **more: metrics.SquaredCalibrationError(**more),
    "squared class-wise": lambda **more: metrics.SquaredCalibrationError(
        kind="class_wise", name="scw", **more
    ),
    "ece largest": lambda **more: metrics.ExpectedCalibrationError(norm="max", name="max", **more),
    "brier": lambda **more: metrics.BrierScore(**more),
    "brier within": lambda **more: metrics.BrierScore(7, "within", **more),
    "balanced": lambda **more: metrics.BalancedAccuracy(**more),
    "tree": lambda **more: metrics.MeanTreeDistance([0, 0, 1, 1, 2], **more),
    "likelihood": lambda **more: metrics.NegativeLogLikelihood(**more),
}


# --- streaming, order, weights, masks, labels -------------------------------------------------------


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 20]))
@pytest.mark.parametrize("name", METRICS)
def test_batches_in_any_order_give_what_the_whole_gives(name: str, seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    p, y = rng.dirichlet(np.full(5, 0.3), 48), rng.integers(0, 5, 48)
    weight, order = rng.uniform(0, 2, 48), rng.permutation(48)
    whole = value(METRICS[name](dtype="float64"), y, p, weight)
    parts = METRICS[name](dtype="float64")
    assert value(parts, y[order], p[order], weight[order], batch=batch) == pytest.approx(whole, abs=1e-12)
    parts.reset_state()
    assert value(parts, y, p, weight, batch=batch) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("name", ["squared", "squared class-wise"])
def test_debiased_a_weight_is_that_of_one_example_and_its_scale_is_free(name: str) -> None:
    """Copies are no independent examples: pairs of them would take away too little."""
    p, y = predictions(12)
    weight = np.random.default_rng(13).uniform(0, 2, 48)
    once, thrice = (value(METRICS[name](dtype="float64"), y, p, times * weight) for times in (1, 3))
    assert thrice == pytest.approx(once, rel=1e-12)
    assert value(METRICS[name](dtype="float64"), y, p) != pytest.approx(once, rel=1e-3)


@pytest.mark.parametrize("name", [name for name in METRICS if not name.startswith("squared")])
def test_a_weight_counts_an_example_so_many_times(name: str) -> None:
    p, y = predictions(12)
    times = np.random.default_rng(13).integers(0, 4, 48)
    expected = value(METRICS[name](dtype="float64"), np.repeat(y, times), np.repeat(p, times, 0))
    p[times == 0] = np.nan
    for weight in (times, times[:, None]):
        assert value(METRICS[name](dtype="float64"), y, p, weight) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("logits", [False, True])
def test_masked_steps_of_a_sequence_do_not_count(name: str, logits: bool) -> None:
    p, y = predictions(14)
    mask, weight = np.random.default_rng(15).random((6, 8)) < 0.7, np.array([1, 2, 0, 1, 0.5, 1])
    times = (mask * weight[:, None]).ravel()
    make = lambda: METRICS[name](dtype="float64", from_logits=logits)
    seen = np.log(p) if logits else p
    expected = value(make(), y, seen, times)
    prediction = keras.ops.convert_to_tensor(np.where(times[:, None] > 0, seen, np.nan).reshape(6, 8, 5))
    set_keras_mask(prediction, keras.ops.convert_to_tensor(mask))
    metric = make()
    metric.update_state(y.reshape(6, 8), prediction, weight)
    assert float(metric.result()) == pytest.approx(expected, abs=1e-12)
    metric.reset_state()
    metric.update_state(y.reshape(6, 8, 1), prediction, np.broadcast_to(weight[:, None], (6, 8)))
    assert float(metric.result()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_labels_may_be_integers_a_column_or_one_hot(name: str) -> None:
    p, y = predictions(16)
    expected = value(METRICS[name](), y, p)
    for labels in (y.astype("int64"), y[:, None], y.astype("float32"), np.eye(5)[y]):
        assert value(METRICS[name](), labels, p) == pytest.approx(expected, rel=1e-6)
    q, y = binary_predictions(16)
    assert value(METRICS[name](), y, q[:, None]) == value(METRICS[name](), y[:, None], q[:, None])


@pytest.mark.parametrize("name", METRICS)
def test_logits_are_their_softmax(name: str) -> None:
    p, y = predictions(17)
    actual = value(METRICS[name](from_logits=True, dtype="float64"), y, np.log(p) - 7)
    assert actual == pytest.approx(value(METRICS[name](dtype="float64"), y, p), abs=1e-9)


def test_a_single_output_is_two_classes() -> None:
    p, y = binary_predictions(6)
    two = np.stack([1 - p, p], -1)
    for make in (METRICS[name] for name in METRICS if not name.startswith("brier")):
        actual = value(make(dtype="float64"), y, p[:, None])
        assert actual == pytest.approx(value(make(dtype="float64"), y, two), rel=1e-9)
    top = metrics.ExpectedCalibrationError(dtype="float64")
    assert value(top, y, p[:, None]) == pytest.approx(plainly(two, y, 15), rel=1e-9)


# --- what is no number ------------------------------------------------------------------------------


def test_the_reason_for_nan_is_told_outside_of_programs() -> None:
    p, y = predictions(18)
    metric = metrics.ExpectedCalibrationError()
    with pytest.warns(UserWarning, match="of 48 labels are no classes 0…4, .*begin at 1"):
        metric.update_state(y + 1, p)
    with pytest.warns(UserWarning, match="48 of 48 predictions are no probabilities.*from_logits=True"):
        metric.update_state(y, np.log(p))


@pytest.mark.filterwarnings("ignore:.*and give NaN")
@pytest.mark.parametrize("name", METRICS)
def test_what_is_no_distribution_or_no_label_shows_as_nan(name: str) -> None:
    p, y = predictions(18)
    logits = 3 * np.random.default_rng(19).normal(size=(48, 5))
    assert np.isnan(value(METRICS[name](), y, logits)), "logits taken for probabilities"
    assert np.isnan(value(METRICS[name](), y, logits[:, :1])) and np.isnan(value(METRICS[name](), y, p / 2))
    assert np.isnan(value(METRICS[name](), np.where(y == 2, 5, y), p)), "a class that is not there"
    assert np.isnan(value(METRICS[name](), 2 * (y > 2) - 1, p[:, :1])), "labels of −1 and 1"
    p[3] = np.nan
    assert np.isnan(value(METRICS[name](), y, p))


@pytest.mark.parametrize("name", METRICS)
def test_nothing_seen_is_nan(name: str) -> None:
    assert np.isnan(float(METRICS[name]().result()))
    p, y = predictions(20)
    assert np.isnan(value(METRICS[name](), y, p, np.zeros(48)))


@pytest.mark.parametrize(
    ("y", "p"), [((4, 3), (4, 5)), ((3,), (4, 5)), ((4, 2), (4, 1)), ((4, 1, 5), (4, 5)), ((4, 2), (4, 3, 5))]
)
def test_shapes_that_do_not_fit_are_refused(y, p) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        metrics.NegativeLogLikelihood().update_state(np.zeros(y), np.full(p, 0.2))


@pytest.mark.parametrize(
    ("word", "make"),
    [
        ("bins", lambda: metrics.ExpectedCalibrationError(0)),
        ("bins", lambda: metrics.BrierScore(2.5)),
        ("scheme", lambda: metrics.ExpectedCalibrationError(scheme="quantile")),
        ("kind", lambda: metrics.ExpectedCalibrationError(kind="binary")),
        ("norm", lambda: metrics.ExpectedCalibrationError(norm="l3")),
        ("term", lambda: metrics.BrierScore(term="sharpness")),
        ("dtype", lambda: metrics.NegativeLogLikelihood(dtype="float16")),
        (
            "positive_class",
            lambda: metrics.ExpectedCalibrationError(kind="positive_class").update_state([0], np.eye(3)[:1]),
        ),
        ("before", lambda: metrics.ExpectedCalibrationError(kind="class_wise").reliability()),
    ],
)
def test_unknown_choices_are_refused_by_name(word: str, make) -> None:
    with pytest.raises(ValueError, match=word):
        make()


# --- Keras ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*METRICS, "gap"])
def test_configuration_survives_the_round_trip(name: str) -> None:
    more = {"dtype": "float64", "from_logits": True}
    metric = METRICS[name](**more) if name in METRICS else metrics.MutualInformationGap("mine", "float64")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()
    assert again.dtype == "float64"
    settable = set(inspect.signature(type(metric).__init__).parameters) - {"self"}
    assert set(metric.get_config()) == settable, "all that can be set is kept"


def test_a_compiled_model_reports_and_saves_them(tmp_path) -> None:
    rng = np.random.default_rng(21)
    x, y = rng.normal(size=(70, 4)).astype("float32"), rng.integers(0, 3, 70)
    model = perceptron(4, [], 3)()
    makers = [METRICS[name] for name in ("ece equal mass", "ece class-wise", "brier within", "likelihood")]
    watched = [make(from_logits=True) for make in makers]
    model.compile("sgd", losses.SparseCategoricalCrossentropy(), metrics=watched, **PLAINLY)
    model.fit(x, y, batch_size=16, verbose=0)
    seen = model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    for make in makers:
        alone = make(from_logits=True)
        assert seen[alone.name] == pytest.approx(value(alone, y, model.predict(x, verbose=0)), abs=1e-6)
    assert seen["negative_log_likelihood"] == pytest.approx(seen["loss"], rel=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, y, batch_size=16, verbose=0, return_dict=True) == pytest.approx(seen, abs=1e-6)


def test_a_mask_of_the_model_reaches_them() -> None:
    rng = np.random.default_rng(22)
    x, y = rng.normal(size=(8, 3, 2)).astype("float32"), rng.integers(0, 4, (8, 3))
    x[2:, 2] = 0
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.Masking(), keras.layers.Dense(4)])
    watched = [metrics.NegativeLogLikelihood(from_logits=True)]
    model.compile("sgd", losses.SparseCategoricalCrossentropy(), metrics=watched, **EAGERLY)
    actual = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)["negative_log_likelihood"]
    kept = (x != 0).any(-1)
    alone = metrics.NegativeLogLikelihood(from_logits=True)
    assert actual == pytest.approx(value(alone, y[kept], model.predict(x, verbose=0)[kept]), rel=1e-5)


def test_replicates_carry_one_of_each() -> None:
    rng = np.random.default_rng(23)
    x, y = rng.normal(size=(70, 4)).astype("float32"), rng.integers(0, 3, 70)
    weight = rng.uniform(0, 2, 70).astype("float32")
    replicas = Replicates(perceptron(4, [], 3), [1, 2])
    watched = [make(from_logits=True) for make in METRICS.values()]
    replicas.compile(
        keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy, weighted_metrics=watched, **PLAINLY
    )
    history = replicas.fit(x, y, 16, 1, validation_data=(x, y, weight)).history
    seen, logits = replicas.evaluate(x, y, 16, sample_weight=weight), replicas.predict(x)
    for make in METRICS.values():
        name = make().name
        assert np.isfinite(history[name]).all() and history[name].shape == (1, 2)
        alone = [value(make(from_logits=True), y, z, weight) for z in logits]
        np.testing.assert_allclose(seen[name], alone, atol=1e-6)
        np.testing.assert_allclose(history[f"val_{name}"][0], alone, atol=1e-6)


def test_replicates_report_the_information_gap() -> None:
    rng = np.random.default_rng(24)
    x, y = rng.normal(size=(40, 3)).astype("float32"), rng.integers(0, 2, (40, 2))
    replicas = Replicates(perceptron(3, [], 6), [1, 2])
    untrained = lambda y, z: keras.ops.sum(0 * z, axis=-1)
    watched = [metrics.MutualInformationGap()]
    replicas.compile(keras.optimizers.SGD(0.1), untrained, metrics=watched, **PLAINLY)
    actual = replicas.evaluate(x, y, 16)["mutual_information_gap"]
    alone = [value(metrics.MutualInformationGap(), y, z) for z in replicas.predict(x)]
    np.testing.assert_allclose(actual, alone, rtol=1e-5)
