"""Parts of the diagnosis: the permutation test against enumeration, rows told apart, backends that differ."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from diagnosed_faults import chain
from diagnosed_programs import (
    BINARY_FROM_LOGITS,
    K,
    classes,
    given,
    numbers,
    with_logits,
    with_sigmoids,
    with_softmax,
    yes_or_no,
)

from crosscheck.diagnose import Data, Program, diagnose
from crosscheck.diagnose.checks.by_heart import of_all_rows
from crosscheck.diagnose.checks.metrics import metrics
from crosscheck.diagnose.checks.splits import exact_p, hashes, scaled_alike
from crosscheck.doctor import anatomies

pytestmark = pytest.mark.every_backend
BACKEND = keras.backend.backend()
L = keras.layers


def unlike(tail: tuple[int, ...], expected: np.ndarray) -> float:
    counts = np.bincount(tail, minlength=len(expected))
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 1]])
def test_the_chance_of_a_tail_is_its_share_of_all_orders(labels: list[int]) -> None:
    total = np.bincount(labels)
    expected = total * (2 / len(labels))
    orders = list(permutations(labels))
    for tail in {tuple(order[-2:]) for order in orders}:
        share = np.mean([unlike(o[-2:], expected) >= unlike(tail, expected) - 1e-9 for o in orders])
        assert exact_p(total, np.bincount(tail, minlength=len(total))) == pytest.approx(share, abs=0.03)


def test_a_split_of_shuffled_labels_is_rarely_called_unlike() -> None:
    rng = np.random.default_rng(0)
    small = 0
    for _ in range(200):
        y = rng.permutation(np.arange(100) % 4)
        small += exact_p(np.bincount(y), np.bincount(y[80:], minlength=4)) <= 0.05
    assert small <= 22  # of 200 at 5 %: binomial, above this with 0.02 %


def test_rows_are_told_apart_by_all_inputs_together() -> None:
    x = {"a": np.zeros((3, 2)), "b": np.array([0, 0, 1])}
    first, second, third = hashes(Data(x, None))
    assert first == second != third


def test_the_anatomy_of_a_head() -> None:
    (anatomy,) = anatomies(with_softmax(metrics=["accuracy"]))
    assert (anatomy.head, anatomy.labels, anatomy.activation) == ("softmax", "classes", "softmax")
    assert anatomy.classes == 4 and anatomy.takes_logits is False and anatomy.metrics == ("accuracy",)
    assert not anatomy.random and anatomy.is_crossentropy


def test_a_softmax_that_is_told_to_be_logits_is_a_fault_where_keras_does_not_find_the_logits() -> None:
    model, data = given(with_softmax(keras.losses.SparseCategoricalCrossentropy(from_logits=True)), classes())
    findings = diagnose(model, **data, seconds=0)
    verdict = next(f.verdict for f in findings if f.check == "head-fits-loss")
    assert verdict == ("note" if BACKEND == "tensorflow" else "✗")


@pytest.mark.skipif(BACKEND != "tensorflow", reason="other backends lose it earlier, or reckon in float32")
@pytest.mark.parametrize(("optimizer", "verdict"), [("sgd", "✗"), ("scaled", "note")])
def test_a_softmax_in_half_precision_makes_nan_unless_steps_are_left_out(
    optimizer: str, verdict: str
) -> None:
    """Beyond |z| = 12, where float32 has a gradient of 0 at the worst, half precision has NaN."""
    head = L.Dense(4, activation="softmax", dtype="float16")
    model = keras.Sequential([keras.Input((6,)), L.Dense(8, "relu"), head])
    plain = keras.optimizers.SGD(0.1)
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    model.compile(scaled if optimizer == "scaled" else plain, "sparse_categorical_crossentropy")
    findings = diagnose(model, numbers(), classes(), seconds=0)
    (said,) = [f for f in findings if f.check == "head-fits-loss"]
    assert said.verdict == verdict and ("every weight NaN" in said.why) == (verdict == "✗")


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.data is TensorFlow's")
def test_a_dataset_is_read_and_whether_it_is_shuffled_is_told() -> None:
    import tensorflow

    rows = tensorflow.data.Dataset.from_tensor_slices((numbers(), classes()))
    held_out = rows.shuffle(96).batch(8)
    findings = diagnose(with_softmax(), rows.batch(8), validation_data=held_out, seconds=0)
    assert [f.check for f in findings.faults] == ["validation-is-apart"]
    assert any(f.check == "order" and f.verdict == "note" for f in findings)


def test_keras_makes_the_weights_that_are_shown() -> None:
    model, data = given(with_softmax(k=2), yes_or_no().astype(int), class_weight={0: 1.0, 1: 7.0})
    shown = next(f for f in diagnose(model, **data, seconds=0) if f.check == "class-weight")
    assert shown.verdict == "✓" and "1, 7" in shown.measured


class UnimplementedError(Exception):
    """As TensorFlow raises it for channels first on a processor that lacks them."""


class OnAnotherMachine(keras.Model):
    def call(self, x: Any) -> Any:
        raise UnimplementedError(
            "Exception encountered when calling Conv2D.call().\n\n\x1b[1mNHWC only\x1b[0m"
        )


def test_an_operation_that_this_machine_lacks_is_no_fault_of_the_program() -> None:
    model = OnAnotherMachine()
    model.compile("adam", "sparse_categorical_crossentropy")
    findings = diagnose(model, numbers(), classes(), seconds=0)
    accepted = next(f for f in findings if f.check == "inputs-accepted")
    assert accepted.verdict == "?" and "NHWC only" in accepted.measured and not findings.faults


def test_counts_as_labels_of_a_softmax_are_a_weight_and_not_without_a_minimum() -> None:
    findings = diagnose(
        with_softmax("categorical_crossentropy"), numbers(), classes(4, k=9).astype("float32"), seconds=0
    )
    (fault,) = findings.faults
    assert fault.check == "labels-in-range" and "acts as a weight" in fault.why


@pytest.mark.parametrize(
    ("make", "verdicts"),
    [
        (lambda: linear_sequence(), ["✗"]),
        (lambda: chain(), ["✗"]),
        (lambda: OwnCall(), ["✗"]),
        (lambda: OwnCall(keras.ops.relu), ["✓"]),
        (lambda: OwnCall(lambda x: x * 2), []),
        (lambda: OwnCall(lambda x: x + keras.ops.tanh(x)), []),
        (lambda: linear_sequence(doubled), []),
    ],
    ids=[
        "sequential",
        "functional",
        "own call",
        "bent in the call",
        "an operation not known",
        "branch",
        "an activation of one's own",
    ],
)
def test_only_what_is_known_to_be_a_chain_is_said_to_be_linear(
    make: Callable[[], keras.Model], verdicts: list[str]
) -> None:
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy")
    findings = diagnose(model, numbers(), classes(), seconds=0)
    assert [f.verdict for f in findings if f.check == "hidden-layers-count"] == verdicts


@pytest.mark.parametrize(
    ("units", "between", "verdict"),
    [
        (8, [L.GlobalAveragePooling1D], "✗"),
        (8, [L.Flatten], "✗"),
        (5, [L.Flatten], "note"),  # of six numbers a position, five are kept: that binds
        (8, [lambda: L.Permute((2, 1)), L.Flatten], "note"),
        (8, [L.GlobalMaxPooling1D], "✓"),
    ],
    ids=["averages", "side by side", "fewer, side by side", "turned", "largest"],
)
def test_linear_layers_of_positions(units: int, between: list[Callable[[], Any]], verdict: str) -> None:
    inner = [make() for make in between]
    model = keras.Sequential([keras.Input((5, 6)), L.Dense(units), *inner, L.Dense(4, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    findings = diagnose(model, numbers(5, 6), classes(), seconds=0)
    assert [f.verdict for f in findings if f.check == "hidden-layers-count"] == [verdict]


def test_equal_units_of_a_model_with_its_own_call_are_seen() -> None:
    model = OwnCall(keras.ops.relu, start=keras.initializers.Constant(0.1))
    model.compile("adam", "sparse_categorical_crossentropy")
    assert [f.check for f in diagnose(model, numbers(), classes(), seconds=0).faults] == ["units-differ"]


@pytest.mark.parametrize(
    ("y", "loss", "words"),
    [
        (np.where(np.arange(96) % 17 == 3, -999, numbers()[:, 0]), "mse", "6 of 96 targets are -999;"),
        (np.where(np.arange(96) == 3, -999, numbers()[:, 0]), "mse", ""),  # one such number may be a number
        (np.where(np.arange(96) % 17 == 3, -4, numbers()[:, 0]), "mse", ""),
        (yes_or_no(), "hinge", "Keras takes 0 for −1"),
    ],
    ids=["a mark", "once", "near", "a hinge"],
)
def test_targets_that_may_be_meant_are_noted(y: np.ndarray, loss: str, words: str) -> None:
    model = keras.Sequential([keras.Input((6,)), L.Dense(1, "sigmoid" if loss == "hinge" else None)])
    model.compile("adam", loss)
    said = [f for f in diagnose(model, numbers(), y, seconds=0) if f.check == "labels-in-range"]
    assert [f.verdict for f in said] == ["note"] * bool(words)
    assert all(words in f"{f.measured} {f.why}" for f in said)


@pytest.mark.parametrize(("fails", "words"), [([False, False], "every seed comes half"), ([False, True], "")])
def test_few_rows_that_were_not_tried_apart_are_not_said_to_be(fails: list[bool], words: str) -> None:
    lab: Any = SimpleNamespace(
        as_it_is=SimpleNamespace(fails=np.array(fails)), rows=256, compared=lambda _: "loss"
    )
    said = of_all_rows(lab)
    assert said.startswith("16 rows were not tried apart") and said.endswith("loss") and words in said
    assert ("256" in said) == bool(words)


def test_readings_of_few_rows_do_not_agree_by_chance() -> None:
    """½ cuts a logit, beside 31 labels: one draw of logits gives the right share now and then."""
    model = with_logits(BINARY_FROM_LOGITS, k=1, metrics=["accuracy"])
    for seed in range(12):
        y = np.random.default_rng(seed).integers(0, 2, 31).astype("float32")
        found = metrics(Program(model, Data(numbers(rows=31), y)))
        assert [f.verdict for f in found] == ["✗"], seed


class OwnCall(keras.Model):
    def __init__(self, between: Callable[[Any], Any] = lambda x: x, start: Any = "glorot_uniform") -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(8, kernel_initializer=start)
        self.between = between
        self.head = keras.layers.Dense(4, activation="softmax", kernel_initializer=start)

    def call(self, x: Any) -> Any:
        return self.head(self.between(self.hidden(x)))


def doubled(x: Any) -> Any:
    """Linear, as nobody can see."""
    return 2 * x


def linear_sequence(activation: Any = None) -> keras.Model:
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation), OwnCall().head])


@pytest.mark.parametrize(("factor", "asked"), [(1.0, 0), (2.0, 0), (255.0, 1), (1 / 255, 1)])
def test_a_validation_that_is_scaled_otherwise_is_asked_about(factor: float, asked: int) -> None:
    x = np.random.default_rng(0).uniform(size=(64, 8, 8, 1))
    findings = list(scaled_alike(Data(x, None), Data(factor * x[:32], None)))
    assert [finding.verdict for finding in findings] == ["?"] * asked


@pytest.mark.parametrize(
    ("model", "y", "told"),
    [
        (with_softmax, np.zeros(60, int), "All 60 labels are 0."),
        (with_sigmoids, np.ones(60), "All 60 labels are 1."),
        (lambda: with_softmax("categorical_crossentropy"), np.eye(K)[np.full(60, 2)], "the same row"),
        (with_softmax, np.arange(60) % K, ""),
    ],
)
def test_labels_that_never_change_are_left_undecided(model: Callable[[], Any], y: Any, told: str) -> None:
    """They may be a generator's, which is trained against another network: no fault, and no all-clear."""
    found = diagnose(model(), numbers(rows=60), y, seconds=0)
    said = [f.measured for f in found.findings if f.verdict == "?" and f.check == "labels-units"]
    assert any(told in text for text in said) if told else said == []


def leaving_out(y: Any, z: Any) -> Any:
    """Cross-entropy of the labels from 0 on."""
    k = keras.ops.cast(keras.ops.reshape(y, (-1,)), "int32")
    each = keras.losses.sparse_categorical_crossentropy(keras.ops.maximum(k, 0), z, from_logits=True)
    return each * keras.ops.cast(k >= 0, "float32")


def reading_on(y: Any, z: Any) -> Any:
    """Takes −1 for class 0."""
    k = keras.ops.maximum(keras.ops.cast(keras.ops.reshape(y, (-1,)), "int32"), 0)
    return keras.losses.sparse_categorical_crossentropy(k, z, from_logits=True)


@pytest.mark.parametrize(("loss", "verdict"), [(leaving_out, "note"), (reading_on, "✗")])
def test_a_loss_of_ones_own_may_leave_labels_out(loss: Any, verdict: str) -> None:
    y = np.arange(60) % K
    found = diagnose(with_logits(loss), numbers(rows=60), np.where(y, y, -1), seconds=0)
    assert [f.verdict for f in found.findings if f.check == "labels-in-range"] == [verdict]
