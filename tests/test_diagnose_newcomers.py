"""What newcomers do, and the diagnosis once let pass: each is named with its fix, and its like is let be."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from diagnosed_programs import (
    D,
    Given,
    K,
    L,
    N,
    both,
    classes,
    given,
    network,
    numbers,
    with_sigmoids,
    with_softmax,
    yes_or_no,
)

from crosscheck.diagnose import diagnose

pytestmark = pytest.mark.every_backend
IS_TENSORFLOW = keras.backend.backend() == "tensorflow"
S = keras.optimizers.schedules
TEXTS = np.array(["a good film", "a bad film", "dull", "fine"] * (N // 4))
Cases = dict[str, tuple[str, Callable[[], Given], str]]


def on_steps(loss: str, y: np.ndarray, activation: str | None = None) -> Given:
    """An output for each of five steps."""
    model = keras.Sequential([keras.Input((5, 3)), L.Dense(8, "relu"), L.Dense(1, activation)])
    model.compile("adam", loss)
    return given(model, y, numbers(5, 3))


def at_rates(rate: Any, *set_by: Any, epochs: int = 20) -> Given:
    model = with_softmax()
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return given(model, classes(), epochs=epochs, callbacks=list(set_by))


def by_epoch(schedule: Callable[..., float]) -> Any:
    return keras.callbacks.LearningRateScheduler(schedule)


class OwnCallback(keras.callbacks.Callback):
    """May set the rate, as far as anybody knows."""


def two_sigmoids(**compiling: Any) -> keras.Model:
    inputs = keras.Input((D,))
    outputs = [L.Dense(1, activation="sigmoid", name=name)(inputs) for name in ("kind", "seen")]
    model = keras.Model(inputs, outputs)
    model.compile("adam", **{"loss": "binary_crossentropy", **compiling})
    return model


def behind(layer: keras.Layer, x: np.ndarray | None = None) -> Given:
    model = keras.Sequential([keras.Input((D,)), layer, L.Dense(8, "relu"), L.Dense(K, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return given(model, classes(), x)


def normalization(is_adapted: bool) -> keras.Layer:
    layer = L.Normalization()
    if is_adapted:
        layer.adapt(numbers())
    return layer


def of_texts(x: Any, is_adapted: bool = True) -> Given:
    words = L.TextVectorization(max_tokens=20, output_sequence_length=4, name="words")
    if is_adapted:
        words.adapt(TEXTS)
    head = [L.Embedding(20, 8), L.GlobalAveragePooling1D(), L.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((1,), dtype="string"), words, *head])
    model.compile("adam", "binary_crossentropy")
    return model, {"x": x, "y": yes_or_no()}


def tensor(texts: np.ndarray) -> Any:
    return keras.ops.convert_to_tensor(texts)


def as_bytes(y: np.ndarray) -> np.ndarray:
    return y.astype("int64").astype("uint8")


def ratings() -> np.ndarray:
    return 1 + classes(k=5).astype("float32")


STEPS: Cases = {
    f"a label a row, {loss}, {y.ndim} axes": (
        "labels-form",
        lambda loss=loss, y=y: on_steps(loss, y),
        "pooling",
    )
    for loss in ("mse", "mae", "huber")
    for y in (yes_or_no(), yes_or_no()[:, None], yes_or_no()[:, None, None])
}
RATES: Cases = {
    "a callback's 0": ("learning-rate", lambda: at_rates(1e-3, by_epoch(lambda epoch: 0.0)), "every epoch"),
    "a callback that multiplies by 0": (
        "learning-rate",
        lambda: at_rates(1e-3, by_epoch(lambda epoch, rate: rate * (epoch // 5))),
        "every epoch",
    ),
    "a schedule's 0": ("learning-rate", lambda: at_rates(S.ExponentialDecay(0.0, 10, 0.9)), "every step"),
    "a schedule of steps where epochs were meant": (
        "learning-rate",
        lambda: at_rates(S.CosineDecay(1e-3, 4), epochs=50),
        "every step",
    ),
    "0 beside a callback that sets none": (
        "learning-rate",
        lambda: at_rates(0.0, keras.callbacks.TerminateOnNaN()),
        "1e-3",
    ),
    "a rate below 0": ("learning-rate", lambda: at_rates(1e-3, by_epoch(lambda epoch: 0.1 - epoch)), ""),
}
COMPILED: Cases = {
    "two weights for one loss": (
        "compile-fits-outputs",
        lambda: given(two_sigmoids(loss_weights=[1.0, 2.0]), both()),
        "loss_weights={'kind': 1.0, 'seen': 1.0}",
    ),
    "a loss for one of two": (
        "compile-fits-outputs",
        lambda: given(two_sigmoids(loss={"kind": "binary_crossentropy"}), both()),
        "loss={'kind': …, 'seen': …}",
    ),
    "a list that ends early": (
        "compile-fits-outputs",
        lambda: given(two_sigmoids(loss=["binary_crossentropy"]), both()),
        "loss={'kind': …, 'seen': …}",
    ),
    "a list of metrics for two": (
        "compile-fits-outputs",
        lambda: given(two_sigmoids(metrics=["accuracy"]), both()),
        "metrics={'kind': […], 'seen': […]}",
    ),
}
NAMES: Cases = {
    "a typo among the labels": (
        "labels-given",
        lambda: given(two_sigmoids(), both("knid", "seen")),
        "y={'kind': y['knid'], …}",
    ),
    "labels of no output": (
        "names-of-outputs",
        lambda: given(two_sigmoids(), both("kind", "seen", "third")),
        "y without 'third'",
    ),
    "weights of one of two": (
        "sample-weight",
        lambda: given(two_sigmoids(), both(), sample_weight=[np.ones(N)]),
        "one array for each of y",
    ),
    "weights by name for a list": (
        "sample-weight",
        lambda: given(two_sigmoids(), both("kind", "seen"), sample_weight=both("kind", "seen")),
        "as lists in the order of the outputs",
    ),
}
LABELS: Cases = {
    "a sign that is lost, of a padding": (
        "labels-in-range",
        lambda: given(with_softmax(), as_bytes(np.where(numbers()[:, 0] > 1, -1, classes()))),
        "ignore_class=255 in sparse_categorical_crossentropy (in uint8 −1 becomes 255)",
    ),
    "signs that are lost, of classes": (
        "labels-in-range",
        lambda: given(with_softmax(), as_bytes(classes().astype(int) - 2)),
        "y = y.astype('int8') + 2",
    ),
    "a sign that is lost, of two classes": (
        "labels-in-range",
        lambda: given(with_sigmoids(), as_bytes(2 * yes_or_no() - 1)),
        "y = (y == 1).astype('float32')",
    ),
    "a sign that is lost, of a mark": (
        "labels-in-range",
        lambda: given(with_sigmoids(), as_bytes(np.where(numbers()[:, 0] > 1, -1, yes_or_no()))),
        "keep = y != 255",
    ),
    "ratings on a sigmoid": (
        "labels-units",
        lambda: given(with_sigmoids(loss="mean_squared_error"), ratings()),
        "no activation in the head, or y = (y - 1) / 4",
    ),
    "no weight for one class of two": (
        "sample-weight",
        lambda: given(with_sigmoids(), yes_or_no(), sample_weight=1 - yes_or_no()),
        "each class",
    ),
}
LAYERS: Cases = {
    "a normalisation as built": (
        "layers-are-adapted",
        lambda: behind(normalization(False)),
        ".adapt(x)",
    ),
    **(
        {
            f"texts, {kind}": ("inputs-accepted", lambda x=x: of_texts(x), "tf.constant(x)")
            for kind, x in {
                "NumPy's": TEXTS,
                "a column": TEXTS[:, None],
                "objects": TEXTS[:, None].astype(object),
            }.items()
        }
        if IS_TENSORFLOW
        else {}
    ),
    **(
        {
            "no vocabulary": (
                "layers-are-adapted",
                lambda: of_texts(tensor(TEXTS), is_adapted=False),
                "words.adapt(x)",
            )
        }
        if IS_TENSORFLOW
        else {}
    ),
}
FAULTS = STEPS | RATES | COMPILED | NAMES | LABELS | LAYERS
SOUND: dict[str, Callable[[], Given]] = {
    "a label a step": lambda: on_steps("mse", numbers(5)),
    "a label a step, as a column": lambda: on_steps("mse", numbers(5, 1)),
    "a warm-up from 0": lambda: at_rates(S.CosineDecay(0.0, 60, warmup_target=1e-2, warmup_steps=4)),
    "a rate that ends at 0": lambda: at_rates(S.CosineDecay(1e-3, 55)),
    "0 until a callback sets it": lambda: at_rates(0.0, by_epoch(lambda epoch: 1e-2)),
    "the older kind of schedule": lambda: at_rates(1e-3, by_epoch(lambda epoch: 1e-2 / (1 + epoch))),
    "0 beside a callback of one's own": lambda: at_rates(0.0, OwnCallback()),
    "weights by name": lambda: given(
        two_sigmoids(loss=["binary_crossentropy"] * 2, loss_weights={"kind": 1.0, "seen": 2.0}), both()
    ),
    "metrics of two": lambda: given(two_sigmoids(metrics=[["accuracy"], ["accuracy"]]), both()),
    "one that is not trained": lambda: given(two_sigmoids(loss=["binary_crossentropy", None]), both()),
    "labels by name": lambda: given(two_sigmoids(), both("kind", "seen")),
    "weights in order": lambda: given(two_sigmoids(), both(), sample_weight=[np.ones(N), np.ones(N)]),
    "no weight for one class of several": lambda: given(
        with_softmax(), classes(), sample_weight=(classes() != 2).astype("float32")
    ),
    "a normalisation that is adapted": lambda: behind(normalization(True)),
    "bins by bounds": lambda: behind(L.Discretization(bin_boundaries=[-1.0, 0.0, 1.0])),
    "a normalisation by numbers": lambda: behind(L.Normalization(mean=0.0, variance=1.0)),
    **({"texts as a tensor": lambda: of_texts(tensor(TEXTS))} if IS_TENSORFLOW else {}),
}


@pytest.mark.skipif(not IS_TENSORFLOW, reason="tensors of texts are TensorFlow's")
def test_of_texts_one_step_is_taken() -> None:
    model, arguments = of_texts(tensor(TEXTS))
    findings = diagnose(model, **arguments, seconds=5)
    assert [f.verdict for f in findings if f.check == "finite-numbers"] == ["✓"], str(findings)


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_newcomer_does_is_named_with_its_fix(name: str) -> None:
    check, make, fix = FAULTS[name]
    model, arguments = make()
    findings = diagnose(model, **arguments, seconds=0)
    assert {fault.check for fault in findings.faults} == {check}, str(findings)
    assert fix in findings.faults[0].fix and findings.faults[0].why, str(findings)


@pytest.mark.parametrize("name", SOUND)
def test_what_looks_like_it_is_let_be(name: str) -> None:
    model, arguments = SOUND[name]()
    findings = diagnose(model, **arguments, seconds=0)
    assert not findings.faults, str(findings)
    assert not [f for f in findings if "could not be" in f.measured], str(findings)


REFUSED = [name for name in (*COMPILED, *NAMES) if name != "a list that ends early"]


@pytest.mark.parametrize("name", [*REFUSED, *(name for name in LAYERS if "texts" in name)])
def test_keras_refuses_what_is_said_to_be_refused(name: str) -> None:
    model, arguments = FAULTS[name][1]()
    with pytest.raises(Exception):  # noqa: B017, Keras raises of every kind
        model.fit(**arguments, verbose=0)


@pytest.mark.parametrize("name", [n for n in SOUND if "class of several" not in n])
def test_keras_takes_what_is_let_be(name: str) -> None:
    model, arguments = SOUND[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an output without a loss Keras warns
        history = model.fit(**{**arguments, "epochs": 1}, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize("weighted", ["sample", "class"])
def test_a_class_without_weight_is_asked_about(weighted: str) -> None:
    weights: dict[str, Any] = {
        "sample": {"sample_weight": (classes() != 2).astype("float32")},
        "class": {"class_weight": {0: 1.0, 1: 1.0, 2: 0.0, 3: 1.0}},
    }[weighted]
    findings = diagnose(with_softmax(), numbers(), classes(), **weights, seconds=0)
    (said,) = [f for f in findings if f.check == f"{weighted}-weight"]
    assert said.verdict == "?" and "rows of class 2 have the weight 0" in said.measured


def test_a_class_that_is_ignored_needs_no_weight() -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=2)
    weights = (classes() != 2).astype("float32")
    findings = diagnose(with_softmax(loss), numbers(), classes(), sample_weight=weights, seconds=0)
    assert [f.verdict for f in findings if f.check == "sample-weight"] == ["✓"]


def test_a_rate_that_ends_early_is_noted() -> None:
    model, arguments = at_rates(S.CosineDecay(1e-3, 30))
    (said,) = [f for f in diagnose(model, **arguments, seconds=0) if f.check == "learning-rate"]
    assert said.verdict == "note" and "of the training" in said.measured


def test_a_rate_of_0_that_a_callback_of_ones_own_may_set_is_no_all_clear() -> None:
    model, arguments = at_rates(0.0, OwnCallback())
    (said,) = [f for f in diagnose(model, **arguments, seconds=0) if f.check == "learning-rate"]
    assert said.verdict == "?"


def test_a_schedule_of_ones_own_is_asked_quietly(capsys: Any) -> None:
    def talkative(epoch: int, rate: float) -> float:
        print("epoch", epoch)
        return rate

    model, arguments = at_rates(1e-3, by_epoch(talkative))
    diagnose(model, **arguments, seconds=0)
    assert capsys.readouterr().out == ""


def test_the_key_of_an_input_that_is_misspelt_is_given() -> None:
    a, b = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    model = keras.Model({"left": a, "right": b}, L.Dense(1)(L.Concatenate()([a, b])))
    model.compile("adam", "mse")
    x = {"left": numbers(3), "rigth": numbers(3) + 1}
    (fault,) = diagnose(model, x, numbers(1), seconds=0).faults
    assert fault.check == "inputs-accepted" and fault.fix.startswith("x={'right': x['rigth'], …}")


def test_a_network_is_still_made_of_its_own_head() -> None:
    model = network(L.Dense(1, "sigmoid"), loss="binary_crossentropy")
    (fault,) = diagnose(model, numbers(), ratings(), seconds=0).faults
    assert fault.check == "labels-units" and "SparseCategoricalCrossentropy" in fault.fix
