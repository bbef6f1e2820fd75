"""The rates of the diagnosis: its programs are healthy, its operators do what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from benchmarks.diagnose_rates.drafts import Draft, build, head_parts
from benchmarks.diagnose_rates.faults import Fault
from benchmarks.diagnose_rates.health import Health, score, trained
from benchmarks.diagnose_rates.healthy import healthy_draft
from benchmarks.diagnose_rates.names import NAMES
from benchmarks.diagnose_rates.tasks import PAD, TASKS, Target, regression, tiny
from benchmarks.diagnose_rates.trials import FAULTS, drawn, seeded
from crosscheck.diagnose import Program

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::SyntaxWarning")


@pytest.fixture(autouse=True)
def models_forgotten() -> Iterator[None]:
    yield
    keras.backend.clear_session(free_memory=False)


# --- healthy programs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
def test_a_program_of_every_task_takes_a_finite_step(task: Callable[..., Any]) -> None:
    draft = healthy_draft(np.random.default_rng([1, TASKS.index(task)]), (task,))
    program = build(draft)
    first = [array[:8] for array in keras.tree.flatten(program.training.x)]
    labels = [array[:8] for array in keras.tree.flatten(program.training.y)]
    before = [np.array(w) for w in program.model.trainable_weights]
    loss = program.model.train_on_batch(
        first if len(first) > 1 else first[0], labels if len(labels) > 1 else labels[0]
    )
    assert np.isfinite(np.atleast_1d(loss)[0])
    after = [np.array(w) for w in program.model.trainable_weights]
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
def test_what_can_be_reached_is_above_a_constant_and_every_class_occurs(task: Callable[..., Any]) -> None:
    for i in range(5):
        made = task(np.random.default_rng([2, i]))
        for target in made.targets:
            assert target.constant < target.goal < target.reachable <= 1, made.name
            if target.kind == "classes":
                known = target.y[: made.rows]
                assert set(np.unique(known[known != PAD])) == set(range(target.classes)), made.name


def test_a_program_is_drawn_again_as_it_was() -> None:
    first, second = drawn(3, 4, 0), drawn(3, 4, 0)
    assert str(first) == str(second)
    one, other = build(first), build(second)
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(*(keras.tree.flatten(p.training.y) for p in (one, other)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_part_is_reached() -> None:
    words = " | ".join(str(drawn(5, i, 0)) for i in range(400))
    parts = ("Residual", "LSTM", "GRU", "Bidirectional", "Embedding", "Conv1D", "Conv2D", "Dropout")
    norms = ("BatchNormalization", "LayerNormalization", "Rescaling")
    fits = ("SGD", "RMSprop", "AdamW", "sorted", "class weights", "sample weights", "validation split")
    losses = ("Focal", "KLDivergence", "our Sparse", "our Binary", "ignore_class", "smoothing 0.1", "mse")
    wrappers = ("functional", "Sequential", "subclassed", "Softmax", "in the layer", "logits")
    assert [w for w in (*parts, *norms, *fits, *losses, *wrappers) if w not in words] == []


def test_sorted_rows_are_never_split_for_validation() -> None:
    drafts = [drawn(6, i, 0) for i in range(300)]
    chosen = [draft for draft in drafts if draft.order == "sorted"]
    assert chosen and all(draft.validation != "split" for draft in chosen)


# --- health ------------------------------------------------------------------------------------------------


def target_of(y: Any, kind: Any, classes: int) -> Target:
    return Target(kind, np.array(y), classes, 1.0)


@pytest.mark.parametrize(
    ("target", "predicted", "expected"),
    [
        (target_of([0, 1, 2, 1], "classes", 3), np.eye(3)[[0, 1, 2, 2]], 3 / 4),
        (target_of([[0, PAD], [1, 1]], "classes", 2), np.eye(2)[[[0, 1], [1, 0]]], 2 / 3),
        (target_of([[0, 1], [1, 1]], "labels", 2), np.array([[0.2, 0.9], [0.4, 0.6]]), 3 / 4),
        (target_of([[0.0], [2.0]], "values", 1), np.array([[1.0], [1.0]]), 0.0),
        (target_of([[0.0], [2.0]], "values", 1), np.array([[0.0], [2.0]]), 1.0),
        (target_of([0, 1], "classes", 2), np.array([[0.4], [0.6]]), 1.0),
    ],
)
def test_the_score_is_the_share_of_right_answers(target: Target, predicted: Any, expected: float) -> None:
    draft = healthy_draft(np.random.default_rng(7), (tiny,))
    head = draft.with_head(family="sigmoid", activation="in the layer").head
    assert score(target, head, predicted, np.arange(len(target.y))) == pytest.approx(expected)


def test_a_prediction_that_is_not_finite_is_never_healthy() -> None:
    draft = healthy_draft(np.random.default_rng(7), (tiny,))
    value = score(target_of([0, 1], "classes", 2), draft.head, np.array([[1, 0], [np.nan, 1]]), np.arange(2))
    assert not Health((value,), (0.1,), {}).is_reached


def test_training_tells_a_healthy_program_from_one_that_learns_nothing() -> None:
    """With the steps that it would take, in fewer epochs: of a few rows, an epoch costs more than a step."""
    draft = healthy_draft(np.random.default_rng([8, 1]), (tiny,))
    steps = draft.epochs * math.ceil(draft.task.rows / draft.batch_size)
    draft = replace(draft, batch_size=2, epochs=math.ceil(2 * steps / draft.task.rows))
    health = trained(draft, build(draft))
    assert health.is_reached and len(health.history["loss"]) == draft.epochs
    idle = FAULTS["learning rate of 0"].operator(np.random.default_rng(0), draft, 1.0)
    assert not trained(idle, build(idle)).is_reached


def test_what_keras_refuses_is_not_healthy() -> None:
    draft = healthy_draft(np.random.default_rng([8, 2]), (regression,))
    program = build(draft)
    broken = Program(program.model, type(program.training)(program.training.x[:, :1], program.training.y))
    health = trained(draft, broken)
    assert health.error and not health.is_reached


# --- faults ------------------------------------------------------------------------------------------------


def original(fault: Fault) -> Draft:
    """A healthy draft to which it applies."""
    for place in range(2000):
        draft = drawn(9, place, 0)
        if fault.applies(draft):
            return draft
    raise AssertionError(f"no program for {fault.name}")


def labels(program: Program) -> Any:
    return np.asarray(keras.tree.flatten(program.training.y)[0])


def has_layer(program: Program, name: str) -> bool:
    layers = getattr(program.model, "chain", None) or program.model.layers
    return any(type(layer).__name__ == name for layer in layers)


def output(program: Program) -> Any:
    x = [array[:50] for array in keras.tree.flatten(program.training.x)]
    return np.asarray(keras.tree.flatten(program.model(x if len(x) > 1 else x[0]))[0], "float64")


def told_logits(program: Program) -> bool:
    loss = program.model.loss
    loss = loss[0] if isinstance(loss, list) else loss
    return not isinstance(loss, str) and bool(loss.get_config().get("from_logits", False))


def sums(program: Program) -> Any:
    return output(program).sum(-1)


def is_probability(program: Program) -> bool:
    made = output(program)
    return bool((made >= 0).all() and (made <= 1).all())


def metric_names(program: Program) -> str:
    program.model.evaluate(program.training.x[:4], program.training.y[:4], verbose=0)
    return str([type(m).__name__ for m in program.model.metrics[1].metrics])


def kernels(program: Program) -> list[Any]:
    """Of the hidden Dense layers."""
    return [np.array(w) for w in program.model.weights if w.path.endswith("kernel") and w.ndim == 2][:-1]


def is_linear(program: Program) -> bool:
    """f(x) + f(y) = f(x + y) + f(0), of the logits, which are those of a softmax up to a constant."""
    x = np.random.default_rng(0).normal(size=(2, program.training.x.shape[1])).astype("float32")
    made = np.asarray(program.model(np.stack([x[0], x[1], x[0] + x[1], 0 * x[0]])), "float64")
    if is_probability(program):
        made = np.log(made) - np.log(made[:, :1]) if made.shape[1] > 1 else np.log(made / (1 - made))
    return bool(np.allclose(made[0] + made[1], made[2] + made[3], rtol=1e-3, atol=1e-3))


SEEN: dict[str, Callable[[Program, Draft], Any]] = {
    "logits to a loss of probabilities": lambda p, d: not is_probability(p) and not told_logits(p),
    "probabilities to a loss of logits": lambda p, d: is_probability(p) and told_logits(p),
    "softmax over one unit": lambda p, d: np.allclose(output(p), 1),
    "logits of a convolution to a loss of probabilities": lambda p, d: not is_probability(p),
    "ReLU on the logits": lambda p, d: has_layer(p, "ReLU"),
    "dropout on the logits": lambda p, d: head_parts(d.head)[1][0] == "Dropout",
    "softmax in float16": lambda p, d: "float16" in str(p.model.layers[-1].dtype_policy.compute_dtype),
    "softmax over the steps": lambda p, d: np.allclose(output(p).sum(1), 1, atol=1e-4),
    "labels from 1 to K": lambda p, d: labels(p).min() == 1 and labels(p).max() == d.target.classes,
    "padding of −1 not ignored": lambda p, d: labels(p).min() == PAD and p.model.loss.ignore_class is None,
    "a unit too few": lambda p, d: output(p).shape[-1] == labels(p).max(),
    "K classes on one sigmoid": lambda p, d: output(p).shape[-1] == 1 and labels(p).max() > 1,
    "integers to a one-hot loss": lambda p, d: labels(p).max() > 1 and "Cat" in type(p.model.loss).__name__,
    "one-hot to a sparse loss": lambda p, d: (
        labels(p).shape[1] > 1 and "Sparse" in type(p.model.loss).__name__
    ),
    "several labels with a softmax": lambda p, d: (
        np.allclose(sums(p), 1, atol=1e-4) and labels(p).sum(-1).max() > 1
    ),
    "labels of −1 and 1": lambda p, d: set(np.unique(labels(p)).round(2)) == {-1, 1},
    "labels of 0 and 255": lambda p, d: set(np.unique(labels(p))) == {0, 255},
    "NaN among the labels": lambda p, d: 0 < np.isnan(labels(p)).sum() < len(labels(p)),
    "NaN or infinity in x": lambda p, d: 0 < (~np.isfinite(p.training.x)).sum() < len(labels(p)),
    "class weights from 1 to K": lambda p, d: 0 not in p.class_weight and d.target.classes in p.class_weight,
    "class weight left out": lambda p, d: len(p.class_weight) == d.target.classes - 1,
    "class weights of several labels": lambda p, d: p.class_weight and labels(p).sum(-1).max() > 1,
    "class weights with two outputs": lambda p, d: p.class_weight and len(p.training.y) == 2,
    "all sample weights zero": lambda p, d: not p.training.sample_weight.any(),
    "binary accuracy of K classes": lambda p, d: "BinaryAccuracy" in metric_names(p),
    "threshold ½ on logits": lambda p, d: told_logits(p) and "BinaryAccuracy" in metric_names(p),
    "accuracy of values": lambda p, d: "Accuracy" in metric_names(p),
    "validation_split of sorted rows": lambda p, d: (
        p.validation_split == 0.2 and (np.diff(d.target.y[: d.task.rows]) < 0).any()
    ),
    "validation rows trained on": lambda p, d: all(
        any((row == known).all() for known in p.training.x) for row in p.validation.x[:5]
    ),
    "no hidden non-linearity": lambda p, d: is_linear(p),
    "kernels of zeros": lambda p, d: any((w == 0).all() for w in kernels(p)),
    "constant kernels": lambda p, d: any(np.ptp(w) == 0 and w.any() for w in kernels(p)),
    "nothing to train": lambda p, d: not p.model.trainable_weights,
    "learning rate of 0": lambda p, d: float(p.model.optimizer.learning_rate) == 0,
    "no epochs": lambda p, d: p.epochs == 0,
}


def test_every_exact_fault_is_looked_at_and_every_fault_has_names() -> None:
    assert set(SEEN) == {fault.name for fault in FAULTS.values() if fault.decided == "exact"}
    assert set(NAMES) == set(FAULTS)


@pytest.mark.parametrize("name", SEEN)
def test_an_exact_operator_does_what_it_says(name: str) -> None:
    fault = FAULTS[name]
    draft = original(fault)
    mutant = seeded(fault, draft, (9, 0), 1.0)
    assert SEEN[name](build(mutant), mutant)


@pytest.mark.parametrize("name", [name for name in SEEN if name not in ("softmax in float16",)])
def test_the_original_has_not_the_fault(name: str) -> None:
    """What the test above looks at is the operator's doing."""
    draft = original(FAULTS[name])
    try:
        seen = SEEN[name](build(draft), draft)
    except (AttributeError, TypeError, IndexError):  # no weights, no metrics, no layer between
        return
    assert not seen


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS.values() if fault.decided == "statistical"])
def test_a_trained_fault_builds_at_every_size(name: str) -> None:
    fault = FAULTS[name]
    draft = original(fault)
    for size in fault.sizes:
        program = build(seeded(fault, draft, (9, 0), size))
        assert np.isfinite(output(program)).all() or "large initial kernels" in name


def test_shuffled_labels_are_the_same_ones_in_another_order() -> None:
    fault = FAULTS["labels of other rows"]
    draft = original(fault)
    before, after = build(draft), build(seeded(fault, draft, (9, 0), 1.0))
    assert (np.sort(labels(before), 0) == np.sort(labels(after), 0)).all()
    assert (labels(before) != labels(after)).any()


def test_a_thinned_class_is_thinned_and_no_other() -> None:
    fault = FAULTS["a class thinned out"]
    draft = original(fault)
    y = draft.target.y[: draft.task.rows]
    left = build(seeded(fault, draft, (9, 0), 0.01)).training.rows
    assert (y != draft.target.classes - 1).sum() < left <= (y != draft.target.classes - 1).sum() + 5
