"""Our losses against mpmath at 50 digits, in both tails, and their invariants."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from our_losses import BINARY, DTYPES, FUNCTIONS, example

from crosscheck import losses
from crosscheck.autodiff import logit_gradient

pytestmark = pytest.mark.every_backend

ULPS = 6  # softplus, a product and a mean, each rounded; e^z stands for ln(1 + e^z) below −14 in float32
SIZES = (0, 1e-3, 0.5, 1, 5, 10, 14, 17, 20, 30, 40, 60, 80, 100, 500, 700, 1e3, 1e4)
LOGITS = np.array([*(-z for z in reversed(SIZES[1:])), *SIZES])


def in_digits(formula: Callable[..., mpmath.mpf], *columns: np.ndarray) -> np.ndarray:
    with mpmath.workdps(50):
        return np.array(
            [float(formula(*map(mpmath.mpf, map(float, row)))) for row in zip(*columns, strict=True)]
        )


def sigma(z: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.exp(-z))


def exact(name: str) -> tuple[Callable[..., mpmath.mpf], Callable[..., mpmath.mpf]]:
    """Value and gradient of a binary loss, written so that no digit cancels for hard labels."""
    error = lambda y, z: (1 - y) * sigma(z) - y * sigma(-z)
    if name == "brier":
        return (lambda y, z: error(y, z) ** 2), (lambda y, z: 2 * error(y, z) * sigma(z) * sigma(-z))
    cost = lambda y, z: y * mpmath.log1p(mpmath.exp(-z)) + (1 - y) * mpmath.log1p(mpmath.exp(z))
    return cost, error


def assert_relative(actual: np.ndarray, expected: np.ndarray, dtype: str, ulps: float = ULPS) -> None:
    """A few units in the last place of each number's own size, down to the smallest normal number."""
    info = np.finfo(dtype)
    np.testing.assert_array_less(
        np.abs(np.asarray(actual, float) - expected), ulps * info.eps * np.abs(expected) + 2 * info.tiny
    )


# --- value and gradient -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", (0.0, 1.0))
@pytest.mark.parametrize("name", BINARY)
def test_hard_labels_are_exact_relative_to_their_own_size_in_both_tails(name, label, dtype):
    z, y = LOGITS.astype(dtype), np.full(len(LOGITS), label, dtype)
    value, slope = exact(name)
    # Squares and products of three factors gather more roundings.
    ulps = 2 * ULPS if name == "brier" else ULPS
    assert_relative(BINARY[name](y[:, None], z[:, None]), in_digits(value, y, z), dtype, ulps)
    actual = logit_gradient(BINARY[name], y[:, None], z[:, None])[:, 0]
    assert_relative(actual, in_digits(slope, y, z), dtype, ulps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", (0.1, 0.5, 0.9))
@pytest.mark.parametrize("name", BINARY)
def test_soft_labels_are_exact_against_1(name, label, dtype):
    z, y = LOGITS.astype(dtype), np.full(len(LOGITS), label, dtype)
    value, slope = exact(name)
    eps = np.finfo(dtype).eps
    actual = BINARY[name](y[:, None], z[:, None])
    np.testing.assert_allclose(actual, in_digits(value, y, z), rtol=ULPS * eps, atol=4 * eps)
    actual = logit_gradient(BINARY[name], y[:, None], z[:, None])[:, 0]
    np.testing.assert_allclose(actual, in_digits(slope, y, z), rtol=0, atol=4 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ("categorical", "sparse"))
@pytest.mark.parametrize("lead", SIZES)
def test_categorical_is_exact_in_the_left_tail(lead, name, dtype):
    """The true class, the first of three, lies `lead` below the second and level with the third."""
    z = np.array([[0, lead, 0]], dtype)
    y = np.array([0] if name == "sparse" else [[1, 0, 0]])
    with mpmath.workdps(50):
        total = 2 + mpmath.exp(mpmath.mpf(float(z[0, 1])))
        value = float(mpmath.log(total))
        slope = [float(part / total - t) for part, t in zip((1, total - 2, 1), (1, 0, 0), strict=True)]
    assert_relative(FUNCTIONS[name](y, z)[0], np.array(value), dtype)
    # ln p is rounded in proportion to its size, and e^(ln p) turns that into an error relative to p.
    ulps = ULPS + lead
    assert_relative(logit_gradient(FUNCTIONS[name], y, z)[0], np.array(slope), dtype, ulps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ("categorical", "sparse"))
@pytest.mark.parametrize("lead", (1, 10, 20, 40, 80))
def test_categorical_in_the_right_tail_keeps_the_other_classes_and_rounds_the_true_one_against_1(
    lead, name, dtype
):
    z, y = np.array([[lead, 0, 0]], dtype), np.array([0] if name == "sparse" else [[1, 0, 0]])
    other = 1 / (np.exp(float(lead)) + 2)
    actual = logit_gradient(FUNCTIONS[name], y, z)[0]
    assert_relative(actual[1:], np.array([other, other]), dtype, ULPS + lead)
    assert abs(actual[0] + 2 * other) <= 4 * np.finfo(dtype).eps
    value = FUNCTIONS[name](y, z)[0]
    assert abs(float(value) - np.log1p(2 * np.exp(-float(lead)))) <= 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", (1, 30, 1e4))
def test_categorical_with_soft_labels_is_exact_against_its_terms(scale, dtype):
    rng = np.random.default_rng(1)
    z, y = (scale * rng.normal(size=(6, 4))).astype(dtype), rng.dirichlet(np.ones(4), 6).astype(dtype)
    with mpmath.workdps(50):
        rows = [[list(map(mpmath.mpf, map(float, row))) for row in table] for table in (y, z)]
        totals = [mpmath.fsum(map(mpmath.exp, row)) for row in rows[1]]
        triples = list(zip(*rows, totals, strict=True))
        value = [float(mpmath.log(s) * sum(t) - mpmath.fdot(t, row)) for t, row, s in triples]
        slope = [
            [float(mpmath.exp(b) / s * sum(t) - a) for a, b in zip(t, row, strict=True)]
            for t, row, s in triples
        ]
    step, spread = np.finfo(dtype).eps, np.ptp(z, axis=-1)
    actual = np.abs(losses.categorical_crossentropy(y, z) - value)
    np.testing.assert_array_less(actual, 4 * step * (1 + spread))
    actual = np.abs(logit_gradient(losses.categorical_crossentropy, y, z) - slope)
    np.testing.assert_array_less(actual.max(-1), 8 * step * (1 + np.minimum(spread, 30)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", (1, 1e4))
def test_integer_labels_are_one_hot_labels(scale, dtype):
    y, z = example("sparse")
    z, hot = (scale * z).astype(dtype), np.eye(5, dtype=dtype)[y]
    sparse, dense = losses.sparse_categorical_crossentropy, losses.categorical_crossentropy
    step = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(sparse(y, z), dense(hot, z), rtol=step, atol=step)
    np.testing.assert_allclose(logit_gradient(sparse, y, z), logit_gradient(dense, hot, z), rtol=0, atol=step)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_largest_logits_stay_finite(name):
    for sign in (-1, 1):
        y, z = example(name)
        z = sign * 1e4 * np.sign(z)
        assert np.isfinite(FUNCTIONS[name](y, z)).all()
        assert np.isfinite(logit_gradient(FUNCTIONS[name], y, z)).all()


# --- smoothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alpha", (0.01, 0.1, 0.5))
def test_smoothed_binary_loss_is_minimal_at_its_finite_optimum(alpha, dtype):
    best = np.log((1 - alpha / 2) / (alpha / 2))
    z = np.array([[best - 0.1], [best], [best + 0.1]], dtype)
    smoothed = lambda y, z: losses.binary_crossentropy(y, z, alpha)
    before, at, after = logit_gradient(smoothed, np.ones((3, 1), dtype), z)[:, 0]
    assert before < 0 < after
    assert abs(at) <= 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alpha", (0.01, 0.1, 0.5))
@pytest.mark.parametrize("k", (2, 10))
def test_smoothed_categorical_loss_is_minimal_at_its_finite_gap(k, alpha, dtype):
    y = np.eye(k, dtype=dtype)[:1]
    gap = np.log1p(k * (1 - alpha) / alpha)
    slope = lambda g: logit_gradient(
        lambda y, z: losses.categorical_crossentropy(y, z, alpha), y, (g * y).astype(dtype)
    )
    assert slope(gap - 0.1)[0, 0] < 0 < slope(gap + 0.1)[0, 0]
    np.testing.assert_allclose(slope(gap), 0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_smoothing_is_that_of_the_labels(name):
    y, z = example(name)
    alpha, k = 0.3, 2 if name in BINARY else 5
    soft = (np.eye(5)[y] if name == "sparse" else y) * (1 - alpha) + alpha / k
    plain = FUNCTIONS["categorical" if name == "sparse" else name]
    np.testing.assert_allclose(FUNCTIONS[name](y, z, alpha), plain(soft, z), rtol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_smoothing_is_not_rounded_to_float32_beside_float64_logits(name):
    """0.3 as a float32 is off by 4e-8 of itself."""
    y, z = example(name)
    alpha, z, k = 0.3, z.astype("float64"), 2 if name in BINARY else 5
    soft = (np.eye(5)[y] if name == "sparse" else y.astype("float64")) * (1 - alpha) + alpha / k
    plain = FUNCTIONS["categorical" if name == "sparse" else name]
    smoothed = lambda y, z: FUNCTIONS[name](y, z, alpha)
    np.testing.assert_allclose(smoothed(y, z), plain(soft, z), rtol=1e-14)
    np.testing.assert_allclose(logit_gradient(smoothed, y, z), logit_gradient(plain, soft, z), atol=1e-15)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_tensor_of_smoothing_gives_each_example_its_own(name):
    y, z = example(name, n=3)  # as many examples as labels: the wrong axis would fit, too
    alphas = np.array([0.0, 0.2, 0.7], "float32")
    apart = [FUNCTIONS[name](y[i : i + 1], z[i : i + 1], float(a))[0] for i, a in enumerate(alphas)]
    np.testing.assert_allclose(FUNCTIONS[name](y, z, tf.constant(alphas)), apart, rtol=1e-6)


# --- invariants -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alpha", (0.0, 0.2))
def test_two_classes_are_the_binary_loss_of_their_difference(alpha, dtype):
    z = LOGITS[np.abs(LOGITS) <= 100].astype(dtype)
    for label in (0, 1):
        y = np.full((len(z), 1), label, dtype)
        pair = np.stack([np.zeros_like(z), z], -1)
        two = losses.sparse_categorical_crossentropy(y, pair, alpha)
        tolerance = {"rtol": 4 * np.finfo(dtype).eps, "atol": 4 * np.finfo(dtype).eps}
        np.testing.assert_allclose(two, losses.binary_crossentropy(y, z[:, None], alpha), **tolerance)


some_logits = st.lists(st.floats(-100, 100), min_size=2, max_size=8)


@settings(deadline=None, max_examples=50)
@given(some_logits, st.floats(-100, 100), st.floats(0, 1))
def test_softmax_losses_do_not_see_a_common_shift(logits, shift, alpha):
    z, y = np.array([logits]), np.array([len(logits) - 1])
    moved = losses.sparse_categorical_crossentropy(y, z + shift, alpha)
    np.testing.assert_allclose(losses.sparse_categorical_crossentropy(y, z, alpha), moved, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(some_logits, st.floats(0, 1))
def test_gradients_of_softmax_losses_sum_to_zero(logits, alpha):
    smoothed = lambda y, z: losses.sparse_categorical_crossentropy(y, z, alpha)
    slope = logit_gradient(smoothed, np.array([0]), np.array([logits]))
    assert abs(slope.sum()) <= 2 * len(logits) * np.finfo("float64").eps


@settings(deadline=None, max_examples=50)
@given(some_logits.flatmap(lambda z: st.tuples(st.just(z), st.permutations(range(len(z))))), st.floats(0, 1))
def test_softmax_losses_do_not_know_the_order_of_the_classes(drawn, alpha):
    z, order = np.array([drawn[0]]), list(drawn[1])
    y = np.eye(len(order))[:1]
    smoothed = lambda y, z: losses.categorical_crossentropy(y, z, alpha)
    np.testing.assert_allclose(smoothed(y[:, order], z[:, order]), smoothed(y, z), rtol=1e-13, atol=1e-13)
    moved = logit_gradient(smoothed, y[:, order], z[:, order])
    np.testing.assert_allclose(moved, logit_gradient(smoothed, y, z)[:, order], atol=1e-13)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=4))
def test_binary_losses_are_symmetric_in_the_two_classes(logits):
    z = np.array([logits])
    for loss in BINARY.values():
        mirrored = loss(np.zeros_like(z), -z)
        np.testing.assert_array_equal(loss(np.ones_like(z), z), mirrored)


@pytest.mark.parametrize("name", ["binary_crossentropy", "brier"])
def test_binary_labels_that_are_none_give_nan(name: str) -> None:
    """−1 and 1, or 0 and 255: the loss would be −0.15 or −144.7, and fall for ever."""
    loss, z = getattr(losses, name), np.array([[1.9], [-0.57], [0.3], [0.3]])
    values = np.asarray(loss(np.array([[-1.0], [255.0], [1.0], [0.5]]), z))
    assert np.isnan(values).tolist() == [True, True, False, False]
