"""What replicates take in and report: metrics, weights, several inputs, batches in any manner."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from small_networks import (
    SEEDS,
    assert_same,
    compiled,
    examples,
    in_order_of,
    penalised,
    plain,
)

pytestmark = pytest.mark.every_backend


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


def test_data_of_ones_own_become_tensors_once_and_stand_for_no_others(monkeypatch):
    first, second = (
        [np.stack(part) for part in zip(*(examples(seed=seed + r) for r in range(len(SEEDS))), strict=True)]
        for seed in (0, 10)
    )
    keeping, afresh = compiled(), compiled()
    for replicas, kept in ((keeping, True), (afresh, False)):
        monkeypatch.setattr("crosscheck.replicates._block.KEPT", 2**26 if kept else 0)
        for x, y in (first, second):
            replicas.fit(x, y, 16, 2)
            assert all((block.own[0] is not None) == kept for block in replicas.engine.blocks.blocks)
    for one, other in zip(keeping.get_weights(), afresh.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


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
