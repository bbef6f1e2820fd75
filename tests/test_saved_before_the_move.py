"""Files that were saved while the package was called `suite` still load, and give the numbers they gave then.

`tests/saved_before_the_move` was written by that code: `numbers.json` holds what it measured of each file.
Importing our packages is enough: Keras finds classes under the names that they are registered by.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from crosscheck import calibration, losses, metrics, models, optimizers, regularizers
from crosscheck.replicates import Replicates

FOLDER = Path(__file__).with_name("saved_before_the_move")
NUMBERS = json.loads((FOLDER / "numbers.json").read_text())
X = np.array(NUMBERS["x"], "float32")
CLASSES = {
    name: getattr(room, name)
    for room in (calibration, losses, metrics, models, optimizers, regularizers)
    for name in NUMBERS["objects"].keys() | NUMBERS["losses"].keys()
    if hasattr(room, name)
}


def test_a_model_with_our_layers_priors_optimiser_loss_and_metrics() -> None:
    model, then = keras.models.load_model(FOLDER / "whole.keras"), NUMBERS["whole"]
    y = np.array(then["y"], "int32")
    np.testing.assert_allclose(model.predict(X, verbose=0), then["predict"], rtol=1e-5)
    seen = model.evaluate(X, y, verbose=0, return_dict=True)
    assert seen == pytest.approx(then["evaluate"], rel=1e-5)
    assert int(model.optimizer.iterations) == then["iterations"]
    assert isinstance(model.optimizer, optimizers.Proximal) and model.optimizer.l1 == 0.1
    head = next(layer for layer in model.layers if layer.name == "head")
    assert head.kernel_regularizer.get_config() == regularizers.GaussianPrior(0.5, 6).get_config()
    assert head.bias_regularizer.get_config() == regularizers.LaplacePrior(0.5, 6).get_config()
    model.fit(X, y, batch_size=6, verbose=0, shuffle=False)  # the optimiser's state was saved, too
    np.testing.assert_allclose(model.predict(X, verbose=0), then["a step on"], rtol=1e-4)


@pytest.mark.parametrize("name", NUMBERS["losses"])
def test_a_model_compiled_with(name: str) -> None:
    model, then = keras.models.load_model(FOLDER / f"{name}.keras"), NUMBERS["losses"][name]
    loss = model.loss
    assert (loss if callable(loss) and not isinstance(loss, keras.losses.Loss) else type(loss)) is CLASSES[
        name
    ]
    assert model.evaluate(X, np.array(then["y"]), verbose=0) == pytest.approx(then["loss"], rel=1e-5)


def test_a_classifier_chain() -> None:
    chain, then = keras.models.load_model(FOLDER / "chain.keras"), NUMBERS["chain"]
    inputs = [X, np.array(then["y"], "float32")]
    np.testing.assert_allclose(chain.predict(inputs, verbose=0), then["predict"], rtol=1e-4, atol=1e-6)
    joint = keras.ops.convert_to_numpy(chain.joint_probabilities(X))
    np.testing.assert_allclose(joint, then["joint"], rtol=1e-4, atol=1e-7)


def test_replicates() -> None:
    replicas, then = Replicates.load(FOLDER / "two.replicates"), NUMBERS["replicates"]
    np.testing.assert_allclose(replicas.predict(X), then["predict"], rtol=1e-4, atol=1e-6)
    replicas.fit(X, np.array(then["y"], "int32"), batch_size=3, epochs=1)
    np.testing.assert_allclose(replicas.predict(X), then["an epoch on"], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NUMBERS["objects"])
def test_the_configuration_of(name: str) -> None:
    config = NUMBERS["objects"][name]
    loaded = keras.saving.deserialize_keras_object(config)
    assert (loaded if name.islower() else type(loaded)) is CLASSES[name]
    if not name.islower():
        own = config["config"]
        again = keras.saving.serialize_keras_object(loaded)["config"]
        assert {key: again[key] for key in own} == own
