"""Does a loss compute, and nothing else? (check 17)"""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np

from crosscheck.audit.checks.use.calls import each, near, outcome, shown, tensors, told, whole
from crosscheck.audit.checks.use.inputs import Batch, batch, typed
from crosscheck.audit.contract import Check, Finding, Subject, failed, not_applicable, passed

CALLS = 5
PATIENCE = 40  # calls, on a machine so busy that most of them wait for a core
IDLE = 0.02  # seconds that every call spends not computing; on a busy machine some of them wait for a core


def deterministic(subject: Subject) -> Finding:
    """The same number from the same loss again, after other inputs, and from a new one: bit for bit."""
    given, loss = batch(subject), whole(subject)
    first = told(loss(given.y, given.x))
    for about, again in repeats(subject, given, loss):
        found = again()
        if not near(found, first, 0):
            return failed(
                "deterministic",
                typed(subject, given),
                measured=shown(found),
                expected=shown(first),
                note=f"called {about}",
                cause="the loss draws random numbers or keeps a state",
                remedy="a loss is a function of labels and predictions; let layers hold what changes",
            )
    return passed("deterministic", f"the same bits again, after others, and from a new loss: {shown(first)}")


def repeats(subject: Subject, given: Batch, loss: Any) -> list[tuple[str, Callable[[], np.ndarray]]]:
    def after() -> np.ndarray:
        other = given.rows(slice(0, 2))
        loss(other.y, other.x)
        return told(loss(given.y, given.x))

    again = lambda: told(loss(given.y, given.x))
    new = lambda: told(whole(subject)(given.y, given.x))
    return [("again", again), ("after other inputs", after), ("of a new loss", new)]


def inputs_kept(subject: Subject) -> Finding:
    """Labels and predictions are afterwards what they were, as arrays and as tensors."""
    given = batch(subject)
    each(subject, given)
    for about, call in ways(subject):
        y, x = given.y.copy(), given.x.copy()
        held = call(y, x)
        for name, now, then in zip(("y_true", "y_pred"), held, (given.y, given.x), strict=True):
            if not np.array_equal(now, then):
                return failed(
                    "inputs kept",
                    f"{typed(subject, given)}, {about}",
                    measured=f"{name} = {shown(now)}",
                    expected=f"{name} = {shown(then)}",
                    cause=f"the loss writes into {name}",
                    remedy="compute new values instead of assigning in place",
                )
    return passed("inputs kept", "NumPy arrays and tensors are unchanged")


def ways(subject: Subject) -> list[tuple[str, Callable[[Any, Any], tuple[Any, Any]]]]:
    """How labels and predictions may be passed; each way gives what they are after the call."""
    loss = subject.make()

    def arrays(y: Any, x: Any) -> tuple[Any, Any]:
        outcome(lambda: told(loss(y, x)))
        return y, x

    def directly(y: Any, x: Any) -> tuple[Any, Any]:
        outcome(lambda: told(getattr(loss, "call", loss)(y, x)))
        return y, x

    def as_tensors(y: Any, x: Any) -> tuple[Any, Any]:
        passed_on = tensors(Batch(y, x))
        outcome(lambda: told(loss(*passed_on)))
        return told(passed_on[0]), told(passed_on[1])

    return [("as arrays", arrays), ("as arrays, to `call`", directly), ("as tensors", as_tensors)]


def quiet(subject: Subject) -> Finding:
    """Nothing is printed."""
    given, out = batch(subject), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        each(subject, given)
    lines = out.getvalue().strip().splitlines()
    if not lines:
        return passed("quiet", "nothing printed to stdout or stderr")
    return failed(
        "quiet",
        typed(subject, given),
        measured=f"prints {lines[0][:100]!r}",
        expected="no output",
        cause="a `print` in the loss",
        remedy="remove it; in a graph it speaks once, while tracing",
    )


def awake(subject: Subject) -> Finding:
    """No call waits: wall clock less processor time, least of many calls."""
    given = batch(subject)
    loss = whole(subject)
    calls = (idled(lambda: told(loss(given.y, given.x))) for _ in range(PATIENCE))
    idle = least(calls, IDLE)
    if idle < IDLE:
        return passed("awake", f"under {IDLE * 1e3:.0f} ms idle in a call", threshold=IDLE)
    return failed(
        "awake",
        typed(subject, given),
        measured=f"{idle:.3f} s idle in every call",
        expected=f"under {IDLE} s",
        threshold=IDLE,
        cause="the loss sleeps, or waits for a file or a network",
        remedy="read what is needed once, in the constructor",
    )


def least(numbers: Iterator[float], enough: float) -> float:
    """The least of them, or the first that is small enough."""
    low = math.inf
    for number in numbers:
        low = min(low, number)
        if low < enough:
            break
    return low


def idled(call: Callable[[], Any]) -> float:
    wall, busy = time.perf_counter(), time.process_time()
    call()
    return (time.perf_counter() - wall) - (time.process_time() - busy)


def retracing(subject: Subject) -> Finding:
    """After two calls no further call of the same shapes builds or traces a graph."""
    counter = {"tensorflow": graphs_built, "jax": traces_made}.get(keras.backend.backend())
    if counter is None:
        return not_applicable("retracing", f"{keras.backend.backend()} traces nothing")
    given, loss = batch(subject), whole(subject)
    call = lambda: told(loss(given.y, given.x))
    call(), call()
    with counter() as count:
        for _ in range(CALLS):
            call()
    if len(count) < CALLS:
        return passed("retracing", f"{CALLS} further calls, {len(count)} traces")
    return failed(
        "retracing",
        typed(subject, given),
        measured=f"{len(count)} traces in {CALLS} calls",
        expected="none",
        cause="a new `tf.function` or `jax.jit` is made, or a Python number passed to it, in every call",
        remedy="make it once, outside of the loss, and pass tensors",
    )


@contextlib.contextmanager
def graphs_built() -> Iterator[list[Any]]:
    from tensorflow.python.framework.func_graph import FuncGraph

    count: list[Any] = []
    build = FuncGraph.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        count.append(self)
        build(self, *args, **kwargs)

    with mock.patch.object(FuncGraph, "__init__", counted):
        yield count


@contextlib.contextmanager
def traces_made() -> Iterator[list[Any]]:
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
    Check("deterministic", "The same inputs give the same bits, whatever came between.", deterministic),
    Check("inputs kept", "Labels and predictions are not written to.", inputs_kept),
    Check("quiet", "Nothing is printed.", quiet),
    Check("awake", "No call waits.", awake),
    Check("retracing", "No call after the second traces again.", retracing),
)
