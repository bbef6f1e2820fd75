"""What `fit` refuses, never ends, or trains to no purpose is named, and what looks like it is let be."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from diagnosed_faults import two_outputs
from diagnosed_programs import (
    D,
    Given,
    K,
    L,
    N,
    both,
    classes,
    diagnosed,
    given,
    network,
    numbers,
    one_hot,
    with_logits,
    with_sigmoids,
    with_softmax,
    yes_or_no,
)

from crosscheck.diagnose import diagnose
from crosscheck.diagnose._by_trials import beside
from crosscheck.diagnose._outcomes import OTHERS, Arm

pytestmark = pytest.mark.every_backend
IS_TENSORFLOW = keras.backend.backend() == "tensorflow"
M, Opt = keras.metrics, keras.optimizers
SPARSE = "sparse_categorical_crossentropy"


class Batches(keras.utils.PyDataset):
    """Batches of 16 rows, for ever where there is no number of them."""

    def __init__(self, count: int | None, moved: float = 0):
        super().__init__()
        self.count, self.x = count, numbers() + moved

    @property
    def num_batches(self) -> int | None:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        mine = slice(16 * (index % 6), 16 * (index % 6) + 16)
        return self.x[mine], classes()[mine]


def generated(batches: int | None = None, has_labels: bool = True) -> Iterator[Any]:
    while batches is None or batches > 0:
        yield (numbers(), classes()) if has_labels else (numbers(),)
        batches = None if batches is None else batches - 1


def streamed(x: Any, **more: Any) -> Given:
    return with_softmax(), {"x": x, **more}


def dataset(repeated: int | None = 1, batch_size: int = 32) -> Any:
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((numbers(), classes()))
    return rows.repeat(repeated).batch(batch_size)


def measured_by(metric: Any, y: Any = None, **options: Any) -> Given:
    return given(with_softmax(options.pop("loss", SPARSE), metrics=[metric]), classes() if y is None else y)


def trained_by(optimizer: Any, x: np.ndarray | None = None, **more: Any) -> Given:
    model = with_softmax()
    model.compile(optimizer, SPARSE)
    return given(model, classes(), x, **more)


def with_layer(layer: keras.Layer) -> Given:
    return given(network(layer, L.Dense(K, activation="softmax"), loss=SPARSE), classes())


def of_steps(layer: keras.Layer) -> Given:
    model = keras.Sequential([keras.Input((5, 3)), layer, L.Dense(K, activation="softmax")])
    model.compile("adam", SPARSE)
    return given(model, classes(), numbers(5, 3))


def weighing(*weights: float) -> Given:
    """A classifier and a regression."""
    return given(two_outputs(loss_weights=list(weights)), [classes(), numbers(1)])


def score(y: Any, p: Any) -> Any:
    """The larger the better."""
    return keras.ops.sum(keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(y, (-1,)), "int32"), K) * p, -1)


def behind_a_judge() -> keras.Model:
    judge = keras.Sequential([keras.Input((D,)), L.Dense(1, activation="sigmoid")], name="judge")
    judge.trainable = False
    inputs = keras.Input((D,))
    model = keras.Model(inputs, judge(L.Dense(D, activation="relu")(inputs)))
    model.compile("adam", "binary_crossentropy", loss_weights=[-1.0])
    return model


def of_widths(first: int, second: int) -> keras.Model:
    inputs = keras.Input((D,))
    widths = {"kind": first, "seen": second}
    heads = {name: L.Dense(k, activation="softmax", name=name)(inputs) for name, k in widths.items()}
    model = keras.Model(inputs, heads)
    model.compile("adam", dict.fromkeys(widths, SPARSE))
    return model


def mixed_up(**more: Any) -> Given:
    return given(of_widths(K, 2), {"kind": classes(k=2), "seen": classes()}, **more)


WEIGHED = {c: 1.0 + c for c in range(K)}
# name: (the check, the program, what is said in its fix)
FAULTS: dict[str, tuple[str, Callable[[], Given], str]] = {
    "a PyDataset without end": ("steps", lambda: streamed(Batches(None)), "steps_per_epoch"),
    "a validation without end": (
        "steps",
        lambda: given(with_softmax(), classes(), validation_data=Batches(None, 1)),
        "validation_steps",
    ),
    "a generator of inputs alone": (
        "labels-given",
        lambda: streamed(generated(has_labels=False), steps_per_epoch=2),
        "x, y in each batch of the generator",
    ),
    "inputs alone": ("labels-given", lambda: given(with_softmax(), None), "x, y"),
    "F1 of class numbers": ("metric-fits-problem", lambda: measured_by(M.F1Score()), "to_categorical(y, 4)"),
    "F1 of yes or no": (
        "metric-fits-problem",
        lambda: given(with_sigmoids(metrics=[M.F1Score(threshold=0.5)]), yes_or_no()),
        "y[:, None]",
    ),
    "areas of columns": ("metric-fits-problem", lambda: measured_by(M.MeanIoU(K)), "sparse_y_pred=False"),
    "a clipped norm": ("clipping", lambda: trained_by(Opt.Adam(clipnorm=1e-12)), "clipnorm=1.0"),
    "a clipped value": ("clipping", lambda: trained_by(Opt.SGD(0.01, clipvalue=1e-8)), "clipvalue=1.0"),
    "a norm of all": (
        "clipping",
        lambda: trained_by(Opt.RMSprop(global_clipnorm=1e-12), epochs=5),
        "global_clipnorm=1.0",
    ),
    "all dropped": ("dropout", lambda: with_layer(L.Dropout(1.0)), "rate=0.5"),
    "all dropped in the steps": ("dropout", lambda: of_steps(L.LSTM(4, dropout=1.0)), "dropout=0.5"),
    "a loss below 0": (
        "loss-weights",
        lambda: given(with_softmax(loss_weights=[-1.0]), classes()),
        "left out",
    ),
    "a number below 0": ("loss-weights", lambda: given(with_softmax(loss_weights=-0.5), classes()), ""),
    "losses of 0": ("loss-weights", lambda: weighing(0.0, 0.0), "left out"),
    "losses of 0 and below": ("loss-weights", lambda: weighing(0.0, -1.0), "left out"),
    "labels of two outputs exchanged": ("labels-units", mixed_up, "in each other's place"),
    **(
        {
            "a dataset without end": ("steps", lambda: streamed(dataset(None)), "without repeat()"),
            "texts as keys for a dataset": (
                "class-weight",
                lambda: streamed(dataset(), class_weight={str(c): 1.0 for c in range(K)}),
                "class_weight={0: …",
            ),
            "a key alone for a dataset": (
                "class-weight",
                lambda: streamed(dataset(), class_weight={1: 2.0}),
                "3: 1.0",
            ),
        }
        if IS_TENSORFLOW
        else {}
    ),
}
SOUND: dict[str, Callable[[], Given]] = {
    "a PyDataset": lambda: streamed(Batches(3)),
    "a PyDataset without end, in steps": lambda: streamed(Batches(None), steps_per_epoch=2),
    "a validation without end, in steps": lambda: given(
        with_softmax(), classes(), validation_data=Batches(None, 1), validation_steps=2
    ),
    "a generator that ends": lambda: streamed(generated(3)),
    "a generator in steps": lambda: streamed(generated(), steps_per_epoch=2),
    "F1 of columns": lambda: measured_by(M.F1Score(), one_hot(), loss="categorical_crossentropy"),
    "F1 of a column of yes or no": lambda: given(
        with_sigmoids(metrics=[M.F1Score(threshold=0.5)]), yes_or_no()[:, None]
    ),
    "areas of classes": lambda: measured_by(M.MeanIoU(K, sparse_y_pred=False)),
    "areas of yes or no": lambda: given(with_sigmoids(metrics=[M.BinaryIoU()]), yes_or_no()),
    "the two best": lambda: measured_by(M.SparseTopKCategoricalAccuracy(2)),
    "a metric of one's own": lambda: measured_by(M.MeanMetricWrapper(lambda y, p: keras.ops.mean(p, -1))),
    "explained variance": lambda: given(with_logits("mse", k=1, metrics=[M.R2Score()]), numbers(1)),
    "explained variance of a row": lambda: given(
        with_logits("mse", k=1, metrics=[M.R2Score(), "mae"]), numbers(1)[:, 0]
    ),
    "a norm of 1": lambda: trained_by(Opt.Adam(clipnorm=1.0)),
    "a small norm, which Adam does not see": lambda: trained_by(Opt.Adam(clipnorm=1e-5)),
    "a small norm for sums of squares": lambda: trained_by(Opt.RMSprop(1e-3, clipnorm=1e-5)),
    "a small value of many steps": lambda: trained_by(Opt.SGD(0.1, clipvalue=1e-3)),
    "a clipping of 0, which Keras leaves out": lambda: trained_by(Opt.SGD(clipnorm=0.0)),
    "a small rate": lambda: trained_by(Opt.SGD(1e-7, clipnorm=1.0)),
    "a small norm of large inputs": lambda: trained_by(Opt.SGD(0.1, clipnorm=1e-6), 1e6 * numbers()),
    "a tenth dropped": lambda: with_layer(L.Dropout(0.1)),
    "nearly all dropped": lambda: with_layer(L.GaussianDropout(0.95)),
    "steps that drop some": lambda: of_steps(L.LSTM(4, dropout=0.5, recurrent_dropout=0.2)),
    "weights of losses": lambda: weighing(0.3, 1.0),
    "one loss of 0": lambda: weighing(1.0, 0.0),
    "an adversary": lambda: weighing(1.0, -0.1),
    "a score that is to grow": lambda: given(with_softmax(score, loss_weights=[-1.0]), classes()),
    "a judge to be misled": lambda: given(behind_a_judge(), yes_or_no()),
    "labels of two outputs": lambda: given(of_widths(K, 2), {"kind": classes(), "seen": classes(k=2)}),
    "labels of outputs alike": lambda: given(of_widths(2, 2), both("kind", "seen")),
    **(
        {
            "a dataset": lambda: streamed(dataset()),
            "a dataset that comes twice": lambda: streamed(dataset(2)),
            "a dataset without end, in steps": lambda: streamed(dataset(None), steps_per_epoch=2),
            "keys for a dataset": lambda: streamed(dataset(), class_weight=WEIGHED),
        }
        if IS_TENSORFLOW
        else {}
    ),
}
ENDLESS = [name for name, case in FAULTS.items() if case[0] == "steps"]
TAKEN = ["clipping", "dropout", "loss-weights", "labels-units"]  # `fit` goes through, to no purpose


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_named_with_its_fix(name: str) -> None:
    check, make, fix = FAULTS[name]
    findings = diagnosed(make())
    assert {fault.check for fault in findings.faults} == {check}, str(findings)
    assert fix in findings.faults[0].fix and findings.faults[0].why, str(findings)


@pytest.mark.parametrize("name", SOUND)
def test_what_looks_like_it_is_let_be(name: str) -> None:
    findings = diagnosed(SOUND[name]())
    assert not findings.faults, str(findings)
    assert not [f for f in findings if "could not be" in f.measured], str(findings)


@pytest.mark.parametrize("name", [n for n in FAULTS if n not in ENDLESS and FAULTS[n][0] not in TAKEN])
def test_keras_refuses_it(name: str) -> None:
    model, arguments = FAULTS[name][1]()
    with pytest.raises(Exception):  # noqa: B017, Keras raises of every kind
        model.fit(**arguments, verbose=0)


@pytest.mark.parametrize("name", SOUND)
def test_keras_takes_what_is_let_be(name: str) -> None:
    model, arguments = SOUND[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = model.fit(**arguments, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("name", [name for name, case in FAULTS.items() if case[0] == "clipping"])
def test_such_a_clipping_does_stand_still(name: str) -> None:
    model, arguments = FAULTS[name][1]()
    before = model.get_weights()
    model.fit(**{**arguments, "epochs": 5}, verbose=0)
    assert max(np.abs(a - b).max() for a, b in zip(model.get_weights(), before, strict=True)) < 1e-5


@pytest.mark.parametrize(
    "name", ["a small norm, which Adam does not see", "a small norm for sums of squares"]
)
def test_such_a_clipping_does_move(name: str) -> None:
    model, arguments = SOUND[name]()
    before = model.get_weights()
    model.fit(**arguments, verbose=0)
    assert max(np.abs(a - b).max() for a, b in zip(model.get_weights(), before, strict=True)) > 1e-5


@pytest.mark.parametrize("name", ["a score that is to grow", "a judge to be misled"])
def test_a_sign_that_may_be_turned_again_is_asked_about(name: str) -> None:
    findings = diagnosed(SOUND[name]())
    assert [f.verdict for f in findings if f.check == "loss-weights"] == ["?"], str(findings)


def test_an_adversary_is_noted() -> None:
    findings = diagnosed(weighing(1.0, -0.1))
    assert [f.verdict for f in findings if f.check == "loss-weights"] == ["note"], str(findings)


def test_a_generator_that_may_have_no_end_is_asked_about() -> None:
    (said,) = [f for f in diagnosed(streamed(generated())) if f.check == "steps"]
    assert said.verdict == "?" and "steps_per_epoch" in said.measured


@pytest.mark.skipif(not IS_TENSORFLOW, reason="TensorFlow's")
def test_a_dataset_that_does_not_count_its_rows_is_asked_about() -> None:
    batches = dataset(None, 8).take(40).filter(lambda x, y: True)
    (said,) = [f for f in diagnosed(streamed(batches)) if f.check == "steps"]
    assert said.verdict == "?"


@pytest.mark.skipif(not IS_TENSORFLOW, reason="TensorFlow's")
def test_texts_as_keys_raise_of_a_dataset_and_are_passed_over_of_arrays() -> None:
    keys = {str(c): 1.0 + c for c in range(K)}
    programs = streamed(dataset(), class_weight=keys), given(with_softmax(), classes(), class_weight=keys)
    (of_dataset,), (of_arrays,) = (diagnosed(program).faults for program in programs)
    assert "raises" in of_dataset.why and "takes the weight 1" in of_arrays.why
    programs[1][0].fit(**programs[1][1], verbose=0)  # Keras says nothing


def test_exchanged_labels_are_mended_by_the_exchange_in_the_validation_too() -> None:
    held_out = (numbers() + 1, {"kind": classes(k=2), "seen": classes()})
    (fault,) = diagnosed(mixed_up(validation_data=held_out)).faults
    assert "They fit the output 'kind'" in fault.measured
    assert "mended, and nothing else is wrong" in fault.tried


def test_labels_that_fit_neither_output_are_not_said_to_be_exchanged() -> None:
    program = given(of_widths(K, 3), {"kind": classes(k=2), "seen": classes(k=10)})
    (fault,) = diagnosed(program).faults
    assert fault.check == "labels-units" and "other's place" not in fault.fix


def test_rows_are_counted_in_the_order_of_inputs_and_labels() -> None:
    (fault,) = diagnosed(given(with_softmax(), classes()[:-3])).faults
    assert f"{N} and {N - 3} rows" in fault.measured and fault.fix.startswith(f"x[:{N - 3}]")


def test_a_tail_whose_classes_are_all_trained_is_not_said_to_hold_new_ones() -> None:
    y = np.where(np.arange(200) < 150, np.arange(200) % 2, 1)
    model = with_sigmoids()
    findings = diagnose(model, numbers(rows=200), y, validation_split=0.25, seconds=0)
    (fault,) = findings.faults
    assert fault.check == "validation-split" and "never trained" not in fault.measured


# --- what other settings did ------------------------------------------------------------------------------


def outcome(arm: Arm, lags: bool, rescues: bool) -> Any:
    """Where a setting ended, under three seeds."""
    return SimpleNamespace(arm=arm, lags=np.full(3, lags), rescues=np.full(3, rescues))


def lab(*others: Any) -> Any:
    own = SimpleNamespace(loss=np.ones(3), rescued_by=lambda other: other.rescues)
    return SimpleNamespace(as_it_is=own, rescues={other.arm.name: other for other in others})


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ((), ", and no other setting was tried"),
        ((outcome(OTHERS[0], True, False),), ", and no further with standardised inputs"),
        (
            (outcome(OTHERS[0], False, False), outcome(OTHERS[1], True, False)),
            "; with standardised inputs it fits the rows that it is trained on, and others hardly better",
        ),
        (
            (outcome(OTHERS[0], False, True), outcome(OTHERS[1], False, False)),
            "; it comes further, on other rows too, under 3 of 3 seeds with standardised inputs",
        ),
    ],
)
def test_what_is_said_of_other_settings_is_true_of_each(others: Any, words: str) -> None:
    assert beside(lab(*others)) == words
