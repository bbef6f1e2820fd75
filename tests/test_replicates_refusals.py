"""What replicates refuse, by name, and hand to Keras' own `fit`."""

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
    trained,
)

from crosscheck import losses
from crosscheck.replicates import Replicates

pytestmark = pytest.mark.every_backend


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


class Halving(keras.layers.Layer):
    """Halves what is large; it looks at the values, which no stacked program of PyTorch can."""

    def call(self, x):
        largest = keras.ops.max(keras.ops.abs(x))
        return x / 2 if bool(largest > 1) else x


def halving():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(5), Halving(), keras.layers.Dense(4)])


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="Keras itself compiles such a layer nowhere else"
)
def test_what_turns_out_to_be_unstackable_is_trained_one_after_the_other_and_said():
    x, y = examples()
    with pytest.warns(UserWarning, match="cannot be stacked: torch refuses .* one after the other"):
        replicas = trained(halving, SEEDS, x, y, epochs=2)
    assert replicas.plan.mode == "loop" and "cannot be stacked" in replicas.plan.why
    looped = trained(halving, SEEDS, x, y, epochs=2, mode="loop")
    for one, other in zip(replicas.get_weights(), looped.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(NotImplementedError, match=r'cannot be stacked: torch refuses .* mode="loop"'):
        trained(halving, SEEDS, x, y, epochs=2, mode="stacked")
