"""Replicates speak Keras: metrics, validation, callbacks, schedules, weights of examples, files, refusals."""

from __future__ import annotations

import functools
import inspect
from types import SimpleNamespace

import keras
import numpy as np
import psutil
import pytest
from small_networks import (
    QUICK,
    SEEDS,
    assert_same,
    convolutional,
    dense,
    examples,
    normalised,
    penalised,
    plainly_fitted,
    trained,
)

from crosscheck import losses
from crosscheck.replicates import Replicates, backends, batch_order, grid
from crosscheck.replicates._plan import make_plan

pytestmark = pytest.mark.every_backend


def compiled(build=dense, seeds=SEEDS, optimizer=None, loss=losses.sparse_categorical_crossentropy, **more):
    mode, more = more.pop("mode", "auto"), {**QUICK, **more}
    replicas = Replicates(build, seeds, mode=mode)
    replicas.compile(optimizer or keras.optimizers.SGD(0.1), loss, **more)
    return replicas


def plain(build=dense, seed=SEEDS[0], optimizer=None, loss=losses.sparse_categorical_crossentropy, **more):
    keras.utils.set_random_seed(seed)
    model = build()
    eagerly = keras.backend.backend() == "tensorflow"  # a dozen steps: tracing them would take longer
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, run_eagerly=eagerly, **more)
    return model


def in_order_of(seed, epoch, *arrays):
    order = batch_order(seed, epoch, len(arrays[0]))
    return tuple(array[order] for array in arrays)


@pytest.mark.parametrize("mode", ["stacked", "loop"])
def test_metrics_validation_and_weights_are_those_of_keras(mode):
    x, y = examples()
    weight = np.random.default_rng(1).uniform(0, 2, len(x)).astype("float32")
    held_out = examples(23, seed=9)
    metrics = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")]
    replicas = compiled(metrics=metrics, mode=mode)
    history = replicas.fit(x, y, 16, 2, sample_weight=weight, validation_data=held_out).history
    assert set(history) == {"loss", "accuracy", "top", "val_loss", "val_accuracy", "val_top"}
    model = plain(metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")])
    for epoch in range(2):
        a, b, w = in_order_of(SEEDS[0], epoch, x, y, weight)
        seen = model.fit(
            a, b, 16, sample_weight=w, shuffle=False, verbose=0, validation_data=held_out
        ).history
        for name in history:
            assert history[name][epoch, 0] == pytest.approx(seen[name][0], rel=1e-4), name
    evaluated = replicas.evaluate(*held_out, batch_size=7)
    assert evaluated["loss"][0] == pytest.approx(model.evaluate(*held_out, verbose=0)[0], rel=1e-4)
    np.testing.assert_allclose(evaluated["accuracy"], history["val_accuracy"][-1], rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "outputs", "y"),
    [
        ("sparse_categorical_crossentropy", 4, "classes"),
        ("categorical_crossentropy", 4, "one-hot"),
        ("binary_crossentropy", 1, "binary"),
    ],
)
def test_accuracy_by_name_fits_the_labels(loss, outputs, y):
    x, classes = examples()
    y = {"classes": classes, "one-hot": np.eye(4)[classes], "binary": classes[:, None] % 2}[y]

    def build():
        last = keras.layers.Dense(outputs, "sigmoid" if outputs == 1 else "softmax")
        return keras.Sequential([keras.Input((6,)), last])

    replicas, model = (make(build, loss=loss, metrics=["accuracy"]) for make in (compiled, plain))
    expected = model.evaluate(x, y, verbose=0)
    seen = replicas.evaluate(x, y)
    assert [seen["loss"][0], seen["accuracy"][0]] == pytest.approx(expected, rel=1e-4)


def test_each_has_its_own_data_weights_and_penalty():
    parts = zip(*(examples(seed=s) for s in SEEDS), strict=True)
    x, y = (np.stack(part) for part in parts)
    weight = np.random.default_rng(1).uniform(0, 2, y.shape).astype("float32")
    scale = np.array([0.0, 1.0, 5.0])
    replicas = compiled(penalised, penalty_scale=scale)
    replicas.fit(x, y, 16, 2, sample_weight=weight)
    for r, seed in list(enumerate(SEEDS))[2:]:
        build = functools.partial(penalised, 0.01 * scale[r])
        alone = compiled(build, [seed])
        alone.fit(x[r], y[r], 16, 2, sample_weight=weight[r])
        assert_same(replicas, r, alone.member(0), 1e-5)


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


def test_saved_and_loaded_they_go_on_as_if_nothing_had_been(tmp_path):
    x, y = examples()
    alphas = np.array([0.0, 0.1, 0.3], "float32")
    options = {"loss_arguments": {"label_smoothing": alphas}, "metrics": ["accuracy"]}
    through = compiled(optimizer=keras.optimizers.Adam(1e-2), **options)
    through.fit(x, y, 16, 4)
    halfway = compiled(optimizer=keras.optimizers.Adam(1e-2), **options)
    halfway.fit(x, y, 16, 2)
    halfway.save(tmp_path / "half.replicates")
    again = Replicates.load(tmp_path / "half.replicates")
    np.testing.assert_allclose(again.predict(x), halfway.predict(x), atol=1e-6)
    again.fit(x, y, 16, 2)
    for mine, theirs in zip(through.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)
    again.member(1).save(tmp_path / "member.keras")
    loaded = keras.models.load_model(tmp_path / "member.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), again.predict(x)[1], atol=1e-6)
    (tmp_path / "other").write_bytes(b"PK nothing of the kind")
    with pytest.raises(ValueError, match="other was not written by"):
        Replicates.load(tmp_path / "other")


def test_an_elementwise_optimiser_of_ones_own_is_taken():
    class Sign(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * keras.ops.sign(gradient))

    if keras.backend.backend() == "torch":
        pytest.skip("Keras' optimisers on PyTorch do not call `update_step`")
    x, y = examples()
    replicas = compiled(optimizer=Sign(0.01))
    replicas.fit(x, y, 16, 1)
    model = plain(optimizer=Sign(0.01))
    model.fit(*in_order_of(SEEDS[0], 0, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)


def test_a_recurrent_layer_is_refused_by_name_and_trained_in_a_loop():
    def build():
        layers = keras.layers
        inner = [layers.Reshape((3, 2)), layers.GRU(3, name="memory", reset_after=False), layers.Dense(4)]
        return keras.Sequential([keras.Input((6,)), *inner])

    if keras.backend.backend() == "tensorflow":
        with pytest.raises(NotImplementedError, match=r'"memory" \(GRU\).*vectorized_map.*loop'):
            Replicates(build, SEEDS, mode="stacked")
        plan = Replicates(build, SEEDS).plan
        assert plan.mode == "loop" and '"memory" (GRU)' in plan.why
    x, y = examples()
    mode = "stacked" if keras.backend.backend() == "torch" else "loop"
    replicas = trained(build, SEEDS, x, y, epochs=1, mode=mode)
    model = plain(build)
    model.fit(*in_order_of(SEEDS[0], 0, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)


def test_convolutions_run_in_a_loop_on_a_cpu_unless_told():
    assert Replicates(convolutional, SEEDS).plan.mode == "loop"
    assert "convolutions" in Replicates(convolutional, SEEDS).plan.why
    if keras.backend.backend() != "torch":
        assert Replicates(convolutional, SEEDS, mode="stacked").plan.mode == "stacked"
    assert Replicates(dense, SEEDS).plan.mode == "stacked"


def test_a_plan_goes_by_the_memory_that_is_available_not_by_what_is_free(monkeypatch):
    """Files that were read fill memory that is theirs only until somebody needs it."""
    if keras.backend.backend() != "tensorflow" or backends.current().device() != "cpu":
        pytest.skip("an accelerator has memory of its own")
    model = dense()
    memory = SimpleNamespace(total=2**34, free=2**10, available=2**32)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    plans = [make_plan(model, 1000, "auto", 16, limit) for limit in (None, 2**31, 2**9)]
    assert plans[0] == plans[1] != plans[2] and plans[2].parked


@pytest.mark.parametrize("method", ["compile", "fit", "evaluate", "predict"])
def test_arguments_by_position_are_keras_own(method):
    ours, theirs = (inspect.signature(getattr(kind, method)).parameters for kind in (Replicates, keras.Model))
    positional = [name for name, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == list(theirs)[: len(positional)]


def test_initialising_many_builds_two_models():
    calls = []

    def build():
        calls.append(1)
        return dense()

    Replicates(build, range(256))
    assert len(calls) == 2, "the first and the last, with which the draws are compared"


def bad_calls():
    x, y = examples()
    three = np.stack([x, x, x])
    return [
        ("seeds", lambda r: Replicates(dense, [])),
        ("seeds.* 3:", lambda r: Replicates(dense, [3, 5, 3])),
        ("mode", lambda r: Replicates(dense, [1], mode="fast")),
        ("build", lambda r: Replicates(lambda: keras.Sequential([keras.layers.Dense(2)]), [1])),
        (
            r"loss_arguments\['label_smoothing'\].*\[3\]",
            lambda r: compiled(loss_arguments={"label_smoothing": [0.1]}),
        ),
        ("penalty_scale", lambda r: compiled(penalty_scale=[1.0, 2.0])),
        ("loss_arguments", lambda r: compiled(loss=losses.Brier(), loss_arguments={"a": np.zeros(3)})),
        ("`x`.*rank", lambda r: r.fit(x[:, 0], y)),
        ("`x` has 2 replicates", lambda r: r.fit(three[:2], np.stack([y, y]))),
        ("`x` holds no", lambda r: r.fit(x[:0], y[:0])),
        ("`y` must be", lambda r: r.fit(x, y[:-1])),
        ("`y` must be", lambda r: r.fit(three, np.stack([y, y, y])[:, :-1])),
        ("`y` must hold classes 0 … 3; it holds 0 … 4", lambda r: r.fit(x, np.where(y == 3, 4, y))),
        ("`y` must hold classes", lambda r: r.fit(x, y - 1)),
        ("`sample_weight`", lambda r: r.fit(x, y, sample_weight=np.ones(7))),
        ("`weights`", lambda r: r.set_weights([np.zeros((3, 6, 8))])),
        ("BackupAndRestore", lambda r: r.fit(x, y, callbacks=[keras.callbacks.BackupAndRestore("/nowhere")])),
        ("`y` holds text", lambda r: r.fit(x, np.array(["cat", "dog"])[y % 2])),
        ("`class_weight` and", lambda r: r.fit(x, y, class_weight={0: 2.0}, sample_weight=np.ones(50))),
        ("`validation_split`", lambda r: r.fit(x, y, validation_split=1.0)),
        (r"optimizer_arguments\['beta_1'\]", lambda r: compiled(optimizer_arguments={"beta_1": [1.0] * 3})),
    ]


@pytest.mark.parametrize("case", range(len(bad_calls())))
def test_bad_input_is_refused_by_the_argument_s_name(case):
    message, call = bad_calls()[case]
    with pytest.raises(ValueError, match=message):
        call(compiled())


def test_order_of_calls_is_checked():
    x, y = examples()
    replicas = Replicates(dense, SEEDS)
    assert replicas.predict(x).shape == (3, 50, 4), "as they start"
    with pytest.raises(RuntimeError, match="compile"):
        replicas.fit(x, y)
    with pytest.raises(IndexError, match="0 … 2"):
        replicas.member(3)
    used = keras.optimizers.SGD(0.1)
    used.build([keras.Variable(np.zeros(3))])
    with pytest.raises(ValueError, match="optimizer"):
        replicas.compile(used, losses.sparse_categorical_crossentropy)


def test_binary_labels_outside_the_unit_interval_are_refused():
    x, _ = examples()
    replicas = compiled(
        lambda: keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)]), loss=losses.binary_crossentropy
    )
    with pytest.raises(ValueError, match=r"`y` must lie in \[0, 1\]"):
        replicas.fit(x, np.full((50, 1), 2.0))


def test_repeated_seeds_are_paired_where_that_is_said():
    x, y = examples()
    replicas = Replicates(dense, [3, 3], paired=True)
    replicas.compile(keras.optimizers.SGD(0.1), losses.sparse_categorical_crossentropy)
    replicas.fit(x, y, 16, 1)
    np.testing.assert_array_equal(*replicas.get_weights()[0])


def test_batches_are_filled_up_only_where_examples_keep_apart():
    from crosscheck.replicates._additive import fills_up
    from crosscheck.replicates._data import Data
    from crosscheck.replicates._task import Task

    def fills(build, loss=losses.sparse_categorical_crossentropy, metrics=None):
        model = build()
        model.compile("sgd", loss, metrics=metrics)
        x, y = examples(8)
        y = y % 2  # of which PyTorch's binary cross-entropy knows
        model.test_on_batch(x, y)
        return fills_up(Task(model), Data(1, model, x, y))

    def active():
        body = keras.layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.1))
        return keras.Sequential([keras.Input((6,)), body])

    def lambdas():
        return keras.Sequential([keras.Input((6,)), keras.layers.Lambda(lambda x: x - keras.ops.mean(x, 0))])

    def centred():
        return keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(4, lambda z: z - keras.ops.mean(z, 0))]
        )

    def operations():
        x = keras.Input((6,))
        return keras.Model(x, keras.layers.Dense(4)(x - keras.ops.mean(x, axis=0)))

    def one_output():
        return keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])

    kinds = keras.losses
    assert all(fills(build) for build in (dense, penalised, convolutional))
    assert not any(fills(build) for build in (normalised, active, lambdas, centred, operations))
    for loss in (losses.Brier(), kinds.BinaryCrossentropy(), kinds.mean_squared_error, "mean_squared_error"):
        assert fills(one_output, loss), loss
    for loss in (
        kinds.MeanSquaredError(reduction="sum"),
        lambda y_true, y_pred: keras.ops.mean(y_pred),
    ):
        assert not fills(one_output, loss), loss
    assert not fills(dense, kinds.SparseCategoricalCrossentropy(ignore_class=0))
    assert fills(dense, metrics=["accuracy"])
    assert not fills(dense, metrics=[keras.metrics.IoU(4, [0], sparse_y_pred=False)])


def test_settings_times_seeds_with_rates_and_decays_of_their_own():
    x, y = examples()
    rates, decays = np.array([0.1, 0.1, 0.02], "float32"), np.array([0.0, 0.3, 0.3], "float32")
    own = {"learning_rate": rates, "weight_decay": decays}
    replicas = compiled(optimizer=keras.optimizers.SGD(0.5, weight_decay=0.1), optimizer_arguments=own)
    replicas.fit(x, y, 16, 2)
    for r, seed in enumerate(SEEDS):
        model = plain(
            seed=seed, optimizer=keras.optimizers.SGD(float(rates[r]), weight_decay=float(decays[r]))
        )
        for epoch in range(2):
            model.fit(*in_order_of(seed, epoch, x, y), 16, shuffle=False, verbose=0)
        assert_same(replicas, r, model, 1e-5)


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


def test_classes_weighted_and_examples_held_out_as_keras_does():
    x, y = examples()
    options = {"class_weight": {0: 3.0, 2: 0.5}, "validation_split": 0.3}
    replicas = compiled(metrics=["accuracy"], weighted_metrics=["accuracy"])
    history = replicas.fit(x, y, 16, 1, shuffle=False, **options).history
    model = plain(metrics=["accuracy"], weighted_metrics=["accuracy"])
    seen = model.fit(x, y, 16, shuffle=False, verbose=0, **options).history
    assert set(history) == set(seen)
    for name, value in seen.items():
        assert history[name][0, 0] == pytest.approx(value[0], rel=1e-4), name
    assert_same(replicas, 0, model, 1e-5)


def test_epochs_are_numbered_as_keras_does_and_are_whole():
    x, y = examples()
    replicas = compiled()
    history = replicas.fit(x, y, 16, 5, initial_epoch=3, steps_per_epoch=4)
    assert history.epoch == [3, 4]
    model = plain()
    for epoch in (3, 4):
        model.fit(*in_order_of(SEEDS[0], epoch, x, y), 16, shuffle=False, verbose=0)
    assert_same(replicas, 0, model, 1e-5)
    with pytest.raises(ValueError, match=r"`steps_per_epoch` of 2.*hand out batches"):
        replicas.fit(x, y, 16, steps_per_epoch=2)


def test_batches_that_are_handed_out_go_on_from_epoch_to_epoch_as_in_keras():
    x, y = examples(64)
    batches = lambda: ((x[i : i + 16], y[i : i + 16]) for i in range(0, 64, 16))
    replicas, model = compiled(), plain()
    history = replicas.fit(batches(), epochs=2, steps_per_epoch=2).history["loss"][:, 0]
    seen = model.fit(batches(), epochs=2, steps_per_epoch=2, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(history, seen, rtol=1e-5)
    assert_same(replicas, 0, model, 1e-5)


def test_several_inputs_and_outputs_by_name():
    def build():
        left, right = keras.Input((6,), name="left"), keras.Input((2,), name="right")
        both = keras.layers.Concatenate()([keras.layers.Dense(4, "relu")(left), right])
        outputs = {
            "kind": keras.layers.Dense(4, name="kind")(both),
            "size": keras.layers.Dense(1, name="size")(both),
        }
        return keras.Model({"left": left, "right": right}, outputs)

    x, y = examples()
    inputs = {"left": x, "right": x[:, :2] ** 2}
    labels = {"kind": y, "size": x[:, :1]}
    weights = {"kind": np.arange(50) / 25, "size": np.ones(50)}
    make = {
        "loss": {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"},
        "loss_weights": {"kind": 1.0, "size": 0.3},
        "metrics": {"kind": ["accuracy"], "size": ["mae"]},
    }
    replicas, model = compiled(build, **make), plain(build, **make)
    history = replicas.fit(inputs, labels, 16, 1, shuffle=False, sample_weight=weights).history
    seen = model.fit(inputs, labels, 16, shuffle=False, verbose=0, sample_weight=weights).history
    assert set(history) == set(seen)
    for name, value in seen.items():
        assert history[name][0, 0] == pytest.approx(value[0], rel=1e-4), name
    assert_same(replicas, 0, model, 1e-5)
    predicted, expected = replicas.predict(inputs), model.predict_on_batch(inputs)
    for name, value in expected.items():
        np.testing.assert_allclose(predicted[name][0], value, atol=1e-5)


class Own(keras.Model):
    """A training of its own: twice the step that Keras would take."""

    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(4)

    def call(self, x):
        return self.head(x)

    def train_step(self, *arguments):
        super().train_step(*arguments)
        return super().train_step(*arguments)


def own():
    model = Own()
    model(np.zeros((1, 6), "float32"))
    return model


def test_a_training_of_its_own_is_handed_to_fit_and_refused_elsewhere():
    if keras.backend.backend() == "jax":
        pytest.skip("a `train_step` is another there")
    x, y = examples()
    assert Replicates(own, SEEDS).plan.mode == "fit" and "train_step" in Replicates(own, SEEDS).plan.why
    with pytest.raises(NotImplementedError, match=r"Own has a `train_step`.*fit"):
        compiled(own, mode="stacked").fit(x, y)
    replicas = compiled(own, metrics=["accuracy"])
    history = replicas.fit(x, y, 16, 2, validation_data=(x, y)).history
    model = plainly_fitted(own, SEEDS[2], keras.optimizers.SGD(0.1), x, y, 2, 16)
    assert_same(replicas, 2, model, 1e-5)
    assert history["val_accuracy"].shape == (2, 3)
    np.testing.assert_allclose(replicas.evaluate(x, y)["loss"], history["val_loss"][-1], rtol=1e-5)
    np.testing.assert_allclose(replicas.predict(x)[2], model.predict_on_batch(x), atol=1e-5)


class Keeping(keras.losses.Loss):
    """A loss with a variable, which replicates would share."""

    def __init__(self):
        super().__init__(name="keeping")
        self.calls = keras.Variable(0.0, trainable=False)

    def call(self, y_true, y_pred):
        self.calls.assign_add(1.0)
        return keras.ops.mean(keras.ops.square(y_pred), -1) * self.calls


def test_a_loss_that_keeps_a_variable_is_refused_or_handed_to_fit():
    x, y = examples()
    with pytest.raises(NotImplementedError, match=r"belong to neither.*fit"):
        compiled(loss=Keeping()).fit(x, y)
    assert np.isfinite(compiled(loss=Keeping(), mode="fit", seeds=[1]).fit(x, y).history["loss"]).all()


def off_by_a_hundredth(monkeypatch, name):
    """Makes what replicates do wrong, and what Keras does not."""
    from crosscheck.replicates._task import Task

    plain_method = getattr(Task, name)
    if name == "called":
        wrong = lambda self, x, training: plain_method(self, x, training) * 1.01
    elif name == "report":
        wrong = lambda self, batch, aside: plain_method(self, batch, {**aside, "loss": aside["loss"] * 1.01})
    else:

        def wrong(self, values, batch, training=True):
            scaled, aside = plain_method(self, values, batch, training)
            return scaled * 1.01, aside

    monkeypatch.setattr(Task, name, wrong)


@pytest.mark.parametrize(
    ("name", "message"), [("called", "kernel"), ("objective", "kernel"), ("report", "metric")]
)
def test_a_step_that_is_not_keras_own_is_refused_before_it_is_kept(monkeypatch, name, message):
    x, y = examples()
    replicas = compiled(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    start = replicas.get_weights()
    off_by_a_hundredth(monkeypatch, name)
    for _ in range(2):  # also when tried again
        with pytest.raises(NotImplementedError, match=f"{message}.*train_on_batch.*check=False"):
            replicas.fit(x, y, 16)
    for before, now in zip(start, replicas.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)
    if name == "called":
        with pytest.raises(NotImplementedError, match="test_on_batch"):
            replicas.evaluate(x, y)
        unchecked = compiled(check=False)
        assert np.isfinite(unchecked.fit(x, y, 16).history["loss"]).all()


def test_weights_that_build_sets_and_draws_without_a_seed_are_each_replicate_s():
    def build():
        layers = keras.layers
        drawn = lambda shape, dtype=None: keras.random.normal(shape, dtype=dtype)
        constant = keras.initializers.Constant(keras.random.normal((8, 8)))
        hidden = [layers.Dense(8, name="body"), layers.Dense(8, kernel_initializer=constant)]
        model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(4, kernel_initializer=drawn)])
        model.get_layer("body").set_weights([np.full((6, 8), 7.0), np.zeros(8)])
        return model

    weights = Replicates(build, SEEDS).get_weights()
    for r, seed in enumerate(SEEDS):
        keras.utils.set_random_seed(seed)
        for mine, theirs in zip(weights, build().get_weights(), strict=True):
            np.testing.assert_array_equal(mine[r], theirs)


def test_constraints_hold_for_each_replicate():
    def build():
        layers = keras.layers
        hidden = layers.Dense(
            8, "relu", kernel_constraint="non_neg", bias_constraint=keras.constraints.MaxNorm(0.01)
        )
        unit = layers.Dense(4, kernel_constraint=keras.constraints.UnitNorm(axis=0))
        return keras.Sequential([keras.Input((6,)), hidden, unit])

    x, y = examples()
    replicas = compiled(build, optimizer=keras.optimizers.Adam(1e-2))
    replicas.fit(x, y, 16, 2)
    assert_same(replicas, 1, plainly_fitted(build, SEEDS[1], keras.optimizers.Adam(1e-2), x, y, 2, 16), 1e-5)
    assert (replicas.get_weights()[0] >= 0).all()


def test_sequences_with_masks_and_a_short_last_batch():
    """[B, T, 1] outputs, where B = T; T examples are left over of the last batch."""

    def build():
        layers = keras.layers
        return keras.Sequential(
            [keras.Input((10,), dtype="int32"), layers.Embedding(7, 3, mask_zero=True), layers.Dense(1)]
        )

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 7, (35, 10)), rng.normal(size=(35, 10, 1)).astype("float32")
    options = {"loss": keras.losses.MeanSquaredError(), "metrics": ["mae"], "weighted_metrics": ["mae"]}
    replicas, model = compiled(build, **options), plain(build, **options)
    history = replicas.fit(x, y, 10, 1, shuffle=False).history
    seen = model.fit(x, y, 10, shuffle=False, verbose=0).history
    for name, value in seen.items():
        assert history[name][0, 0] == pytest.approx(value[0], rel=1e-4), name
    assert_same(replicas, 0, model, 1e-5)


def as_stream(kind, x, y, weight):
    """The same batches of 16, in another manner."""
    parts = [slice(i, i + 16) for i in range(0, len(x), 16)]
    batches = [(x[part], y[part], weight[part]) for part in parts]
    if kind == "generator":
        return (batch for _ in range(2) for batch in batches)
    if kind == "dataset":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(16)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, i):
            return batches[i]

    return Batches()


@pytest.mark.parametrize("kind", ["generator", "dataset", "PyDataset"])
def test_batches_that_come_in_another_manner_train_the_same(kind):
    if kind == "dataset" and keras.backend.backend() != "tensorflow":
        pytest.skip("needs TensorFlow")
    x, y = examples()
    weight = np.random.default_rng(1).uniform(0, 2, len(x)).astype("float32")
    arrays, streamed = compiled(metrics=["accuracy"]), compiled(metrics=["accuracy"])
    expected = arrays.fit(x, y, 16, 2, shuffle=False, sample_weight=weight).history
    steps = {"steps_per_epoch": 4} if kind == "generator" else {}
    history = streamed.fit(as_stream(kind, x, y, weight), epochs=2, **steps).history
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-6)
    if kind != "generator":
        evaluated = streamed.evaluate(as_stream(kind, x, y, weight))["loss"]
        expected = arrays.evaluate(x, y, 16, sample_weight=weight)["loss"]
        np.testing.assert_allclose(evaluated, expected, rtol=1e-5)
        assert streamed.predict(as_stream(kind, x, y, weight)).shape == (3, 50, 4)
    with pytest.raises(ValueError, match="hands out batches"):
        streamed.fit(as_stream(kind, x, y, weight), y)
    if kind == "generator":
        with pytest.raises(ValueError, match="no more batches"):
            streamed.fit(iter([]), epochs=1)


def test_folders_of_tensorboard_are_each_replicate_s_own(tmp_path):
    pytest.importorskip("tensorboard")
    x, y = examples()
    compiled().fit(x, y, 16, 1, callbacks=[keras.callbacks.TensorBoard(tmp_path)], validation_data=(x, y))
    written = {path.parent.parent.name for path in tmp_path.rglob("events*")}
    assert written == {f"replicate-{r}" for r in range(3)}


def test_tables_of_pandas_are_arrays():
    pandas = pytest.importorskip("pandas")
    x, y = examples()
    table = pandas.DataFrame(x, columns=list("abcdef"))
    replicas = compiled()
    replicas.fit(table, pandas.Series(y), 16, 1)
    arrays = compiled()
    arrays.fit(x, y, 16, 1)
    np.testing.assert_allclose(replicas.get_weights()[0], arrays.get_weights()[0], atol=1e-6)
    with pytest.raises(ValueError, match="`x` holds text or objects"):
        replicas.fit(table.assign(a="red"), y)


def test_a_grid_is_every_setting_under_every_seed():
    seeds, vectors = grid([4, 7], learning_rate=[0.1, 0.01, 0.001], momentum=[0.0, 0.9])
    assert seeds == [4, 7] * 6
    np.testing.assert_array_equal(vectors["learning_rate"].reshape(3, 2, 2)[:, 0, 0], [0.1, 0.01, 0.001])
    np.testing.assert_array_equal(vectors["momentum"].reshape(3, 2, 2)[0, :, 1], [0.0, 0.9])
    assert grid([1, 2]) == ([1, 2], {})
