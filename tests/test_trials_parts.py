"""The parts of the laboratory: copies, tasks, rows, probes, and a fix that is tried."""

import re

import keras
import numpy as np
import pytest
from trial_programs import (
    CLASSES,
    FAULTY,
    Logarithm,
    WithoutLastClass,
    blobs,
    embedding,
    network,
    one_row_off,
    program,
    texts,
)

from crosscheck.diagnose import Data, Finding, Program
from crosscheck.diagnose._by_trials import BY_LEARNING, by_trials
from crosscheck.diagnose._copies import is_freshly_drawn, rebuilt, step_of
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._repairs import try_repair
from crosscheck.diagnose._task import Task, row_weights, task_of
from crosscheck.diagnose.checks.one_step import both_modes, finite_numbers
from crosscheck.errors import UsageError

SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


# --- copies ----------------------------------------------------------------------------------------------


@pytest.mark.every_backend
def test_a_model_with_a_loss_of_ones_own_is_copied_and_stays_as_it_was():
    """Keras' own clones are compiled from a configuration that such a function has not."""
    model = network(4)
    model.compile("adam", lambda y, p: keras.ops.mean(keras.ops.square(y - p), -1), metrics=[lambda y, p: p])
    copy = rebuilt(model)
    assert [v.shape for v in copy.variables] == [v.shape for v in model.variables]
    assert model.compiled and not copy.compiled


class Unpacking(keras.Model):
    """As Keras' guides write it: two things, where `train_on_batch` hands over three."""

    def train_step(self, *arguments):
        *state, (x, y) = arguments
        return super().train_step(*state, (x, y))


@pytest.mark.every_backend
@pytest.mark.parametrize("kind", [keras.Model, Unpacking])
def test_a_step_is_taken_as_fit_takes_it(kind):
    inputs = keras.Input((3,))
    model = kind(inputs, keras.layers.Dense(2)(inputs))
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    assert np.isfinite(step_of(model, np.ones((4, 3), "float32"), np.zeros((4, 2), "float32")))
    assert (model.get_weights()[0] != before).all()


# --- tasks -----------------------------------------------------------------------------------------------


@pytest.mark.every_backend
@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (SPARSE, np.array([0, 0, 0, 1, 2, 2])),
        ("sparse_categorical_crossentropy", np.array([[0], [0], [0], [1], [2], [2]])),
        ("categorical_crossentropy", np.eye(3)[[0, 0, 0, 1, 2, 2]]),
    ],
)
def test_the_loss_of_the_prior_is_its_entropy(loss, y):
    shares = np.array([3, 1, 2]) / 6
    task = task_of(y, (6, 3), loss)
    assert task.kind == "classes"
    assert task.loss_of_prior(y, (6, 3)) == pytest.approx(-np.sum(shares * np.log(shares)), rel=1e-4)
    assert task.error_of_prior(y) == pytest.approx(1 - shares.max())


@pytest.mark.every_backend
@pytest.mark.parametrize("from_logits", [True, False])
def test_the_loss_of_the_prior_of_one_label_is_its_entropy(from_logits):
    y = np.array([1.0, 0, 0, 0])
    task = task_of(y, (4, 1), keras.losses.BinaryCrossentropy(from_logits=from_logits))
    assert task.kind == "labels"
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert task.loss_of_prior(y[:, None], (4, 1)) == pytest.approx(entropy, rel=1e-4)


def test_the_loss_of_the_prior_of_numbers_is_their_variance():
    y = np.random.default_rng(0).normal(size=(50, 2))
    task = task_of(y, (50, 2), "mse")
    assert task.kind == "numbers" and np.isnan(task.error_of_prior(y))
    assert task.loss_of_prior(y, (50, 2)) == pytest.approx(y.var(0).mean(), rel=1e-5)


def squared_by_a_sigmoid_of_its_own(y, z):
    return keras.ops.mean(keras.ops.square(y - keras.ops.sigmoid(z)), -1)


def poisson_by_an_exponential_of_its_own(y, z):
    return keras.ops.mean(keras.ops.exp(z) - y * z, -1)


@pytest.mark.every_backend
@pytest.mark.parametrize(
    ("loss", "y", "least"),
    [
        (squared_by_a_sigmoid_of_its_own, np.array([[0.1], [0.2], [0.3], [0.4]]), 0.0125),
        (poisson_by_an_exponential_of_its_own, np.array([[0.0], [1], [2], [9]]), 3 - 3 * np.log(3)),
    ],
)
def test_the_prior_of_numbers_that_a_loss_squashes_itself_is_a_logit_or_a_logarithm(loss, y, least):
    task = task_of(y, (4, 1), loss)
    assert task.kind == "numbers"
    assert task.loss_of_prior(y, (4, 1)) == pytest.approx(least, rel=1e-4)


def cumulative(y, z):
    """Of ranks 0 … K: a binary cross-entropy for reaching each of 1 … K."""
    ranks = keras.ops.arange(z.shape[-1], dtype=z.dtype)
    reached = keras.ops.cast(keras.ops.reshape(y, (-1, 1)), z.dtype) > ranks
    return keras.ops.mean(keras.losses.binary_crossentropy(keras.ops.cast(reached, z.dtype), z, True), -1)


@pytest.mark.every_backend
@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_the_prior_of_ranks_says_how_often_each_is_reached(shape):
    y = np.array([0, 1, 1, 3, 3]).reshape(shape)
    task = task_of(y, (5, 3), cumulative)
    entropy = lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p)
    assert task.kind == "numbers"
    assert task.loss_of_prior(y, (5, 3)) == pytest.approx(np.mean([entropy(0.8), entropy(0.4), entropy(0.4)]))


def test_what_labels_of_an_own_form_give_without_any_input_is_not_known():
    y = np.array([[0.0, 7, 1], [0, 2, 1]])
    with pytest.raises(UsageError, match="without any input is not known"):
        task_of(y, (2, 2), cumulative).loss_of_prior(y, (2, 2))


def test_places_without_a_class_do_not_count():
    y = np.array([[0, 1, -1], [1, 1, -1]])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    task = task_of(y, (2, 3, 2), loss)
    assert task.kind == "classes" and task.error_of_prior(y) == pytest.approx(0.25)
    right = np.eye(2)[np.where(y < 0, 0, y)]
    assert task.error_of(y, right) == 0 and task.error_of(y, 1 - right) == 1


@pytest.mark.every_backend
@pytest.mark.parametrize("loss", [keras.losses.BinaryCrossentropy(), "binary_crossentropy"])
def test_weights_of_classes_weigh_loss_errors_and_prior(loss):
    y = np.array([[1.0], [0], [0], [0]])
    task = task_of(y, (4, 1), loss)
    weights = row_weights(task, y, None, {0: 1.0, 1: 3.0})
    np.testing.assert_array_equal(weights, [3, 1, 1, 1])
    assert task.loss_of_prior(y, (4, 1), weights) == pytest.approx(np.log(2), rel=1e-4)
    assert task.error_of_prior(y, weights) == pytest.approx(0.5)
    outputs = np.array([[0.9], [0.9], [0.1], [0.1]], "float32")
    assert task.error_of(y, outputs, weights) == pytest.approx(1 / 6)
    assert task.loss_of(y, outputs, weights) == pytest.approx(-(5 * np.log(0.9) + np.log(0.1)) / 6, rel=1e-4)


def test_weights_of_classes_weigh_integers_and_places_without_a_class():
    y = np.array([0, 0, 0, 2])
    task = task_of(y, (4, 3), SPARSE)
    weights = row_weights(task, y, None, {2: 3.0})
    np.testing.assert_allclose(task.shares(y, weights), [0.5, 0, 0.5])
    assert task.loss_of_prior(y, (4, 3), weights) == pytest.approx(np.log(2), rel=1e-4)
    assert task.error_of_prior(y, weights) == pytest.approx(0.5)


# --- copies ----------------------------------------------------------------------------------------------


@pytest.mark.every_backend
def test_new_weights_are_told_from_trained_ones():
    given = program(network(32, keras.layers.BatchNormalization(), 32))
    assert is_freshly_drawn(given.model, rebuilt(given.model))
    given.model.fit(given.training.x, given.training.y, epochs=2, verbose=0)
    assert not is_freshly_drawn(given.model, rebuilt(given.model))


@pytest.mark.every_backend
def test_an_adapted_normalization_makes_no_trained_model():
    x, _ = blobs()
    normalize = keras.layers.Normalization()
    normalize.adapt(7 * x + 3)
    model = network(normalize, 16)
    assert is_freshly_drawn(model, rebuilt(model))


def test_two_draws_are_hardly_ever_told_apart():
    given = program(network(8, 4))
    assert sum(is_freshly_drawn(rebuilt(given.model), rebuilt(given.model)) for _ in range(100)) == 100


def test_frozen_layers_keep_their_weights_and_the_others_are_drawn_anew():
    model = network(16, 16)
    model.layers[0].trainable = False
    given = program(model)
    lab = Laboratory(given, seconds=20)
    keras.utils.set_random_seed(5)
    copy = lab.build()
    np.testing.assert_array_equal(copy.layers[0].kernel, model.layers[0].kernel)
    assert not np.array_equal(copy.layers[1].kernel, model.layers[1].kernel)
    assert not copy.layers[0].trainable and copy.layers[1].trainable


class Own(keras.Model):
    """A subclassed model that does not say how it was made."""

    def __init__(self, network: keras.Model):
        super().__init__()
        self.network = network

    def call(self, x):
        return self.network(x)


def test_a_model_that_cannot_be_rebuilt_is_undecided_with_the_reason():
    model = Own(network(16))
    model(blobs()[0][:2])
    (finding,) = [f for f in by_trials(program(model), 20).findings if f.check == "training"]
    assert finding.verdict == "?" and "Own" in finding.measured


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((blobs()[0][:10], blobs()[1][:10]), "too few"),
        ((np.array([["a"], ["b"]] * 50), np.arange(100) % 2), "text"),
        ((np.full((100, 8), np.nan), np.arange(100) % 3), "finite"),
    ],
)
def test_data_that_cannot_be_trained_on_are_skipped_with_the_reason(data, words):
    healthy = program()
    with pytest.raises(UsageError, match=words):
        Laboratory(Program(healthy.model, Data(*data)))


def test_what_takes_too_long_is_undecided_with_the_reason_and_what_would_do():
    (finding,) = [f for f in by_trials(program(), seconds=0.001).findings if f.check == "training"]
    assert finding.verdict == "?"
    assert "do not fit into" in finding.measured and "would do" in finding.measured


# --- checks ----------------------------------------------------------------------------------------------


@pytest.mark.every_backend
def test_the_first_layer_that_is_not_finite_is_named():
    (finding,) = finite_numbers(program(network(4, Logarithm(name="culprit"), 4)))
    assert finding.verdict == "✗" and "culprit" in finding.measured
    (finding,) = finite_numbers(program())
    assert finding.verdict == "✓"


def test_an_output_of_minus_infinity_that_does_no_harm_is_none():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), WithoutLastClass()])
    (finding,) = finite_numbers(program(model))
    assert finding.verdict == "✓"


@pytest.mark.every_backend
def test_a_fix_is_tried():
    _, faulty = FAULTY["Adam at 10"]
    given = faulty()
    finding = next(f for f in by_trials(given, 300).findings if f.verdict == "✗")
    assert "errors" in (line := try_repair(finding, given, 300)) and re.search(r"(\d+) of \1 seeds", line)


def test_a_fix_that_changes_nothing_says_so():
    given = program()
    finding = next(iter(finite_numbers(given)))
    assert try_repair(finding, given) == ""


def test_labels_one_row_off_are_moved_back():
    given = program(data=one_row_off())
    finding = next(f for f in by_trials(given, 300).findings if f.check == "labels-follow-inputs")
    np.testing.assert_array_equal(finding.repair(given).training.y, blobs()[1])


def test_labels_of_the_row_after_may_be_a_forecast():
    x, y = blobs()
    given = program(data=(x, np.roll(y, -1)))
    finding = next(f for f in by_trials(given, 300).findings if f.check == "labels-follow-inputs")
    assert finding.verdict == "?" and "forecast" in finding.why and not finding.fix


def test_a_rate_that_makes_confident_errors_is_not_called_right():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 1500)
    x = (4.5 * np.eye(5)[y] + rng.normal(size=(1500, 5))).astype("float32")
    model = network(64, keras.layers.Dense(5, activation="softmax"), inputs=(5,))
    model.pop()
    given = program(model, (x, y), keras.optimizers.Adam(10.0), "sparse_categorical_crossentropy")
    finding = next(f for f in by_trials(given, 300).findings if f.check == "learning-rate-high")
    assert finding.verdict != "✓"


def test_both_modes_are_weighed_as_the_loss_is(monkeypatch):
    given = program(network(keras.layers.BatchNormalization()), class_weight={0: 1.0, 1: 9.0, 2: 1.0})
    lab = Laboratory(given, seconds=20)
    assert np.isfinite(lab.as_it_is.loss).all()
    monkeypatch.setattr(Task, "loss_of", lambda task, y, outputs, weights=None: np.ptp(weights))
    np.testing.assert_array_equal(both_modes(lab), np.full((2, len(lab.seeds)), 8.0))


def test_symbols_are_never_standardised():
    lab = Laboratory(program(embedding(), texts(), loss="binary_crossentropy"), seconds=20)
    assert not lab.can_be_standardised
    assert Laboratory(program(), seconds=20).can_be_standardised


def test_without_seconds_nothing_is_trained(monkeypatch):
    monkeypatch.setattr(Laboratory, "__init__", lambda *arguments, **options: pytest.fail("trained"))
    assert {f.check for f in by_trials(program(), seconds=0).findings} == {"finite-numbers"}


def test_a_trial_that_fails_hides_no_other(monkeypatch):
    def broken(lab):
        raise RuntimeError("broken")

    monkeypatch.setattr("crosscheck.diagnose._by_trials.STATISTICAL", {"broken": broken})
    monkeypatch.setattr(
        "crosscheck.diagnose._by_trials.NOTES", (lambda lab: iter([Finding("last", "note", "")]),)
    )
    trials = by_trials(program(), 20)
    told = {f.check: f for f in trials.findings}
    assert told["broken"].verdict == "?" and told["broken"].measured == "not tried: RuntimeError: broken"
    assert trials.findings[-1].check == "last"


def test_weights_that_the_training_left_say_nothing_of_how_it_began():
    given = program()
    given.model.fit(given.training.x, given.training.y, verbose=0)
    trials = by_trials(Program(given.model, given.training, history={"loss": [1.0]}), 20)
    (finding,) = [f for f in trials.findings if f.check == "training"]
    assert finding.verdict == "?" and "as it stood before" in finding.measured


def test_where_nothing_learns_no_setting_gets_an_all_clear():
    """Labels that smoothing replaces can be learnt by no rate and no scale."""
    x, y = blobs()
    model = network(4)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=1.0)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    found = by_trials(Program(model, Data(x, np.eye(CLASSES)[y]), epochs=100), 20).findings
    told = {f.check: f.verdict for f in found if f.check in BY_LEARNING}
    assert told and set(told.values()) == {"?"}, told
