"""What `fit` is given is harvested before its first step, in every form that Keras takes."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from people_scripts import FEATURES, HEAD, ROWS, call_of, program_of

from crosscheck.diagnose import _sources
from crosscheck.diagnose._harvest import DEFAULT_BATCH_SIZE, harvest
from crosscheck.diagnose._program import Data
from crosscheck.errors import UsageError

pytestmark = pytest.mark.every_backend

X = np.arange(ROWS * FEATURES, dtype="float32").reshape(ROWS, FEATURES)
Y = np.arange(ROWS) % 2


def assert_same(data: Data, x=X, y=Y) -> None:
    np.testing.assert_array_equal(data.x, x)
    np.testing.assert_array_equal(data.y, y)


def test_arrays_arguments_and_place(tmp_path: Path) -> None:
    program = program_of(
        tmp_path,
        """
        w = np.ones(40)
        model.fit(x, y, 8, 3, validation_split=0.25, shuffle=False, class_weight={0: 1.0, 1: 2.0},
                  sample_weight=w, steps_per_epoch=5, callbacks=[keras.callbacks.EarlyStopping()])
        """,
    )
    assert_same(program.training)
    np.testing.assert_array_equal(program.training.sample_weight, np.ones(ROWS))
    assert (program.batch_size, program.epochs, program.validation_split) == (8, 3, 0.25)
    assert program.shuffle is False and program.class_weight == {0: 1.0, 1: 2.0}
    assert set(program.arguments) == {"steps_per_epoch", "callbacks"}
    assert program.validation is None and program.training.is_complete
    assert program.place == f"train.py:{len(HEAD.splitlines()) + 3}"


def test_nothing_is_trained(tmp_path: Path) -> None:
    with call_of(tmp_path, HEAD + "before = model.get_weights()\nmodel.fit(x, y)\n") as call:
        assert int(call.model.optimizer.iterations) == 0
        assert harvest(call).batch_size == DEFAULT_BATCH_SIZE


def test_a_dictionary_and_a_list_of_arrays_keep_their_structure(tmp_path: Path) -> None:
    head = """
    import numpy as np, keras
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    z = keras.layers.Dense(1, name="z")(keras.layers.concatenate([a, b]))
    model = keras.Model([a, b], z)
    model.compile("sgd", "mse")
    xa, xb, y = np.zeros((9, 3)), np.ones((9, 2)), np.zeros((9, 1))
    """
    by_name = program_of(
        tmp_path, 'model.fit({"a": xa, "b": xb}, y)', "from textwrap import *" + head.replace("\n    ", "\n")
    )
    assert set(by_name.training.x) == {"a", "b"} and by_name.training.rows == 9
    in_order = program_of(tmp_path, "model.fit([xa, xb], y)", head.replace("\n    ", "\n"))
    assert [array.shape for array in in_order.training.x] == [(9, 3), (9, 2)]


def test_a_data_frame(tmp_path: Path) -> None:
    program = program_of(
        tmp_path,
        """
        import pandas as pd
        frame = pd.DataFrame(x, columns=list("abc"))
        frame["label"] = y
        inputs = frame[["a", "b", "c"]]
        model.fit(inputs, frame["label"], validation_data=(inputs, frame["label"]))
        """,
    )
    assert program.training.source == "DataFrame"
    assert_same(program.training, y=Y[:, None])  # Keras reads a series as a column
    assert_same(program.validation, y=Y[:, None])


def test_tensors_of_the_backend(tmp_path: Path) -> None:
    program = program_of(
        tmp_path, "model.fit(keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y))"
    )
    assert_same(program.training)


@pytest.mark.parametrize(
    ("how", "reshuffled"),
    [("", False), (".shuffle(40)", True), (".shuffle(40, reshuffle_each_iteration=False)", False)],
)
def test_tf_data_and_whether_it_is_reshuffled(tmp_path: Path, how: str, reshuffled: bool) -> None:
    program = program_of(
        tmp_path,
        f"""
        import tensorflow as tf
        data = tf.data.Dataset.from_tensor_slices((x, y)){how}.batch(16)
        model.fit(data, validation_data=data, epochs=2)
        """,
    )
    assert program.training.source == program.validation.source == "tf.data"
    assert program.training.is_complete and program.training.is_reshuffled is reshuffled
    np.testing.assert_array_equal(np.sort(program.training.x, 0), X)
    assert program.batch_size == 16


def test_augmentation_is_not_taken_for_another_order(tmp_path: Path) -> None:
    program = program_of(
        tmp_path,
        """
        import tensorflow as tf
        data = tf.data.Dataset.from_tensor_slices((x, y))
        model.fit(data.map(lambda a, b: (a + tf.random.normal((3,)), b)).batch(16))
        """,
    )
    assert program.training.is_reshuffled is not True  # where random numbers repeat themselves: not at all


def test_an_endless_stream_is_read_for_a_while(tmp_path: Path) -> None:
    program = program_of(
        tmp_path,
        """
        def batches():
            while True:
                yield x[:4], y[:4], np.ones(4)
        def finite():
            yield x, y
        model.fit(batches(), steps_per_epoch=10, validation_data=finite(), validation_steps=1)
        """,
    )
    training = program.training
    assert training.source == "generator" and not training.is_complete and training.is_reshuffled is None
    assert training.rows == 4 * _sources.MOST_BATCHES and training.sample_weight.shape == (training.rows,)
    assert program.batch_size == 4
    assert_same(program.validation)
    assert program.validation.is_complete


def test_a_large_batch_is_cut(tmp_path: Path) -> None:
    program = program_of(tmp_path, "model.fit(iter([(np.zeros((9000, 3)), np.zeros(9000))]))")
    assert program.training.rows == _sources.MOST_ROWS and not program.training.is_complete
    assert program.batch_size == 9000


def test_a_py_dataset(tmp_path: Path) -> None:
    program = program_of(
        tmp_path,
        """
        class Batches(keras.utils.Sequence):
            def __len__(self):
                return 5
            def __getitem__(self, index):
                return x[8 * index : 8 * index + 8], y[8 * index : 8 * index + 8]
        model.fit(Batches(), validation_data=Batches())
        """,
    )
    assert program.training.source == "PyDataset" and program.training.is_complete
    assert_same(program.training)
    assert_same(program.validation)
    assert program.batch_size == 8


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_torch_data_loader(tmp_path: Path, shuffle: bool) -> None:
    pytest.importorskip("torch")
    program = program_of(
        tmp_path,
        f"""
        import torch
        pairs = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        model.fit(torch.utils.data.DataLoader(pairs, batch_size=10, shuffle={shuffle}))
        """,
    )
    assert program.training.source == "DataLoader" and program.training.is_reshuffled is shuffle
    np.testing.assert_array_equal(np.sort(program.training.x, 0), X)


def test_sequences_of_several_lengths_are_taken_as_far_as_they_fit(tmp_path: Path) -> None:
    head = HEAD.replace("keras.Input((3,))", "keras.Input((None, 3)), keras.layers.LSTM(2)")
    program = program_of(
        tmp_path, "model.fit(iter([(np.zeros((2, n, 3)), np.zeros(2)) for n in (5, 7, 5)]))", head
    )
    assert program.training.x.shape == (4, 5, 3) and not program.training.is_complete


def test_validation_with_weights(tmp_path: Path) -> None:
    program = program_of(tmp_path, "model.fit(x, y, validation_data=[x[:9], y[:9], np.full(9, 2.0)])")
    assert_same(program.validation, X[:9], Y[:9])
    np.testing.assert_array_equal(program.validation.sample_weight, np.full(9, 2.0))


def test_a_model_without_a_shape_is_left_as_it_stands(tmp_path: Path) -> None:
    head = HEAD.replace("keras.Input((3,)), ", "")
    model = program_of(tmp_path, "model.fit(x, y)", head).model
    assert not model.built and not model.weights


def line_of(words: str, text: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if words in line)


SUBCLASS = """
class Mine(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(1)
    def call(self, x, training=False):
        return self.head(x)
    def fit(self, x, y, **rest):
        return super().fit(2 * x, y, **rest)

model = Mine()
model.compile("sgd", "mse")
model.fit(x, y, epochs=7)
"""


def test_a_fit_of_ones_own_is_followed_to_that_of_keras(tmp_path: Path) -> None:
    program = program_of(tmp_path, SUBCLASS)
    assert_same(program.training, 2 * X)
    assert program.epochs == 7
    assert program.place == f"train.py:{line_of('super().fit', HEAD + SUBCLASS)}"


def test_fit_in_a_function_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text("def train(model, x, y):\n    model.fit(x, y)\n")
    assert program_of(tmp_path, "import loops\nloops.train(model, x, y)").place == "loops.py:2"


def test_train_on_batch(tmp_path: Path) -> None:
    loop = """
    for epoch in range(3):
        for i in range(0, 40, 8):
            model.train_on_batch(x[i : i + 8], y[i : i + 8], class_weight={0: 1, 1: 3})
    """
    program = program_of(tmp_path, loop)
    assert_same(program.training, X[:8], Y[:8])
    assert program.training.source == "train_on_batch" and not program.training.is_complete
    assert program.batch_size == 8 and program.class_weight == {0: 1, 1: 3}


def test_a_later_call(tmp_path: Path) -> None:
    text = HEAD + "model.fit(x, y, verbose=0)\nmodel.fit(x[:7], y[:7])\n"
    with call_of(tmp_path, text, number=2) as call:
        assert int(call.model.optimizer.iterations) == 2  # the first ran whole
        assert harvest(call).training.rows == 7
    with (
        pytest.raises(UsageError, match=r"trains 2 times: there is no call 3"),
        call_of(tmp_path, text, number=3),
    ):
        pass


def test_a_loop_counts_once_for_each_line_and_model(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
other = keras.models.clone_model(model)
other.compile("sgd", "mse")
for _ in range(5):
    model.train_on_batch(x, y)
    other.train_on_batch(x[:3], y[:3])
"""
    )
    with call_of(tmp_path, text, number=2) as call:
        assert len(call.arguments["x"]) == 3
    with pytest.raises(UsageError, match="there is no call 3"), call_of(tmp_path, text, number=3):
        pass


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        ("keras.Sequential([keras.layers.Dense(1)]).fit(x, y)", "not compiled"),
        ("model.fit(x.tolist(), y.tolist())", "Keras takes arrays"),
        ("model.fit(iter([]))", "has no batch"),
        ("model.fit(iter([(x[0], y.ravel()[0])]))", "rows, not batches"),
        ("model.fit()", "given no x"),
    ],
)
def test_what_cannot_be_harvested_is_refused_with_its_place(tmp_path: Path, fit: str, words: str) -> None:
    with pytest.raises(UsageError, match=rf"^train\.py:\d+: .*{words}"):
        program_of(tmp_path, fit)


def test_keras_is_as_it_was(tmp_path: Path) -> None:
    before = keras.Model.fit, keras.layers.Dense.__init__, keras.Model.__new__, keras.layers.Convolution2D
    program_of(tmp_path, "model.fit(x, y)")
    after = keras.Model.fit, keras.layers.Dense.__init__, keras.Model.__new__, keras.layers.Convolution2D
    assert before == after and "fit" not in vars(keras.Model)
    assert not hasattr(keras.Model, "fit_generator") and not hasattr(keras.layers, "merge")
