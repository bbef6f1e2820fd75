"""Does every example have its own loss, and its own weight in the total? (check 9)"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras.src.backend import set_keras_mask  # JAX's arrays take no attribute: there is no public way

from crosscheck.audit.checks.use.calls import each, near, outcome, shown, signals, tensors, told, total, whole
from crosscheck.audit.checks.use.inputs import Batch, batch, dense, pair, typed
from crosscheck.audit.contract import Check, Finding, Subject, failed, not_applicable, passed

WEIGHTS = np.array([0.5, 2.0], "float32")
CLASS_WEIGHTS = {0: 0.5, 1: 2.0, 2: 3.0}
NO_EXAMPLES = "it gives no value for each example; see `per example`"
MASK = np.array([False, True])


def per_example(subject: Subject) -> Finding:
    """Shape (B,), and no value changes with its neighbours: alone, reordered, beside soft labels."""
    given = batch(subject)
    values = each(subject, given)
    if values.shape != (len(given.y),):
        return failed(
            "per example",
            typed(subject, given, reduction=None),
            measured=f"shape {values.shape}",
            expected=f"shape ({len(given.y)},)",
            cause="the loss averages over the examples itself, or keeps an axis too many",
            remedy="reduce over the last axis only: `ops.mean(values, axis=-1)`",
        )
    for about, other, own in neighbourhoods(subject, given):
        found = outcome(each, subject, other)
        if not (isinstance(found, np.ndarray) and near(found[: len(own)], values[own])):
            return dependent("per example", subject, other, about, values[own], found)
    return passed("per example", "(B,) values; the same alone, reordered and beside others")


def neighbourhoods(subject: Subject, given: Batch) -> list[tuple[str, Batch, np.ndarray]]:
    """(what was changed, the batch, which examples of `given` its first ones are)."""
    backward = np.arange(len(given.y))[::-1]
    beside = np.array([0])
    two = given.rows(slice(0, 2))
    louder = two.predicting(two.x * np.array([[1.0], [0.25]]))
    found = [("reordered", given.rows(backward), backward)]
    found += [("alone", given.rows(slice(i, i + 1)), np.array([i])) for i in range(len(given.y))]
    found.append(("beside another prediction", louder, beside))
    for i in (0, 1) if dense(subject) else ():
        half = given.y[[i, 1 - i]]
        half[1] = 1 / half.shape[-1] if subject.kind == "categorical" else 0.5
        found.append(("beside a soft label", Batch(half, given.x[[i, 1 - i]]), np.array([i])))
    return found


def dependent(check: str, subject: Subject, other: Batch, about: str, own: np.ndarray, found: Any) -> Finding:
    return failed(
        check,
        typed(subject, other, reduction=None),
        measured=shown(found[: len(own)] if isinstance(found, np.ndarray) and found.ndim else found),
        expected=shown(own),
        note=f"an example's loss is not what it is alone: {about}",
        cause="a statistic of the whole batch enters each example's loss",
        remedy="compute each example's loss from its own labels and predictions",
    )


def masks(subject: Subject) -> Finding:
    """An example masked in the predictions counts nowhere: neither in the sum nor in the number."""
    given = pair(subject)
    values = singles(subject, given)
    for reduction, expected in (("sum_over_batch_size", values[MASK].mean()), ("sum", values[MASK].sum())):
        y, x = tensors(given)
        set_keras_mask(x, keras.ops.convert_to_tensor(MASK))
        found = told(whole(subject, reduction)(y, x))
        if not near(found, expected):
            return unequal("masks", subject, given, found, expected, f"y_pred._keras_mask = {MASK.tolist()}")
    return passed("masks", f"mean and sum over the examples that the mask keeps, {MASK.tolist()}")


def sample_weights(subject: Subject) -> Finding:
    """Σ wᵢ lᵢ and Σ wᵢ lᵢ / B of the examples' losses alone."""
    given = pair(subject)
    weighted = WEIGHTS * singles(subject, given)
    for reduction, expected in (("sum_over_batch_size", weighted.mean()), ("sum", weighted.sum())):
        found = total(subject, given, WEIGHTS, reduction)
        if not near(found, expected):
            said = f"sample_weight={WEIGHTS.tolist()}"
            return unequal("sample weights", subject, given, found, expected, said)
    return passed("sample weights", f"mean and sum with {WEIGHTS.tolist()} against the examples alone")


def class_weights(subject: Subject) -> Finding:
    """A step of `train_on_batch` with `class_weight` says Σ w(yᵢ) lᵢ / B."""
    if subject.kind == "multilabel":
        return not_applicable("class weights", "Keras knows none for labels that do not exclude each other")
    given = pair(subject)
    numbers = given.y.argmax(-1) if subject.kind == "categorical" else given.y.reshape(-1).astype(int)
    expected = np.mean(np.array([CLASS_WEIGHTS[i] for i in numbers]) * singles(subject, given))
    found = identity(given, whole(subject)).train_on_batch(given.x, given.y, class_weight=CLASS_WEIGHTS)
    if not near(np.ravel(found)[0], expected):
        said = f"class_weight={CLASS_WEIGHTS}"
        return unequal("class weights", subject, given, np.ravel(found)[0], expected, said)
    return passed("class weights", f"train_on_batch with {CLASS_WEIGHTS}")


def identity(given: Batch, loss: Any) -> keras.Model:
    """A model that predicts what it is given, and learns nothing."""
    size = given.x.shape[-1]
    inputs = keras.Input((size,))
    model = keras.Model(inputs, keras.layers.Dense(size, use_bias=False)(inputs))
    model.set_weights([np.eye(size)])
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    return model


def zero_weight(subject: Subject) -> Finding:
    """An example of weight 0 with a NaN prediction, or an impossible label, changes no other example's loss.

    That 0 · NaN = NaN is what Keras makes of it in every loss' total; it is said, and not held against this
    one, which cannot help it. An impossible label may be refused aloud.
    """
    given, said = pair(subject), []
    if each(subject, given).shape != (len(given.y),):
        return not_applicable("zero weight", NO_EXAMPLES)
    values = singles(subject, given)
    for about, bad in spoilt(subject, given):
        found = outcome(each, subject, bad)
        if isinstance(found, np.ndarray) and not near(found[1:], values[1:]):
            return dependent("zero weight", subject, bad, about, values[1:], found[1:])
        sum_ = outcome(total, subject, bad, [0.0, 1.0], "sum")
        if not signals(sum_) and not near(sum_, values[1:].sum()):
            return unequal("zero weight", subject, bad, sum_, values[1:].sum(), "sample_weight=[0, 1]")
        said.append(f"{about}: {'the total is ' + str(shown(sum_)) if signals(sum_) else 'harmless'}")
    return passed("zero weight", "; ".join(said), measured=said[0].split(": ", 1)[1])


def spoilt(subject: Subject, given: Batch) -> list[tuple[str, Batch]]:
    x, y = given.x.copy(), given.y.astype("float32")
    x[0], y[0] = np.nan, -1
    return [
        ("beside a NaN prediction of weight 0", given.predicting(x)),
        ("beside a label of -1 of weight 0", given.labelled(y)),
    ]


def singles(subject: Subject, given: Batch) -> np.ndarray:
    """Each example's loss where it is alone: [B]."""
    return np.array([each(subject, given.rows(slice(i, i + 1))).mean() for i in range(len(given.y))])


def unequal(check: str, subject: Subject, given: Batch, found: Any, expected: Any, said: str) -> Finding:
    return failed(
        check,
        f"{typed(subject, given)}, {said}",
        measured=shown(found),
        expected=shown(expected),
        cause="the loss reduces over the examples before weights and masks are applied"
        if subject.is_class
        else "",
        remedy="implement `call`, a value per example; `keras.losses.Loss` weighs and reduces",
    )


CHECKS = (
    Check("per example", "Without reduction each example has a loss of its own.", per_example),
    Check("masks", "What the mask leaves out counts nowhere.", masks),
    Check("sample weights", "Weighted totals are those of the examples' own losses.", sample_weights),
    Check("class weights", "`class_weight` weighs each example by its class.", class_weights),
    Check("zero weight", "A bad example of weight 0 harms no other.", zero_weight),
)
