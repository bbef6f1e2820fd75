"""What value and gradient cost, beside a hand-written form and the nearest Keras loss. (check 18)"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import losses, ops

from crosscheck.audit.checks.use.calls import as_tensors, make_loss
from crosscheck.audit.checks.use.inputs import Batch, valid_batch
from crosscheck.audit.contract import Finding, LossCheck, Subject, not_applicable, passed
from crosscheck.audit.keras_losses import KERAS_LOSSES
from crosscheck.autodiff import differentiated, numbers
from crosscheck.paths.probing import compiled

SMALL, MIDDLE, LARGE = 32, 512, 8192
LONG = 0.2  # seconds a call: a loss of pairs of examples is not asked for the large batch
ROUNDS = 9
PLAIN: dict[str, type[keras.losses.Loss]] = {
    "binary": losses.BinaryCrossentropy,
    "multilabel": losses.BinaryCrossentropy,
    "categorical": losses.CategoricalCrossentropy,
    "sparse": losses.SparseCategoricalCrossentropy,
    "ordinal": losses.BinaryCrossentropy,
}
FOCAL: dict[str, type[keras.losses.Loss]] = {
    "binary": losses.BinaryFocalCrossentropy,
    "multilabel": losses.BinaryFocalCrossentropy,
    "categorical": losses.CategoricalFocalCrossentropy,
}


def nearest_keras_loss(subject: Subject) -> Subject:
    """The Keras loss of the same theory, kind of labels and predictions; else focal if the subject is so."""
    loss_class = (FOCAL if "focal" in subject.name.lower() else PLAIN).get(subject.kind, PLAIN[subject.kind])
    config: dict[str, Any] = {"from_logits": subject.from_logits}
    for entry in KERAS_LOSSES:
        same_theory = (entry.theory, entry.kind) == (subject.theory, subject.kind)
        if same_theory and entry.from_logits in (None, subject.from_logits):
            loss_class = getattr(losses, entry.name)
            config = config if entry.from_logits is None else dict(entry.settings[0])
            break
    return Subject(
        name=f"keras.losses:{loss_class.__name__}",
        make=lambda **arguments: loss_class(**{**config, **arguments}),
        kind=subject.kind,
        from_logits=subject.from_logits,
        theory=None,
        config=config,
    )


def by_hand(subject: Subject) -> Callable[[Any, Any], Any]:
    """−Σ y ln p written out, in the mean, of logits or of probabilities."""
    if subject.kind in ("binary", "multilabel"):
        logs = ops.log_sigmoid if subject.from_logits else ops.log
        other = (lambda x: ops.log_sigmoid(-x)) if subject.from_logits else (lambda x: ops.log(1 - x))
        return lambda y, x: -ops.mean(y * logs(x) + (1 - y) * other(x))
    logs = (lambda x: ops.log_softmax(x, axis=-1)) if subject.from_logits else ops.log
    if subject.kind == "categorical":
        return lambda y, x: -ops.mean(ops.sum(y * logs(x), axis=-1))
    return lambda y, x: -ops.mean(ops.sum(ops.one_hot(y, x.shape[-1], dtype=x.dtype) * logs(x), axis=-1))


def cost(subject: Subject) -> Finding:
    """Reports the median ratios of the cost of value and gradient, timed in turn; it never fails."""
    if subject.kind == "ordinal" or subject.axes:
        return not_applicable("cost", "there is nothing of that form to compare it with")
    rivals = {
        "by hand": by_hand(subject),
        nearest_keras_loss(subject).name: make_loss(nearest_keras_loss(subject)),
    }
    notes, last_ratio = [], float("nan")
    for size in (SMALL, large_size(subject)):
        batch = batch_of_size(subject, size)
        seconds = seconds_by_round(
            [compiled_step(loss, batch) for loss in (make_loss(subject), *rivals.values())]
        )
        ratios = [
            statistics.median(ours / theirs for ours, theirs in zip(seconds[0], rival_times, strict=True))
            for rival_times in seconds[1:]
        ]
        nanoseconds = statistics.median(seconds[0]) / batch.x.size * 1e9
        comparison = ", ".join(f"{ratio:.2f} × {name}" for name, ratio in zip(rivals, ratios, strict=True))
        notes.append(f"{size} examples: {nanoseconds:.3g} ns an element, {comparison}")
        last_ratio = ratios[1]
    return passed("cost", "; ".join(notes), measured=round(last_ratio, 3))


def large_size(subject: Subject) -> int:
    """The large batch, unless it would take too long were the cost quadratic in the examples."""
    step = compiled_step(make_loss(subject), batch_of_size(subject, MIDDLE))
    step()
    return LARGE if seconds_of(step) * (LARGE / MIDDLE) ** 2 < LONG else MIDDLE


def batch_of_size(subject: Subject, size: int) -> Batch:
    batch = valid_batch(subject)
    return batch.rows(np.arange(size) % len(batch.y))


def compiled_step(loss: Callable[[Any, Any], Any], batch: Batch) -> Callable[[], Any]:
    """Value and gradient by the predictions, compiled where the backend compiles by default."""
    y, x = as_tensors(batch)
    mode = "eager" if keras.backend.backend() == "torch" else "graph"
    step = compiled(differentiated(lambda x: (loss(y, x),)), x, mode)
    return lambda: [numbers(tensor) for tensor in step(x)]


def seconds_by_round(calls: list[Callable[[], Any]]) -> list[list[float]]:
    """Seconds of each call, round by round, the first of them thrown away: [calls][rounds]."""
    rounds = [[seconds_of(call) for call in calls] for _ in range(ROUNDS + 1)]
    return [list(times) for times in zip(*rounds[1:], strict=True)]


def seconds_of(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


CHECKS = (LossCheck("cost", "Value and gradient cost what they cost elsewhere; reported.", cost),)
