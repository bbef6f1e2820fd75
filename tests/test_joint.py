"""The joint loss against enumeration, mpmath and the losses it is made of, on the backend of this process."""

from __future__ import annotations

import itertools

import keras
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy import special

from crosscheck import information, losses
from crosscheck.autodiff import logit_gradient
from crosscheck.data import CommonCause
from crosscheck.replicates._additive import adds_up

pytestmark = pytest.mark.every_backend

DTYPES = ("float32", "float64")


def numpy(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def example(n: int = 4, labels: int = 3, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (n, labels)).astype("float32")
    return y, (scale * rng.normal(size=(n, 2**labels))).astype("float32")


def place(y: np.ndarray) -> np.ndarray:
    """The outcome as a binary number, written out: "101" is 5."""
    return np.array([int("".join(str(int(bit)) for bit in row), 2) for row in y])


drawn = st.integers(1, 4).flatmap(
    lambda labels: st.tuples(
        st.lists(st.integers(0, 1), min_size=labels, max_size=labels),
        st.lists(st.floats(-60, 60), min_size=2**labels, max_size=2**labels),
    )
)


# --- the loss ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", (0.0, 0.3))
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_the_softmax_loss_of_the_outcome(dtype, alpha) -> None:
    y, z = example(20, scale=10)
    sparse = losses.sparse_categorical_crossentropy(place(y), z.astype(dtype), alpha)
    actual = losses.joint_crossentropy(y, z.astype(dtype), alpha)
    np.testing.assert_array_equal(numpy(actual), numpy(sparse))
    assert keras.backend.standardize_dtype(actual.dtype) == dtype


@settings(deadline=None, max_examples=50)
@given(drawn)
def test_it_is_minus_the_logarithm_of_the_outcomes_probability(pair) -> None:
    y, z = pair
    with mpmath.workdps(50):
        total = mpmath.fsum(mpmath.exp(logit) for logit in z)
        expected = float(mpmath.log(total) - z[place(np.array([y]))[0]])
    actual = float(losses.joint_crossentropy(np.array([y], float), np.array([z]))[0])
    assert actual == pytest.approx(expected, rel=1e-12, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(drawn)
def test_its_gradient_is_p_minus_the_outcome(pair) -> None:
    y, z = np.array([pair[0]], float), np.array([pair[1]])
    expected = special.softmax(z, axis=-1)
    expected[0, place(y)[0]] -= 1
    np.testing.assert_allclose(logit_gradient(losses.joint_crossentropy, y, z), expected, atol=1e-13)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-20, 20), min_size=1, max_size=5))
def test_independent_logits_give_the_sum_of_the_binary_losses(logits) -> None:
    """The joint softmax holds every product of sigmoids: the logit of an outcome is Σ_l y_l z_l."""
    z, labels = np.array(logits), len(logits)
    y = information.outcomes(labels).astype(float)
    joint = losses.joint_crossentropy(y, np.broadcast_to(y @ z, (len(y), len(y))))
    binary = labels * losses.binary_crossentropy(y, np.broadcast_to(z, y.shape))
    np.testing.assert_allclose(numpy(joint), numpy(binary), rtol=1e-12, atol=1e-12)


def test_the_best_joint_loss_is_lower_by_the_total_correlation() -> None:
    cause = CommonCause(labels=4, strength=0.8, revealed=0.0)
    p, y = cause.joint().ravel(), information.outcomes(4).astype(float)
    best = numpy(losses.joint_crossentropy(y, np.broadcast_to(np.log(p), (16, 16))))
    alone = 4 * numpy(losses.binary_crossentropy(y, np.zeros((16, 4))))
    assert p @ (alone - best) == pytest.approx(cause.total_correlation())


def test_labels_between_0_and_1_are_labels_drawn_independently() -> None:
    _, z = example(1, labels=3)
    soft = np.array([[0.2, 1.0, 0.7]], "float32")
    outcomes = information.outcomes(3)
    chance = np.prod(np.where(outcomes, soft, 1 - soft), axis=-1)
    values = numpy(losses.joint_crossentropy(outcomes, np.repeat(z, 8, axis=0)))
    np.testing.assert_allclose(numpy(losses.joint_crossentropy(soft, z)), [chance @ values], rtol=1e-6)
    np.testing.assert_allclose(numpy(losses.outcome_probabilities(soft))[0], chance, rtol=1e-6)


def test_smoothing_smooths_each_label_as_the_binary_loss_does() -> None:
    """The target is (1 − α) of the outcome and α of the uniform; its marginals are y (1 − α) + α/2."""
    y, _ = example(8)
    alpha = 0.3
    target = (1 - alpha) * numpy(losses.outcome_probabilities(y)) + alpha / 8
    np.testing.assert_allclose(
        numpy(losses.marginals(np.log(target))), y * (1 - alpha) + alpha / 2, rtol=1e-5
    )
    _, z = example(8)
    expected = losses.categorical_crossentropy(target, z)
    np.testing.assert_allclose(numpy(losses.joint_crossentropy(y, z, alpha)), numpy(expected), rtol=1e-5)


def test_a_tensor_of_smoothing_gives_each_example_its_own() -> None:
    y, z = example(3)  # as many examples as labels: the wrong axis would fit, too
    alphas = np.array([0.0, 0.2, 0.7], "float32")
    apart = [float(losses.joint_crossentropy(y[i : i + 1], z[i : i + 1], a)[0]) for i, a in enumerate(alphas)]
    np.testing.assert_allclose(numpy(losses.joint_crossentropy(y, z, alphas)), apart, rtol=1e-6)


def test_the_largest_logits_stay_finite() -> None:
    y, z = example()
    z = 1e4 * np.sign(z)
    assert np.isfinite(numpy(losses.joint_crossentropy(y, z))).all()
    assert np.isfinite(logit_gradient(losses.joint_crossentropy, y, z)).all()


# --- shapes -----------------------------------------------------------------------------------------


def test_one_value_an_example() -> None:
    y, z = example(6)
    values = numpy(losses.joint_crossentropy(y, z))
    assert values.shape == (6,)
    folded = losses.joint_crossentropy(y.reshape(2, 3, 3), z.reshape(2, 3, 8))
    np.testing.assert_array_equal(np.ravel(numpy(folded)), values)


@pytest.mark.parametrize(
    ("y", "z"),
    [((4, 3), (4, 3)), ((4, 3), (4, 4)), ((4, 2), (4, 8)), ((4,), (4, 2)), ((), (2,)), ((4, 3), ())],
)
def test_labels_and_logits_that_do_not_fit_are_refused(y, z) -> None:
    with pytest.raises(ValueError, match=r"do not fit"):
        losses.joint_crossentropy(np.zeros(y), np.zeros(z))


def test_labels_and_logits_of_different_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        losses.joint_crossentropy(np.zeros((5, 2)), np.zeros((4, 4)))
    with pytest.raises(ValueError, match="differ in shape"):
        losses.joint_crossentropy(np.zeros((1, 2)), np.zeros((4, 4)))


def test_too_many_labels_are_refused_by_the_name_of_the_alternative() -> None:
    assert losses.joint_crossentropy(np.zeros((1, 12)), np.zeros((1, 4096))).shape == (1,)
    with pytest.raises(ValueError, match=r"2\^13.*ClassifierChain"):
        losses.joint_crossentropy(np.zeros((1, 13)), np.zeros((1, 8192)))
    with pytest.raises(ValueError, match=r"2\^13.*ClassifierChain"):
        losses.marginals(np.zeros((1, 8192)))


@pytest.mark.parametrize("read", (losses.marginals, losses.most_likely))
@pytest.mark.parametrize("size", (1, 3, 6))
def test_a_number_of_logits_that_is_no_power_of_2_is_refused(read, size) -> None:
    with pytest.raises(ValueError, match="power of 2"):
        read(np.zeros((4, size)))


@pytest.mark.parametrize("dtype", ("bfloat16", "float16"))
def test_half_precision_logits_are_computed_in_float32(dtype) -> None:
    y, z = example()
    half = ops.cast(z, dtype)
    for actual in (losses.joint_crossentropy(y, half), losses.marginals(half)):
        assert keras.backend.standardize_dtype(actual.dtype) == "float32"
    expected = losses.joint_crossentropy(y, ops.cast(half, "float32"))
    np.testing.assert_array_equal(numpy(losses.joint_crossentropy(y, half)), numpy(expected))


# --- reading the outcomes back ----------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(drawn)
def test_marginals_are_sums_over_the_outcomes(pair) -> None:
    z = np.array([pair[1]])
    labels = len(pair[0])
    expected = special.softmax(z, axis=-1) @ information.outcomes(labels)
    np.testing.assert_allclose(numpy(losses.marginals(z)), expected, rtol=1e-11)
    np.testing.assert_allclose(numpy(losses.joint_probabilities(z)), special.softmax(z, axis=-1), rtol=1e-12)


def test_marginals_of_the_common_cause_are_fair_coins_in_the_datas_own_order() -> None:
    p = CommonCause(labels=3, strength=0.8, revealed=0.0).joint_given(1).ravel()
    np.testing.assert_allclose(numpy(losses.marginals(np.log(p))), np.full(3, 0.9), rtol=1e-6)


def test_marginal_logits_lose_neither_tail() -> None:
    z = np.array([[-200.0, 0.0]])  # one label
    assert float(losses.marginal_logits(z)[0, 0]) == 200
    assert float(losses.marginal_logits(-z)[0, 0]) == -200
    independent = np.array([150.0, -90.0, 0.25])
    joint = information.outcomes(3) @ independent
    np.testing.assert_allclose(numpy(losses.marginal_logits(joint)), independent, atol=1e-13)


def test_the_most_likely_outcome_need_not_be_made_of_likely_labels() -> None:
    z = np.log([[0.4, 0.3, 0.3, 1e-9]])  # (0, 0), (0, 1), (1, 0): no single label is likely
    np.testing.assert_array_equal(numpy(losses.most_likely(z)), [[0, 0]])
    z = np.log([[1e-9, 0.3, 0.3, 0.4]])
    np.testing.assert_array_equal(numpy(losses.most_likely(z)), [[1, 1]])
    z = np.log([[1e-9, 1e-9, 0.4, 1e-9, 1e-9, 0.3, 0.3, 1e-9]])  # 010 is likeliest; by marginals 1 _ _
    np.testing.assert_array_equal(numpy(losses.most_likely(z)), [[0, 1, 0]])
    np.testing.assert_array_equal(numpy(losses.marginals(z)) > 0.5, [[True, True, False]])


def test_every_outcome_is_read_back() -> None:
    for labels in (1, 2, 4):
        outcomes = np.array(list(itertools.product((0, 1), repeat=labels)))
        np.testing.assert_array_equal(numpy(losses.most_likely(np.eye(2**labels))), outcomes)
        hot = numpy(losses.outcome_probabilities(outcomes.astype("float32")))
        np.testing.assert_array_equal(hot, np.eye(2**labels))


# --- the Keras class --------------------------------------------------------------------------------


def test_the_class_reduces_and_weights_as_keras_does() -> None:
    y, z = example()
    values, weights = numpy(losses.joint_crossentropy(y, z, 0.1)), np.array([0.5, 0.0, 2.0, 1.0], "float32")
    expected = {
        "sum_over_batch_size": np.sum(values * weights) / 4,
        "sum": np.sum(values * weights),
        "mean_with_sample_weight": np.sum(values * weights) / weights.sum(),
        None: values * weights,
    }
    for reduction, value in expected.items():
        loss = losses.JointCrossentropy(label_smoothing=0.1, reduction=reduction)
        np.testing.assert_allclose(numpy(loss(y, z, sample_weight=weights)), value, rtol=1e-6)


def test_masked_examples_do_not_count() -> None:
    y, z = example()
    masked = ops.convert_to_tensor(z)
    keras.src.backend.set_keras_mask(masked, ops.convert_to_tensor([True, False, True, False]))
    actual = float(losses.JointCrossentropy()(y, masked))
    assert actual == pytest.approx(numpy(losses.joint_crossentropy(y, z))[::2].mean(), rel=1e-6)


def test_integer_labels_will_do() -> None:
    y, z = example()
    actual = losses.JointCrossentropy()(y.astype("int32"), z)
    np.testing.assert_array_equal(numpy(actual), numpy(losses.JointCrossentropy()(y, z)))


def test_configuration_survives_the_round_trip() -> None:
    loss = losses.JointCrossentropy(label_smoothing=0.2, reduction="sum", name="mine", dtype="float64")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is losses.JointCrossentropy
    expected = {"label_smoothing": 0.2, "reduction": "sum", "name": "mine", "dtype": "float64"}
    assert again.get_config() == loss.get_config() == expected


def test_a_compiled_model_trains_and_is_saved_with_it(tmp_path) -> None:
    y, x = example(32)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    model.compile(keras.optimizers.SGD(0.1), losses.JointCrossentropy(label_smoothing=0.2))
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=3, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == model.loss.get_config()
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("alpha", (-0.1, 1.1, float("nan")))
def test_smoothing_outside_the_unit_interval_is_refused(alpha) -> None:
    with pytest.raises(ValueError, match="label_smoothing"):
        losses.JointCrossentropy(label_smoothing=alpha)


def test_replicates_know_that_it_is_a_mean_over_examples() -> None:
    assert adds_up(losses.JointCrossentropy()) and adds_up(losses.joint_crossentropy)
    assert not adds_up(losses.JointCrossentropy(reduction="sum"))
