"""Keras' old names are understood while a script runs, mean what they meant, and are told."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from people_scripts import HEAD, call_of

from crosscheck.errors import UsageError
from crosscheck.scripts import _old_names as old

pytestmark = pytest.mark.every_backend

KERAS_1 = """
import numpy as np
from keras.models import Sequential
from keras.layers.core import Dense, Dropout, Activation, Flatten
from keras.layers.convolutional import Convolution2D, MaxPooling2D
from keras.layers.normalization import BatchNormalization
from keras.layers.advanced_activations import LeakyReLU
from keras.optimizers import SGD
from keras.utils import np_utils
from keras import backend as K

K.set_image_dim_ordering("tf")
x, labels = np.zeros((12, 16, 16, 1)), np.arange(12) % 3
y = np_utils.to_categorical(labels, 3)
model = Sequential()
model.add(Convolution2D(4, 3, 3, border_mode="same", input_shape=(16, 16, 1)))
model.add(BatchNormalization(mode=0))
model.add(LeakyReLU(alpha=0.1))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Convolution2D(nb_filter=4, nb_row=3, nb_col=5, subsample=(2, 2), init="he_normal"))
model.add(Flatten())
model.add(Dropout(p=0.25))
model.add(Dense(output_dim=3, init="uniform", W_regularizer="l2"))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=0.1, decay=0.5, momentum=0.9),
              class_mode="categorical")
model.fit(x, y, nb_epoch=5, batch_size=4, show_accuracy=True, verbose=2)
"""


def test_a_script_of_keras_1(tmp_path: Path) -> None:
    with call_of(tmp_path, KERAS_1) as call:
        model, optimizer = call.model, call.model.optimizer
        assert call.arguments["epochs"] == 5 and call.arguments["y"].shape == (12, 3)
        first, second = (layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
        assert (first.kernel_size, first.strides, first.padding) == ((3, 3), (1, 1), "same")
        assert (second.kernel_size, second.strides) == ((3, 5), (2, 2))
        assert isinstance(model.layers[-2].kernel_regularizer, keras.regularizers.L2)
        rates = [float(optimizer.learning_rate)]
        optimizer.iterations.assign(3)
        rates.append(float(optimizer.learning_rate))
    assert rates == pytest.approx([0.1, 0.1 / (1 + 0.5 * 3)], rel=1e-6)  # Keras 2: lr / (1 + decay · steps)
    told = "\n".join(call.translated)
    for words in (
        "keras.layers.core → keras.layers",
        "Conv2D(border_mode=) → padding=",
        "SGD(lr=) → learning_rate=",
        "SGD(decay=) → learning_rate=InverseTimeDecay(…)",
        "fit(nb_epoch=) → epochs=",
        "fit(show_accuracy=) left out",
        "compile(class_mode=) left out",
        "Dense(output_dim=) → units=",
    ):
        assert words in told, told


def test_what_is_written_for_keras_3_is_left_alone(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
model.add(keras.layers.Dense(2, kernel_initializer="he_normal"))
keras.layers.Conv2D(8, 3, 3)
model.compile(keras.optimizers.Adam(learning_rate=0.1, epsilon=1e-5, clipnorm=1.0), "mse")
model.fit(x, y, epochs=2)
"""
    )
    with call_of(tmp_path, text) as call:
        assert call.translated == ()
        assert call.model.optimizer.epsilon == 1e-5


def test_conv2d_keeps_its_stride(tmp_path: Path) -> None:
    text = HEAD + "layer = keras.layers.Conv2D(8, 3, 2)\nassert layer.strides == (2, 2)\nmodel.fit(x, y)\n"
    with call_of(tmp_path, text):
        pass


STILL_MEANS = {
    "batch_input_shape": """
model = keras.Sequential([keras.layers.LSTM(2, batch_input_shape=(8, 5, 3), stateful=True)])
assert model.inputs[0].shape == (8, 5, 3), model.inputs
""",
    "input_length": """
recurrent = keras.layers.LSTM(output_dim=2, input_length=5, input_dim=3, inner_init="orthogonal")
model = keras.Sequential([recurrent])
assert model.inputs[0].shape == (None, 5, 3)
""",
    "input and output": """
i = keras.Input((3,))
model = keras.Model(input=i, output=keras.layers.Dense(1)(i))
assert model.output_shape == (None, 1)
""",
    "merge": """
a, b = keras.Input((3,)), keras.Input((4,))
assert keras.layers.merge([a, b], mode="concat").shape == (None, 7)
from keras.layers import merge
assert merge([a, a], mode="sum").shape == (None, 3)
""",
    "backend": """
from keras import backend as K
assert float(K.mean(K.square(K.constant([1.0, 3.0])))) == 5
assert K.int_shape(keras.Input((3,))) == (None, 3) and K.image_dim_ordering() == "tf"
assert float(K.get_value(K.clip(K.variable(2.0), 0, 1))) == 1
assert K.epsilon() == 1e-7
def loss(t, p):
    return K.mean(K.pow(t - p, 2), axis=-1)
model.compile("sgd", loss)
""",
    "optimizers": """
from keras.optimizers import adam
from keras import optimizers
assert type(optimizers.sgd(lr=0.5)).__name__ == "SGD" and float(adam(lr=0.25).lr) == 0.25
optimizers.RMSprop(lr=0.001, rho=0.9, epsilon=None, decay=0.0)
""",
    "objectives": "from keras.objectives import mse\nimport keras.initializations\n",
    "to_categorical": """
from keras.utils.np_utils import to_categorical
assert to_categorical([0, 2], 3).tolist() == [[1, 0, 0], [0, 0, 1]]
""",
    "generators": """
from keras.preprocessing.image import ImageDataGenerator
from keras.preprocessing.text import Tokenizer
from keras.preprocessing.sequence import pad_sequences, TimeseriesGenerator
flow = ImageDataGenerator(rescale=0.5).flow(np.ones((6, 4, 4, 1)), np.arange(6), batch_size=3)
assert next(flow)[0].max() == 0.5
tokens = Tokenizer(num_words=9)
tokens.fit_on_texts(["a b", "b c"])
assert tokens.word_index["b"] == 1
""",
    "tf.keras": """
import tensorflow as tf
from tensorflow.keras.layers import Dense
from tensorflow.keras.layers.core import Dropout
from tensorflow.keras.optimizers import Adam
from tensorflow.keras.preprocessing.text import Tokenizer
import tensorflow.contrib.keras as contrib
import tf_keras
Adam(lr=0.1), Dropout(p=0.5), Dense(output_dim=3)
assert tf_keras.layers.Dense is keras.layers.Dense is contrib.layers.Dense is tf.keras.layers.Dense is Dense
assert isinstance(tf.keras.optimizers.legacy.SGD(lr=0.1), keras.optimizers.SGD)
""",
    "callbacks": """
from keras.callbacks import ModelCheckpoint, TensorBoard
ModelCheckpoint("weights.hdf5", save_best_only=True, period=2)
ModelCheckpoint("weights.hdf5", save_weights_only=True)
TensorBoard(log_dir="logs", write_grads=True)
""",
    "shapes": """
assert model.layers[0].input_shape == (None, 3) and model.layers[0].output_shape == (None, 1)
""",
    "methods": """
assert model.predict_classes(x, verbose=0).shape == (40, 1)
assert model.predict_proba(x, verbose=0).shape == (40, 1)
""",
    "other libraries": """
import time
from sklearn.cross_validation import train_test_split
from sklearn.externals import joblib
assert np.float is float and np.zeros(2, dtype=np.int).dtype.kind == "i" and time.clock() > 0
""",
    "compile": """
model.compile("sgd", "cosine_proximity", metrics=["acc"])
assert model.loss == "cosine_similarity"
""",
}  # fmt: skip


@pytest.mark.parametrize("name", STILL_MEANS)
def test_an_old_name_means_what_it_meant(tmp_path: Path, name: str) -> None:
    fit = "\nmodel.fit(x, y, verbose=0)\n"
    with call_of(tmp_path, HEAD + STILL_MEANS[name] + fit) as call:
        assert call.translated, "and it is told"


def test_fit_generator(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
def batches():
    while True:
        yield x[:8], y[:8]
model.fit_generator(batches(), steps_per_epoch=5, nb_epoch=3, validation_data=(x, y), workers=4, max_q_size=2)
"""
    )
    with call_of(tmp_path, text) as call:
        assert call.arguments["epochs"] == 3 and call.arguments["steps_per_epoch"] == 5
        assert "model.fit_generator() → fit()" in call.translated


@pytest.mark.parametrize(
    "loss, shape", [("categorical_crossentropy", (40, 2)), ("sparse_categorical_crossentropy", (40,))]
)
def test_the_wrapper_for_scikit_learn(tmp_path: Path, loss: str, shape: tuple[int, ...]) -> None:
    text = (
        HEAD
        + f"""
from keras.wrappers.scikit_learn import KerasClassifier
from sklearn.model_selection import cross_val_score
def build(rate=0.1):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "{loss}")
    return model
estimator = KerasClassifier(build_fn=build, nb_epoch=4, batch_size=5, verbose=0)
estimator.fit(x, np.array(["no", "yes"])[y])
"""
    )
    with call_of(tmp_path, text) as call:
        assert call.arguments["epochs"] == 4 and call.arguments["batch_size"] == 5
        assert call.arguments["y"].shape == shape


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("from keras.models import Graph\nGraph()", "Graph is of Keras 1"),
        (
            "from keras.layers import Merge\nMerge([model, model], mode='sum')",
            "Merge of models is of Keras 1",
        ),
        ("keras.backend.gradients(1, 2)", "no symbolic gradients"),
    ],
)
def test_what_has_no_equal_is_refused_in_words(tmp_path: Path, line: str, words: str) -> None:
    with (
        pytest.raises(UsageError, match=rf"train\.py:\d+: .*{words}"),
        call_of(tmp_path, HEAD + line + "\nmodel.fit(x, y)\n"),
    ):
        pass


def test_every_new_name_in_the_tables_exists() -> None:
    from crosscheck.scripts._translation import resolved

    for module, names in old.NAMES.items():
        for name, value in names.items():
            assert resolved(value) is not None, (module, name)
    for layer, table in old.LAYERS.items():
        assert hasattr(keras.layers, layer), (layer, table)


def test_our_own_names_work_on_the_model_afterwards(tmp_path: Path) -> None:
    """A loss that calls `K.mean` is called long after the script was stopped."""
    text = (
        HEAD
        + "from keras import backend as K\n"
        + "model.compile('sgd', lambda t, p: K.mean(K.square(t - p)))\nmodel.fit(x, y)\n"
    )
    with call_of(tmp_path, text) as call:
        assert np.isfinite(call.model.evaluate(call.arguments["x"], call.arguments["y"], verbose=0)).all()
