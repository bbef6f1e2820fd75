"""Finds how a loss is to be called: with which shapes, and whether it gives one number for each example.

What cannot be called at all is told once, with the way to call it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.audit.contract import Finding, NotPerExample, Subject, Values, could_not_look
from crosscheck.audit.probe import fresh_loss, hard_labels, labels_as_taken
from crosscheck.audit.recognition import silenced
from crosscheck.audit.theories import over
from crosscheck.autodiff import numbers

B = 5  # examples: no other size of the trial is that
CLOSE = 1e-5
CHECK = "call"
BACKENDS = ("tensorflow", "torch", "jax")


def with_form(subject: Subject, axes: int | None = None) -> Subject:
    """The subject with its shapes and its kind of values; with an obstacle where no call succeeds."""
    errors: list[Exception] = []
    for number in (0, 1, 2) if axes is None else (axes,):
        found = []
        for unreduced in ("none", None) if subject.is_class else ("none",):
            form = replace(subject, axes=number, unreduced=unreduced)
            try:
                values = trial_call(form)
            except Exception as error:
                errors.append(error)
                continue
            if callable(values):
                return replace(subject, obstacle=factory(subject))
            found.append(replace(form, values=kind_of_values(form, values)))
        if found:
            return min(found, key=lambda form: form.values == "one for all")
    return replace(subject, obstacle=uncallable(subject, errors[0]))


def trial_rows(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that are logits and probabilities alike, no two rows the same, and labels: [B, K] each."""
    labels = hard_labels(subject.kind)
    x = np.random.default_rng(11).uniform(0.1, 0.9, (B, labels.shape[-1]))
    x = x / x.sum(-1, keepdims=True) if over(subject.kind) == "classes" else x
    return x, labels[np.arange(B) % len(labels)]


def trial_call(subject: Subject, which: Any = slice(None)) -> Any:
    """What the unreduced loss gives for the trial rows: numbers as an array, or whatever it returns."""
    x, y = trial_rows(subject)
    predictions = ops.convert_to_tensor(x[which], dtype="float32")
    predictions = ops.reshape(predictions, (-1, *[1] * subject.axes, x.shape[-1]))
    with silenced():
        loss, labels = fresh_loss(subject), labels_as_taken(subject, y[which], "float32")
        values = loss(labels, predictions)
        if callable(values):
            return values
        require_own_tensors(loss, labels, predictions, values)
        return numbers(ops.convert_to_tensor(values)).astype("float64")


def require_own_tensors(loss: Any, labels: Any, predictions: Any, values: Any) -> None:
    """Raises TypeError where a loss computes with another backend's operations, which have no gradient here.

    JAX shows them where it traces the loss.
    """
    backend, library = keras.backend.backend(), type(values).__module__.partition(".")[0]
    if library in BACKENDS and library != backend:
        raise TypeError(f"it gives a tensor of {library} on {backend}")
    if backend == "jax":
        import jax

        jax.eval_shape(lambda x: ops.convert_to_tensor(loss(labels, x)), predictions)


def kind_of_values(subject: Subject, values: np.ndarray) -> Values:
    """Whether the values are one for each example, as they are where each is alone."""
    if values.shape[:1] != (B,):
        return "one for all"
    try:
        for i in range(B):
            alone = trial_call(subject, slice(i, i + 1)).reshape(-1)
            there = values[i].reshape(-1)
            if alone.shape != there.shape or not np.allclose(
                alone, there, rtol=CLOSE, atol=CLOSE, equal_nan=True
            ):
                return "coupled"
    except Exception:
        return "coupled"
    return "one each"


def uncallable(subject: Subject, error: Exception) -> Finding:
    """The one finding about a loss that no call succeeds with, with the way to call it where it is known."""
    if isinstance(error, NotPerExample):
        raise error
    message = f"{type(error).__name__}: {' '.join(str(error).strip().splitlines()[:1])[:300]}"
    return could_not_look(
        CHECK,
        f"it cannot be called with {subject.kind} labels and predictions of shape [B, K], [B, T, K] or "
        f"[B, H, W, K]: {message}",
        way_out(subject, error),
    )


def way_out(subject: Subject, error: Exception) -> str:
    """What to do about an error of the first call, where its message says what is the matter."""
    backend, message = keras.backend.backend(), str(error)
    takes_a_pair = takes_labels_and_predictions(subject.make)
    if not subject.is_class and not takes_a_pair:
        return factory(subject).remedy
    if "keras.backend" in message or "keras._tf_keras" in message or "'keras.src.backend" in message:
        return "it is written for Keras 2, whose `keras.backend` held these functions: `keras.ops` has them"
    if backend != "tensorflow" and comes_from(error, "/tensorflow/"):
        return "it calls TensorFlow's own operations: audit it with --backend tensorflow, or use keras.ops"
    if backend != "torch" and comes_from(error, "/torch/"):
        return "it calls PyTorch's own operations: audit it with --backend torch, or use keras.ops"
    if backend != "jax" and comes_from(error, "/jax/"):
        return "it calls JAX' own operations: audit it with --backend jax, or use keras.ops"
    return "say with --kind what labels it takes, and with --shape BK, BTK or BHWK what predictions"


def comes_from(error: Exception, folder: str) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if folder in trace.tb_frame.f_code.co_filename:
            return True
        trace = trace.tb_next
    return folder.strip("/") in f"{type(error).__module__} {error}".lower()


def takes_labels_and_predictions(make: Callable[..., Any]) -> bool:
    """Whether it takes two positional arguments that have no defaults, or any number."""
    try:
        parameters = inspect.signature(make()).parameters.values()
    except (TypeError, ValueError):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    return sum(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters) >= 2


def factory(subject: Subject) -> Finding:
    """The finding about a function that returns the loss in place of being one."""
    try:
        parameters = list(inspect.signature(subject.make()).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    arguments = ", ".join(
        f"{p.name}={'…' if p.default is inspect.Parameter.empty else repr(p.default)}"
        for p in parameters
        if p.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    )
    return could_not_look(
        CHECK,
        "it is no function of (y_true, y_pred), but one that returns the loss: a factory",
        f"name it with its arguments: '{subject.name}({arguments})'; in Python, pass what it returns",
    )
