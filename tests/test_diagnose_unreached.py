"""Weights that nothing trains, and units that never wake: each is told, and what looks like it is let be."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from diagnosed_programs import D, K, L, both, classes, numbers, yes_or_no

from crosscheck.diagnose import diagnose

pytestmark = pytest.mark.every_backend


@pytest.mark.parametrize(
    ("metrics", "shared", "verdict"),
    [({"seen": "accuracy"}, False, "✗"), (None, False, "note"), ({"seen": "accuracy"}, True, "✓")],
)
def test_weights_that_no_loss_reaches_are_told(metrics: Any, shared: bool, verdict: str) -> None:
    inputs = keras.Input((D,))
    hidden = L.Dense(1, name="hidden")(inputs)
    seen = L.Activation("sigmoid", name="seen")(hidden) if shared else L.Dense(1, name="seen")(inputs)
    model = keras.Model(inputs, {"kind": L.Activation("sigmoid", name="kind")(hidden), "seen": seen})
    model.compile("adam", {"kind": "binary_crossentropy"}, metrics=metrics)
    y = both("kind", "seen") if metrics else {"kind": yes_or_no()[:, None]}
    (said,) = [f for f in diagnose(model, numbers(), y, seconds=0) if f.check == "weights-are-trained"]
    assert said.verdict == verdict, str(said)


@pytest.mark.parametrize(
    ("beta", "last", "is_dead"), [("zeros", "relu", True), ("ones", "relu", False), ("zeros", "tanh", False)]
)
def test_units_that_never_wake_behind_a_normalisation_are_told(beta: str, last: str, is_dead: bool) -> None:
    inputs = keras.Input((D,))
    silent = L.Dense(8, use_bias=False, kernel_initializer="zeros")(inputs)
    hidden = L.Activation(last)(L.BatchNormalization(beta_initializer=beta)(silent))
    model = keras.Model(inputs, [L.Dense(1, "sigmoid")(hidden), L.Dense(1, "sigmoid")(hidden)])
    model.compile("adam", ["binary_crossentropy"] * 2)
    findings = diagnose(model, numbers(), both(), seconds=0)
    said = [f.verdict for f in findings if f.check == "units-differ"]
    assert ("✗" in said) == is_dead, str(findings)


def test_zeros_before_a_layer_whose_bias_wakes_its_relu_are_let_be() -> None:
    first = L.Dense(8, kernel_initializer="zeros")
    model = keras.Sequential(
        [keras.Input((D,)), first, L.Dense(8, "relu", bias_initializer="ones"), L.Dense(K)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert "units-differ" not in {f.check for f in diagnose(model, numbers(), classes(), seconds=0).faults}


class TrainsBoth(keras.Model):
    """Has a loss of its own for the output that `compile` is told none for."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        of_seen = keras.ops.mean(keras.ops.square(y_pred["seen"] - 1.0))
        return super().compute_loss(x, y, y_pred, sample_weight, training) + of_seen


def test_weights_that_a_loss_of_ones_own_reaches_are_let_be() -> None:
    inputs = keras.Input((D,))
    outputs = {name: L.Dense(1, "sigmoid", name=name)(inputs) for name in ("kind", "seen")}
    model = TrainsBoth(inputs, outputs)
    model.compile("adam", {"kind": "binary_crossentropy"}, metrics={"seen": "accuracy"})
    findings = diagnose(model, numbers(), both("kind", "seen"), seconds=0)
    assert [f.verdict for f in findings if f.check == "weights-are-trained"] == ["✓"], str(findings)
