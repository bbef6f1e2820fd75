"""The exact rows of the table of faults: wrong as they are written, whatever training makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np

from benchmarks.diagnose_rates.drafts import Draft, Loss
from benchmarks.diagnose_rates.faults import (
    Fault,
    Operator,
    all_parts,
    configured,
    has_part,
    has_trunk,
    is_classifier,
    is_of_rows,
    of_numbers,
    on_inputs,
    on_labels,
    on_program,
    on_weights,
)
from benchmarks.diagnose_rates.tasks import Array
from crosscheck.diagnose import Program

L, M = keras.losses, keras.metrics
Rng = np.random.Generator

SPARSE = Loss("SparseCategoricalCrossentropy", lambda told: L.SparseCategoricalCrossentropy(told), "classes")
CATEGORICAL = Loss("CategoricalCrossentropy", lambda told: L.CategoricalCrossentropy(told), "one-hot")
BINARY = Loss("BinaryCrossentropy", lambda told: L.BinaryCrossentropy(told), "labels")
OF_LOGITS = "our "  # losses that take no from_logits and want logits
CURVED = ("BatchNormalization", "LayerNormalization", "Residual", "Activation")


def takes_probabilities(draft: Draft) -> bool:
    """Whether the loss can be one of probabilities."""
    return is_classifier(draft) and not draft.head.loss.name.startswith(OF_LOGITS)


def takes_logits(draft: Draft) -> bool:
    name = draft.head.loss.name
    return is_classifier(draft) and name != "KLDivergence" and '"' not in name and "binary_" not in name


def is_sparse(draft: Draft) -> bool:
    return is_of_rows(draft) and draft.head.loss.form in ("classes", "column")


def is_multi_label(draft: Draft) -> bool:
    return draft.target.kind == "labels" and draft.target.classes > 1


def is_binary(draft: Draft) -> bool:
    return draft.is_single and draft.head.family == "sigmoid" and draft.target.kind != "values"


# --- the head ----------------------------------------------------------------------------------------------


def logits_as_probabilities(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.with_head(activation="", from_logits=False, metrics=())


def probabilities_as_logits(rng: Rng, draft: Draft, size: float) -> Draft:
    own = "OwnSoftmax" if draft.head.family == "softmax" else "OwnSigmoid"
    return draft.with_head(activation=own, from_logits=True, metrics=())


def softmax_of_one(rng: Rng, draft: Draft, size: float) -> Draft:
    squared = Loss("mse", lambda _: "mse", "labels")
    loss = BINARY if rng.random() < 0.7 else squared
    return draft.with_head(
        family="softmax", activation="in the layer", loss=loss, from_logits=False, metrics=()
    )


def between(part: str, config: dict[str, Any], rng: Rng, draft: Draft, size: float) -> Draft:
    activation = "Activation" if draft.head.activation else ""
    return draft.with_head(between=((part, config),), activation=activation)


def half_precision(rng: Rng, draft: Draft, size: float) -> Draft:
    name, config = draft.head.part
    return draft.with_head(
        part=(name, {**config, "dtype": "float16"}), activation="in the layer", from_logits=False
    )


def wrong_axis(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.with_head(activation="", behind=(("Softmax", {"axis": 1}),), from_logits=False)


# --- the labels --------------------------------------------------------------------------------------------


def from_one(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.edited(on_labels(lambda y: y + 1))


def unmasked_padding(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.with_head(loss=SPARSE)


def too_few_units(rng: Rng, draft: Draft, size: float) -> Draft:
    name, config = draft.head.part
    return draft.with_head(part=(name, {**config, "units": draft.target.classes - 1}), metrics=())


def classes_on_one_unit(rng: Rng, draft: Draft, size: float) -> Draft:
    column = replace(BINARY, form=draft.head.loss.form)
    return draft.with_head(
        family="sigmoid",
        part=("Dense", {"units": 1}),
        activation="in the layer",
        loss=column,
        from_logits=False,
        metrics=(),
    )


def integers_as_one_hot(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.with_head(loss=replace(CATEGORICAL, form=draft.head.loss.form), metrics=())


def one_hot_as_integers(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.with_head(loss=replace(SPARSE, form="one-hot"), metrics=())


def labels_with_softmax(rng: Rng, draft: Draft, size: float) -> Draft:
    loss = replace(CATEGORICAL, form="labels")
    return draft.with_head(
        family="softmax", activation="in the layer", loss=loss, from_logits=False, metrics=()
    )


def signed_labels(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.edited(on_labels(lambda y: 2 * y - 1))


def labels_to_255(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.edited(on_labels(lambda y: 255 * y))


def unknown_values(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.edited(on_labels(partial(some_replaced, rng, np.nan), validation_too=False))


def some_replaced(rng: Rng, value: float, array: Array) -> Array:
    """With the value in a hundredth of the rows."""
    rows = rng.choice(len(array), max(1, len(array) // 100), replace=False)
    array = array.copy()
    array.reshape(len(array), -1)[rows, 0] = value
    return array


def not_finite(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.edited(on_inputs(partial(some_replaced, rng, float(rng.choice([np.nan, np.inf])))))


# --- weights, metrics, splits ------------------------------------------------------------------------------


def weights_from_one(rng: Rng, draft: Draft, size: float) -> Draft:
    return replace(
        draft, class_weight={k + 1: float(rng.uniform(0.5, 2)) for k in range(draft.target.classes)}
    )


def weight_left_out(rng: Rng, draft: Draft, size: float) -> Draft:
    """The commonest class has no weight, so that Keras gives it another one than its author thinks of."""
    y = draft.target.y[: draft.task.rows]
    kept = np.bincount(y, minlength=draft.target.classes).argmax()
    return replace(
        draft, class_weight={k: float(rng.uniform(2, 5)) for k in range(draft.target.classes) if k != kept}
    )


def weights_of_labels(rng: Rng, draft: Draft, size: float) -> Draft:
    return replace(draft, class_weight={k: float(rng.uniform(0.5, 4)) for k in range(draft.target.classes)})


def weights_of_outputs(rng: Rng, draft: Draft, size: float) -> Draft:
    return replace(draft, class_weight={0: 1.0, 1: 3.0})


def no_weight(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.edited(on_weights(lambda n: np.zeros(n, "float32")))


def binary_metric(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.with_head(metrics=(M.BinaryAccuracy,))


def half_of_logits(rng: Rng, draft: Draft, size: float) -> Draft:
    """Of several columns "accuracy" is, as Keras documents it, that of the largest: no threshold is in it."""
    is_named = rng.random() < 0.5 or draft.head.units > 1
    metric: Any = M.BinaryAccuracy if is_named else lambda: "accuracy"
    return draft.with_head(activation="", from_logits=True, metrics=(metric,))


def accuracy_of_values(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.with_head(metrics=(lambda: "accuracy",))


def sorted_split(rng: Rng, draft: Draft, size: float) -> Draft:
    return replace(draft, order="sorted", validation="split")


def leaked(rng: Rng, draft: Draft, size: float) -> Draft:
    """The validation rows are among the training rows."""

    def edit(program: Program) -> Program:
        rows = rng.choice(program.training.rows, 60, replace=False)
        x, y = program.training.x[rows], program.training.y[rows]
        return replace(program, validation=replace(program.training, x=x, y=y, sample_weight=None))

    return replace(draft, validation="none").edited(edit)


# --- layers and arguments ----------------------------------------------------------------------------------


def is_perceptron(draft: Draft) -> bool:
    """Hidden Dense layers whose activation is the only curve."""
    return (
        of_numbers(draft)
        and has_part(draft, "Dense")
        and not has_part(draft, *CURVED)
        and is_classifier(draft)
    )


def linear(rng: Rng, draft: Draft, size: float) -> Draft:
    return configured(draft, ("Dense",), activation=None)


def has_dense(draft: Draft) -> bool:
    return is_classifier(draft) and any(name == "Dense" for name, _ in all_parts(draft))


def stays_alike(draft: Draft) -> bool:
    """Nothing would tell units apart that begin alike."""
    return has_dense(draft) and not has_part(draft, "Dropout", "Residual")


def constant_kernels(value: float, rng: Rng, draft: Draft, size: float) -> Draft:
    """Of every head too: hidden units that feed them alike are alike for ever."""
    initializer = keras.initializers.Constant(value)
    with_it = lambda part: (part[0], {**part[1], "kernel_initializer": initializer})
    draft = replace(draft, heads=tuple(replace(head, part=with_it(head.part)) for head in draft.heads))
    return configured(draft, ("Dense",), kernel_initializer=initializer)


def frozen(rng: Rng, draft: Draft, size: float) -> Draft:
    def edit(program: Program) -> Program:
        program.model.trainable = False
        return program

    return draft.edited(edit)


def no_rate(rng: Rng, draft: Draft, size: float) -> Draft:
    return replace(draft, rate=0.0)


def no_epochs(rng: Rng, draft: Draft, size: float) -> Draft:
    return draft.edited(on_program(epochs=0))


def only_floats(draft: Draft) -> bool:
    return draft.is_single and draft.task.x[0].dtype.kind == "f"


def can_wait(draft: Draft) -> bool:
    """An activation can be put apart from the logits, and something between them."""
    return is_classifier(draft) and has_trunk(draft)


def is_one_sigmoid(draft: Draft) -> bool:
    return is_binary(draft) and draft.head.units == 1


def is_conv_of_probabilities(draft: Draft) -> bool:
    return draft.head.part[0] == "Conv2D" and takes_probabilities(draft)


def is_graph_of_rows(draft: Draft) -> bool:
    return takes_probabilities(draft) and is_of_rows(draft) and draft.wrapper == "functional"


def is_of_positions(draft: Draft) -> bool:
    """Without a mask of steps, which Keras' Softmax takes for one of classes."""
    is_masked = any(config.get("mask_zero") for _, config in all_parts(draft))
    return draft.head.family == "softmax" and draft.target.y.ndim > 1 and not is_masked


def ignores_padding(draft: Draft) -> bool:
    return "ignore_class" in draft.head.loss.name


def is_sparse_of_many(draft: Draft) -> bool:
    return is_sparse(draft) and draft.target.classes > 2


def is_one_hot_softmax(draft: Draft) -> bool:
    return is_of_rows(draft) and draft.head.loss.form == "one-hot" and draft.head.family == "softmax"


def is_one_hot_of_many(draft: Draft) -> bool:
    return is_one_hot_softmax(draft) and draft.target.classes > 2


def is_of_values(draft: Draft) -> bool:
    return draft.is_single and draft.target.kind == "values"


def is_linear_of_values(draft: Draft) -> bool:
    return draft.is_single and draft.head.family == "values"


def has_two_outputs(draft: Draft) -> bool:
    return len(draft.heads) > 1


def is_binary_of_logits(draft: Draft) -> bool:
    return is_binary(draft) and takes_logits(draft)


def is_of_many_rows(draft: Draft) -> bool:
    return is_of_rows(draft) and draft.task.rows > 100


OPERATORS: dict[str, tuple[Callable[[Draft], bool], Operator]] = {
    "logits to a loss of probabilities": (takes_probabilities, logits_as_probabilities),
    "probabilities to a loss of logits": (takes_logits, probabilities_as_logits),
    "softmax over one unit": (is_one_sigmoid, softmax_of_one),
    "logits of a convolution to a loss of probabilities": (is_conv_of_probabilities, logits_as_probabilities),
    "ReLU on the logits": (can_wait, partial(between, "ReLU", {})),
    "dropout on the logits": (can_wait, partial(between, "Dropout", {"rate": 0.5})),
    "softmax in float16": (is_graph_of_rows, half_precision),
    "softmax over the steps": (is_of_positions, wrong_axis),
    "labels from 1 to K": (is_sparse, from_one),
    "padding of −1 not ignored": (ignores_padding, unmasked_padding),
    "a unit too few": (is_sparse_of_many, too_few_units),
    "K classes on one sigmoid": (is_sparse_of_many, classes_on_one_unit),
    "integers to a one-hot loss": (is_sparse_of_many, integers_as_one_hot),
    "one-hot to a sparse loss": (is_one_hot_softmax, one_hot_as_integers),
    "several labels with a softmax": (is_multi_label, labels_with_softmax),
    "labels of −1 and 1": (is_binary, signed_labels),
    "labels of 0 and 255": (is_binary, labels_to_255),
    "NaN among the labels": (is_of_values, unknown_values),
    "NaN or infinity in x": (only_floats, not_finite),
    "class weights from 1 to K": (is_of_rows, weights_from_one),
    "class weight left out": (is_of_rows, weight_left_out),
    "class weights of several labels": (is_multi_label, weights_of_labels),
    "class weights with two outputs": (has_two_outputs, weights_of_outputs),
    "all sample weights zero": (is_of_rows, no_weight),
    "binary accuracy of K classes": (is_one_hot_of_many, binary_metric),
    "threshold ½ on logits": (is_binary_of_logits, half_of_logits),
    "accuracy of values": (is_linear_of_values, accuracy_of_values),
    "validation_split of sorted rows": (is_of_rows, sorted_split),
    "validation rows trained on": (is_of_many_rows, leaked),
    "no hidden non-linearity": (is_perceptron, linear),
    "kernels of zeros": (stays_alike, partial(constant_kernels, 0.0)),
    "constant kernels": (stays_alike, partial(constant_kernels, 0.05)),
    "nothing to train": (is_classifier, frozen),
    "learning rate of 0": (is_classifier, no_rate),
    "no epochs": (is_classifier, no_epochs),
}
EXACT_FAULTS = tuple(Fault(name, "exact", *pair) for name, pair in OPERATORS.items())
