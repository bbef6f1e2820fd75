"""Metrics of several labels and of decisions, against scikit-learn and against their definitions."""

from __future__ import annotations

import inspect
import itertools

import keras
import numpy as np
import pytest
from keras.src.backend.common.masking import set_keras_mask
from plainly import PLAINLY
from predicted import value
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from crosscheck import losses, metrics
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

pytestmark = pytest.mark.every_backend

LABELS = 4
RULES = {0: 0, 1: 1, "skip": np.nan}
LABEL_METRICS = {
    "macro": lambda **more: metrics.F1("macro", **more),
    "micro": lambda **more: metrics.F1("micro", name="micro", **more),
    "example": lambda **more: metrics.F1("example", zero_division="skip", name="example", **more),
    "subset": lambda **more: metrics.SubsetAccuracy(**more),
    "label-wise ece": lambda **more: metrics.ExpectedCalibrationError(kind="label_wise", name="lw", **more),
    "label-wise squared": lambda **more: metrics.SquaredCalibrationError(
        kind="label_wise", name="slw", **more
    ),
    "precision": lambda **more: metrics.PrecisionAtK(2, **{k: v for k, v in more.items() if k == "dtype"}),
    "recall": lambda **more: metrics.RecallAtK(2, **{k: v for k, v in more.items() if k == "dtype"}),
}


def labelled(seed: int, n: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Labels, the last of them never 1, with some empty sets; and probabilities of which none is ½."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 0.9, (n, LABELS))
    y = (rng.random(p.shape) < p**2).astype(int)
    y[:, -1] = 0
    p[:5], y[:3] = p[:5] / 3, 0
    return y, p


# --- F1 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("average", "theirs"), [("macro", "macro"), ("micro", "micro"), ("example", "samples")]
)
def test_f1_is_scikit_learns(average: str, theirs: str, rule) -> None:
    y, p = labelled(1)
    p[:, -1] = p[:, -1] / 3  # the last label is never predicted either: 0/0
    weight = np.random.default_rng(2).uniform(0, 2, 48)
    expected = f1_score(y, p > 0.5, average=theirs, sample_weight=weight, zero_division=RULES[rule])
    metric = metrics.F1(average, zero_division=rule, dtype="float64")
    assert value(metric, y, p, weight, batch=16) == pytest.approx(expected, abs=1e-12)


def test_the_rule_for_zero_division_matters() -> None:
    y, p = labelled(1)
    p[:, -1] = 0
    for average in ("macro", "example"):
        seen = {value(metrics.F1(average, zero_division=rule, dtype="float64"), y, p) for rule in RULES}
        assert len(seen) == 3
    nothing = np.zeros((3, 2))
    for average, rule in itertools.product(("macro", "micro", "example"), RULES):
        actual = value(metrics.F1(average, zero_division=rule), nothing, nothing)
        np.testing.assert_equal(actual, float(RULES[rule]))


def test_thresholds_may_differ_between_labels() -> None:
    y, p = labelled(3)
    thresholds = [0.2, 0.5, 0.7, 0.9]
    for average in ("macro", "micro"):
        expected = f1_score(y, p > np.array(thresholds), average=average, zero_division=0)
        z = np.log(p) - np.log1p(-p)
        for logits, predictions in ((False, p), (True, z)):
            metric = metrics.F1(average, thresholds, from_logits=logits, dtype="float64")
            assert value(metric, y, predictions) == pytest.approx(expected, abs=1e-12)
    edges = [0.0, 1.0, 0.5, 0.5]
    expected = f1_score(y, p > np.array(edges), average="macro", zero_division=0)
    metric = metrics.F1("macro", edges, from_logits=True, dtype="float64")
    assert value(metric, y, np.log(p) - np.log1p(-p)) == pytest.approx(expected, abs=1e-12)


def test_without_a_threshold_the_greatest_score_is_predicted() -> None:
    rng = np.random.default_rng(4)
    z, y = rng.normal(size=(48, 5)), rng.integers(0, 5, 48)
    for average in ("macro", "micro"):
        expected = f1_score(y, z.argmax(1), average=average)
        for labels in (y, y[:, None], np.eye(5)[y]):
            actual = value(metrics.F1(average, threshold=None, dtype="float64"), labels, z)
            assert actual == pytest.approx(expected, abs=1e-12)
    with pytest.warns(UserWarning, match="give NaN"):
        assert np.isnan(value(metrics.F1(threshold=None), np.full(48, 5), z))


def test_keras_f1_is_ours_where_both_apply() -> None:
    y, p = (a.astype("float32") for a in labelled(5))
    for average in ("macro", "micro"):
        theirs = keras.metrics.F1Score(average, threshold=0.5)
        assert value(metrics.F1(average), y, p) == pytest.approx(value(theirs, y, p), abs=1e-5)


# --- others of several labels -----------------------------------------------------------------------


def test_subset_accuracy_is_scikit_learns() -> None:
    y, p = labelled(6)
    weight = np.random.default_rng(7).uniform(0, 2, 48)
    expected = accuracy_score(y, p > 0.5, sample_weight=weight)
    assert value(metrics.SubsetAccuracy(dtype="float64"), y, p, weight) == pytest.approx(expected)
    assert 0 < expected < 1


@pytest.mark.parametrize("k", [1, 2, 4])
def test_precision_and_recall_at_k_follow_their_definitions(k: int) -> None:
    y, p = labelled(8)
    p[10:20] = p[10:20].round(1)  # ties: the first comes first
    precision, recall = [], []
    for truth, scores in zip(y, p, strict=True):
        shown = sorted(range(LABELS), key=lambda i: (-scores[i], i))[:k]
        precision.append(truth[shown].sum() / k)
        recall += [truth[shown].sum() / truth.sum()] if truth.any() else []
    assert value(metrics.PrecisionAtK(k, dtype="float64"), y, p) == pytest.approx(np.mean(precision))
    assert value(metrics.RecallAtK(k, dtype="float64"), y, p) == pytest.approx(np.mean(recall))
    assert value(metrics.RecallAtK(k), y, 7 * p - 3) == pytest.approx(np.mean(recall), rel=1e-5)


def test_precision_ranks_by_chance_and_recall_by_share() -> None:
    """The example of `applications.md`, enumerated: {A, B, C} 0.5, {D} 0.4, none 0.1."""
    sets, weight = np.array([[1, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]), np.array([0.5, 0.4, 0.1])
    share = np.array([[0.5 / 3, 0.5 / 3, 0.5 / 3, 0.4]])
    chance = weight @ sets
    rank = lambda scores: np.repeat(np.atleast_2d(scores), 3, 0)
    precision = lambda s: value(metrics.PrecisionAtK(1, dtype="float64"), sets, rank(s), weight)
    recall = lambda s: value(metrics.RecallAtK(1, dtype="float64"), sets, rank(s), weight)
    assert precision(chance) == pytest.approx(0.5) and precision(share) == pytest.approx(0.4)
    assert recall(chance) == pytest.approx(0.5 / 3 / 0.9) and recall(share) == pytest.approx(0.4 / 0.9)


def test_label_wise_calibration_is_the_mean_over_labels() -> None:
    y, p = labelled(9)
    squared = metrics.squared_calibration_gap(p.T, y.T)
    assert squared.shape == (LABELS,)
    actual = value(metrics.SquaredCalibrationError(kind="label_wise", dtype="float64"), y, p)
    assert actual == pytest.approx(squared.mean(), abs=1e-12)
    plain = metrics.calibration_gap(p.T, y.T).mean()
    actual = value(metrics.ExpectedCalibrationError(kind="label_wise", dtype="float64"), y, p)
    assert actual == pytest.approx(plain, abs=1e-12)
    alone = metrics.SquaredCalibrationError(kind="positive_class", dtype="float64")
    one = value(metrics.SquaredCalibrationError(kind="label_wise", dtype="float64"), y[:, 0], p[:, :1])
    assert one == pytest.approx(value(alone, y[:, 0], p[:, :1]), abs=1e-12)


def test_the_gap_of_columns_is_the_class_wise_metric() -> None:
    rng = np.random.default_rng(10)
    p, y = rng.dirichlet(np.ones(5), 48), rng.integers(0, 5, 48)
    metric = metrics.SquaredCalibrationError(kind="class_wise", dtype="float64")
    expected = metrics.squared_calibration_gap(p.T, np.eye(5)[y].T).mean(-1)
    assert value(metric, y, p) == pytest.approx(expected, abs=1e-12)


# --- decisions among classes ------------------------------------------------------------------------


def test_balanced_accuracy_is_scikit_learns() -> None:
    rng = np.random.default_rng(11)
    p, y = rng.dirichlet(np.ones(5), 48), rng.integers(0, 4, 48)  # class 4 does not occur
    weight = rng.uniform(0, 2, 48)
    with pytest.warns(UserWarning, match="not in y_true"):
        expected = balanced_accuracy_score(y, p.argmax(1), sample_weight=weight)
    assert value(metrics.BalancedAccuracy(dtype="float64"), y, p, weight, batch=16) == pytest.approx(expected)
    q = p[:, :1]
    expected = balanced_accuracy_score(y > 1, q[:, 0] > 0.5)
    assert value(metrics.BalancedAccuracy(dtype="float64"), y > 1, q) == pytest.approx(expected)


@pytest.mark.parametrize("decision", ["most_probable", "nearest"])
def test_the_mean_tree_distance_follows_its_definition(decision: str) -> None:
    rng = np.random.default_rng(12)
    p, y = rng.dirichlet(np.ones(5), 48), rng.integers(0, 5, 48)
    weight, tree = rng.uniform(0, 2, 48), [[0, 0, 1, 1, 2], [0, 0, 0, 0, 1]]
    apart = lambda j, k: 0 if j == k else 1 + sum(level[j] != level[k] for level in tree)
    cost = np.array([[apart(j, k) for k in range(5)] for j in range(5)])
    chosen = (
        p.argmax(1)
        if decision == "most_probable"
        else np.array([min(range(5), key=lambda k: (r @ cost)[k]) for r in p])
    )
    distance = cost[y, chosen]
    for over, counted in (("examples", weight), ("mistakes", weight * (chosen != y))):
        metric = metrics.MeanTreeDistance(tree, over, decision, dtype="float64")
        expected = (weight * distance).sum() / counted.sum()
        assert value(metric, y, p, weight, batch=16) == pytest.approx(expected, abs=1e-12)
    assert (p.argmax(1) != chosen).any() == (decision == "nearest")


def test_no_mistake_has_no_distance_over_mistakes() -> None:
    y = np.arange(3)
    assert value(metrics.MeanTreeDistance([0, 0, 1]), y, np.eye(3)) == 0
    assert np.isnan(value(metrics.MeanTreeDistance([0, 0, 1], "mistakes"), y, np.eye(3)))


# --- every one alike --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LABEL_METRICS)
def test_weights_masks_and_batches(name: str) -> None:
    y, p = labelled(13)
    rng = np.random.default_rng(14)
    mask, weight = rng.random((6, 8)) < 0.7, np.array([1, 1, 0, 1, 1, 1])
    kept = (mask * weight[:, None]).ravel() > 0
    expected = value(LABEL_METRICS[name](dtype="float64"), y[kept], p[kept])
    parts = LABEL_METRICS[name](dtype="float64")
    assert value(parts, y[kept], p[kept], batch=10) == pytest.approx(expected, abs=1e-12)
    assert value(LABEL_METRICS[name](dtype="float64"), y, p, kept.astype(float)) == pytest.approx(expected)
    unknown = np.where(kept[:, None], p, np.nan).reshape(6, 8, LABELS)
    prediction = keras.ops.convert_to_tensor(unknown)
    set_keras_mask(prediction, keras.ops.convert_to_tensor(mask))
    metric = LABEL_METRICS[name](dtype="float64")
    metric.update_state(y.reshape(6, 8, LABELS), prediction, weight)
    assert float(metric.result()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("ignore:.*give NaN")
@pytest.mark.parametrize("name", LABEL_METRICS)
def test_what_is_no_label_or_no_number_shows_as_nan(name: str) -> None:
    y, p = labelled(15)
    assert np.isfinite(value(LABEL_METRICS[name](), y, p))
    assert np.isnan(value(LABEL_METRICS[name](), 2 * y - 1, p))
    wrong = p.copy()
    wrong[3, 1] = np.nan
    assert np.isnan(value(LABEL_METRICS[name](), y, wrong))
    if name not in ("precision", "recall"):
        assert np.isnan(value(LABEL_METRICS[name](), y, 8 * p - 4)), "logits taken for probabilities"
    assert np.isnan(float(LABEL_METRICS[name]().result()))
    assert np.isnan(value(LABEL_METRICS[name](), y, p, np.zeros(48)))


def test_the_reason_for_nan_is_told() -> None:
    y, p = labelled(15)
    with pytest.warns(UserWarning, match="something else than 0 and 1"):
        metrics.F1().update_state(y + 1, p)
    with pytest.warns(UserWarning, match="from_logits=True"):
        metrics.F1().update_state(y, 5 * p)


@pytest.mark.parametrize("name", LABEL_METRICS)
def test_shapes_that_do_not_fit_are_refused(name: str) -> None:
    for shape in ((48,), (48, 3), (47, 4), (48, 1)):
        with pytest.raises(ValueError, match="do not fit"):
            LABEL_METRICS[name]().update_state(np.zeros(shape), np.full((48, 4), 0.2))


def test_unknown_choices_are_refused_by_name() -> None:
    for word, make in (
        ("average", lambda: metrics.F1("weighted")),
        ("threshold", lambda: metrics.F1(threshold=1.5)),
        ("zero_division", lambda: metrics.F1(zero_division=2)),
        ("k", lambda: metrics.PrecisionAtK(0)),
        ("4 labels", lambda: metrics.RecallAtK(5).update_state(*labelled(1))),
        ("over", lambda: metrics.MeanTreeDistance([0, 1], "all")),
        ("decision", lambda: metrics.MeanTreeDistance([0, 1], decision="best")),
        ("2 classes", lambda: metrics.MeanTreeDistance([0, 1]).update_state([0], np.eye(3)[:1])),
    ):
        with pytest.raises(ValueError, match=word):
            make()


MORE = {
    **LABEL_METRICS,
    "balanced": lambda **more: metrics.BalancedAccuracy(**more),
    "distance": lambda **more: metrics.MeanTreeDistance([0, 0, 1], "mistakes", "nearest", **more),
    "thresholds": lambda **more: metrics.F1("example", [0.1, 0.2, 0.3, 0.4], "skip", **more),
}


@pytest.mark.parametrize("name", MORE)
def test_configuration_survives_the_round_trip(name: str) -> None:
    metric = MORE[name](dtype="float64")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()
    settable = set(inspect.signature(type(metric).__init__).parameters) - {"self"}
    assert set(metric.get_config()) == settable, "all that can be set is kept"


def test_a_compiled_model_reports_and_saves_them_and_replicates_carry_one_of_each(tmp_path) -> None:
    rng = np.random.default_rng(16)
    x, y = rng.normal(size=(70, 4)).astype("float32"), rng.integers(0, 2, (70, LABELS))
    weight = rng.uniform(0, 2, 70).astype("float32")
    make_all = lambda: [make(from_logits=True) for make in LABEL_METRICS.values()]
    replicas = Replicates(perceptron(4, [], LABELS), [1, 2])
    replicas.compile(
        keras.optimizers.SGD(0.1), losses.binary_crossentropy, weighted_metrics=make_all(), **PLAINLY
    )
    history = replicas.fit(x, y, 16, 1, validation_data=(x, y, weight)).history
    seen, logits = replicas.evaluate(x, y, 16, sample_weight=weight), replicas.predict(x)
    for make in LABEL_METRICS.values():
        name = make().name
        alone = [value(make(from_logits=True), y, z, weight) for z in logits]
        np.testing.assert_allclose(seen[name], alone, atol=1e-6)
        np.testing.assert_allclose(history[f"val_{name}"][0], alone, atol=1e-6)
    model = replicas.member(1)
    model.compile("sgd", losses.BinaryCrossentropy(), metrics=make_all(), **PLAINLY)
    before = model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    after = keras.models.load_model(tmp_path / "model.keras").evaluate(
        x, y, batch_size=16, verbose=0, return_dict=True
    )
    assert after == pytest.approx(before, abs=1e-6)


def test_replicates_carry_those_of_classes() -> None:
    rng = np.random.default_rng(17)
    x, y = rng.normal(size=(70, 4)).astype("float32"), rng.integers(0, 3, 70)
    make_all = lambda: [MORE[name](from_logits=True) for name in ("balanced", "distance")]
    replicas = Replicates(perceptron(4, [], 3), [1, 2])
    replicas.compile(
        keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy, metrics=make_all(), **PLAINLY
    )
    replicas.fit(x, y, 16, 1)
    seen, logits = replicas.evaluate(x, y, 16), replicas.predict(x)
    for make in (MORE["balanced"], MORE["distance"]):
        alone = [value(make(from_logits=True), y, z) for z in logits]
        np.testing.assert_allclose(seen[make().name], alone, atol=1e-6)
