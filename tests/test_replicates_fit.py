"""Replicates speak Keras: metrics, validation, callbacks, schedules, weights of examples, files, refusals."""

from __future__ import annotations

import functools
import inspect
from types import SimpleNamespace

import keras
import numpy as np
import psutil
import pytest
from small_networks import SEEDS, assert_same, convolutional, dense, examples, normalised, penalised, trained

from crosscheck import losses
from crosscheck.replicates import Replicates, backends, batch_order
from crosscheck.replicates._plan import make_plan

pytestmark = pytest.mark.every_backend


def compiled(build=dense, seeds=SEEDS, optimizer=None, loss=losses.sparse_categorical_crossentropy, **more):
    mode = more.pop("mode", "auto")
    replicas = Replicates(build, seeds, mode=mode)
    replicas.compile(optimizer or keras.optimizers.SGD(0.1), loss, **more)
    return replicas


def plain(build=dense, seed=SEEDS[0], optimizer=None, loss=losses.sparse_categorical_crossentropy, **more):
    keras.utils.set_random_seed(seed)
    model = build()
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, **more)
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
        for name in ("loss", "val_loss", "val_accuracy", "val_top"):
            assert history[name][epoch, 0] == pytest.approx(seen[name][0], rel=1e-4), name
        # Keras weighs the metrics in `weighted_metrics` alone; here sample weights are one thing.
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
    for r, seed in enumerate(SEEDS):
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


def test_an_optimiser_that_couples_is_refused_when_stacked_and_exact_in_a_loop():
    x, y = examples()
    make = lambda: keras.optimizers.SGD(0.5, global_clipnorm=0.1)
    with pytest.raises(ValueError, match=r"`optimizer`.*global_clipnorm.*loop"):
        compiled(optimizer=make(), mode="stacked")
    replicas = compiled(optimizer=make(), mode="loop")
    replicas.fit(x, y, 16, 2)
    for r, seed in enumerate(SEEDS):
        model = plain(seed=seed, optimizer=make())
        for epoch in range(2):
            model.fit(*in_order_of(seed, epoch, x, y), 16, shuffle=False, verbose=0)
        assert_same(replicas, r, model, 1e-5)


@pytest.mark.parametrize("kind", ["Lamb", "Adafactor", "Muon"])
def test_optimisers_that_do_not_act_elementwise_are_found_out(kind):
    with pytest.raises(ValueError, match=f"{kind}.*element"):
        compiled(optimizer=getattr(keras.optimizers, kind)(0.01))


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
            Replicates(build, SEEDS)
    x, y = examples()
    replicas = trained(build, SEEDS, x, y, epochs=1, mode="loop")
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


def test_initialising_many_builds_one_model():
    calls = []

    def build():
        calls.append(1)
        return dense()

    Replicates(build, range(256))
    assert len(calls) == 1


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
        ("ReduceLROnPlateau", lambda r: r.fit(x, y, callbacks=[keras.callbacks.ReduceLROnPlateau()])),
        ("TerminateOnNaN.*batches", lambda r: r.fit(x, y, callbacks=[keras.callbacks.TerminateOnNaN()])),
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
    from crosscheck.replicates._task import Task

    def active():
        body = keras.layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.1))
        return keras.Sequential([keras.Input((6,)), body])

    def lambdas():
        return keras.Sequential([keras.Input((6,)), keras.layers.Lambda(lambda x: x - keras.ops.mean(x, 0))])

    kinds, ours = keras.losses, losses.sparse_categorical_crossentropy
    assert all(fills_up(Task(build(), ours)) for build in (dense, penalised, convolutional))
    assert not any(fills_up(Task(build(), ours)) for build in (normalised, active, lambdas))
    for loss in (losses.Brier(), kinds.BinaryCrossentropy(), kinds.mean_squared_error):
        assert fills_up(Task(dense(), loss)), loss
    for loss in (
        kinds.Dice(),
        kinds.SparseCategoricalCrossentropy(ignore_class=0),
        kinds.MeanSquaredError(reduction="sum"),
        lambda y_true, y_pred: keras.ops.mean(y_pred),
    ):
        assert not fills_up(Task(dense(), loss)), loss
