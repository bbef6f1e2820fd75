"""Probabilities passed for logits and logits for probabilities: whether it shows. (check 12)"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.audit.checks.use.calls import (
    as_float64,
    as_tensors,
    example_losses,
    is_signalled,
    make_loss,
    reportable,
)
from crosscheck.audit.checks.use.inputs import Batch, call_as_typed, valid_batch
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, passed

ABOUT = ("logit", "probabilit", "outside", "range")  # backends warn of other things too


def other_predictions(subject: Subject) -> Finding:
    """Passes logits to a loss of probabilities, which must show it, for they lie outside of [0, 1].

    Probabilities are legal logits: the numbers do not show it, though on TensorFlow Keras may see it in the
    graph. For a loss of logits it is measured what the confusion costs.
    """
    return probabilities_given(subject) if subject.from_logits else logits_given(subject)


def probabilities_given(subject: Subject) -> Finding:
    batch = valid_batch(subject)
    right_loss = example_losses(subject, batch).mean()
    probabilities = as_float64(activation(subject)(ops.convert_to_tensor(batch.x)))
    wrong_loss = example_losses(subject, batch.predicting(probabilities)).mean()
    is_warned_of = any(warnings_in_graph(subject, batch))
    note = f"probabilities instead of logits: a mean loss of {wrong_loss:.4g}, not {right_loss:.4g}; "
    note += "warned of in a graph" if is_warned_of else "not to be told from the numbers, and nothing warns"
    return passed("from_logits", note, measured=float(wrong_loss), expected=float(right_loss))


def activation(subject: Subject) -> Any:
    return ops.softmax if subject.kind in ("categorical", "sparse") else ops.sigmoid


def warnings_in_graph(subject: Subject, batch: Batch) -> list[str]:
    """The warnings where predictions come from a softmax or sigmoid inside a graph; [] but on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        return []
    import tensorflow as tf

    y, x = as_tensors(batch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loss, to_probabilities = make_loss(subject), activation(subject)
        tf.function(lambda x: loss(y, to_probabilities(x)), autograph=False).get_concrete_function(x)
    return [str(warning.message) for warning in caught if "logits" in str(warning.message)]


def logits_given(subject: Subject) -> Finding:
    batch = valid_batch(subject)
    logit_batch = valid_batch(replace(subject, from_logits=True))
    right_losses = example_losses(
        subject, batch.predicting(as_float64(activation(subject)(ops.convert_to_tensor(logit_batch.x))))
    )
    measured, is_warned_of = losses_and_warning(subject, batch.predicting(logit_batch.x))
    example_losses(subject, batch)
    if is_signalled(measured) or is_warned_of:
        note = f"logits instead of probabilities: {'warned of' if is_warned_of else reportable(measured)}"
        return passed("from_logits", note, measured=reportable(measured), expected=float(right_losses.mean()))
    return failed(
        "from_logits",
        call_as_typed(subject, batch.predicting(logit_batch.x), reduction=None),
        measured=reportable(measured),
        expected=reportable(right_losses),
        cause="predictions outside of [0, 1] are clipped or normalised without a word",
        remedy="from_logits=True; a loss of probabilities can give NaN for predictions outside of [0, 1]",
    )


def losses_and_warning(subject: Subject, batch: Batch) -> tuple[np.ndarray | str, bool]:
    """The values, or what was raised, and whether a warning came with them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            measured: np.ndarray | str = example_losses(subject, batch)
        except Exception as error:
            measured = f"{type(error).__name__}: {error}"
    return measured, any(word in str(warning.message).lower() for warning in caught for word in ABOUT)


CHECKS = (LossCheck("from_logits", "Logits taken for probabilities are told.", other_predictions, "misuse"),)
