"""Independent and joint outputs side by side: each trains as if alone, and their gap is the one of theory."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from plainly import EAGERLY, PLAINLY, repeated

from crosscheck import information, losses
from crosscheck.data import CommonCause
from crosscheck.lab import independence
from crosscheck.models import perceptron, side_by_side

RATE, STEPS = 0.05, 300


def test_outputs_that_share_nothing_train_as_if_alone() -> None:
    """With both losses added up, the weights go where each loss alone takes them."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 3)).astype("float32"), rng.integers(0, 2, (64, 2)).astype("float32")
    whole = independence.both_outputs(3, [4], 2)()
    parts = [perceptron(3, [4], width)() for width in (2, 4)]
    for part, inner in zip(parts, [layer for layer in whole.layers if layer.weights], strict=True):
        part.set_weights(inner.get_weights())
    sums = (
        independence.both_losses,
        lambda y, z: 2 * losses.binary_crossentropy(y, z),
        losses.joint_crossentropy,
    )
    for model, loss in zip((whole, *parts), sums, strict=True):
        model.compile(keras.optimizers.Adam(0.01), loss, **EAGERLY)
        model.fit(x, y, batch_size=16, epochs=5, shuffle=False, verbose=0)
    apart = np.concatenate([part.predict(x, verbose=0) for part in parts], axis=-1)
    np.testing.assert_allclose(whole.predict(x, verbose=0), apart, atol=1e-5)


def test_side_by_side_puts_the_outputs_in_order() -> None:
    model = side_by_side(3, [5], (2, 4))()
    assert model.output_shape == (None, 6)
    _, second = (layer for layer in model.layers if layer.weights)
    second.set_weights([np.zeros_like(weight) for weight in second.get_weights()])
    out = model.predict(np.ones((1, 3), "float32"), verbose=0)
    assert (out[:, 2:] == 0).all() and (out[:, :2] != 0).any()


def test_counts_train_as_the_examples_that_they_count() -> None:
    rng = np.random.default_rng(1)
    table = rng.integers(1, 20, (2, 4))  # two features, two labels
    logits = independence.trained_on_counts([3], table[None], RATE, 50)[0]
    place = np.repeat(np.arange(8), table.ravel())
    x, y = np.eye(2, dtype="float32")[place // 4], information.outcomes(2)[place % 4].astype("float32")
    keras.utils.set_random_seed(3)
    model = independence.both_outputs(2, [], 2)()
    model.compile(keras.optimizers.Adam(RATE), independence.both_losses, **PLAINLY)
    model.fit(*repeated(50, x, y), batch_size=len(x), shuffle=False, verbose=0)
    np.testing.assert_allclose(logits, model.predict(np.eye(2, dtype="float32"), verbose=0), atol=1e-4)


def test_the_gap_after_training_is_the_total_correlation() -> None:
    cause = CommonCause(labels=3, strength=0.8, revealed=0.0)
    law = cause.joint().ravel()
    logits = independence.trained_on_counts([0], 1000 * law[None, None], RATE, STEPS)[0]
    assert independence.gap(logits, law)[0] == pytest.approx(cause.total_correlation(), abs=1e-3)


def test_likelihoods_are_those_of_the_losses() -> None:
    rng = np.random.default_rng(2)
    z, outcomes = rng.normal(size=(1, 3 + 8)), information.outcomes(3).astype(float)
    alone, joint = (part[0] for part in independence.log_likelihoods(z))
    z = np.repeat(z, 8, axis=0)
    np.testing.assert_allclose(-alone, 3 * np.asarray(losses.binary_crossentropy(outcomes, z[:, :3])))
    np.testing.assert_allclose(-joint, np.asarray(losses.joint_crossentropy(outcomes, z[:, 3:])))
    both = np.asarray(independence.both_losses(outcomes, z))
    np.testing.assert_allclose(both, -alone - joint)


def examples(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    return CommonCause(labels=2, strength=1.0, revealed=1.0).sample(np.random.default_rng(0), n)


def test_held_out_gaps_are_those_of_what_the_arm_leaves() -> None:
    """Two labels that are one; the features tell it."""
    arms = ("", "mean", "features", "labels")
    gaps, errors = independence.held_out_gaps([0, 1], *examples(), arms, steps=400, rate=0.05)
    bare, mean, features, labels = gaps.mean(1)
    assert gaps.shape == errors.shape == (4, 2)
    assert abs(bare) < 0.05 and abs(labels) < 0.1
    assert mean == pytest.approx(np.log(2), abs=0.05) == features


def test_the_split_is_of_the_seed_whatever_the_arm() -> None:
    x, y = examples()
    named, plain = (independence.arranged(x, y, 5, arm) for arm in ("features", ""))
    np.testing.assert_array_equal(named[1], plain[1])
    assert (named[0] != plain[0]).any()
    again = independence.arranged(x, y, 5, "features again")
    assert (again[0] != named[0]).any()
    np.testing.assert_array_equal(np.sort(named[0], axis=0), np.sort(plain[0], axis=0))
    alone = independence.arranged(x, y, 5, "labels")
    np.testing.assert_array_equal(alone[0], plain[0])
    np.testing.assert_array_equal(alone[1].sum(0), plain[1].sum(0))
    assert (alone[1][:, 0] != alone[1][:, 1]).any() and (plain[1][:, 0] == plain[1][:, 1]).all()


@pytest.mark.parametrize(("n", "trained"), [(593, 384), (2417, 1600), (1797, 1152), (192, 128)])
def test_two_thirds_in_whole_batches_are_trained_on(n: int, trained: int) -> None:
    assert independence.examples_to_train(n, 64) == trained <= 2 * n / 3
