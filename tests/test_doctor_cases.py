"""Smallest models that were once misjudged, and models whose diagnosis is known, on this backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import pytest
from doctor_models import (
    BROKEN,
    RECOVERED,
    SOUND,
    UNDECIDED,
    L,
    S,
    binary,
    called,
    compiled,
    masked,
    seq,
    sparse,
)
from keras import ops

from crosscheck.doctor import Diagnosis, examine
from crosscheck.errors import UsageError

pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis"),
    pytest.mark.filterwarnings("ignore:In loss categorical_focal"),
]
BACKEND = keras.backend.backend()
TENSORFLOW = BACKEND == "tensorflow"
ELSEWHERE = 0 if TENSORFLOW else 1  # Keras finds logits behind an activation on TensorFlow alone


@pytest.fixture(autouse=True)
def names_from_the_start() -> None:
    keras.backend.clear_session(free_memory=False)


def diagnoses(model: keras.Model, loss: Any, **how: Any) -> list[Diagnosis]:
    model.compile("adam", loss, **how)
    return examine(model)


@keras.saving.register_keras_serializable(package="doctor_cases")
class Step(keras.Model):
    """`fit` gives two things where there are no weights, and `train_on_batch` three."""

    def train_step(self, data):
        x, y = data
        return super().train_step((x, y))


def step() -> keras.Model:
    i = keras.Input((3,))
    return Step(i, L.Dense(2)(i))


def keyed() -> keras.Model:
    i = keras.Input((3,))
    p = L.Dense(4, activation="softmax", name="layer_p")(i)
    return keras.Model(i, {"p": p, "q": L.Dense(1, activation="sigmoid", name="layer_q")(i)})


def text() -> keras.Model:
    i = keras.Input((), dtype="string")
    x = L.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3)(i)
    return keras.Model(i, L.Dense(1, activation="sigmoid")(L.GlobalAveragePooling1D()(L.Embedding(9, 4)(x))))


def stateful() -> keras.Model:
    return keras.Sequential([keras.Input(batch_shape=(32, 5, 3)), L.LSTM(4, stateful=True), L.Dense(2)])


def nested() -> keras.Model:
    return seq(seq(L.Dense(4)), L.Softmax())


CASES: dict[str, tuple[Callable[[], tuple[keras.Model, Any]], int]] = {
    "masked sequence": (lambda: (masked(), sparse()), 0),
    "ignore_class": (lambda: (seq(L.Dense(4)), sparse(ignore_class=0)), 0),
    "log_softmax": (lambda: (seq(L.Dense(4, activation="log_softmax")), sparse()), 0),
    "activity": (lambda: (seq(L.Dense(4, activity_regularizer=keras.regularizers.L2(1e-3))), sparse()), 0),
    "constraint": (lambda: (seq(L.Dense(4, bias_constraint="non_neg")), sparse()), 0),
    "one softmax, mse": (lambda: (seq(L.Dense(1, activation="softmax")), "mse"), 1),
    "focal, sigmoid": (
        lambda: (seq(L.Dense(1, activation="sigmoid")), S.BinaryFocalCrossentropy(from_logits=True)),
        1,
    ),
    "categorical focal": (
        lambda: (seq(L.Dense(3, activation="softmax")), S.CategoricalFocalCrossentropy()),
        1,
    ),
    "divergence": (lambda: (seq(L.Dense(3, activation="softmax")), "kl_divergence"), 1),
    "one softmax, sparse": (
        lambda: (seq(L.Dense(1, activation="softmax")), "sparse_categorical_crossentropy"),
        1,
    ),
    "text": (lambda: (text(), "binary_crossentropy"), ELSEWHERE),
    "stateful": (lambda: (stateful(), sparse()), 0),
    "own function": (
        lambda: (seq(L.Dense(4)), lambda y, z: S.sparse_categorical_crossentropy(y, z, from_logits=True)),
        0,
    ),
    "nested": (lambda: (nested(), "sparse_categorical_crossentropy"), ELSEWHERE),
    "map": (
        lambda: (seq(L.Conv2D(1, 1, activation="sigmoid"), shape=(8, 8, 3)), "binary_crossentropy"),
        ELSEWHERE,
    ),
    "timed": (
        lambda: (
            seq(L.TimeDistributed(L.Dense(4, activation="softmax")), shape=(5, 3)),
            "sparse_categorical_crossentropy",
        ),
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_was_once_misjudged_is_judged_rightly(name: str) -> None:
    make, code = CASES[name]
    (diagnosis,) = diagnoses(*make())
    assert diagnosis.exit_code == code, str(diagnosis)
    if code:
        assert diagnosis.cause and diagnosis.tried, str(diagnosis)


def test_a_train_step_that_unpacks_two_things_gets_two() -> None:
    if BACKEND == "jax":  # whose train steps take a state as well
        with pytest.raises(UsageError, match="takes 2 positional arguments"):
            diagnoses(step(), sparse())
    else:
        assert diagnoses(step(), sparse())[0].exit_code == 0


def test_losses_keyed_by_output_are_found_by_the_keys_of_the_outputs() -> None:
    model = keyed()
    found = diagnoses(model, {"p": "sparse_categorical_crossentropy", "q": "binary_crossentropy"})
    assert [(d.output, d.exit_code) for d in found] == [("p", ELSEWHERE), ("q", ELSEWHERE)]


def test_two_units_with_a_softmax_are_wrong_everywhere_on_tensorflow_alone() -> None:
    """Elsewhere binary cross-entropy of both columns is cross-entropy, up to where Keras clips p."""
    (found,) = diagnoses(seq(L.Dense(2, activation="softmax")), "binary_crossentropy")
    assert found.limit == (0 if TENSORFLOW else 17)
    assert ("wants a sigmoid" in found.cause) == TENSORFLOW and "CategoricalCrossentropy" in found.remedy


def test_a_relu_before_a_softmax_wants_no_relu() -> None:
    (found,) = diagnoses(seq(L.Dense(3, activation="relu"), L.Softmax()), "sparse_categorical_crossentropy")
    assert found.exit_code == 1 and "relu" in found.cause
    assert found.remedy.startswith("no relu") and found.tried


def test_ignore_class_behind_a_softmax_is_told_as_the_cause() -> None:
    (found,) = diagnoses(
        seq(L.Dense(4, activation="softmax")), S.SparseCategoricalCrossentropy(ignore_class=-1)
    )
    assert found.exit_code == 1 and ("ignore_class" in found.cause) == TENSORFLOW
    assert "from_logits=True" in found.remedy and found.tried


# --- kinds ---------------------------------------------------------------------------------------------

EVERYWHERE = {
    "pooled maps",
    "soft cap",
    "cosine logits",
    "average of logits",
    "subclassed",
    "own train step",
    "half",
} | {
    "batch norm, softmax",
    "subclassed, an operation",
    "weights of one's own, sigmoid",
    "clip behind",
    "clipped logits, softmax",
    "softmax twice",
    "softmax in a model, from logits",
    "hard sigmoid",
    "three softmax, binary",
    "own focal",
    "own step",
    "own loss",
}


def names_of(table: dict[str, Any]) -> list[Any]:
    """The names; on the other backends most of them only in long runs, for each costs them a second."""
    short = lambda name: TENSORFLOW or name in EVERYWHERE
    return [name if short(name) else pytest.param(name, marks=pytest.mark.long) for name in table]


@pytest.mark.parametrize("name", names_of(SOUND))
def test_a_sound_model_of_any_kind_raises_no_alarm(name: str) -> None:
    (found,) = examine(compiled(SOUND[name]))
    assert found.exit_code == 0, str(found)


@pytest.mark.parametrize("name", names_of(RECOVERED))
def test_logits_behind_an_activation_are_found_on_tensorflow_alone(name: str) -> None:
    (found,) = examine(compiled(RECOVERED[name]))
    assert found.exit_code == ELSEWHERE, str(found)


@pytest.mark.parametrize("name", names_of(BROKEN))
def test_a_broken_model_of_any_kind_is_found_with_its_cause(name: str) -> None:
    (found,) = examine(compiled(BROKEN[name]))
    assert found.exit_code == 1 and found.cause and found.remedy, str(found)
    assert found.tried or name == "recurrent logits", str(found)


@pytest.mark.parametrize("name", UNDECIDED)
def test_a_loss_that_nobody_knows_is_left_undecided_with_the_way_out(name: str) -> None:
    (found,) = examine(compiled(UNDECIDED[name]))
    assert found.exit_code == 2 and "crosscheck audit" in str(found)


# --- what stays hidden is told --------------------------------------------------------------------------


class Opaque(keras.layers.Layer):
    """Weights and an activation in one `call` that takes no symbolic tensors."""

    def __init__(self, bounded: bool):
        super().__init__()
        self.bounded = bounded

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 3), initializer="ones")

    def compute_output_spec(self, x):
        return keras.KerasTensor((*x.shape[:-1], 3), x.dtype)

    def call(self, x):
        if isinstance(x, keras.KerasTensor):
            raise TypeError("numbers, please")
        z = ops.matmul(x, self.w)
        return ops.softmax(z) if self.bounded else z


def test_a_layer_that_cannot_be_opened_is_named_where_it_may_hide_an_activation() -> None:
    (found,) = diagnoses(seq(Opaque(bounded=True)), sparse())
    assert found.exit_code == 2 and "Opaque cannot be looked into" in str(found)
    (found,) = diagnoses(seq(Opaque(bounded=False)), sparse())
    assert found.exit_code == 0


def test_an_output_without_a_loss_has_no_diagnosis() -> None:
    i = keras.Input((3,))
    model = keras.Model(i, {"a": L.Dense(3)(i), "features": L.Dense(7)(i)})
    (found,) = diagnoses(model, {"a": sparse()})
    assert (found.output, found.exit_code) == ("a", 0)


def test_losses_in_a_list_with_weights_go_by_order() -> None:
    i = keras.Input((3,))
    model = keras.Model(i, [L.Dense(3)(i), L.Dense(1, activation="sigmoid")(i)])
    first, second = diagnoses(model, [sparse(), binary()], loss_weights=[0.5, 2.0])
    assert first.exit_code == 0 and first.scale == pytest.approx(0.5)
    assert second.exit_code == ELSEWHERE


def test_what_symbolic_calls_leave_behind_is_removed() -> None:
    model = compiled(SOUND["temperature"])
    layer = model.layers[0]
    examine(model)
    assert layer.output is not None and math.isinf(examine(model)[0].limit)


class Distiller(keras.Model):
    """A model that keeps its loss and its student to itself; it must not lose its optimiser's place."""

    def __init__(self):
        super().__init__()
        self.student = L.Dense(3)
        self.loss_of_mine = sparse()

    def call(self, x):
        return self.student(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.loss_of_mine(y, y_pred)


def test_a_loss_among_the_attributes_is_found() -> None:
    model = called(Distiller())
    model.compile("adam")
    (found,) = examine(model)
    assert found.exit_code == 0 and "SparseCategoricalCrossentropy" in found.loss


class Teaching(keras.Model):
    """Its train step calls a layer by itself, and not the model."""

    def __init__(self):
        super().__init__()
        self.student = L.Dense(3)

    def call(self, x):
        return self.student(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, self.student(x), sample_weight, training)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_train_step_past_the_model_is_refused_in_words_that_are_true_of_it() -> None:
    with pytest.raises(UsageError, match=r"no part in what Teaching trains|cannot be taken"):
        diagnoses(called(Teaching()), sparse())


# --- metrics ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "metrics", "words"),
    [
        (lambda: (seq(L.Dense(1)), binary()), ["accuracy"], "threshold=0"),
        (lambda: (seq(L.Dense(1)), binary()), [keras.metrics.BinaryAccuracy(threshold=0.0)], ""),
        (lambda: (seq(L.Dense(1)), binary()), [keras.metrics.AUC()], "from_logits=True"),
        (lambda: (seq(L.Dense(1)), binary()), [keras.metrics.AUC(from_logits=True)], ""),
        (lambda: (seq(L.Dense(1)), binary()), [keras.metrics.Precision()], "thresholds=0"),
        (lambda: (seq(L.Dense(5)), binary()), ["accuracy"], "categorical accuracy"),
        (lambda: (seq(L.Dense(3)), sparse()), ["accuracy"], ""),
        (lambda: (seq(L.Dense(3)), sparse()), ["categorical_accuracy"], "sparse_categorical_accuracy"),
    ],
)
def test_metrics_that_misread_the_output_are_told(
    make: Callable[[], Any], metrics: list[Any], words: str
) -> None:
    model, loss = make()
    (found,) = diagnoses(model, loss, metrics=metrics)
    assert found.exit_code == 0
    assert (words in str(found)) if words else not found.metrics
