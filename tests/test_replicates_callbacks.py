"""Callbacks over replicates: those of all, and those of each one's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_networks import (
    SEEDS,
    assert_same,
    compiled,
    dense,
    examples,
    in_order_of,
    plain,
    plainly_fitted,
)

from crosscheck.replicates import batch_order

pytestmark = pytest.mark.every_backend


def test_a_schedule_and_a_rate_changed_between_epochs():
    x, y = examples()
    schedules = [keras.optimizers.schedules.ExponentialDecay(0.2, 3, 0.5) for _ in range(2)]
    replicas, model = (
        compiled(optimizer=keras.optimizers.SGD(schedules[0])),
        plain(optimizer=keras.optimizers.SGD(schedules[1])),
    )
    replicas.fit(x, y, 16, 2)
    for epoch in range(2):
        model.fit(*in_order_of(SEEDS[0], epoch, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)

    falling = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))
    replicas, model = compiled(), plain()
    history = replicas.fit(x, y, 16, 3, callbacks=[falling]).history
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.1 / 2, 0.1 / 3], rtol=1e-6)
    for epoch in range(3):
        model.optimizer.learning_rate = 0.1 / (1 + epoch)
        model.fit(*in_order_of(SEEDS[0], epoch, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)


@pytest.mark.parametrize("mode", ["stacked", "loop"])
def test_each_replicate_stops_by_itself_with_its_best_weights(mode):
    """Labels of pure chance: validation losses rise soon, at an epoch of each one's own."""
    x, y = examples()
    held_out = examples(40, seed=4)
    replicas = compiled(seeds=range(6), optimizer=keras.optimizers.Adam(0.03), mode=mode)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    loss = replicas.fit(x, y, 16, 40, validation_data=held_out, callbacks=[stop]).history["val_loss"]
    epochs = np.isfinite(loss).sum(0)
    assert len(loss) == epochs.max() < 40 and len(set(epochs)) > 1
    best = np.nanmin(loss, 0)
    np.testing.assert_array_equal(np.nanargmin(loss, 0), epochs - 3)
    np.testing.assert_allclose(replicas.evaluate(*held_out)["loss"], best, rtol=1e-5)
    before = replicas.get_weights()
    assert replicas.fit(x, y, 16, 2).history == {}, "who has stopped stays stopped"
    np.testing.assert_array_equal(before[0], replicas.get_weights()[0])
    model = plain(seed=2, optimizer=keras.optimizers.Adam(0.03))
    for epoch in range(epochs[2] - 2):
        model.fit(*in_order_of(2, epoch, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 2, model, 1e-5)


@pytest.mark.parametrize("mode", ["stacked", "loop"])
@pytest.mark.parametrize("best", [False, True])
def test_averages_are_put_in_place_where_a_replicate_stopped_too(mode, best):
    """At the end of the `fit` in which it stopped, before the best weights come back; and never again."""
    (x, y), seeds, rates = examples(), (2, 3), np.array([3.0, 0.01])
    optimizer = lambda rate: keras.optimizers.Adam(rate, use_ema=True, ema_momentum=0.8)
    stop = lambda: keras.callbacks.EarlyStopping("loss", baseline=2.0, restore_best_weights=best)
    own = {"optimizer_arguments": {"learning_rate": rates}}
    replicas = compiled(seeds=seeds, optimizer=optimizer(1.0), mode=mode, **own)
    replicas.fit(x, y, 16, 2, callbacks=[stop()])
    np.testing.assert_array_equal(replicas.active, [False, True])
    for r, (seed, rate) in enumerate(zip(seeds, rates, strict=True)):
        model = plainly_fitted(dense, seed, optimizer(rate), x, y, 2, 16, callbacks=[stop()])
        assert_same(replicas, r, model, 1e-4)
    before, stopped = replicas.get_weights()[0], ~replicas.active
    replicas.fit(x, y, 16, 1)
    moved = (replicas.get_weights()[0] != before).any((1, 2))
    np.testing.assert_array_equal(moved, ~stopped)


def test_callbacks_see_every_replicate():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, logs["loss"].shape, len(self.model)))

    x, y = examples()
    compiled().fit(x, y, 16, 2, callbacks=[Watch()])
    assert seen == [(0, (3,), 3), (1, (3,), 3)]


def test_verbose_says_how_and_shows_progress(capsys):
    x, y = examples()
    compiled().fit(x, y, 16, 2, verbose=1)
    shown = capsys.readouterr().out
    assert "3 replicates, stacked" in shown and "2/2" in shown and "loss" in shown


def test_a_rate_reduced_on_a_plateau_is_each_replicate_s_own():
    x, y = examples()
    make = lambda: keras.callbacks.ReduceLROnPlateau("loss", 0.3, patience=0, min_delta=0.02)
    replicas = compiled(optimizer=keras.optimizers.SGD(0.3))
    history = replicas.fit(x, y, 16, 6, callbacks=[make()]).history
    assert history["learning_rate"].shape == (6, 3) and len({*history["learning_rate"][-1]}) > 1
    for r in (0, 2):
        options = {
            "optimizer": keras.optimizers.SGD(0.3),
            "epochs": 6,
            "batch_size": 16,
            "callbacks": [make()],
        }
        model = plainly_fitted(dense, SEEDS[r], x=x, y=y, **options)
        expected = model.history.history["learning_rate"]
        np.testing.assert_allclose(history["learning_rate"][:, r], expected, rtol=1e-6)
        assert_same(replicas, r, model, 1e-5)


def test_a_callback_stops_all_and_one_hooks_into_batches():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(batch)

        def on_train_batch_end(self, batch, logs=None):
            if self.model.initial_epoch == 1 and batch == 1:
                self.model.stop_training = True
            seen.append(logs["loss"].shape)

    x, y = examples()
    replicas = compiled()
    history = replicas.fit(x, y, 16, 5, callbacks=[Watch()])
    one = [item for i in range(4) for item in (i, (3,))]
    assert seen == one + one[:4] and history.epoch == [0, 1]
    model = plain()
    for epoch, n in ((0, 50), (1, 32)):
        a, b = in_order_of(SEEDS[0], epoch, x, y)
        loss = model.fit(a[:n], b[:n], 16, shuffle=False, verbose=0).history["loss"][0]
        assert history.history["loss"][epoch, 0] == pytest.approx(loss, rel=1e-5)
    assert_same(replicas, 0, model, 1e-5)


def test_a_replicate_that_meets_nan_stops_alone_and_at_once():
    x, y = (np.stack(part) for part in zip(*(examples(seed=s) for s in SEEDS), strict=True))
    x[1, batch_order(SEEDS[1], 0, 50)[20]] = np.nan  # in its second batch
    replicas = compiled()
    history = replicas.fit(x, y, 16, 2, callbacks=[keras.callbacks.TerminateOnNaN()]).history["loss"]
    assert np.isfinite(history[:, [0, 2]]).all() and np.isnan(history[:, 1]).all()
    model = plain(seed=SEEDS[0])
    for epoch in range(2):
        model.fit(*in_order_of(SEEDS[0], epoch, x[0], y[0]), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)
    assert replicas.active.tolist() == [True, False, True]


def test_files_are_each_replicate_s_own(tmp_path):
    x, y = examples()
    replicas = compiled()
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss", save_best_only=True)
    replicas.fit(x, y, 16, 2, callbacks=[best, keras.callbacks.CSVLogger(tmp_path / "log.csv")])
    assert sorted(path.name for path in tmp_path.glob("*.keras")) == [f"best-{r}.keras" for r in range(3)]
    loaded = keras.models.load_model(tmp_path / "best-2.keras")
    np.testing.assert_allclose(loaded.predict_on_batch(x), replicas.predict(x)[2], atol=1e-6)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,loss_0,loss_1,loss_2") and len(lines) == 3


def test_folders_of_tensorboard_are_each_replicate_s_own(tmp_path):
    pytest.importorskip("tensorboard")
    x, y = examples()
    compiled().fit(x, y, 16, 1, callbacks=[keras.callbacks.TensorBoard(tmp_path)], validation_data=(x, y))
    written = {path.parent.parent.name for path in tmp_path.rglob("events*")}
    assert written == {f"replicate-{r}" for r in range(3)}
