"""A loss computes and does nothing else. (check 17)"""

from __future__ import annotations

import contextlib
import io
import math
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np

from crosscheck.audit.checks.use.calls import (
    as_float64,
    as_tensors,
    example_losses,
    is_close,
    make_loss,
    reportable,
    value_or_error,
)
from crosscheck.audit.checks.use.inputs import Batch, call_as_typed, valid_batch
from crosscheck.audit.contract import (
    Finding,
    LossCheck,
    Subject,
    could_not_look,
    failed,
    not_applicable,
    passed,
)

CALLS = 5
PATIENCE = 40  # calls, on a machine so busy that most of them wait for a core
IDLE = 0.02  # seconds that every call spends not computing; on a busy machine some of them wait for a core


def deterministic(subject: Subject) -> Finding:
    """Compares repeated calls bit for bit: at once, after other inputs, and of a new loss."""
    batch, loss = valid_batch(subject), make_loss(subject)
    first = as_float64(loss(batch.y, batch.x))
    for occasion, call in repeated_calls(subject, batch, loss):
        values = call()
        if not is_close(values, first, 0):
            return failed(
                "deterministic",
                call_as_typed(subject, batch),
                measured=reportable(values),
                expected=reportable(first),
                note=f"called {occasion}",
                cause="the loss draws random numbers or keeps a state",
                remedy="a loss is a function of labels and predictions; let layers hold what changes",
            )
    return passed(
        "deterministic", f"the same bits again, after others, and from a new loss: {reportable(first)}"
    )


def repeated_calls(subject: Subject, batch: Batch, loss: Any) -> list[tuple[str, Callable[[], np.ndarray]]]:
    def after_other_inputs() -> np.ndarray:
        other_batch = batch.rows(slice(0, 2))
        loss(other_batch.y, other_batch.x)
        return as_float64(loss(batch.y, batch.x))

    repeat = lambda: as_float64(loss(batch.y, batch.x))
    of_new_loss = lambda: as_float64(make_loss(subject)(batch.y, batch.x))
    return [("again", repeat), ("after other inputs", after_other_inputs), ("of a new loss", of_new_loss)]


def inputs_kept(subject: Subject) -> Finding:
    """Checks that a call changes neither labels nor predictions, passed as arrays or as tensors."""
    batch = valid_batch(subject)
    example_losses(subject, batch)
    for style, call in call_styles(subject):
        y, x = batch.y.copy(), batch.x.copy()
        inputs_after = call(y, x)
        for name, after, before in zip(("y_true", "y_pred"), inputs_after, (batch.y, batch.x), strict=True):
            if not np.array_equal(after, before):
                return failed(
                    "inputs kept",
                    f"{call_as_typed(subject, batch)}, {style}",
                    measured=f"{name} = {reportable(after)}",
                    expected=f"{name} = {reportable(before)}",
                    cause=f"the loss writes into {name}",
                    remedy="compute new values instead of assigning in place",
                )
    return passed("inputs kept", "NumPy arrays and tensors are unchanged")


def call_styles(subject: Subject) -> list[tuple[str, Callable[[Any, Any], tuple[Any, Any]]]]:
    """Ways to pass labels and predictions; each function returns what they are after the call."""
    loss = subject.make()

    def with_arrays(y: Any, x: Any) -> tuple[Any, Any]:
        value_or_error(lambda: as_float64(loss(y, x)))
        return y, x

    def directly(y: Any, x: Any) -> tuple[Any, Any]:
        value_or_error(lambda: as_float64(getattr(loss, "call", loss)(y, x)))
        return y, x

    def with_tensors(y: Any, x: Any) -> tuple[Any, Any]:
        inputs = as_tensors(Batch(y, x))
        value_or_error(lambda: as_float64(loss(*inputs)))
        return as_float64(inputs[0]), as_float64(inputs[1])

    return [("as arrays", with_arrays), ("as arrays, to `call`", directly), ("as tensors", with_tensors)]


def quiet(subject: Subject) -> Finding:
    """Nothing is printed; a warning is no print, and is told."""
    batch, output = valid_batch(subject), io.StringIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        warnings.simplefilter("always")
        example_losses(subject, batch)
    lines = output.getvalue().strip().splitlines()
    if not lines:
        warned = f"; it warns: {str(caught[0].message)[:200]!r}" if caught else ""
        return passed("quiet", f"nothing printed to stdout or stderr{warned}")
    return failed(
        "quiet",
        call_as_typed(subject, batch),
        measured=f"prints {lines[0][:100]!r}",
        expected="no output",
        cause="a `print` in the loss",
        remedy="remove it; in a graph it speaks once, while tracing",
    )


def awake(subject: Subject) -> Finding:
    """Checks that not every call waits: the least time that is neither computing nor queueing for a core."""
    batch = valid_batch(subject)
    loss, x = make_loss(subject), batch.x
    calls = (idle_seconds(lambda: as_float64(loss(batch.y, batch.x))) for _ in range(PATIENCE))
    idle = first_below(calls, IDLE)
    if idle < IDLE:
        return passed("awake", f"under {IDLE * 1e3:.0f} ms idle in a call", threshold=IDLE)
    control = (idle_seconds(lambda: as_float64(keras.losses.MeanSquaredError()(x, x))) for _ in range(CALLS))
    if first_below(control, IDLE) >= IDLE:
        reason = f"{idle:.3f} s idle in every call, and Keras' squared error waits too: the machine is busy"
        return could_not_look("awake", reason, "ask again when it is not")
    return failed(
        "awake",
        call_as_typed(subject, batch),
        measured=f"{idle:.3f} s idle in every call",
        expected=f"under {IDLE} s",
        threshold=IDLE,
        cause="the loss sleeps, or waits for a file or a network",
        remedy="read what is needed once, in the constructor",
    )


def first_below(numbers: Iterator[float], enough: float) -> float:
    """The least of them, or the first that is small enough."""
    low = math.inf
    for number in numbers:
        low = min(low, number)
        if low < enough:
            break
    return low


def idle_seconds(call: Callable[[], Any]) -> float:
    wall, busy = time.perf_counter(), time.process_time() + queueing_seconds()
    call()
    return (time.perf_counter() - wall) - (time.process_time() + queueing_seconds() - busy)


def queueing_seconds() -> float:
    """How long this thread has been ready to run without a core; 0 where the system does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def retracing(subject: Subject) -> Finding:
    """After two calls no further call of the same shapes builds or traces a graph."""
    count_traces = {"tensorflow": count_graphs, "jax": count_traces_of_jax}.get(keras.backend.backend())
    if count_traces is None:
        return not_applicable("retracing", f"{keras.backend.backend()} traces nothing")
    batch, loss = valid_batch(subject), make_loss(subject)
    call = lambda: as_float64(loss(batch.y, batch.x))
    call(), call()
    with count_traces() as traces:
        for _ in range(CALLS):
            call()
    if len(traces) < CALLS:
        return passed("retracing", f"{CALLS} further calls, {len(traces)} traces")
    return failed(
        "retracing",
        call_as_typed(subject, batch),
        measured=f"{len(traces)} traces in {CALLS} calls",
        expected="none",
        cause="a new `tf.function` or `jax.jit` is made, or a Python number passed to it, in every call",
        remedy="make it once, outside of the loss, and pass tensors",
    )


@contextlib.contextmanager
def count_graphs() -> Iterator[list[Any]]:
    from tensorflow.python.framework.func_graph import FuncGraph

    count: list[Any] = []
    build = FuncGraph.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        count.append(self)
        build(self, *args, **kwargs)

    with mock.patch.object(FuncGraph, "__init__", counted):
        yield count


@contextlib.contextmanager
def count_traces_of_jax() -> Iterator[list[Any]]:
    import jax

    count: list[Any] = []
    counting = True  # a listener stays for good

    def listen(event: str, *_: Any, **__: Any) -> None:
        if counting and event.endswith("backend_compile_duration"):
            count.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield count
    finally:
        counting = False


CHECKS = (
    LossCheck("deterministic", "The same inputs give the same bits, whatever came between.", deterministic),
    LossCheck("inputs kept", "Labels and predictions are not written to.", inputs_kept),
    LossCheck("quiet", "Nothing is printed.", quiet),
    LossCheck("awake", "No call waits.", awake),
    LossCheck("retracing", "No call after the second traces again.", retracing),
)
