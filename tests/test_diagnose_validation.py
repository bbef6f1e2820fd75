"""Validation data are looked at as training data are: what `fit` refuses after an epoch, or misreads."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from diagnosed_programs import (
    D,
    Given,
    L,
    both,
    classes,
    diagnosed,
    given,
    numbers,
    one_hot,
    with_logits,
    with_sigmoids,
    with_softmax,
    yes_or_no,
)

pytestmark = pytest.mark.every_backend
HELD_OUT = 40  # rows


def beside(x: Any, y: Any, *weights: Any) -> Given:
    """A sound program of class numbers, and validation data of one's own."""
    return given(with_softmax(), classes(), validation_data=(x, y, *weights))


def rows(*inner: int) -> np.ndarray:
    return numbers(*inner, rows=HELD_OUT) + 1


def right(k: int = 4) -> np.ndarray:
    return classes(k=k, rows=HELD_OUT)


def two_heads(**compiling: Any) -> keras.Model:
    inputs = {name: keras.Input((D,), name=name) for name in ("left", "right")}
    hidden = L.Concatenate()(list(inputs.values()))
    outputs = {name: L.Dense(1, activation="sigmoid", name=name)(hidden) for name in ("kind", "seen")}
    model = keras.Model(inputs, outputs)
    model.compile("adam", "binary_crossentropy", **compiling)
    return model


def of_two(y: Any, x: Any = None) -> Given:
    trained = {"left": numbers(), "right": numbers() - 1}
    x = {"left": rows(), "right": rows() - 1} if x is None else x
    return given(two_heads(), both("kind", "seen"), trained, validation_data=(x, y))


def with_nan() -> np.ndarray:
    x = rows()
    x[3, 1] = np.nan
    return x


class Batches(keras.utils.PyDataset):
    """Two batches of inputs and labels."""

    def __init__(self, y: np.ndarray):
        super().__init__()
        self.y = y

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        mine = slice(20 * index, 20 * index + 20)
        return rows()[mine], self.y[mine]


def generated(y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield rows(), y


def column(rows: int = HELD_OUT) -> np.ndarray:
    return yes_or_no()[:rows, None]


REFUSED = "Keras refuses them at the end of an epoch, on each backend"
MISREAD = "it depends on the backend"
# name: (the program, what is said of the validation data, the fix, whether Keras refuses them)
FAULTS: dict[str, tuple[Callable[[], Given], str, str, str]] = {
    "1 … K": (lambda: beside(rows(), 1 + right()), "outside 0 … 3", "y = y - 1", MISREAD),
    "one-hot": (lambda: beside(rows(), one_hot()[:HELD_OUT]), "one-hot", "y = y.argmax(-1)", REFUSED),
    "a label too few": (lambda: beside(rows(), right()[1:]), "40 and 39 rows", "x[:39]", REFUSED),
    "a feature too many": (lambda: beside(rows(D + 1), right()), "cannot be called", "shape", REFUSED),
    "texts": (lambda: beside(rows(), np.array(list("abcd"))[right()]), "texts", "np.unique", REFUSED),
    "changed places": (lambda: beside(right(), rows()), "cannot be called", "changed places", REFUSED),
    "NaN among inputs": (lambda: beside(with_nan(), right()), "NaN or infinity", "nan_to_num", MISREAD),
    "no labels": (lambda: beside(rows(), None), "No labels", "x, y", REFUSED),
    "as few weights": (lambda: beside(rows(), right(), np.ones(39)), "39 sample weights", "one", REFUSED),
    "labels of a PyDataset": (
        lambda: given(with_softmax(), classes(), validation_data=Batches(right() + 1)),
        "outside 0 … 3",
        "y = y - 1",
        MISREAD,
    ),
    "labels of a generator": (
        lambda: given(with_softmax(), classes(), validation_data=generated(right() + 1), validation_steps=1),
        "outside 0 … 3",
        "y = y - 1",
        MISREAD,
    ),
    "a third of two outputs": (lambda: of_two({"kind": column()}), "'seen'", "y={'seen': …", REFUSED),
    "−1 and 1 at one of two outputs": (
        lambda: of_two({"kind": column(), "seen": 2 * column() - 1}),
        "outside [0, 1]",
        "y = ",
        MISREAD,
    ),
    "an input too few": (
        lambda: of_two({"kind": column(), "seen": column()}, {"left": rows()}),
        "cannot be called",
        "",
        REFUSED,
    ),
}
SOUND: dict[str, Callable[[], Given]] = {
    "the same kind": lambda: beside(rows(), right()),
    "with weights": lambda: beside(rows(), right(), np.linspace(0, 1, HELD_OUT)),
    "with weights of 0": lambda: beside(rows(), right(), (right() == 1).astype("float32")),
    "some classes alone": lambda: beside(rows(), right(k=2)),
    "one class alone": lambda: beside(rows(), 0 * right()),
    "one row": lambda: beside(rows()[:1], right()[:1]),
    "labels in a column": lambda: beside(rows(), right()[:, None]),
    "labels as floats": lambda: beside(rows().astype("float64"), right().astype("float32")),
    "a PyDataset": lambda: given(with_softmax(), classes(), validation_data=Batches(right())),
    "a generator": lambda: given(
        with_softmax(), classes(), validation_data=generated(right()), validation_steps=1
    ),
    "two inputs and outputs": lambda: of_two({"kind": column(), "seen": column()}),
    "soft for hard": lambda: given(
        with_softmax("categorical_crossentropy"),
        0.9 * one_hot() + 0.025,
        validation_data=(rows(), one_hot()[:HELD_OUT]),
    ),
    "a regression": lambda: given(
        with_logits("mean_squared_error", k=1), numbers(1), validation_data=(rows(), 5 * rows(1))
    ),
    "other targets of a bounded regression": lambda: given(
        with_sigmoids(loss="mean_squared_error"),
        1 / (1 + np.exp(-numbers(1))),
        validation_data=(rows(), rows(1)),
    ),
    "yes or no as truth": lambda: given(
        with_sigmoids(), yes_or_no(), validation_data=(rows(), right(k=2).astype(bool))
    ),
    "a share": lambda: given(with_softmax(), classes(), validation_split=0.2),
    "a small share": lambda: given(with_softmax(), classes(), validation_split=0.01),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_with_validation_data_is_named(name: str) -> None:
    make, measured, fix, _ = FAULTS[name]
    findings = diagnosed(make())
    assert {f.check for f in findings.faults} == {"validation-fits"}, str(findings)
    said = findings.faults[0]
    assert said.measured.startswith("validation_data: ") and measured in said.measured, str(findings)
    assert fix in said.fix and "loss=" not in said.fix, str(findings)


@pytest.mark.parametrize("name", SOUND)
def test_validation_data_that_fit_are_let_be(name: str) -> None:
    findings = diagnosed(SOUND[name]())
    assert not findings.faults, str(findings)
    assert not [f for f in findings if "could not be" in f.measured], str(findings)


@pytest.mark.parametrize("name", [name for name, case in FAULTS.items() if case[3] == REFUSED])
def test_keras_refuses_them(name: str) -> None:
    model, arguments = FAULTS[name][0]()
    with pytest.raises(Exception):  # noqa: B017, Keras raises of every kind
        model.fit(**arguments, verbose=0)


@pytest.mark.parametrize("name", SOUND)
def test_keras_takes_those_that_are_let_be(name: str) -> None:
    model, arguments = SOUND[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = model.fit(**arguments, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


def test_the_same_fault_of_both_is_said_once_and_mended_in_both() -> None:
    findings = diagnosed(given(with_softmax(), 1 + classes(), validation_data=(rows(), 1 + right())))
    (fault,) = findings.faults
    assert fault.check == "labels-in-range" and "nothing else is wrong" in fault.tried, str(findings)


def test_a_fix_of_the_validation_data_leaves_the_training_data() -> None:
    (fault,) = diagnosed(beside(rows(), 1 + right())).faults
    assert "mended, and nothing else is wrong" in fault.tried


def test_targets_of_a_regression_that_only_a_few_rows_miss_are_asked_about() -> None:
    findings = diagnosed(SOUND["other targets of a bounded regression"]())
    assert [f.verdict for f in findings if f.check == "validation-fits"] == ["?"], str(findings)


@pytest.mark.parametrize("share", [1.0, 0.9999, 1.5, -0.1])
def test_a_share_that_leaves_nothing_is_a_fault(share: float) -> None:
    (fault,) = diagnosed(given(with_softmax(), classes(), validation_split=share)).faults
    assert fault.check == "validation-split", str(fault)


@pytest.mark.parametrize("share", [1.0, 0.9999])
def test_keras_refuses_a_share_that_leaves_nothing(share: float) -> None:
    with pytest.raises(ValueError, match="validation_split"):
        with_softmax().fit(numbers(), classes(), validation_split=share, verbose=0)


def test_a_share_of_a_stream_is_a_fault() -> None:
    (fault,) = diagnosed((with_softmax(), {"x": Batches(right()), "validation_split": 0.2})).faults
    assert fault.check == "validation-split" and "PyDataset" in fault.measured
    with pytest.raises(ValueError, match="validation_split"):
        with_softmax().fit(Batches(right()), validation_split=0.2, verbose=0)
