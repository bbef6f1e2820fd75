"""Probabilities where logits are expected, and the reverse: told, and what it costs. (check 12)"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.audit.checks.use.calls import each, shown, signals, tensors, told, whole
from crosscheck.audit.checks.use.inputs import Batch, batch, typed
from crosscheck.audit.contract import Check, Finding, Subject, failed, passed

ABOUT = ("logit", "probabilit", "outside", "range")  # backends warn of other things too


def other_predictions(subject: Subject) -> Finding:
    """Logits to a loss of probabilities must be told, for they lie outside of [0, 1].

    Probabilities are legal logits: nobody can tell from the numbers, though Keras can from the graph, on
    TensorFlow. What that costs is measured: the loss against what the logits behind them give.
    """
    return probabilities_given(subject) if subject.from_logits else logits_given(subject)


def probabilities_given(subject: Subject) -> Finding:
    given = batch(subject)
    right = each(subject, given).mean()
    squashed = told(activation(subject)(ops.convert_to_tensor(given.x)))
    wrong = each(subject, given.predicting(squashed)).mean()
    warned = any(warnings_in_graph(subject, given))
    note = f"probabilities instead of logits: a mean loss of {wrong:.4g}, not {right:.4g}; "
    note += "warned of in a graph" if warned else "not to be told from the numbers, and nothing warns"
    return passed("from_logits", note, measured=float(wrong), expected=float(right))


def activation(subject: Subject) -> Any:
    return ops.softmax if subject.kind in ("categorical", "sparse") else ops.sigmoid


def warnings_in_graph(subject: Subject, given: Batch) -> list[str]:
    """What is said where the predictions come out of a softmax or a sigmoid inside a graph; else []."""
    if keras.backend.backend() != "tensorflow":
        return []
    import tensorflow as tf

    y, x = tensors(given)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loss, squash = whole(subject), activation(subject)
        tf.function(lambda x: loss(y, squash(x)), autograph=False).get_concrete_function(x)
    return [str(each.message) for each in caught if "logits" in str(each.message)]


def logits_given(subject: Subject) -> Finding:
    given = batch(subject)
    logits = batch(replace(subject, from_logits=True))
    right = each(subject, given.predicting(told(activation(subject)(ops.convert_to_tensor(logits.x)))))
    found, warned = heard(subject, given.predicting(logits.x))
    each(subject, given)
    if signals(found) or warned:
        note = f"logits instead of probabilities: {'warned of' if warned else shown(found)}"
        return passed("from_logits", note, measured=shown(found), expected=float(right.mean()))
    return failed(
        "from_logits",
        typed(subject, given.predicting(logits.x), reduction=None),
        measured=shown(found),
        expected=shown(right),
        cause="predictions outside of [0, 1] are clipped or normalised without a word",
        remedy="from_logits=True; a loss of probabilities can give NaN for predictions outside of [0, 1]",
    )


def heard(subject: Subject, given: Batch) -> tuple[np.ndarray | str, bool]:
    """The values, or what was raised, and whether a warning came with them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found: np.ndarray | str = each(subject, given)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
    return found, any(word in str(each.message).lower() for each in caught for word in ABOUT)


CHECKS = (Check("from_logits", "Logits taken for probabilities are told.", other_predictions, "misuse"),)
