"""Heads with logits along other axes, of one tower called twice, behind a gate; on this backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from doctor_models import L, S, binary, functional, onehot, seq, sparse
from keras import ops

from crosscheck.doctor import Diagnosis, examine
from crosscheck.doctor._readings import Example, those_that_get_worse
from crosscheck.errors import UsageError

pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis"),
]
ELSEWHERE = (
    0 if keras.backend.backend() == "tensorflow" else 1
)  # where Keras finds no logits behind activations
Kind = tuple[Callable[[], tuple[keras.Model, Any]], int]


@pytest.fixture(autouse=True)
def names_from_the_start() -> None:
    keras.backend.clear_session(free_memory=False)


def two_inputs(make: Callable[[Any, Any], Any], units: int = 1) -> keras.Model:
    """One tower, called on two inputs."""
    tower = seq(L.Dense(4, activation="relu"), L.Dense(units))
    a, b = keras.Input((3,)), keras.Input((3,))
    return keras.Model([a, b], make(tower(a), tower(b)))


def gated(i: Any) -> Any:
    return L.Multiply()([L.Dense(3)(i), L.Dense(3, activation="sigmoid")(i)])


def cumulative(i: Any) -> Any:
    """P(class ≤ k) by sigmoids of one score, and the classes' probabilities as their differences."""
    below = ops.sigmoid(ops.subtract(np.array([[-1.0, 0.0, 1.0]], "float32"), L.Dense(1)(i)))
    return ops.concatenate([below[:, :1], below[:, 1:] - below[:, :-1], 1 - below[:, -1:]], -1)


class Tied(keras.Model):
    """Words' states are compared with the table by which words came in."""

    def __init__(self):
        super().__init__()
        self.table, self.states = L.Embedding(9, 4), L.GRU(4, return_sequences=True)

    def call(self, x):
        return ops.matmul(self.states(self.table(x)), ops.transpose(self.table.embeddings))


def tied(seed: int = 0) -> keras.Model:
    """Under seed 0 some logits follow a state by less than a hundredth: that is not nothing."""
    keras.utils.set_random_seed(seed)
    model = Tied()
    model(np.zeros((1, 5), "int32"))
    return model


HEADS: dict[str, Kind] = {
    "table of the words": (lambda: (tied(), sparse()), 0),
    "pointer": (lambda: (seq(L.Dense(1), L.Flatten(), shape=(5, 3)), sparse()), 0),
    "pointer, softmax": (
        lambda: (seq(L.Dense(1), L.Flatten(), L.Softmax(), shape=(5, 3)), "sparse_categorical_crossentropy"),
        ELSEWHERE,
    ),
    "pointer along its axis": (
        lambda: (seq(L.Dense(1), L.Softmax(axis=1), shape=(5, 3)), S.CategoricalCrossentropy(axis=1)),
        ELSEWHERE,
    ),
    "keypoint": (
        lambda: (seq(L.Conv2D(1, 1), L.Flatten(), shape=(4, 4, 2)), onehot()),
        0,
    ),
    "ranking": (lambda: (two_inputs(lambda a, b: a - b), binary()), 0),
    "ranking, sigmoid": (
        lambda: (two_inputs(lambda a, b: L.Activation("sigmoid")(a - b)), "binary_crossentropy"),
        ELSEWHERE,
    ),
    "choice of two": (lambda: (two_inputs(lambda a, b: L.Concatenate()([a, b])), sparse()), 0),
    "gate of the logits' shape": (lambda: (functional(gated), sparse()), 0),
    "softmax over the steps": (
        lambda: (seq(L.Dense(3), L.Softmax(axis=1), shape=(5, 2)), "sparse_categorical_crossentropy"),
        1,
    ),
    "distance of two towers": (
        lambda: (
            two_inputs(lambda a, b: ops.exp(-ops.sum(ops.abs(a - b), -1, keepdims=True)), 4),
            "binary_crossentropy",
        ),
        2,
    ),
    "several instances": (
        lambda: (
            seq(L.Dense(1, activation="sigmoid"), L.Lambda(lambda p: 1 - ops.prod(1 - p, 1)), shape=(5, 3)),
            "binary_crossentropy",
        ),
        1,
    ),
    "cumulative": (lambda: (functional(cumulative), "sparse_categorical_crossentropy"), 1),
}


def diagnosis(name: str) -> Diagnosis:
    model, loss = HEADS[name][0]()
    model.compile("adam", loss)
    (found,) = examine(model)
    return found


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_judged_rightly(name: str) -> None:
    found = diagnosis(name)
    assert found.exit_code == HEADS[name][1], str(found)


def test_a_softmax_over_the_steps_is_told_as_such_with_a_remedy_that_was_tried() -> None:
    found = diagnosis("softmax over the steps")
    assert "another axis than that of the classes" in found.cause and found.tried


@pytest.mark.parametrize("name", ["several instances", "cumulative"])
def test_probabilities_of_ones_own_making_lose_the_gradient_far_out_alone(name: str) -> None:
    """That |z| is told without a p, of which nobody knows what it is at z."""
    found = diagnosis(name)
    assert found.limit >= 5 and "(p =" not in found.verdict, str(found)


def readings_of(losses: dict[int, list[float]]) -> tuple[list[Example], list[tuple[float, float]]]:
    """Of each label as many examples as losses, further and further out."""
    pairs = [(label, i, loss) for label, of in losses.items() for i, loss in enumerate(of)]
    alike = [Example(float(i), label, float(i), None, np.zeros(2)) for label, i, _ in pairs]
    return alike, [(loss, 1.0) for *_, loss in pairs]


def test_examples_that_come_right_further_out_say_nothing_of_confident_errors() -> None:
    """Where it is not known which class a logit speaks for, its loss tells; one that stands is kept."""
    worse = [0.7, 9.0, 16.0]
    kept, measured = those_that_get_worse(*readings_of({0: [0.7, 0.1, 0.0], 1: worse}))
    assert {example.label for example in kept} == {1} and [loss for loss, _ in measured] == worse
    kept, _ = those_that_get_worse(*readings_of({0: [0.7, 0.7], 1: [0.7, 0.7]}))
    assert len(kept) == 4
    with pytest.raises(UsageError, match="no wrong prediction"):
        those_that_get_worse(*readings_of({0: [0.7, 0.1], 1: [0.7, 0.1]}))


# --- what a class trains in a way of its own ---------------------------------------------------------------


class Distilling(keras.Model):
    """Half cross-entropy, half a teacher's."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        teacher = ops.ones_like(y_pred) * ops.convert_to_tensor([1.0, 2.0, 0.0])
        soft = S.kl_divergence(ops.softmax(teacher / 2), ops.softmax(y_pred / 2))
        return 0.5 * super().compute_loss(x, y, y_pred, sample_weight) + 0.5 * ops.mean(soft)


class Climbing(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return -super().compute_loss(x, y, y_pred, sample_weight)


class ClimbingBeside(Distilling):
    """Its own part stays the greater one: confident errors are pushed on, by another factor each."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        plain = keras.Model.compute_loss(self, x, y, y_pred, sample_weight)
        return super().compute_loss(x, y, y_pred, sample_weight) - 2 * plain


class Turned(keras.Model):
    """Of the next class."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, (y + 1) % 3, y_pred, sample_weight)


def own(kind: type) -> Diagnosis:
    i = keras.Input((3,))
    model = kind(i, L.Dense(3)(i))
    model.compile("adam", sparse())
    (found,) = examine(model)
    return found


def test_a_loss_that_a_class_adds_to_is_described_and_not_judged() -> None:
    found = own(Distilling)
    assert found.exit_code == 0 and "are not judged" in str(found)


@pytest.mark.parametrize("kind", [Climbing, ClimbingBeside, Turned])
def test_a_loss_that_a_class_turns_is_wrong_everywhere(kind: type) -> None:
    found = own(kind)
    assert (found.exit_code, found.limit) == (1, 0) and found.tried, str(found)


def test_a_negative_weight_that_compile_was_told_is_an_adversary_and_no_fault() -> None:
    i = keras.Input((3,))
    model = keras.Model(i, [L.Dense(3)(i), L.Dense(3)(i)])
    model.compile("adam", [sparse(), sparse()], loss_weights=[1.0, -0.1])
    first, second = examine(model)
    assert (first.exit_code, second.exit_code) == (0, 0) and second.scale == pytest.approx(-0.1)


# --- losses that teach nothing, or the wrong way -----------------------------------------------------------


def turned(y: Any, p: Any) -> Any:
    return -S.binary_crossentropy(y, p)


def test_a_loss_of_ones_own_that_moves_away_from_its_labels_is_left_undecided() -> None:
    """It may be meant: labels may say how unlike two things are."""
    model = seq(L.Dense(1, activation="sigmoid"))
    model.compile("adam", turned)
    (found,) = examine(model)
    assert found.exit_code == 2, str(
        found
    )  # on other backends its gradient fades as well, which is told first
    assert ELSEWHERE or "away from its label" in str(found)


@pytest.mark.parametrize(
    ("units", "loss"),
    [(3, onehot(label_smoothing=1.0)), (1, binary(label_smoothing=1.0))],
)
def test_smoothing_that_leaves_nothing_of_the_labels_is_found(units: int, loss: Any) -> None:
    model = seq(L.Dense(units))
    model.compile("adam", loss)
    (found,) = examine(model)
    assert found.exit_code == 1 and "whatever the label" in found.symptom and found.tried, str(found)


def two_outputs(*losses: Any, **how: Any) -> list[Diagnosis]:
    i = keras.Input((3,))
    model = keras.Model(i, [L.Dense(3)(i), L.Dense(3)(i)])
    model.compile("adam", list(losses), **how)
    return examine(model)


def test_an_output_of_weight_0_is_told_as_such() -> None:
    first, second = two_outputs(sparse(), sparse(), loss_weights=[1.0, 0.0])
    assert (first.exit_code, second.exit_code) == (0, 2) and "weight 0" in str(second)


def test_an_output_beside_one_of_rows_or_of_class_numbers_is_looked_at() -> None:
    found = two_outputs(onehot(), sparse())
    assert [d.exit_code for d in found] == [0, 0], list(map(str, found))


def test_a_remedy_says_what_becomes_of_an_average_of_probabilities() -> None:
    start = L.Input((3,))
    heads = [L.Dense(3, activation="softmax")(start) for _ in range(2)]
    model = keras.Model(start, L.Average()(heads))
    model.compile("sgd", "sparse_categorical_crossentropy")
    (found,) = examine(model)
    assert found.exit_code == 1 and found.tried and "the Average is then one of logits" in found.remedy
    plain = keras.Sequential([L.Input((3,)), L.Dense(3), L.Softmax(), L.Rescaling(1.0)])
    plain.compile("sgd", "sparse_categorical_crossentropy")
    assert "is then one of logits" not in examine(plain)[0].remedy
