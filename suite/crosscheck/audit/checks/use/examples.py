"""Every example has its own loss, and its own weight in the total. (check 9)"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from crosscheck._keras import set_mask
from crosscheck.audit.checks.use.calls import (
    as_float64,
    as_tensors,
    example_losses,
    is_close,
    is_signalled,
    make_loss,
    reduced_loss,
    reportable,
    value_or_error,
)
from crosscheck.audit.checks.use.inputs import Batch, call_as_typed, has_dense_labels, valid_batch, valid_pair
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed

WEIGHTS = np.array([0.5, 2.0], "float32")
CLASS_WEIGHTS = {0: 0.5, 1: 2.0, 2: 3.0}
NO_EXAMPLES = "it gives no value for each example; see `per example`"
MASK = np.array([False, True])


def per_example(subject: Subject) -> Finding:
    """Checks for values of shape (B,) that do not change with the neighbours of an example."""
    batch = valid_batch(subject)
    values = example_losses(subject, batch)
    if values.shape != (len(batch.y),):
        return failed(
            "per example",
            call_as_typed(subject, batch, reduction=None),
            measured=f"shape {values.shape}",
            expected=f"shape ({len(batch.y)},)",
            cause="the loss averages over the examples itself, or keeps an axis too many",
            remedy="reduce over the last axis only: `ops.mean(values, axis=-1)`",
        )
    for change, neighbours, which in neighbourhoods(subject, batch):
        values_there = value_or_error(example_losses, subject, neighbours)
        if not (isinstance(values_there, np.ndarray) and is_close(values_there[: len(which)], values[which])):
            return depends_on_batch("per example", subject, neighbours, change, values[which], values_there)
    return passed("per example", "(B,) values; the same alone, reordered and beside others")


def neighbourhoods(subject: Subject, batch: Batch) -> list[tuple[str, Batch, np.ndarray]]:
    """(what was changed, the batch, which examples of `given` its first ones are)."""
    backward = np.arange(len(batch.y))[::-1]
    first = np.array([0])
    first_two = batch.rows(slice(0, 2))
    louder = first_two.predicting(first_two.x * np.array([[1.0], [0.25]]))
    cases = [("reordered", batch.rows(backward), backward)]
    cases += [("alone", batch.rows(slice(i, i + 1)), np.array([i])) for i in range(len(batch.y))]
    cases.append(("beside another prediction", louder, first))
    for i in (0, 1) if has_dense_labels(subject) else ():
        soft = batch.y[[i, 1 - i]]
        soft[1] = 1 / soft.shape[-1] if subject.kind == "categorical" else 0.5
        cases.append(("beside a soft label", Batch(soft, batch.x[[i, 1 - i]]), np.array([i])))
    return cases


def depends_on_batch(
    check: str, subject: Subject, batch: Batch, change: str, expected: np.ndarray, measured: Any
) -> Finding:
    return failed(
        check,
        call_as_typed(subject, batch, reduction=None),
        measured=reportable(
            measured[: len(expected)] if isinstance(measured, np.ndarray) and measured.ndim else measured
        ),
        expected=reportable(expected),
        note=f"an example's loss is not what it is alone: {change}",
        cause="a statistic of the whole batch enters each example's loss",
        remedy="compute each example's loss from its own labels and predictions",
    )


def masks(subject: Subject) -> Finding:
    """Checks that a masked example counts neither in the sum nor in the number of examples."""
    batch = valid_pair(subject)
    values = losses_alone(subject, batch)
    for reduction, expected in (("sum_over_batch_size", values[MASK].mean()), ("sum", values[MASK].sum())):
        y, x = as_tensors(batch)
        set_mask(x, keras.ops.convert_to_tensor(MASK))
        measured = as_float64(make_loss(subject, reduction)(y, x))
        if not is_close(measured, expected):
            return wrong_total(
                "masks", subject, batch, measured, expected, f"y_pred._keras_mask = {MASK.tolist()}"
            )
    return passed("masks", f"mean and sum over the examples that the mask keeps, {MASK.tolist()}")


def sample_weights(subject: Subject) -> Finding:
    """Compares weighted totals with Σ wᵢ lᵢ and Σ wᵢ lᵢ / B of the examples' losses alone."""
    batch = valid_pair(subject)
    weighted = WEIGHTS * losses_alone(subject, batch)
    for reduction, expected in (("sum_over_batch_size", weighted.mean()), ("sum", weighted.sum())):
        measured = reduced_loss(subject, batch, WEIGHTS, reduction)
        if not is_close(measured, expected):
            arguments = f"sample_weight={WEIGHTS.tolist()}"
            return wrong_total("sample weights", subject, batch, measured, expected, arguments)
    return passed("sample weights", f"mean and sum with {WEIGHTS.tolist()} against the examples alone")


def class_weights(subject: Subject) -> Finding:
    """Compares a step of `train_on_batch` with `class_weight` with Σ w(yᵢ) lᵢ / B."""
    if subject.kind == "multilabel":
        return not_applicable("class weights", "Keras knows none for labels that do not exclude each other")
    batch = valid_pair(subject)
    class_numbers = batch.y.argmax(-1) if subject.kind == "categorical" else batch.y.reshape(-1).astype(int)
    expected = np.mean(
        np.array([CLASS_WEIGHTS[int(i)] for i in class_numbers]) * losses_alone(subject, batch)
    )
    measured = identity_model(batch, make_loss(subject)).train_on_batch(
        batch.x, batch.y, class_weight=CLASS_WEIGHTS
    )
    if not is_close(np.ravel(measured)[0], expected):
        arguments = f"class_weight={CLASS_WEIGHTS}"
        return wrong_total("class weights", subject, batch, np.ravel(measured)[0], expected, arguments)
    return passed("class weights", f"train_on_batch with {CLASS_WEIGHTS}")


def identity_model(batch: Batch, loss: Any) -> keras.Model:
    """A compiled model whose predictions are its inputs, and which learns nothing."""
    size = batch.x.shape[-1]
    inputs = keras.Input((size,))
    model = keras.Model(inputs, keras.layers.Dense(size, use_bias=False)(inputs))
    model.set_weights([np.eye(size)])
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    return model


def zero_weight(subject: Subject) -> Finding:
    """Checks that a NaN prediction or impossible label of weight 0 changes no other example's loss.

    In the total of every loss Keras makes NaN of 0 · NaN: that is noted and not failed. An impossible label
    may raise.
    """
    batch, notes = valid_pair(subject), []
    if example_losses(subject, batch).shape != (len(batch.y),):
        return not_applicable("zero weight", NO_EXAMPLES)
    values = losses_alone(subject, batch)
    for change, spoiled in spoiled_batches(subject, batch):
        measured = value_or_error(example_losses, subject, spoiled)
        if isinstance(measured, np.ndarray) and not is_close(measured[1:], values[1:]):
            return depends_on_batch("zero weight", subject, spoiled, change, values[1:], measured[1:])
        total_loss = value_or_error(reduced_loss, subject, spoiled, [0.0, 1.0], "sum")
        if not is_signalled(total_loss) and not is_close(total_loss, values[1:].sum()):
            return wrong_total(
                "zero weight", subject, spoiled, total_loss, values[1:].sum(), "sample_weight=[0, 1]"
            )
        outcome = f"the total is {reportable(total_loss)}" if is_signalled(total_loss) else "harmless"
        notes.append(f"{change}: {outcome}")
    return passed("zero weight", "; ".join(notes), measured=notes[0].split(": ", 1)[1])


def spoiled_batches(subject: Subject, batch: Batch) -> list[tuple[str, Batch]]:
    x, y = batch.x.copy(), batch.y.astype("float32")
    x[0], y[0] = np.nan, -1
    return [
        ("beside a NaN prediction of weight 0", batch.predicting(x)),
        ("beside a label of -1 of weight 0", batch.labelled(y)),
    ]


def losses_alone(subject: Subject, batch: Batch) -> np.ndarray:
    """Each example's loss where it is alone: [B]."""
    return np.array(
        [example_losses(subject, batch.rows(slice(i, i + 1))).mean() for i in range(len(batch.y))]
    )


def wrong_total(
    check: str, subject: Subject, batch: Batch, measured: Any, expected: Any, arguments: str
) -> Finding:
    return failed(
        check,
        f"{call_as_typed(subject, batch)}, {arguments}",
        measured=reportable(measured),
        expected=reportable(expected),
        cause="the loss reduces over the examples before weights and masks are applied"
        if subject.is_class
        else "",
        remedy="implement `call`, a value per example; `keras.losses.Loss` weighs and reduces",
    )


CHECKS = (
    LossCheck("per example", "Without reduction each example has a loss of its own.", per_example),
    LossCheck("masks", "What the mask leaves out counts nowhere.", masks),
    LossCheck("sample weights", "Weighted totals are those of the examples' own losses.", sample_weights),
    LossCheck("class weights", "`class_weight` weighs each example by its class.", class_weights),
    LossCheck("zero weight", "A bad example of weight 0 harms no other.", zero_weight),
)
