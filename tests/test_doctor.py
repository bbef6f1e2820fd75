"""The doctor on models that are broken and on models that are sound, on the backend of this process."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from crosscheck import losses
from crosscheck.cli.main import cli
from crosscheck.doctor import _subject, examine
from crosscheck.doctor._diagnosis import Diagnosis, Reading, judge_readings
from crosscheck.errors import UsageError

pytestmark = pytest.mark.every_backend

L = keras.layers
TENSORFLOW = keras.backend.backend() == "tensorflow"
FROM_LOGITS = {
    "binary": keras.losses.BinaryCrossentropy(from_logits=True),
    "sparse": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
}


@pytest.fixture(autouse=True)
def policy_restored() -> Iterator[None]:
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def built(*head: keras.Layer, loss="binary_crossentropy", **how) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), L.Dense(8, activation="relu"), *head])
    model.compile("adam", loss, **how)
    return model


def under(policy: str, make: Callable[[], keras.Model]) -> keras.Model:
    keras.config.set_dtype_policy(policy)
    return make()


def limit(model: keras.Model) -> float:
    (diagnosis,) = examine(model)
    return diagnosis.limit


SOUND = {
    "logits": lambda: built(L.Dense(1), loss=FROM_LOGITS["binary"]),
    "classes": lambda: built(L.Dense(10), loss=FROM_LOGITS["sparse"]),
    "ours": lambda: built(L.Dense(5), loss=losses.BinaryCrossentropy(label_smoothing=0.1)),
    "ours by class": lambda: built(L.Dense(3), loss=losses.CategoricalCrossentropy(label_smoothing=0.2)),
    "outcomes": lambda: built(L.Dense(8), loss=losses.JointCrossentropy(label_smoothing=0.2)),
    "no bias": lambda: built(L.Dense(3, use_bias=False), loss=FROM_LOGITS["sparse"]),
    "weighted": lambda: built(L.Dense(1), loss=FROM_LOGITS["binary"], loss_weights=0.3),
    "half": lambda: under("mixed_float16", lambda: built(L.Dense(1), loss=FROM_LOGITS["binary"])),
    "brain": lambda: under("mixed_bfloat16", lambda: built(L.Dense(4), loss=FROM_LOGITS["sparse"])),
    "penalised": lambda: built(
        L.Dense(1, kernel_regularizer="l2", bias_regularizer="l2"), loss=FROM_LOGITS["binary"]
    ),
    "many outputs": lambda: built(L.Dense(5000), loss=FROM_LOGITS["binary"]),
    "dropout": lambda: built(L.Dropout(0.5), L.Dense(1), loss=FROM_LOGITS["binary"]),
}
BROKEN = {
    "reshape": lambda: built(L.Dense(1, activation="sigmoid"), L.Reshape((1,))),
    "half": lambda: under("mixed_float16", lambda: built(L.Dense(1, activation="sigmoid"))),
    "half by class": lambda: under(
        "mixed_float16",
        lambda: built(L.Dense(3, activation="softmax"), loss="sparse_categorical_crossentropy"),
    ),
    "brain": lambda: under("mixed_bfloat16", lambda: built(L.Dense(1), L.Activation("sigmoid"))),
    "a logit for a probability": lambda: built(L.Dense(1)),
    "a probability for a logit": lambda: built(
        L.Dense(1, activation="sigmoid"), loss=losses.BinaryCrossentropy()
    ),
    "softmax over one": lambda: built(L.Dense(1, activation="softmax")),
    "softmax for a sigmoid": lambda: built(L.Dense(3, activation="softmax")),
}
# Keras finds the logits behind these on TensorFlow, and on no other backend.
RECOVERED = {
    "sigmoid": lambda: built(L.Dense(1, activation="sigmoid")),
    "softmax": lambda: built(L.Dense(3, activation="softmax"), loss="categorical_crossentropy"),
    "float32 head": lambda: under(
        "mixed_float16", lambda: built(L.Dense(1), L.Activation("sigmoid", dtype="float32"))
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_model_is_called_sound(name: str) -> None:
    (diagnosis,) = examine(SOUND[name]())
    assert diagnosis.sound and math.isinf(diagnosis.limit), str(diagnosis)
    assert not diagnosis.remedy and "survive" in str(diagnosis)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_is_called_broken_with_cause_and_remedy(name: str) -> None:
    (diagnosis,) = examine(BROKEN[name]())
    assert not diagnosis.sound and diagnosis.limit <= 20
    assert diagnosis.cause and diagnosis.remedy
    assert diagnosis.cause in str(diagnosis) and diagnosis.remedy in str(diagnosis)


@pytest.mark.parametrize("name", RECOVERED)
def test_an_activation_in_the_head_survives_on_tensorflow_alone(name: str) -> None:
    (diagnosis,) = examine(RECOVERED[name]())
    assert diagnosis.sound == TENSORFLOW


def test_the_remedies_cure() -> None:
    (diagnosis,) = examine(BROKEN["half"]())
    assert "from_logits=True" in diagnosis.remedy
    assert math.isinf(limit(SOUND["half"]()))
    if 'dtype="float32"' in diagnosis.remedy:
        assert math.isinf(limit(RECOVERED["float32 head"]()))


def test_what_multiplies_all_gradients_is_told_apart_from_what_loses_them() -> None:
    (diagnosis,) = examine(SOUND["weighted"]())
    assert diagnosis.scale == pytest.approx(0.3, rel=1e-3) and "0.3" in str(diagnosis)
    (diagnosis,) = examine(SOUND["ours"]())
    assert diagnosis.scale == pytest.approx(1 / 5, rel=1e-3)


def test_the_model_is_left_as_it_was() -> None:
    model = SOUND["classes"]()
    before, steps = model.get_weights(), int(model.optimizer.iterations)
    examine(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(model.optimizer.iterations) == steps and all(layer.trainable for layer in model.layers)


def test_the_probability_at_the_limit_counts_all_classes() -> None:
    """Behind a reshape p = e^−z / (e^−z + K − 1) is clipped at 1e−7: with 1,001 classes from |z| = 10 on."""
    wide = built(
        L.Dense(1001, activation="softmax"), L.Reshape((1001,)), loss="sparse_categorical_crossentropy"
    )
    (diagnosis,) = examine(wide)
    assert diagnosis.limit == 10 and f"(p = {np.exp(-10) / 1000:.1g})" in str(diagnosis)


def test_the_table_shows_the_label_whose_gradient_is_lost() -> None:
    """As behind a float16 sigmoid, which is 1 at 10 and not yet 0 at -10."""
    false_alarms = [Reading(z, 0, z, 1.0 if z < 10 else 0.0, 1.0) for z in (1.0, 10.0, 20.0)]
    misses = [Reading(-z, 1, z, -1.0 if z < 20 else 0.0, -1.0) for z in (1.0, 10.0, 20.0)]
    for readings, label in (((*false_alarms, *misses), 0), ((*misses, *false_alarms), 0), (misses, 1)):
        found = judge_readings(readings)
        told = Diagnosis("out", "loss", "head", "float16", "tensorflow", True, 1, readings=readings, **found)
        shown = [line.split() for line in told.excerpt[1:]]
        assert {row[1] for row in shown} == {str(label)}
        assert next(row[3] for row in shown if abs(float(row[0])) == told.limit) == "0"


def test_a_loss_that_is_no_cross_entropy_is_reported_and_not_judged() -> None:
    (diagnosis,) = examine(built(L.Dense(1, activation="sigmoid"), loss="mean_squared_error"))
    assert diagnosis.sound and diagnosis.limit < 100 and "nature" in str(diagnosis)


def test_every_output_has_a_diagnosis() -> None:
    x = keras.Input((4,))
    body = L.Dense(8)(x)
    ends = [L.Reshape((1,), name="a")(L.Dense(1, activation="sigmoid")(body)), L.Dense(3, name="b")(body)]
    model = keras.Model(x, dict(zip("ab", ends, strict=True)))
    model.compile("sgd", {"a": "binary_crossentropy", "b": FROM_LOGITS["sparse"]})
    assert [diagnosis.sound for diagnosis in examine(model)] == [False, True]


def test_a_sequence_of_labels_is_examined_too() -> None:
    model = keras.Sequential([keras.Input((None, 4)), L.Dense(3)])
    model.compile("sgd", FROM_LOGITS["sparse"])
    assert math.isinf(limit(model))


@keras.saving.register_keras_serializable(package="doctor_test")
class Halved(keras.Model):
    """Subclassed, with a train step of its own that throws confident errors away."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.last = L.Dense(1)

    def call(self, x):
        return self.last(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return keras.ops.minimum(loss, 7.0)


def test_it_is_the_models_own_training_that_is_examined() -> None:
    model = Halved()
    model(np.zeros((1, 4), "float32"))
    model.compile("sgd", FROM_LOGITS["binary"])
    (diagnosis,) = examine(model)
    assert not diagnosis.sound and diagnosis.limit == 10 and diagnosis.symptom == "0"


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_copy_scales_its_loss_if_and_only_if_the_model_does(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the model was made under another global policy, as after loading."""
    model = under(policy, lambda: built(L.Dense(1), loss=FROM_LOGITS["binary"]))
    keras.config.set_dtype_policy("mixed_float16" if policy == "float32" else "float32")
    patients, make = [], _subject.Patient
    monkeypatch.setattr(_subject, "Patient", lambda *a: patients.append(make(*a)) or patients[-1])
    examine(model)
    scales = isinstance(patients[0].model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales == (policy == "mixed_float16")


def test_what_cannot_be_examined_is_refused_with_the_reason() -> None:
    bare = keras.Sequential([keras.Input((4,)), L.Dense(1)])
    with pytest.raises(UsageError, match="not compiled"):
        examine(bare)
    assert len(examine(bare, FROM_LOGITS["binary"])) == 1
    unbuilt = keras.Sequential([L.Dense(1)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(UsageError, match="not built"):
        examine(unbuilt)


# --- the command ------------------------------------------------------------------------------------


def command(*arguments: str) -> tuple[int, str]:
    from click.testing import CliRunner

    backend = keras.backend.backend()
    ran = CliRunner().invoke(cli, ["doctor", *arguments, "--backend", backend], standalone_mode=False)
    if ran.exception:
        raise ran.exception
    return ran.return_value, ran.output


@pytest.mark.parametrize(("models", "name", "code"), [(BROKEN, "reshape", 1), (SOUND, "ours", 0)])
def test_a_saved_model_gets_the_same_diagnosis(models, name: str, code: int, tmp_path: Path) -> None:
    model = models[name]()
    file = tmp_path / "model.keras"
    model.save(file)
    exit_code, output = command(str(file), "--json")
    (record,) = json.loads(output)
    assert exit_code == code and record["sound"] == (code == 0)
    assert record["limit"] == (None if code == 0 else limit(model))
    assert len(record["readings"]) > 20


def test_what_cannot_be_examined_is_refused_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "bare.keras"
    keras.Sequential([keras.Input((4,)), L.Dense(1)]).save(file)
    with pytest.raises(UsageError, match=r"bare\.keras: The model is not compiled"):
        command(str(file))


def test_a_half_precision_model_is_broken_also_after_loading(tmp_path: Path) -> None:
    file = tmp_path / "model.keras"
    BROKEN["half"]().save(file)
    keras.config.set_dtype_policy("float32")
    code, output = command(str(file))
    assert code == 1 and "mixed_float16" in output and "fix:" in output


def test_a_crash_is_told_in_one_line_with_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crosscheck.doctor import command as of_the_command

    def crash(*_):
        raise RuntimeError("first line\nsecond line")

    file = tmp_path / "model.keras"
    SOUND["logits"]().save(file)
    monkeypatch.setattr(of_the_command, "examine", crash)
    with pytest.raises(UsageError, match=r"could not look: RuntimeError: first line$") as told:
        command(str(file))
    assert told.value.exit_code == 2


def test_a_regression_is_not_judged() -> None:
    (diagnosis,) = examine(built(L.Dense(2), loss="mse"))
    assert diagnosis.exit_code == 0 and "none of classes" in str(diagnosis) and "fades" not in str(diagnosis)


def test_a_loss_that_nobody_knows_leaves_with_2(tmp_path: Path) -> None:
    model = built(L.Dense(1, activation="sigmoid"), loss=lambda y, p: keras.ops.mean((y - p) ** 4, axis=-1))
    (diagnosis,) = examine(model)
    assert diagnosis.exit_code == 2 and not diagnosis.sound and diagnosis.to_dict()["sound"] is False


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        command(str(tmp_path / "missing.keras"))
    (tmp_path / "text.keras").write_text("not a model")
    with pytest.raises(UsageError, match="cannot be loaded: it is no archive"):
        command(str(tmp_path / "text.keras"))
    with pytest.raises(UsageError, match=r"\.keras"):
        command(str(tmp_path / "text.h5"))
    file = tmp_path / "bare.keras"
    keras.Sequential([keras.Input((4,)), L.Dense(1)]).save(file)
    with pytest.raises(UsageError, match="--loss"):
        command(str(file))
    with pytest.raises(UsageError, match="no loss 'entropy'"):
        command(str(file), "--loss", "entropy")
    assert command(str(file), "--loss", "binary_crossentropy")[0] == 1
