"""The causes that are told of a broken path: each is removed, and the gradient comes back."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest

from crosscheck import paths
from crosscheck.paths import ExecutionPath
from crosscheck.paths.probing import probe

pytestmark = pytest.mark.every_backend

BACKEND = keras.backend.backend()
TENSORFLOW = BACKEND == "tensorflow"
WRONG = np.array([-40.0]), np.ones(1)
EPSILON = keras.config.epsilon()


@pytest.fixture(autouse=True)
def epsilon() -> Iterator[None]:
    yield
    keras.config.set_epsilon(EPSILON)


def on(
    head: str, policy: str = "float32", loss: str = "binary", implementation: str = "keras class"
) -> ExecutionPath:
    entry = "logits" if head == "logits" else "probabilities"
    return ExecutionPath(loss, BACKEND, "cpu", "eager", policy, head, entry, implementation)


def slope(path: ExecutionPath, loss=None) -> float:
    return float(probe(path, *WRONG, loss).gradient[0])


@pytest.mark.parametrize("loss", paths.LOSSES)
def test_the_clip_is_what_kills_the_gradient_of_a_probability(loss: str) -> None:
    """At 1e−30 instead of 1e−7 the clip lets p = e^−20 = 2e−9 pass; PyTorch has a floor at 1e−12."""
    path, wrong = on("reshape", loss=loss), (np.array([-20.0]), np.ones(1))
    assert probe(path, *wrong).gradient == pytest.approx(0, abs=1e-6) and paths.cause(path)
    keras.config.set_epsilon(1e-30)
    assert probe(path, *wrong).gradient == pytest.approx(-1, abs=1e-5)


@pytest.mark.parametrize("loss", ["binary", "categorical"])
def test_the_clip_is_what_kills_the_gradient_of_a_focal_loss_from_logits(loss: str) -> None:
    path, wrong = on("logits", loss=loss, implementation="keras focal"), (np.array([-20.0]), np.ones(1))
    has_cause = bool(paths.cause(path))
    assert has_cause == (loss == "categorical" or not TENSORFLOW)
    assert probe(path, *wrong).gradient == pytest.approx(0 if has_cause else -1, abs=1e-6)
    keras.config.set_epsilon(1e-30)
    assert probe(path, *wrong).gradient == pytest.approx(-1, abs=1e-5)


@pytest.mark.skipif(not TENSORFLOW, reason="only TensorFlow looks for the logits")
def test_the_cast_is_what_hides_the_logits_in_half_precision() -> None:
    path = on("dense", "mixed_float16")
    assert slope(path) == 0 and "cast" in paths.cause(path)
    uncast = keras.losses.BinaryCrossentropy(reduction=None, dtype="float16")
    assert slope(path, uncast) == -1


@pytest.mark.skipif(not TENSORFLOW, reason="only TensorFlow looks for the logits")
def test_the_reshape_is_what_hides_the_logits_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    path, plain = on("reshape"), keras.layers.Reshape.call
    assert slope(path) == 0 and "Reshape" in paths.cause(path)

    def with_logits(self, inputs):
        output = plain(self, inputs)
        output._keras_logits = plain(self, inputs._keras_logits)
        return output

    monkeypatch.setattr(keras.layers.Reshape, "call", with_logits)
    assert slope(path) == -1


@pytest.mark.skipif(TENSORFLOW, reason="TensorFlow does look for the logits")
@pytest.mark.parametrize("head", ["dense", "activation", "float32"])
def test_other_backends_never_ask_for_the_logits(head: str) -> None:
    path = on(head)
    assert slope(path) == 0 and "never asks" in paths.cause(path)
    assert slope(on("logits")) == -1 and not paths.cause(on("logits"))


@pytest.mark.parametrize("policy", paths.POLICIES)
@pytest.mark.parametrize("head", paths.HEADS)
def test_a_cause_is_told_exactly_where_the_gradient_is_lost(head: str, policy: str) -> None:
    for path in paths.grid(paths.LOSSES, BACKEND, ["eager"], [policy]):
        if path.head == head:
            survives = abs(slope(path) + 1) <= paths.LOST
            assert bool(paths.cause(path)) == bool(paths.remedy(path)) == (not survives)


def test_symptoms_and_limits_are_read_off_the_numbers() -> None:
    z, true = np.array([-1.0, -10, -20, -30]), -np.ones(4)
    assert paths.breaking_point(z, true, true) == np.inf and paths.symptom(true, true) == ""
    dead = np.array([-1.0, -0.95, 0, 0])
    assert paths.breaking_point(z, dead, true) == 20 and paths.symptom(dead, true) == "0"
    poisoned = np.array([-1.0, np.nan, 0, np.inf])
    assert (
        paths.breaking_point(z, poisoned, true) == 10 and paths.symptom(poisoned, true) == "0, infinite, NaN"
    )
    assert paths.symptom(np.array([-1.0, -0.5, -1, -1]), true) == "-0.5 instead of -1"
