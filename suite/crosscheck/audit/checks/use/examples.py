"""Every example has its own loss, and its own weight in the total. (check 9)"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
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
    per_example_losses,
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
TELLING = 1e-4  # by which losses differ, and from 0
PIXELS = "Keras' masks and class weights are of pixels or steps, and this loss gives one number for them all"
SEVERAL_LABELS = "of a row of several labels Keras takes the argmax, silently, whatever the loss"


def per_example(subject: Subject) -> Finding:
    """Checks for a number, or numbers, for each example that do not change with its neighbours."""
    batch = valid_batch(subject)
    values = example_losses(subject, batch)
    if values.shape[:1] != (len(batch.y),):
        return one_for_all(subject, batch, values)
    for change, neighbours, which in neighbourhoods(subject, batch):
        values_there = value_or_error(example_losses, subject, neighbours)
        if not (isinstance(values_there, np.ndarray) and is_close(values_there[: len(which)], values[which])):
            return depends_on_batch("per example", subject, neighbours, change, values[which], values_there)
    shape = f"values of shape {values.shape} for {len(batch.y)} examples, {reportable(values)}"
    return passed("per example", f"{shape}; the same alone, reordered and beside others")


def one_for_all(subject: Subject, batch: Batch, values: np.ndarray) -> Finding:
    """The one finding about a loss that gives no value for each example; what it gives instead is tried."""
    alone = losses_alone(subject, batch)
    total = float(values.mean())
    if is_close(total, alone.mean()):
        cause = "it takes the mean over the examples itself"
    elif is_close(total, alone.sum()):
        cause = "it takes the sum over the examples itself"
    elif values.size == 1:
        cause = (
            "a statistic of the whole batch: it is neither the mean nor the sum of the examples' own losses"
        )
    else:
        cause = "it reduces over the examples and keeps another axis"
    return failed(
        "per example",
        call_as_typed(subject, batch, reduction=None),
        measured=f"shape {values.shape}: {reportable(values)}",
        expected=f"shape ({len(batch.y)},)",
        note=f"{what_weights_do(subject)}; all else was asked one example at a time",
        cause=cause,
        remedy="reduce over the last axis only, as in `ops.mean(values, axis=-1)`; Keras takes the mean"
        if is_called_by_keras(subject)
        else "implement `call`, a value per example, and leave `__call__` to Keras, which weighs and reduces",
    )


def is_called_by_keras(subject: Subject) -> bool:
    """Whether weights and reduction are Keras' own: the loss has no `__call__` but that of its class."""
    return not subject.is_class or type(subject.make()).__call__ is keras.losses.Loss.__call__


def what_weights_do(subject: Subject) -> str:
    """In words, what becomes of example weights; of a `__call__` that is not Keras' it is tried."""
    if is_called_by_keras(subject):
        return (
            "so no example can be weighed: Keras multiplies the whole by the mean of `sample_weight` and "
            "`class_weight`, and a mask leaves nothing out"
        )
    batch = valid_pair(subject)
    values = losses_alone(subject, batch)
    plain, weighed = (value_or_error(reduced_loss, subject, batch, weights) for weights in (None, WEIGHTS))
    if isinstance(plain, str) or isinstance(weighed, str):
        return (
            f"its own `__call__` takes no `sample_weight`: {weighed if isinstance(weighed, str) else plain}"
        )
    known = {
        "leaves `sample_weight` out": plain,
        "weighs each example's loss": np.mean(WEIGHTS * values),
        "weighs each example's loss, and divides by the sum of the weights": np.average(
            values, weights=WEIGHTS
        ),
        "sums the weighted losses": np.sum(WEIGHTS * values),
        "multiplies the whole by the mean of `sample_weight`": WEIGHTS.mean() * plain,
    }
    found = next((words for words, total in known.items() if is_close(weighed, total)), "")
    numbers = f"{reportable(plain)} without, {reportable(weighed)} with {WEIGHTS.tolist()}"
    return f"its own `__call__` {found or 'does what is not known here with `sample_weight`'}: {numbers}"


def neighbourhoods(subject: Subject, batch: Batch) -> list[tuple[str, Batch, np.ndarray]]:
    """(what was changed, the batch, which examples of `given` its first ones are)."""
    backward = np.arange(len(batch.y))[::-1]
    first = np.array([0])
    first_two = batch.rows(slice(0, 2))
    louder = first_two.predicting(first_two.x * np.array([1.0, 0.25]).reshape(-1, *[1] * (batch.x.ndim - 1)))
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
    pair = telling_pair(subject)
    if isinstance(pair, str):
        return not_applicable("masks", pair)
    batch, values = pair
    if subject.axes and not has_pixels(subject, batch):
        return not_applicable("masks", PIXELS)
    for reduction, expected in (("sum_over_batch_size", values[MASK].mean()), ("sum", values[MASK].sum())):
        y, x = as_tensors(batch)
        set_mask(x, keras.ops.convert_to_tensor(MASK.reshape(-1, *[1] * subject.axes)))
        measured = as_float64(make_loss(subject, reduction)(y, x))
        if not is_close(measured, expected):
            causes = {"the mask counts nowhere": values.sum() if reduction == "sum" else values.mean()}
            causes |= {"a masked example counts in the number of examples": values[MASK].sum() / len(values)}
            arguments = f"y_pred._keras_mask = {MASK.tolist()}"
            return wrong_total("masks", subject, batch, measured, expected, arguments, causes)
    losses = reportable(values)
    return passed("masks", f"mean and sum of the examples' losses {losses} that {MASK.tolist()} keeps")


def sample_weights(subject: Subject) -> Finding:
    """Compares weighted totals with Σ wᵢ lᵢ and Σ wᵢ lᵢ / B of the examples' losses alone.

    Weights come as [B] and as [B, 1], which `fit` passes on as they are.
    """
    pair = telling_pair(subject)
    if isinstance(pair, str):
        return not_applicable("sample weights", pair)
    batch, values = pair
    weighted = WEIGHTS * values
    for weights in (WEIGHTS, WEIGHTS[:, None]):
        for reduction, expected in (("sum_over_batch_size", weighted.mean()), ("sum", weighted.sum())):
            measured = value_or_error(reduced_loss, subject, batch, weights, reduction)
            if isinstance(measured, str) or not is_close(measured, expected):
                arguments = f"sample_weight={weights.tolist()}"
                causes = causes_of_total(weights, values, reduction)
                return wrong_total("sample weights", subject, batch, measured, expected, arguments, causes)
    weights_in_words = f"{WEIGHTS.tolist()}, as [B] and as [B, 1]"
    return passed("sample weights", f"{weights_in_words}, times the examples' losses {reportable(values)}")


def causes_of_total(weights: np.ndarray, values: np.ndarray, reduction: str) -> dict[str, float]:
    """What a weighted total would be, were it wrong in one of the known ways."""
    products = weights.reshape(-1) * values
    each_by_each = np.outer(weights, values)
    mean = reduction != "sum"
    return {
        "the weights are ignored": values.mean() if mean else values.sum(),
        "weights [B, 1] are multiplied with losses [B], each with each": (
            each_by_each.mean() if mean else each_by_each.sum()
        ),
        "the loss reduces over the examples before they are weighed": (
            weights.mean() * values.mean() if mean else weights.sum() * values.mean()
        ),
        "the total is divided by the sum of the weights": products.sum() / weights.sum(),
    }


def class_weights(subject: Subject) -> Finding:
    """Compares a step of `train_on_batch` with `class_weight` with Σ w(yᵢ) lᵢ / B."""
    if subject.kind == "multilabel":
        return not_applicable("class weights", f"{SEVERAL_LABELS}: give `sample_weight` instead")
    pair = telling_pair(subject)
    if isinstance(pair, str):
        return not_applicable("class weights", pair)
    batch, values = pair
    if subject.axes and not has_pixels(subject, batch):
        return not_applicable("class weights", PIXELS)
    class_numbers = batch.y.argmax(-1) if subject.kind == "categorical" else batch.y
    weights = np.array([CLASS_WEIGHTS[int(i)] for i in np.ravel(class_numbers)])
    expected = np.mean(weights * values)
    measured = identity_model(batch, make_loss(subject)).train_on_batch(
        batch.x, batch.y, class_weight=CLASS_WEIGHTS
    )
    if not is_close(np.ravel(measured)[0], expected):
        arguments, causes = f"class_weight={CLASS_WEIGHTS}", causes_of_total(weights, values, "mean")
        return wrong_total(
            "class weights", subject, batch, np.ravel(measured)[0], expected, arguments, causes
        )
    return passed("class weights", f"train_on_batch with {CLASS_WEIGHTS} on losses {reportable(values)}")


def has_pixels(subject: Subject, batch: Batch) -> bool:
    """Whether the loss of [B, H, W, K] gives a number for each pixel, as Keras' masks and weights do."""
    return example_losses(subject, batch).ndim == subject.axes + 1


def identity_model(batch: Batch, loss: Any) -> keras.Model:
    """A compiled model whose predictions are its inputs, and which learns nothing."""
    size = batch.x.shape[-1]
    inputs = keras.Input(batch.x.shape[1:])
    model = keras.Model(inputs, keras.layers.Dense(size, use_bias=False)(inputs))
    model.set_weights([np.eye(size)])
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    return model


def zero_weight(subject: Subject) -> Finding:
    """Checks that a NaN prediction or impossible label of weight 0 changes no other example's loss.

    In the total of every loss Keras makes NaN of 0 · NaN: that is noted and not failed. An impossible label
    may raise.
    """
    pair, notes = telling_pair(subject), []
    if isinstance(pair, str):
        return not_applicable("zero weight", pair)
    batch, values = pair
    for change, spoiled in spoiled_batches(subject, batch):
        measured = value_or_error(per_example_losses, subject, spoiled)
        if isinstance(measured, np.ndarray) and not is_close(measured[1:], values[1:]):
            return depends_on_batch("zero weight", subject, spoiled, change, values[1:], measured[1:])
        total_loss = value_or_error(reduced_loss, subject, spoiled, [0.0, 1.0], "sum")
        if not is_signalled(total_loss) and not is_close(total_loss, values[1:].sum()):
            causes = {
                "the weights are ignored": np.sum(measured) if not isinstance(measured, str) else np.nan
            }
            return wrong_total(
                "zero weight", subject, spoiled, total_loss, values[1:].sum(), "sample_weight=[0, 1]", causes
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


def telling_pair(subject: Subject) -> tuple[Batch, np.ndarray] | str:
    """Two examples with different, finite losses other than 0, and those; in words why there are none.

    Equal losses, zeros and NaN would hide what becomes of a weight.
    """
    if subject.values != "one each":
        return NO_EXAMPLES
    batch = valid_batch(subject)
    values = losses_alone(subject, batch)
    for i, j in itertools.combinations(range(len(values)), 2):
        two = values[[i, j]]
        if np.isfinite(two).all() and np.abs(two).min() > TELLING and abs(two[0] - two[1]) > TELLING:
            return batch.rows([i, j]), two
    return f"no two of the examples have different, finite losses other than 0: {reportable(values)}"


def wrong_total(
    check: str,
    subject: Subject,
    batch: Batch,
    measured: Any,
    expected: Any,
    arguments: str,
    causes: Mapping[str, float],
) -> Finding:
    """The failure of a total; of the known causes the one that gives that number is named."""
    causes_found = [
        cause
        for cause, total in causes.items()
        if not isinstance(measured, str) and is_close(measured, total)
    ]
    return failed(
        check,
        f"{call_as_typed(subject, batch)}, {arguments}",
        measured=reportable(measured),
        expected=reportable(expected),
        cause=causes_found[0] if causes_found else "",
        remedy="implement `call`, a value per example; `keras.losses.Loss` weighs and reduces",
    )


CHECKS = (
    LossCheck("per example", "Without reduction each example has a loss of its own.", per_example),
    LossCheck("masks", "What the mask leaves out counts nowhere.", masks),
    LossCheck("sample weights", "Weighted totals are those of the examples' own losses.", sample_weights),
    LossCheck("class weights", "`class_weight` weighs each example by its class.", class_weights),
    LossCheck("zero weight", "A bad example of weight 0 harms no other.", zero_weight),
)
