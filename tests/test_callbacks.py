"""Monitors: what they log, where it arrives, in `fit` and in `Replicates.fit`."""

from __future__ import annotations

import csv
import sys
import types
from typing import Any

import keras
import numpy as np
import pytest
from plainly import EAGERLY, PLAINLY

from crosscheck import losses, metrics
from crosscheck.callbacks import CalibrationMonitor, SaturationMonitor
from crosscheck.models import perceptron
from crosscheck.replicates import Replicates

pytestmark = pytest.mark.every_backend

SATURATION = ["saturation_quiet", "saturation_hardest_share"]
CALIBRATION = [f"calibration_{name}" for name in ("ece", "brier", "nll", "confidence", "accuracy")]


def examples(outputs: int = 3, n: int = 60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype("float32")
    return x, rng.integers(0, max(outputs, 2), n)


def compiled(outputs: int = 3, activation: str | None = None, how: dict[str, Any] = EAGERLY) -> keras.Model:
    keras.utils.set_random_seed(1)
    model = perceptron(4, [], outputs)()
    if activation:
        model.add(keras.layers.Activation(activation))
    model.compile(keras.optimizers.SGD(0.5), loss_of(outputs, activation), **how)
    return model


def loss_of(outputs: int, activation: str | None = None):
    if outputs == 1:
        return keras.losses.BinaryCrossentropy(from_logits=not activation)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=not activation)


def monitors(x, y, **more):
    return [kind(x, y, from_logits=True, **more) for kind in (SaturationMonitor, CalibrationMonitor)]


def by_hand(logits: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """The same numbers from logits [N, K] or [N, 1], in float64."""
    z = logits.astype("float64")
    if z.shape[1] == 1:
        p = 1 / (1 + np.exp(-z[:, 0]))
        size, brier = np.abs(p - y), np.mean((p - y) ** 2)
        p = np.stack([1 - p, p], 1)
    else:
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        size, brier = np.linalg.norm(p - np.eye(3)[y], axis=1), np.mean(((p - np.eye(3)[y]) ** 2).sum(1))
    hardest = np.sort(size)[::-1][: len(y) // 10]
    return {
        "saturation_quiet": np.mean(size < 1e-3),
        "saturation_hardest_share": hardest.sum() / size.sum(),
        "calibration_ece": metrics.expected_calibration_error(p, y),
        "calibration_brier": brier,
        "calibration_nll": -np.mean(np.log(p[np.arange(len(y)), y])),
        "calibration_confidence": p.max(1).mean(),
        "calibration_accuracy": (p.argmax(1) == y).mean(),
    }


@pytest.mark.parametrize("outputs", [1, 3])
def test_history_holds_what_the_formulas_give(outputs: int) -> None:
    x, y = examples(outputs)
    model = compiled(outputs, how={})
    weights = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())
    )
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[*monitors(x, y), keep]).history
    for epoch, values in enumerate(weights):
        model.set_weights(values)
        expected = by_hand(model.predict(x, verbose=0), y)
        assert {name: history[name][epoch] for name in expected} == pytest.approx(expected, abs=1e-5)
        assert all(type(history[name][epoch]) is float for name in expected)


def test_a_quiet_gradient_is_counted() -> None:
    """Logits 200 ahead for 9 examples of 10, and as far behind for the last: the whole gradient is its."""
    x, y = np.ones((10, 1), "float32"), np.array([0] * 9 + [1])
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.set_weights([np.array([[200.0, 0.0]]), np.zeros(2)])
    model.compile(keras.optimizers.SGD(0.0), loss_of(2), **EAGERLY)
    history = model.fit(x, y, verbose=0, callbacks=monitors(x, y)).history
    assert history["saturation_quiet"] == [0.9]
    assert history["saturation_hardest_share"] == pytest.approx([1], abs=1e-6)
    assert history["calibration_nll"] == pytest.approx([200 / 10]), "from the logits: p has rounded to 0"


@pytest.mark.parametrize("outputs", [1, 3])
def test_probabilities_give_the_same_numbers(outputs: int) -> None:
    x, y = examples(outputs)
    model = compiled(outputs, "softmax" if outputs == 3 else "sigmoid")
    watch = [SaturationMonitor(x, y), CalibrationMonitor(x, y)]
    history = model.fit(x, y, verbose=0, callbacks=watch).history
    inner = keras.Model(model.inputs, model.layers[-2].output)
    expected = by_hand(inner.predict(x, verbose=0), y)
    assert {name: history[name][0] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_logits_taken_for_probabilities_show_as_nan() -> None:
    x, y = examples()
    watch = [SaturationMonitor(x, y), CalibrationMonitor(x, y)]
    with pytest.warns(UserWarning, match="60 predictions are no probabilities.*from_logits=True") as told:
        history = compiled().fit(x, y, epochs=2, verbose=0, callbacks=watch).history
    assert np.isnan([history[name][0] for name in (*SATURATION, *CALIBRATION[:3])]).all()
    assert len([w for w in told if "Monitor" in str(w.message)]) == 2, "each warns once"


@pytest.mark.parametrize(("outputs", "shift", "words"), [(3, 1, "0…2"), (1, 1, "0…1")])
def test_labels_that_begin_at_1_show_as_nan_with_the_reason(outputs: int, shift: int, words: str) -> None:
    x, y = examples(outputs)
    watch = CalibrationMonitor(x, y + shift, from_logits=True)
    with pytest.warns(UserWarning, match=f"labels are no classes {words}.*begin at 1"):
        history = compiled(outputs).fit(x, y, verbose=0, callbacks=[watch]).history
    assert np.isnan(history["calibration_nll"][0])


def test_csv_has_them_from_monitors_that_come_before(tmp_path) -> None:
    x, y = examples()
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    before, after = monitors(x, y)
    history = compiled().fit(x, y, epochs=2, verbose=0, callbacks=[before, log, after]).history
    with (tmp_path / "log.csv").open() as file:
        lines = list(csv.DictReader(file))
    for name in SATURATION:
        np.testing.assert_allclose([float(line[name]) for line in lines], history[name])
    assert not set(CALIBRATION) & set(lines[0]) and set(CALIBRATION) <= set(history)


def test_tensorboard_has_them(tmp_path, monkeypatch) -> None:
    """What reaches TensorBoard's own `scalar`, for which a stand-in does: it need not be installed."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras writes TensorBoard's files through TensorFlow")
    x, y = examples()
    seen: dict[str, list[float]] = {}
    board = types.ModuleType("tensorboard.summary.v2")
    board.scalar = lambda name, data, **_: seen.setdefault(name, []).append(float(data))  # type: ignore
    for name in ("tensorboard", "tensorboard.summary", board.__name__):
        monkeypatch.setitem(sys.modules, name, board)
    watch = [monitors(x, y)[0], CalibrationMonitor(x, y, from_logits=True, prefix="val_")]
    write = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    history = compiled().fit(x, y, epochs=2, verbose=0, callbacks=[*watch, write]).history
    assert seen["epoch_saturation_quiet"] == history["saturation_quiet"]
    assert seen["epoch_ece"] == history["val_ece"], "beside the validation's, without the prefix"


def test_early_stopping_and_checkpoints_can_watch_them(tmp_path) -> None:
    x, y = examples()
    stop = keras.callbacks.EarlyStopping("calibration_nll", mode="max", patience=1)
    keep = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", "calibration_nll", mode="min", save_best_only=True
    )
    history = compiled().fit(x, y, epochs=9, verbose=0, callbacks=[*monitors(x, y), stop, keep]).history
    assert len(history["calibration_nll"]) == 2, "it falls at once, where it was to rise"
    best = keras.models.load_model(tmp_path / "best.keras").predict(x, verbose=0)
    assert by_hand(best, y)["calibration_nll"] == pytest.approx(min(history["calibration_nll"]), rel=1e-5)


def test_a_name_that_is_taken_is_refused() -> None:
    x, y = examples()
    with pytest.raises(ValueError, match=r"calibration_accuracy, .*`prefix`"):
        compiled().fit(x, y, verbose=0, callbacks=[*monitors(x, y), monitors(x, y)[1]])
    two = [*monitors(x, y), *monitors(x[:30], y[:30], prefix="half_")]
    assert "half_ece" in compiled().fit(x, y, verbose=0, callbacks=two).history


def test_a_monitor_changes_nothing_of_the_training() -> None:
    x, y = examples()
    alone, watched = compiled(), compiled()
    options = {"batch_size": 16, "epochs": 3, "verbose": 0, "shuffle": False, "validation_data": (x, y)}
    one, other = alone.fit(x, y, **options), watched.fit(x, y, callbacks=monitors(x, y), **options)
    np.testing.assert_array_equal(alone.get_weights()[0], watched.get_weights()[0])
    assert {name: other.history[name] for name in one.history} == one.history


# --- replicates -------------------------------------------------------------------------------------


def replicated(outputs: int = 3, **more) -> Replicates:
    replicas = Replicates(perceptron(4, [], outputs), [1, 2, 3], **more)
    loss = losses.binary_crossentropy if outputs == 1 else losses.sparse_categorical_crossentropy
    replicas.compile(keras.optimizers.SGD(0.5), loss, **PLAINLY)
    return replicas


@pytest.mark.parametrize(("outputs", "mode"), [(1, "stacked"), (3, "stacked"), (3, "loop")])
def test_replicates_log_one_number_each(outputs: int, mode: str, tmp_path) -> None:
    x, y = examples(outputs)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    replicas = replicated(outputs, mode=mode)
    target = y[:, None].astype("float32") if outputs == 1 else y
    history = replicas.fit(x, target, epochs=2, callbacks=[*monitors(x, y), log], verbose=1).history
    assert all(history[name].shape == (2, 3) for name in (*SATURATION, *CALIBRATION, "loss"))
    for r, logits in enumerate(replicas.predict(x)):
        expected = by_hand(logits, y)
        assert {name: history[name][1, r] for name in expected} == pytest.approx(expected, abs=1e-5)
    with (tmp_path / "log.csv").open() as file:
        lines = list(csv.DictReader(file))
    written = [float(lines[1][f"calibration_ece_{r}"]) for r in range(3)]
    np.testing.assert_allclose(written, history["calibration_ece"][1])


def test_early_stopping_of_replicates_bears_what_is_logged_for_all() -> None:
    x, y = examples()
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    stop = keras.callbacks.EarlyStopping("calibration_nll", mode="max", patience=1)
    history = replicated().fit(x, y, epochs=5, callbacks=[rate, *monitors(x, y), stop]).history
    assert history["learning_rate"].shape == (2,) and history["calibration_nll"].shape == (2, 3)


def test_each_replicate_may_be_watched_on_its_own_examples() -> None:
    x, y = examples()
    own = np.stack([np.roll(y, r) for r in range(3)])
    replicas = replicated()
    history = replicas.fit(x, y, callbacks=monitors(np.stack([x, -x, x]), own)).history
    for r, logits in enumerate(replicas.predict(np.stack([x, -x, x]))):
        expected = by_hand(logits, own[r])
        assert {name: history[name][0, r] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_a_stopped_replicate_logs_nothing_more_and_stops_by_what_is_logged() -> None:
    x, y = examples()
    stop = keras.callbacks.EarlyStopping("calibration_nll", mode="max", patience=1, start_from_epoch=1)
    replicas = replicated()
    replicas.active[1] = False
    history = replicas.fit(x, y, epochs=9, callbacks=[*monitors(x, y), stop]).history
    for name in (*SATURATION, *CALIBRATION, "loss"):
        assert np.isnan(history[name][:, 1]).all() and np.isfinite(history[name][:, [0, 2]]).all()
    assert len(history["loss"]) == 3
