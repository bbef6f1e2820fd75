"""What a finished training tells: against the prior, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np

from crosscheck.calibration import fit_temperature
from crosscheck.claims.estimates import share
from crosscheck.diagnose._copies import compile_arguments
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import note
from crosscheck.diagnose._task import Task, classes_of, task_of
from crosscheck.diagnose._words import rounded
from crosscheck.diagnose.checks.one_step import first_non_finite, first_rows

FALLING, LATE = 5, 1.1  # epochs in a row; the share by which a validation loss has risen again
SCORES = ("accuracy", "auc", "precision", "recall", "f1", "top")


def loss_is_finite(program: Program) -> Iterator[Finding]:
    """Whether the loss stayed finite; where not, where one step from the weights at hand first is not."""
    losses = series(program, "loss")
    if not len(losses):
        return
    bad = np.flatnonzero(~np.isfinite(losses))
    if not len(bad):
        yield Finding("history-finite", "✓", f"the loss is finite in all {len(losses)} epochs")
        return
    try:
        place = first_non_finite(program, *first_rows(program))
    except Exception:  # the model cannot be replayed; that the loss is not finite stands
        place = ""
    replayed = f"; replayed, first in {place}" if place else ""
    yield Finding(
        "history-finite",
        "✗",
        f"the loss is not finite from epoch {bad[0] + 1} on{replayed}",
        why="from there on every weight is lost.",
        fix="keras.callbacks.TerminateOnNaN(), and a lower learning rate or global_clipnorm=1.0",
    )


def below_prior(program: Program) -> Iterator[Finding]:
    """Whether the loss ever fell below that of saying the classes' frequencies."""
    losses, task = series(program, "loss"), task_without_weights(program)
    if task is None or len(losses) < 2 or not np.isfinite(losses).all():
        return
    prior = prior_of(program, task)
    values = {"loss": float(losses.min())}
    if len(series(program, "val_loss")):
        values["val_loss"] = float(np.nanmin(series(program, "val_loss")))
    lowest = ", ".join(f"{name} {rounded(value)}" for name, value in values.items())
    measured = f"lowest {lowest}; {rounded(prior)} for saying the frequencies"
    if not np.isfinite(prior) or prior <= 0:
        return
    if values["loss"] < prior or values.get("val_loss", np.inf) < prior:
        yield Finding("history-below-prior", "✓", measured)
    elif decides_better(program) or has_dropout(program.model):
        yield Finding(
            "history-below-prior",
            "?",
            measured,
            why="its decisions, or its loss without dropout, may be better.",
        )
    else:
        yield Finding(
            "history-below-prior",
            "✗",
            measured,
            why="in all its epochs the model has learnt no more than how frequent classes are.",
            fix="see the other findings: labels, learning rate, inputs",
        )


def still_falling(program: Program) -> Iterator[Finding]:
    """Notes a loss that fell in every one of the last epochs, by more than 1 % each."""
    losses = series(program, "val_loss")
    losses = losses if len(losses) else series(program, "loss")
    last = losses[-FALLING - 1 :]
    if len(last) > FALLING and np.all(np.diff(last) < -0.01 * np.abs(last[:-1])):
        yield note(
            "still-falling",
            f"the loss fell in each of the last {FALLING} epochs, last by {1 - last[-1] / last[-2]:.0%}",
            "it was not done.",
            "more epochs",
            decided="heuristic",
        )


def overfitting(program: Program) -> Iterator[Finding]:
    """Notes a validation loss that has risen again while the training loss fell."""
    losses, validation = series(program, "loss"), series(program, "val_loss")
    if len(validation) < FALLING or not np.isfinite(validation).all():
        return
    best = int(validation.argmin())
    if (
        validation[-1] > LATE * validation[best]
        and len(losses) == len(validation)
        and losses[-1] < losses[best]
    ):
        yield note(
            "overfitting",
            f"val_loss was {rounded(validation[best])} in epoch {best + 1}, and is {rounded(validation[-1])} "
            f"at the end; loss fell from {rounded(losses[best])} to {rounded(losses[-1])}",
            "from there on it learns the rows that it sees.",
            'keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)',
            decided="heuristic",
        )


def overconfident(program: Program) -> Iterator[Finding]:
    """Notes confidence above accuracy on held-out rows, of a model that has been trained."""
    task, held_out = task_without_weights(program), program.validation
    if program.history is None or task is None or held_out is None or task.kind != "classes":
        return
    outputs = np.asarray(program.model.predict(held_out.x, verbose=0), "float64")
    if outputs.ndim != 2 or not np.isfinite(outputs).all():
        return
    is_distribution = bool((outputs >= 0).all() and np.allclose(outputs.sum(-1), 1, atol=1e-2))
    logits = np.log(np.maximum(outputs, 1e-30)) if is_distribution else outputs
    classes = classes_of(np.asarray(held_out.y), task.width)
    right = float(np.mean(logits.argmax(-1) == classes))
    p = np.exp(logits - logits.max(-1, keepdims=True))
    confidence = float((p.max(-1) / p.sum(-1)).mean())
    low, high = (float(bound) for bound in share(np.array(right), np.array(len(classes)), 0.005))
    if confidence > high:
        yield note(
            "overconfident",
            f"mean confidence {confidence:.2f}, accuracy {right:.2f} on {len(classes)} held-out rows"
            f"{temperature(logits, classes)}",
            "its probabilities promise more than they keep.",
            "crosscheck.calibration.calibrate(model, x_held_out, y_held_out)",
            decided="heuristic",
            interval=(low, high),
        )


def temperature(logits: np.ndarray, classes: np.ndarray) -> str:
    """Returns the temperature that mends confidence, in words; "" where there is none."""
    try:
        return f"; temperature {rounded(float(fit_temperature(logits, classes)))}"
    except ValueError:
        return ""


def series(program: Program, name: str) -> np.ndarray:
    """Returns a metric by epoch; empty where there is none."""
    history: Mapping[str, Sequence[float]] = program.history or {}
    return np.asarray(history.get(name, ()), "float64")


def task_without_weights(program: Program) -> Task | None:
    """Returns the task of a program with one output whose loss holds nothing but its examples; or None."""
    model, y = program.model, program.training.y
    loss = compile_arguments(model).get("loss")
    weighted = program.class_weight or program.training.sample_weight is not None
    if weighted or loss is None or y is None or any(map(keras.tree.is_nested, (loss, y))) or model.losses:
        return None
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or None in shape[1:]:
        return None
    y = np.asarray(y)
    return task_of(y, (len(y), *shape[1:]), loss) if y.dtype.kind in "fiub" and np.isfinite(y).all() else None


def prior_of(program: Program, task: Task) -> float:
    """Returns the loss of the best output that is the same for every row; NaN but for classes and labels."""
    y = np.asarray(program.training.y)
    return (
        np.nan if task.kind == "numbers" else task.loss_of_prior(y, (len(y), *program.model.output_shape[1:]))
    )


def decides_better(program: Program) -> bool:
    """Returns whether the history has a score of decisions; its loss alone does not tell then."""
    return any(score in name.lower() for name in program.history or {} for score in SCORES)


def has_dropout(model: keras.Model) -> bool:
    """Returns whether a layer drops numbers in training, so that the loss is higher than in use."""
    return any("Dropout" in type(layer).__name__ or "Noise" in type(layer).__name__ for layer in model.layers)


HISTORY = (loss_is_finite, below_prior, still_falling, overfitting, overconfident)
