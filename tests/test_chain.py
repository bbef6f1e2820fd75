"""The classifier chain against exact enumeration and scikit-learn's, on the backend of this process."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from plainly import EAGERLY, PLAINLY, repeated
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain as SklearnChain

from crosscheck import information, losses
from crosscheck.models import ClassifierChain

pytestmark = pytest.mark.every_backend

ORDERS = (None, [2, 0, 1])


def chain(order=None, labels: int = 3, features=None, seed: int = 0, **kwargs) -> ClassifierChain:
    """A chain on two features, with weights drawn at random."""
    chain = ClassifierChain(labels, features, order, **kwargs)
    chain.build([(None, 2), (None, labels)])
    rng = np.random.default_rng(seed)
    chain.set_weights([rng.normal(size=weight.shape) for weight in chain.weights])
    return chain


def examples(n: int = 5, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 2)).astype("float32"), rng.integers(0, 2, (n, labels)).astype("int32")


def numpy(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def by_hand(model: ClassifierChain, x: np.ndarray, y: np.ndarray) -> float:
    """ln P(y | x) of one example, factor by factor along the chain."""
    kernel, bias = (numpy(weight) for weight in model.head.weights)
    coupling, total, decided = numpy(model.coupling), 0.0, []
    for label in model.order:
        z = float(x @ kernel[:, label] + bias[label] + sum(coupling[k, label] * y[k] for k in decided))
        total -= np.logaddexp(0, -z if y[label] else z)
        decided.append(label)
    return total


@pytest.mark.parametrize("order", ORDERS)
def test_the_log_probability_is_the_sum_over_the_factors(order) -> None:
    model, (x, y) = chain(order), examples()
    expected = [by_hand(model, *pair) for pair in zip(x, y, strict=True)]
    np.testing.assert_allclose(numpy(model.log_probability(x, y)), expected, rtol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_the_outcomes_are_a_law_and_agree_with_the_log_probability(order) -> None:
    model, (x, _) = chain(order), examples()
    joint = numpy(model.joint_probabilities(x))
    np.testing.assert_allclose(joint.sum(-1), 1, rtol=1e-5)
    for place, outcome in enumerate(information.outcomes(3)):
        y = np.broadcast_to(outcome, (len(x), 3)).astype("int32")
        np.testing.assert_allclose(joint[:, place], np.exp(numpy(model.log_probability(x, y))), rtol=1e-5)


def test_the_marginals_are_those_of_the_joint_table() -> None:
    model, (x, _) = chain([2, 0, 1]), examples()
    joint = numpy(model.joint_probabilities(x)).reshape(-1, 2, 2, 2)
    expected = np.stack([joint[:, 1].sum((1, 2)), joint[:, :, 1].sum((1, 2)), joint[..., 1].sum((1, 2))], -1)
    np.testing.assert_allclose(numpy(model.marginals(x)), expected, rtol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_the_loss_of_independent_labels_on_its_logits_is_the_chains_loss(order) -> None:
    model, (x, y) = chain(order), examples()
    model.compile("sgd", losses.BinaryCrossentropy(), **EAGERLY)
    actual = model.evaluate([x, y], y, verbose=0)
    assert actual == pytest.approx(-numpy(model.log_probability(x, y)).mean() / 3, rel=1e-5)


def test_a_logit_does_not_see_its_own_label_or_a_later_one() -> None:
    model, (x, y) = chain([2, 0, 1]), examples()
    before = numpy(model([x, y]))
    for place, label in enumerate(model.order):
        y_other = y.copy()
        y_other[:, label] = 1 - y_other[:, label]
        moved = np.abs(numpy(model([x, y_other])) - before).max(0) > 1e-6
        assert set(np.flatnonzero(moved)) == set(model.order[place + 1 :])


def test_samples_have_the_joint_law() -> None:
    model, n = chain([2, 0, 1]), 20_000
    x = np.broadcast_to(np.array([0.3, -0.2], "float32"), (n, 2))
    drawn = numpy(model.sample(x, seed=3))
    p = numpy(model.joint_probabilities(x[:1]))[0]
    frequency = information.counts(drawn) / n
    np.testing.assert_array_less(np.abs(frequency - p), 5 * np.sqrt(p * (1 - p) / n))
    again = numpy(model.sample(x, seed=3))
    np.testing.assert_array_equal(drawn, again)


@pytest.mark.parametrize("order", ORDERS)
def test_greedy_decides_each_label_given_those_before(order) -> None:
    model, (x, _) = chain(order), examples(50)
    actual = numpy(model.greedy(x))
    np.testing.assert_array_equal(actual, numpy(model([x, actual])) > 0)


def take_steps(model, count, x, y, **weight) -> None:
    """Steps on all examples at once, within one epoch: an epoch costs many times what a step does."""
    steps_x, steps_y = repeated(count, x, y)
    weight = {name: np.concatenate([value] * count) for name, value in weight.items()}
    model.fit([steps_x, steps_y], steps_y, batch_size=len(x), shuffle=False, verbose=0, **weight)


def test_training_finds_scikit_learns_chain() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2)).astype("float32")
    y = (x[:, :1] + rng.logistic(size=(600, 3)) > 0).astype("int32")
    y[:, 2] = np.where(rng.random(600) < 0.8, y[:, 0] ^ y[:, 1], y[:, 2])
    order = [1, 2, 0]
    model = ClassifierChain(3, order=order)
    model.compile(keras.optimizers.Adam(0.1), losses.BinaryCrossentropy(), **PLAINLY)
    take_steps(model, 300, x, y)
    judge = SklearnChain(LogisticRegression(C=1e8, tol=1e-8), order=order).fit(x, y)
    for place, label in enumerate(order):
        fitted = judge.estimators_[place].coef_[0]
        np.testing.assert_allclose(numpy(model.head.kernel)[:, label], fitted[:2], atol=5e-3)
        np.testing.assert_allclose(numpy(model.coupling)[order[:place], label], fitted[2:], atol=5e-3)
    np.testing.assert_array_equal(numpy(model.greedy(x)), judge.predict(x))


def test_with_two_labels_it_learns_any_joint_law() -> None:
    """Without features, trained on a table of frequencies, it gives the table back."""
    p = np.array([0.1, 0.2, 0.15, 0.55])
    y, x = information.outcomes(2).astype("float32"), np.zeros((4, 1), "float32")
    model = ClassifierChain(2)
    model.compile(keras.optimizers.Adam(0.05), losses.BinaryCrossentropy(), **PLAINLY)
    take_steps(model, 400, x, y, sample_weight=4 * p)
    np.testing.assert_allclose(numpy(model.joint_probabilities(x[:1]))[0], p, atol=2e-3)


@pytest.mark.parametrize("inner", (None, "dense"))
def test_it_is_saved_and_loaded(inner, tmp_path) -> None:
    features = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, "relu")]) if inner else None
    model, (x, y) = chain([2, 0, 1], features=features, name="mine"), examples()
    model.compile("adam", losses.BinaryCrossentropy(label_smoothing=0.1))
    model.fit([x, y], y, verbose=0)
    model.save(tmp_path / "chain.keras")
    again = keras.models.load_model(tmp_path / "chain.keras")
    assert (again.labels, list(again.order), again.name) == (3, [2, 0, 1], "mine")
    np.testing.assert_array_equal(numpy(again([x, y])), numpy(model([x, y])))
    assert again.evaluate([x, y], y, verbose=0) == model.evaluate([x, y], y, verbose=0)


def test_dropout_in_the_features_acts_in_training_alone() -> None:
    features = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5, seed=0)])
    model, (x, y) = ClassifierChain(3, features), examples(50)
    model.build([(None, 2), (None, 3)])
    still, moving = numpy(model([x, y])), numpy(model([x, y], training=True))
    assert np.abs(still - moving).max() > 0.1
    np.testing.assert_array_equal(still, numpy(model([x, y], training=False)))
    np.testing.assert_array_equal(numpy(model.from_features(x)), numpy(model.from_features(x)))


def test_half_precision_is_read_out_in_float32() -> None:
    model, (x, y) = chain(dtype="mixed_bfloat16"), examples()
    assert keras.backend.standardize_dtype(model([x, y]).dtype) == "bfloat16"
    actual = model.log_probability(x, y)
    assert keras.backend.standardize_dtype(actual.dtype) == "float32"
    np.testing.assert_allclose(numpy(actual), numpy(chain().log_probability(x, y)), rtol=0.05, atol=0.05)


def test_many_labels_are_no_matter_but_for_the_whole_table() -> None:
    model, (x, y) = chain(labels=28), examples(labels=28)
    assert numpy(model.log_probability(x, y)).shape == (5,)
    assert numpy(model.sample(x, seed=0)).shape == numpy(model.greedy(x)).shape == (5, 28)
    with pytest.raises(ValueError, match="28 labels"):
        model.joint_probabilities(x)


@pytest.mark.parametrize("order", ([0, 1], [0, 1, 1], [1, 2, 3]))
def test_an_order_that_is_no_permutation_is_refused(order) -> None:
    with pytest.raises(ValueError, match="permutation"):
        ClassifierChain(3, order=order)
    with pytest.raises(ValueError, match="permutation"):
        ClassifierChain(0)
