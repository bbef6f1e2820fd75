"""A frozen network that gets inputs of another scale than it was trained on is noted."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from crosscheck.diagnose import diagnose

pytestmark = pytest.mark.every_backend
L = keras.layers


def images(n: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (n, 8, 8, 3)).astype("float32"), rng.integers(0, 3, n)


def trained_on(scale: float, shift: float = 0.0) -> keras.Model:
    """A network that was trained on pixels times a scale, plus a shift."""
    backbone = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization(momentum=0.0), L.ReLU()],
        name="backbone",
    )
    backbone(scale * images(512)[0] + shift, training=True)
    return backbone


def classifier(backbone: keras.Model, *before: Any) -> keras.Model:
    parts = [keras.Input((8, 8, 3)), *before, backbone, L.GlobalAveragePooling2D(), L.Dense(3)]
    model = keras.Sequential(parts)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def verdicts(model: keras.Model) -> list[str]:
    x, y = images()
    findings = diagnose(model, x, y, seconds=0)
    assert not findings.faults, str(findings)
    return [finding.verdict for finding in findings if finding.check == "frozen-statistics"]


@pytest.mark.parametrize(
    "preprocessed, expected", [((), "note"), ((L.Rescaling(1 / 127.5, -1),), "✓")], ids=["raw", "rescaled"]
)
def test_pixels_for_a_network_that_wants_minus_1_to_1(preprocessed: tuple[Any, ...], expected: str) -> None:
    backbone = trained_on(1 / 127.5, -1)
    backbone.trainable = False
    model = classifier(backbone, *preprocessed)
    before = [keras.ops.convert_to_numpy(w) for w in model.weights]
    assert verdicts(model) == [expected]
    assert "call" not in vars(backbone.layers[1])  # nothing is left behind
    for one, other in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(one, keras.ops.convert_to_numpy(other))


def test_0_to_1_for_a_network_that_wants_pixels() -> None:
    backbone = trained_on(1.0)
    backbone.trainable = False
    assert verdicts(classifier(backbone, L.Rescaling(1 / 255))) == ["note"]
    assert verdicts(classifier(backbone)) == ["✓"]


def test_what_is_trained_on_or_was_never_trained_is_not_asked_about() -> None:
    assert verdicts(classifier(trained_on(1 / 127.5, -1))) == []
    fresh = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization()])
    fresh.trainable = False
    assert verdicts(classifier(fresh)) == []
