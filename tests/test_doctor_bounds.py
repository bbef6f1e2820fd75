"""The doctor on heads whose logits are bounded, losses of class numbers, steps that train nothing, hinges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import losses as S
from keras import ops

from crosscheck.doctor import examine
from crosscheck.errors import UsageError

pytestmark = pytest.mark.every_backend
TENSORFLOW, JAX = (keras.backend.backend() == name for name in ("tensorflow", "jax"))


def unit(x: Any, axis: int) -> Any:
    return x / ops.sqrt(ops.sum(ops.square(x), axis, keepdims=True) + 1e-12)


class Cosine(L.Layer):
    """Scores are the cosines of the features with a vector for each class, times a scale."""

    def __init__(self, units: int, scale: float = 1.0, learnt: bool = False):
        super().__init__()
        self.units, self.scale, self.learnt = units, scale, learnt

    def build(self, shape: Any) -> None:
        self.vectors = self.add_weight(shape=(shape[-1], self.units), name="vectors")
        if self.learnt:
            start = keras.initializers.Constant(self.scale)
            self.factor = self.add_weight(shape=(), initializer=start, name="factor")

    def call(self, x: Any) -> Any:
        cosines = ops.matmul(unit(x, -1), unit(self.vectors, 0))
        return cosines * (self.factor if self.learnt else self.scale)


def chained(*layers: Callable[[Any], Any]) -> keras.Model:
    x = start = L.Input((3,))
    for layer in layers:
        x = layer(x)
    return keras.Model(start, x)


def examined(loss: Any, *layers: Callable[[Any], Any]) -> Any:
    model = chained(*layers)
    model.compile("sgd", loss)
    (diagnosis,) = examine(model)
    return diagnosis


def from_logits() -> S.Loss:
    return S.SparseCategoricalCrossentropy(from_logits=True)


def largest(k: int, margin: float) -> float:
    """p of one class that is so far above all others."""
    return 1 / (1 + (k - 1) * math.exp(-margin))


BOUNDED = [  # layers behind the features, the bound of a logit, the largest p
    ([L.Dense(4), L.UnitNormalization()], 1.0, largest(4, 2 / math.sqrt(3))),
    ([L.Dense(4), L.UnitNormalization(), L.Rescaling(2.0)], 2.0, largest(4, 4 / math.sqrt(3))),
    ([L.Dense(40), L.UnitNormalization()], 1.0, largest(40, math.sqrt(40 / 39))),
    ([L.Dense(8), Cosine(4)], 1.0, largest(4, 2)),
    ([L.Dense(8), Cosine(1000)], 1.0, largest(1000, 2)),
    ([L.Dense(8), Cosine(1000, 4.0)], 4.0, largest(1000, 8)),
    (
        [
            L.Dense(8),
            L.UnitNormalization(),
            L.Dense(4, use_bias=False, kernel_constraint=keras.constraints.UnitNorm()),
        ],
        1.0,
        largest(4, 2),
    ),
    (
        [L.Dense(4), L.LayerNormalization(center=False, scale=False)],
        math.sqrt(3),
        largest(4, 4 / math.sqrt(3)),
    ),
]


@pytest.mark.parametrize(("layers", "bound", "p"), BOUNDED)
def test_logits_that_no_weight_can_scale_are_named_with_what_they_can_reach(
    layers: list[Any], bound: float, p: float
) -> None:
    found = examined(from_logits(), *layers)
    assert found.exit_code == 1 and "No prediction can be confident" in found.verdict
    assert found.bound.high == pytest.approx(bound, rel=1e-2)
    assert found.bound.low == pytest.approx(-bound, rel=1e-2)
    assert found.bound.p == pytest.approx(p, rel=1e-2)
    assert f"at most {found.bound.p:.2g}" in found.verdict and "factor on the logits" in found.remedy


def test_so_they_are_behind_a_softmax_and_a_sigmoid() -> None:
    softmax = examined("sparse_categorical_crossentropy", L.Dense(4), L.UnitNormalization(), L.Softmax())
    assert softmax.exit_code == 1 and softmax.bound.p == pytest.approx(largest(4, 2 / math.sqrt(3)), rel=1e-2)
    sigmoid = examined("binary_crossentropy", L.Dense(8), Cosine(1), L.Activation("sigmoid"))
    assert sigmoid.exit_code == 1 and sigmoid.bound.p == pytest.approx(1 / (1 + math.exp(-1)), rel=1e-2)


@pytest.mark.parametrize(
    "layers",
    [
        [L.Dense(8), Cosine(4, 16.0)],
        [L.Dense(8), Cosine(1000, 16.0)],
        [L.Dense(8), Cosine(4, 1.0, learnt=True)],
        [L.Dense(4), L.UnitNormalization(), L.Rescaling(16.0)],
        [L.Dense(8), L.UnitNormalization(), L.Dense(4)],
        [L.Dense(8), L.UnitNormalization(), L.Dense(4, use_bias=False)],
        [L.Dense(8), L.Dense(4, use_bias=False, kernel_constraint=keras.constraints.UnitNorm())],
        [L.Dense(4), L.LayerNormalization()],
        [L.Dense(4), L.BatchNormalization()],
        [L.Dense(4), L.Rescaling(1e-3)],
    ],
)
def test_logits_that_a_weight_or_a_large_constant_scales_are_sound(layers: list[Any]) -> None:
    found = examined(from_logits(), *layers)
    assert found.exit_code == 0, str(found)


def test_a_factor_as_large_as_is_told_is_enough() -> None:
    told = examined(from_logits(), L.Dense(4), L.UnitNormalization()).remedy
    factor = float(told.split(" of ")[1].split()[0])
    found = examined(from_logits(), L.Dense(4), L.UnitNormalization(), L.Rescaling(factor))
    assert found.exit_code == 0 and found.bound.p == pytest.approx(0.99, abs=3e-3)
    assert "p, with 4 classes, is at most 0.99" in found.note


@pytest.mark.parametrize(
    "activation", ["tanh", "softsign", "sigmoid", "relu6", lambda x: ops.clip(x, -1.0, 1.0)]
)
def test_bounded_activations_before_a_softmax_are_named(activation: Any) -> None:
    behind = examined("sparse_categorical_crossentropy", L.Dense(4, activation=activation), L.Softmax())
    assert behind.exit_code == 1 and behind.tried
    bare = examined(from_logits(), L.Dense(4), L.Activation(activation))
    assert bare.exit_code == 1 and bare.tried


@pytest.mark.parametrize(
    ("layer", "remedy"),
    [
        (L.UnitNormalization(axis=1), "a factor on the logits"),
        (L.Activation("tanh"), "no tanh there"),
        (L.ReLU(), "no ReLU there"),
        (lambda x: 30 * ops.tanh(x / 30), ""),
    ],
)
def test_classes_along_another_axis_are_read_there_too(layer: Any, remedy: str) -> None:
    of_three = L.Dense(3 * 4), L.Reshape((3, 4)), layer  # [B, 3 classes, 4 places]
    found = examined(S.CategoricalCrossentropy(from_logits=True, axis=1), *of_three)
    assert found.remedy.startswith(remedy) and found.exit_code == (1 if remedy else 0), str(found)
    assert found.bound is None or found.bound.classes == 3


def test_a_soft_cap_is_read_up_to_its_bound() -> None:
    found = examined(from_logits(), L.Dense(4), lambda x: 30 * ops.tanh(x / 30))
    assert found.exit_code == 0 and 20 < max(abs(reading.z) for reading in found.readings) <= 30


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_a_soft_cap_behind_an_average_of_heads_is_no_gate(policy: str) -> None:
    # In 8 bits of precision 30 tanh(z / 30) is as good as linear, and either head looked like a gate.
    start = L.Input((3,))
    heads = L.Average(dtype=policy)([L.Dense(3, dtype=policy)(start), L.Dense(3, dtype=policy)(start)])
    model = keras.Model(start, L.Lambda(lambda x: 30 * ops.tanh(x / 30), dtype=policy)(heads))
    for loss in (from_logits(), lambda y, z: S.binary_crossentropy(y, z, from_logits=True)):
        model.compile("sgd", loss)
        (found,) = examine(model)
        assert found.exit_code == 0 and found.readings, found


# --- losses of class numbers ------------------------------------------------------------------------------


def penalised(y: Any, z: Any) -> Any:
    return ops.sparse_categorical_crossentropy(y, z, from_logits=True) + 0.1 * ops.mean(ops.square(z), -1)


def penalised_by_keras(y: Any, z: Any) -> Any:
    return 1.5 * S.sparse_categorical_crossentropy(y, z, from_logits=True) + 0.1 * ops.mean(ops.square(z), -1)


def of_no_labels(y: Any, z: Any) -> Any:
    raise ValueError("nothing suits it")


@pytest.mark.parametrize("loss", [penalised, penalised_by_keras])
def test_a_loss_of_ones_own_gets_the_labels_that_it_takes(loss: Any) -> None:
    found = examined(loss, L.Dense(4))
    assert found.exit_code == 0 and not found.known


def test_a_loss_that_takes_no_labels_is_told_in_our_words() -> None:
    with pytest.raises(
        UsageError, match=r"neither with rows of labels \(1, 4\) nor with class numbers \(1,\)"
    ):
        examined(of_no_labels, L.Dense(4))


# --- steps of one's own -----------------------------------------------------------------------------------


class WithoutStep(keras.Model):
    """Its step computes the loss, and applies nothing."""

    def train_step(self, *arguments: Any) -> Any:
        *state, (x, y) = arguments
        if JAX:
            (state,) = state
            y_pred, moved = self.stateless_call(state[0], state[1], x, training=True)
            loss, _ = self.compute_loss(x, y, y_pred), moved
            return {"loss": loss}, state
        return {"loss": self.compute_loss(x, y, self(x, training=True))}


def test_a_step_that_applies_no_gradient_is_broken() -> None:
    i = L.Input((3,))
    model = WithoutStep(i, L.Dense(4)(i))
    model.compile("sgd", from_logits())
    (found,) = examine(model)
    assert found.exit_code == 1 and "never applies a gradient" in found.verdict
    assert (found.remedy, found.tried) == ("train with Keras' own", True)


class ByHand(keras.Model):
    """It moves its weights by itself."""

    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        for variable, slope in zip(
            self.trainable_variables, tape.gradient(loss, self.trainable_variables), strict=True
        ):
            variable.assign_sub(0.1 * slope)
        return {"loss": loss}


class ByItsOwn(ByHand):
    """It has an optimiser beside the one that it was compiled with."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.mine = keras.optimizers.SGD(0.1)

    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.mine.apply_gradients(
            zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables, strict=True)
        )
        return {"loss": loss}


@pytest.mark.skipif(not TENSORFLOW, reason="the steps are TensorFlow's")
def test_a_step_without_an_optimiser_cannot_be_read_and_one_with_its_own_can() -> None:
    i = L.Input((3,))
    model = ByHand(i, L.Dense(4)(i))
    model.compile("sgd", from_logits())
    with pytest.raises(UsageError, match="moves the weights without an optimiser"):
        examine(model)
    model = ByItsOwn(i, L.Dense(4)(i))
    model.compile("sgd", from_logits())
    assert examine(model)[0].exit_code == 0


# --- hinges -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "units", "activation"),
    [("hinge", 1, "sigmoid"), ("squared_hinge", 1, "tanh"), ("categorical_hinge", 4, "softmax")],
)
def test_a_hinge_behind_an_activation_is_flattened_by_it_and_not_by_nature(
    loss: str, units: int, activation: str
) -> None:
    found = examined(loss, L.Dense(units, activation=activation))
    assert found.exit_code == 1 and f"the {activation} flattens the scores" in found.cause
    assert found.tried and "no activation" in found.remedy
    bare = examined(loss, L.Dense(units))
    assert bare.exit_code == 0 and np.isinf(bare.limit)
