"""What value and gradient cost, beside a hand-written form and the nearest Keras loss. (check 18)"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import losses, ops

from crosscheck.audit.builtins import ENTRIES
from crosscheck.audit.checks.use.calls import tensors, whole
from crosscheck.audit.checks.use.inputs import Batch, batch
from crosscheck.audit.contract import Check, Finding, Subject, passed
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
}
FOCAL: dict[str, type[keras.losses.Loss]] = {
    "binary": losses.BinaryFocalCrossentropy,
    "multilabel": losses.BinaryFocalCrossentropy,
    "categorical": losses.CategoricalFocalCrossentropy,
}


def nearest(subject: Subject) -> Subject:
    """The Keras loss of the same theory, kind of labels and predictions; else focal if the subject is so."""
    made = (FOCAL if "focal" in subject.name.lower() else PLAIN).get(subject.kind, PLAIN[subject.kind])
    config: dict[str, Any] = {"from_logits": subject.from_logits}
    for entry in ENTRIES:
        alike = (entry.theory, entry.kind) == (subject.theory, subject.kind)
        if alike and entry.from_logits in (None, subject.from_logits):
            made = getattr(losses, entry.name)
            config = config if entry.from_logits is None else dict(entry.settings[0])
            break
    return Subject(
        name=f"keras.losses:{made.__name__}",
        make=lambda **arguments: made(**{**config, **arguments}),
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
    """Median ratios of compiled value + gradient, each round after the other; reported, never failed."""
    rivals = {"by hand": by_hand(subject), nearest(subject).name: whole(nearest(subject))}
    said, ratio = [], float("nan")
    for size in (SMALL, largest(subject)):
        given = repeated(subject, size)
        times = timed([ready(each, given) for each in (whole(subject), *rivals.values())])
        ratios = [
            statistics.median(own / other for own, other in zip(times[0], t, strict=True)) for t in times[1:]
        ]
        per = statistics.median(times[0]) / given.x.size * 1e9
        beside = ", ".join(f"{r:.2f} × {name}" for name, r in zip(rivals, ratios, strict=True))
        said.append(f"{size} examples: {per:.3g} ns an element, {beside}")
        ratio = ratios[1]
    return passed("cost", "; ".join(said), measured=round(ratio, 3))


def largest(subject: Subject) -> int:
    """The large batch, unless it would take too long were the cost quadratic in the examples."""
    run = ready(whole(subject), repeated(subject, MIDDLE))
    run()
    return LARGE if once(run) * (LARGE / MIDDLE) ** 2 < LONG else MIDDLE


def repeated(subject: Subject, size: int) -> Batch:
    given = batch(subject)
    return given.rows(np.arange(size) % len(given.y))


def ready(loss: Callable[[Any, Any], Any], given: Batch) -> Callable[[], Any]:
    """Value and gradient by the predictions, compiled where the backend compiles by default."""
    y, x = tensors(given)
    mode = "eager" if keras.backend.backend() == "torch" else "graph"
    run = compiled(differentiated(lambda x: (loss(y, x),)), x, mode)
    return lambda: [numbers(part) for part in run(x)]


def timed(calls: list[Callable[[], Any]]) -> list[list[float]]:
    """Seconds of each call, round by round, the first of them thrown away: [calls][rounds]."""
    rounds = [[once(call) for call in calls] for _ in range(ROUNDS + 1)]
    return [list(times) for times in zip(*rounds[1:], strict=True)]


def once(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


CHECKS = (Check("cost", "Value and gradient cost what they cost elsewhere; reported.", cost),)
