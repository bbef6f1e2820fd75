"""Models that a newcomer brought, and the doctor once judged wrongly: each sound one beside a broken one."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from doctor_models import L, S, examined, sparse
from keras import ops

from crosscheck.doctor import Diagnosis
from crosscheck.errors import UsageError

pytestmark = pytest.mark.every_backend
K = 5
IS_TENSORFLOW = keras.backend.backend() == "tensorflow"


def on_dense(loss: Any, k: int = K, **compiling: Any) -> Diagnosis:
    inputs = keras.Input((3,))
    return examined(inputs, L.Dense(k)(inputs), loss, **compiling)


# --- where the logits are ---------------------------------------------------------------------------------


class Cosine(L.Layer):
    """Cosines of features with a vector for each class, times a fixed scale."""

    def __init__(self, units: int, scale: float):
        super().__init__()
        self.units, self.scale = units, scale

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1], self.units))

    def call(self, x: Any) -> Any:
        x = x / (ops.norm(x, axis=-1, keepdims=True) + 1e-8)
        w = self.w / (ops.norm(self.w, axis=0, keepdims=True) + 1e-8)
        return self.scale * ops.matmul(x, w)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("width", [16, K])
def test_a_product_with_what_is_made_of_weights_makes_the_logits(activation: str, width: int) -> None:
    inputs = keras.Input((3,))
    hidden = L.Dense(width, activation)(inputs)
    assert examined(inputs, Cosine(K, 16.0)(hidden), sparse()).exit_code == 0
    narrow = examined(inputs, Cosine(K, 1.0)(hidden), sparse())
    assert narrow.exit_code == 1 and "flattens" not in narrow.cause, str(narrow)


TABLES = {"a tree": np.repeat(np.eye(2), 3, 0), "chances of a slip": np.tile([0.2, 0.8], (6, 1))}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_that_no_weight_made_is_looked_through(table: np.ndarray) -> None:
    inputs = keras.Input((3,))
    p = ops.matmul(L.Dense(6, "softmax")(inputs), ops.convert_to_tensor(table.astype("float32")))
    found = examined(inputs, p, "sparse_categorical_crossentropy")
    assert found.exit_code == 1 and "softmax" in found.head and found.remedy != "from_logits=True", str(found)


def test_an_input_that_is_added_to_logits_is_none() -> None:
    inputs, allowed = keras.Input((3,)), keras.Input((K,))
    masked = examined([inputs, allowed], L.Dense(K)(inputs) + (1.0 - allowed) * -1e9, sparse())
    assert masked.exit_code == 0, str(masked)
    prior = examined([inputs, allowed], L.Dense(K)(inputs) + allowed, sparse())
    assert prior.exit_code == 0 and prior.scale == pytest.approx(1), str(prior)
    capped = examined([inputs, allowed], ops.clip(L.Dense(K)(inputs) + allowed, -3, 3), sparse())
    assert capped.exit_code == 1


def test_a_mask_of_truth_values_chooses_among_logits() -> None:
    inputs, allowed = keras.Input((3,)), keras.Input((K,), dtype="bool")
    z = L.Dense(K)(inputs)
    assert examined([inputs, allowed], ops.where(allowed, z, -1e9), sparse()).exit_code == 0
    capped = examined([inputs, allowed], ops.where(allowed, ops.clip(z, -3, 3), -1e9), sparse())
    assert capped.exit_code == 1


# --- losses of one's own ------------------------------------------------------------------------------------


def masked(of: Callable[[Any, Any], Any], guard: float) -> Callable[[Any, Any], Any]:
    """The loss of the Transformer tutorial: the mean over words that are no padding."""

    def loss(y: Any, p: Any) -> Any:
        mask = ops.cast(y != 0, "float32")
        return ops.sum(of(y, p) * mask) / (ops.sum(mask) + guard)

    return loss


def from_logits(y: Any, z: Any) -> Any:
    return ops.sparse_categorical_crossentropy(y, z, from_logits=True)


def from_probabilities(y: Any, z: Any) -> Any:
    p = ops.sum(ops.softmax(z) * ops.one_hot(ops.cast(y, "int32"), K), -1)
    return -ops.log(p + 1e-9)


@pytest.mark.parametrize("guard", [0.0, 1e-8])
def test_a_loss_that_leaves_padding_out_is_read_on_other_classes(guard: float) -> None:
    inputs = keras.Input((6, 3))
    outputs = L.Dense(K)(inputs)
    assert examined(inputs, outputs, masked(from_logits, guard)).exit_code == 0
    assert examined(inputs, outputs, masked(from_probabilities, guard)).exit_code == 1


@pytest.mark.parametrize("k", [3, 5, 10])
def test_a_penalty_on_large_logits_loses_no_gradient(k: int) -> None:
    def penalised(y: Any, z: Any) -> Any:
        return from_logits(y, z) + 1e-4 * ops.square(ops.logsumexp(z, -1))

    found = on_dense(penalised, k)
    assert found.exit_code == 0, str(found)


def test_arguments_in_the_wrong_order_get_no_all_clear() -> None:
    def swapped(y_pred: Any, y_true: Any) -> Any:
        return ops.categorical_crossentropy(y_true, y_pred, from_logits=True)

    assert on_dense(swapped).exit_code == 2
    assert on_dense(lambda y, z: ops.categorical_crossentropy(y, z, from_logits=True)).exit_code == 0


def test_labels_in_a_column() -> None:
    def of_column(of: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda y, z: of(y[:, 0], z)

    assert on_dense(of_column(from_logits)).exit_code == 0
    assert on_dense(of_column(from_probabilities)).exit_code == 1


# --- what is told, and what stops a gradient ---------------------------------------------------------------


def test_a_single_loss_that_is_told_to_rise_is_asked_about() -> None:
    found = on_dense(sparse(), loss_weights=[-1.0])
    assert found.exit_code == 2 and "-1" in found.undecided, str(found)
    assert on_dense(sparse(), loss_weights=[2.0]).exit_code == 0


def test_a_gradient_that_is_stopped_is_found() -> None:
    inputs = keras.Input((3,))
    z = L.Dense(K)(inputs)
    for stopped in (ops.stop_gradient(z), ops.round(z)):
        found = examined(inputs, stopped, sparse())
        assert found.exit_code == 1 and "0" in found.symptom, str(found)


def test_what_cannot_be_called_is_refused_still() -> None:
    def loss(y: Any, z: Any) -> Any:
        raise ValueError("nothing will do")

    with pytest.raises(UsageError, match="nothing will do"):
        on_dense(loss)


# --- words, and what they cost -----------------------------------------------------------------------------


@pytest.mark.skipif(not IS_TENSORFLOW, reason="there Keras' own is computed from clipped p")
def test_a_focal_loss_has_gradients_of_its_own_size() -> None:
    """They are largest at small errors, and those of confident ones are 1: nothing multiplies them."""
    loss = S.BinaryFocalCrossentropy(gamma=5, from_logits=True)
    found = on_dense(loss, 1)
    assert found.sound and found.scale == pytest.approx(1, abs=1e-3)
    halved = on_dense(loss, 1, loss_weights=[0.5])
    assert halved.sound and halved.scale == pytest.approx(0.5, abs=1e-3)
    assert "multiplied by 0.5" in str(halved) and "multiplied" not in str(found)


def test_a_vocabulary_as_classes_takes_no_square_of_it() -> None:
    tracemalloc.start()
    try:
        assert on_dense(sparse(), 20_000).sound
        assert tracemalloc.get_traced_memory()[1] < 4e8, "a 20,000 × 20,000 matrix takes 3.2 GB"
    finally:
        tracemalloc.stop()


def test_a_softmax_written_out_is_not_said_to_lose_what_it_never_had() -> None:
    inputs = keras.Input((3,))
    softmax = L.Lambda(lambda z: ops.exp(z) / ops.sum(ops.exp(z), -1, keepdims=True))
    found = examined(inputs, softmax(L.Dense(K)(inputs)), "sparse_categorical_crossentropy")
    assert found.exit_code == 1 and "from_logits=True" in str(found) and "tried" in str(found)
    expected = "to what Lambda gives no logits are attached" if IS_TENSORFLOW else "clips p to [1e-7"
    assert expected in str(found)


def test_a_head_whose_bounds_cannot_be_told_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "bounds its logits" not in str(on_dense(sparse()))

    def fails(*_: Any) -> Any:
        raise RuntimeError("no such kernel\nhere")

    monkeypatch.setattr("crosscheck.doctor._bounds.Source.of", fails)
    found = on_dense(sparse())
    assert found.exit_code == 2 and "whether the head bounds its logits" in str(found)
    assert "RuntimeError: no such kernel." in str(found)
    monkeypatch.undo()
    monkeypatch.setattr("crosscheck.doctor._bounds.best", lambda *_: 0.0)
    inputs = keras.Input((3,))
    unit = L.UnitNormalization()(L.Dense(K)(inputs))
    assert examined(inputs, unit, sparse()).exit_code == 2, "it has bounds, and they were not found"
    monkeypatch.setattr("crosscheck.doctor._bounds.Source.of", fails)
    lost = examined(inputs, L.Lambda(lambda z: ops.clip(z, -5, 5))(L.Dense(K)(inputs)), sparse())
    assert lost.exit_code == 1, "what is broken by its gradient is so whatever its bounds"


# --- activations that are none of probabilities ------------------------------------------------------------


@pytest.mark.parametrize("name", ["soft_shrink", "tanh_shrink", "hard_shrink"])
def test_what_is_dead_about_0_is_no_logit(name: str) -> None:
    """A network begins there, and would stay."""
    inputs = keras.Input((3,))
    found = examined(inputs, L.Dense(K, name)(inputs), sparse())
    assert found.exit_code == 1 and f"no {name} there (tried" in str(found), str(found)


def test_a_sparsemax_bounds_what_it_gives() -> None:
    """As logits it can be no more than 1 above the others; nor does `from_logits=True` mend it."""
    inputs = keras.Input((3,))
    outputs = L.Dense(K, "sparsemax")(inputs)
    found = examined(inputs, outputs, sparse())
    assert found.exit_code == 1 and "behind sparsemax the logits stay within [0, 1]" in str(found)
    assert found.bound is not None and found.bound.p == pytest.approx(np.e / (np.e + K - 1), rel=1e-3)
    as_probabilities = examined(inputs, outputs, "sparse_categorical_crossentropy")
    assert as_probabilities.exit_code == 1 and "tried on the copy: sound" not in str(as_probabilities)


def test_a_leaky_head_is_named_as_it_was_written() -> None:
    inputs = keras.Input((3,))
    found = examined(inputs, L.Dense(K, "leaky_relu")(inputs), sparse())
    assert found.sound and "on Dense(5, leaky_relu)," in str(found)


def test_towers_that_are_added_have_their_own_gradients() -> None:
    inputs = keras.Input((3,))
    loss = S.BinaryCrossentropy(from_logits=True)
    added = examined(inputs, L.Dense(1)(inputs) + L.Dense(1)(inputs), loss)
    assert added.sound and added.scale == pytest.approx(1) and "multiplied" not in str(added)
    halved = examined(inputs, 0.5 * L.Dense(1)(inputs), loss)
    assert halved.sound and "multiplied by 0.5" in str(halved)


# --- classes that are left out, and examples that are not alone --------------------------------------------


def without(*classes: int) -> Callable[[Any], Any]:
    return lambda z: ops.where(np.isin(np.arange(K), classes), -1e9, z)


@pytest.mark.parametrize("classes", [(0,), (0, 1), (2,), (K - 1,)])
def test_a_class_that_is_never_predicted_is_no_fault(classes: tuple[int, ...]) -> None:
    inputs = keras.Input((3,))
    found = examined(inputs, L.Lambda(without(*classes))(L.Dense(K)(inputs)), sparse())
    assert found.sound and "bounds" not in str(found), str(found)


@pytest.mark.parametrize("kept", [0, K - 1])
@pytest.mark.parametrize(
    "loss", [sparse(), S.BinaryCrossentropy(from_logits=True)], ids=["classes", "labels"]
)
def test_classes_whose_logits_are_stopped_are_found(kept: int, loss: Any) -> None:
    inputs = keras.Input((3,))
    z = L.Dense(K)(inputs)
    lone = np.arange(K) == kept
    stopped = L.Lambda(lambda z: ops.where(lone, z, ops.stop_gradient(z)))
    found = examined(inputs, stopped(z), loss)
    assert found.exit_code == 1, str(found)
    assert "from_logits" not in str(found).split("✗")[1], "the loss has them already"


def test_a_remedy_that_leaves_classes_without_a_gradient_is_none() -> None:
    """Keras' focal loss loses the far ones itself, and a plain cross-entropy would mend that alone."""
    inputs = keras.Input((3,))
    z = L.Dense(K)(inputs)
    focal = S.CategoricalFocalCrossentropy(from_logits=True)
    assert "tried on the copy: sound" in str(examined(inputs, z, focal))
    lone = np.arange(K) == 0
    stopped = L.Lambda(lambda z: ops.where(lone, z, ops.stop_gradient(z)))(z)
    found = examined(inputs, stopped, focal)
    assert found.exit_code == 1 and "tried on the copy: sound" not in str(found), str(found)


def test_what_goes_over_a_batch_by_hand_is_undecided() -> None:
    inputs = keras.Input((3,))
    z = L.Dense(K)(inputs)
    for mixed in (z - ops.mean(z, 0, keepdims=True), z / (ops.std(z, 0, keepdims=True) + 1e-3)):
        found = examined(inputs, mixed, sparse())
        assert found.exit_code == 2 and "over the examples of a batch" in str(found)
    assert examined(inputs, L.BatchNormalization()(z), sparse()).sound
    steps = keras.Input((6, 3))
    over_steps = L.Softmax(axis=1)(L.Dense(K)(steps))
    assert examined(steps, over_steps, "sparse_categorical_crossentropy").exit_code == 1


def test_a_floor_under_the_logits_is_named_as_a_clip() -> None:
    inputs = keras.Input((3,))
    found = examined(inputs, L.Lambda(lambda z: ops.maximum(z, -50.0))(L.Dense(K)(inputs)), sparse())
    assert found.exit_code == 1 and "no Lambda there (tried" in str(found), str(found)


def test_a_sharp_softmax_is_not_constant() -> None:
    """At logits of size 3 it gives the same class, nearly always."""
    inputs = keras.Input((3,))
    for k in (2, 3, 4, K):
        sharp = L.Dense(k)(inputs) / 0.01
        assert examined(inputs, sharp, sparse()).sound
        by_softmax = examined(inputs, L.Softmax()(sharp), "sparse_categorical_crossentropy")
        assert by_softmax.sound == IS_TENSORFLOW and "whatever the logit" not in str(by_softmax)
    nothing = examined(inputs, L.Lambda(lambda z: 0.0 * z)(L.Dense(K)(inputs)), sparse())
    assert nothing.exit_code == 1 and "leaves nothing of the logits" in str(nothing), str(nothing)


def test_a_single_logit_among_no_others_is_named() -> None:
    found = on_dense(sparse(), 1)
    assert found.exit_code == 1 and "softmax over a single logit" in str(found)
    assert "BinaryCrossentropy(from_logits=True), or an output for each class (tried" in str(found)


@pytest.mark.parametrize("by", [30.0, 100.0, 1e4, 1e9])
@pytest.mark.parametrize("masked", [0, K - 1])
@pytest.mark.parametrize(
    "loss", [sparse(), S.BinaryCrossentropy(from_logits=True)], ids=["classes", "labels"]
)
def test_a_class_that_is_masked_has_no_gradient_to_lose(by: float, masked: int, loss: Any) -> None:
    inputs = keras.Input((3,))
    mask = -by * (np.arange(K) == masked).astype("float32")
    found = examined(inputs, L.Lambda(lambda z: ops.add(z, mask))(L.Dense(K)(inputs)), loss)
    assert found.sound, str(found)


def test_a_gradient_that_is_rounded_away_beside_a_prior_is_not_lost() -> None:
    inputs = keras.Input((3,))
    prior = np.array([0, -60, -70, -84, -106], "float32")  # class 0 has all the probability that there is
    for loss in (sparse(), S.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)):
        found = examined(inputs, L.Lambda(lambda z: ops.add(z, prior))(L.Dense(K)(inputs)), loss)
        assert found.sound, str(found)
