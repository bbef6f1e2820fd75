"""Hidden units that begin alike: what the diagnosis says of them is what becomes of them in training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from diagnosed_programs import classes, numbers

from crosscheck.diagnose import diagnose
from crosscheck.diagnose.checks.splits import chance_of_blocks

pytestmark = pytest.mark.every_backend
L = keras.layers
ALIKE: dict[str, Any] = {"kernel_initializer": keras.initializers.Constant(0.05)}


def behind(*between: Any) -> Any:
    def through(x: Any) -> Any:
        for layer in between:
            x = layer(x)
        return L.Dense(4, activation="softmax", **ALIKE)(x)

    return through


def two_heads(x: Any) -> list[Any]:
    return [L.Dense(4, activation="softmax", **ALIKE)(x), L.Dense(4, activation="softmax")(x)]


def unequal_averages() -> keras.Layer:
    """A normalisation that scales units unalike."""
    return L.BatchNormalization(gamma_initializer="random_normal")


def beside_others(x: Any) -> Any:
    return behind(L.Concatenate())([L.Dense(3, activation="tanh")(x), x, L.Dense(2)(x)])


def model_of(ahead: Any) -> tuple[keras.Model, keras.Layer]:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    layer = L.Dense(8, activation="tanh", **ALIKE)
    model = keras.Model(inputs, ahead(layer(inputs)))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model, layer


def stay_alike(model: keras.Model, layer: keras.Layer) -> bool:
    """Whether the units are the same still after a training, but for rounding."""
    y = classes()
    model.fit(numbers(), y if len(model.outputs) == 1 else [y, y], epochs=4, verbose=0)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    assert np.abs(kernel - 0.05).max() > 1e-3  # it was trained
    return bool(np.ptp(kernel, axis=1).max() < 1e-5)


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [
        (behind(), "✗"),
        (behind(L.BatchNormalization(), L.Activation("gelu")), "✗"),
        (behind(L.Reshape((8, 1)), L.Flatten()), ""),  # alike, but a Reshape is not followed
        (behind(L.Dropout(0.3)), "note"),
        (behind(unequal_averages()), ""),
        (two_heads, ""),
    ],
    ids=["plain", "normalised", "reshaped", "dropout", "unequal scales", "two heads"],
)
def test_units_are_said_to_stay_alike_where_they_do(ahead: Any, verdict: str) -> None:
    model, layer = model_of(ahead)
    y = classes()
    findings = diagnose(model, numbers(), y if len(model.outputs) == 1 else [y, y], seconds=0)
    said = [f.verdict for f in findings if f.check == "units-differ"]
    assert said == [verdict] * bool(verdict)
    if verdict:
        assert stay_alike(model, layer) == (verdict == "✗")


def test_units_that_feed_others_as_well_are_not_judged() -> None:
    model, layer = model_of(beside_others)
    findings = diagnose(model, numbers(), classes(), seconds=0)
    assert not [f for f in findings if f.check == "units-differ"] and not stay_alike(model, layer)


@pytest.mark.parametrize(("start", "verdicts"), [(0.05, ["✗"]), (None, [])])
def test_units_behind_which_a_recurrent_layer_stands(start: float | None, verdicts: list[str]) -> None:
    equal = ALIKE if start else {}
    recurrent = L.LSTM(4, **equal)
    model = keras.Sequential(
        [keras.Input((5, 6)), L.Dense(8, activation="tanh", **ALIKE), recurrent, L.Dense(4, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    findings = diagnose(model, numbers(5, 6), classes(), seconds=0)
    assert [f.verdict for f in findings if f.check == "units-differ"] == verdicts


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 1], [2, 2, 0, 1, 1], [0, 1, 0, 1], [0, 1, 2]])
def test_the_chance_of_blocks_is_their_share_of_all_orders(labels: list[int]) -> None:
    from itertools import permutations

    blocks = lambda order: int((np.diff(order) != 0).sum()) == len(set(labels)) - 1
    share = np.mean([blocks(order) for order in permutations(labels)])
    assert chance_of_blocks(np.array(labels)) == pytest.approx(share if blocks(labels) else 1.0)
