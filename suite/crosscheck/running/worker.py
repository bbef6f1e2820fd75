"""A worker process: computes units, one line of JSON in and one out, until its input ends.

It imports Keras once and leaves the work to a copy of itself. What TensorFlow and XLA keep of programs that
will not run again they never give back: a copy that holds too much ends, and the next takes its place.

A worker writes finished units into the store itself, so that they are kept whatever becomes of its parent.
What a study or TensorFlow prints goes to standard error, out of the way of the protocol.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

from crosscheck import _child
from crosscheck._files import write_atomically
from crosscheck.claims import register
from crosscheck.claims.claim import Unit
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.running import reads, store
from crosscheck.running.fingerprint import training_key

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

FULL = 75  # exit status of a process that holds too much memory to go on
PR_SET_PDEATHSIG = 1  # of Linux' prctl
OF_A_NODE = "CROSSCHECK_OF_A_NODE"  # set where a unit that nobody waits for any more is not worth finishing
SHARED = "CROSSCHECK_SHARED"  # names a folder that nodes of a cluster share, for checkpoints


def main() -> None:
    require_package(sys.argv[1])
    if os.environ.get(OF_A_NODE):
        die_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Where a library or a driver may not survive a fork, this process starts afresh instead.
    if sys.platform != "linux" or os.environ.get("GPU") == "1":
        if serve(answers) == FULL:
            os.dup2(answers.fileno(), 1)
            os.execv(sys.executable, _child.command("crosscheck.running.worker", _child.PACKAGE))
        return
    import keras  # noqa: F401

    import crosscheck.claims.rows  # noqa: F401

    gc.freeze()  # or every collection in a copy goes through all that was imported, and copies its pages
    while (code := in_a_copy(serve, answers)) == FULL:
        pass
    if code < 0:  # of what the copy died, this one dies: the runner tells of it
        with contextlib.suppress(OSError):  # of SIGKILL, which cannot be caught either
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def require_package(folder: str) -> None:
    """End where this process has imported another copy of the package than the runner that started it.

    Rows are stored under a key of the runner's code.
    """
    if folder != str(_child.PACKAGE):
        sys.exit(f"The worker imports crosscheck from {_child.PACKAGE}, and the run from {folder}.")


def in_a_copy(work: Callable[..., int], *arguments: Any) -> int:
    """Do the work in a copy of this process, which dies with this one.

    Returns:
        the exit status that the work gave, or minus the number of the signal that the copy died of.
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    die_with_parent()
    os._exit(work(*arguments))


def die_with_parent() -> None:
    """Have this process killed when the one that started it ends in whatever way; where the system can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(answers: IO[str]) -> int:
    """Answer jobs until there are no more, or until this process holds more memory than it may: `FULL`."""
    for line in iter(sys.stdin.readline, ""):
        job = json.loads(line)
        answer(answers, attempt(job))
        if resident() > job["may_hold"] and tidied() > job["may_hold"]:
            return FULL
    return 0


def tidied() -> int:
    """Bytes that this process holds after it has given back what it can."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # glibc's
        ctypes.CDLL(None).malloc_trim(0)
    return resident()


def resident() -> int:
    """Bytes of memory that this process holds."""
    return psutil.Process().memory_info().rss


def answer(stream: IO[str], reply: dict[str, Any]) -> None:
    print(json.dumps(reply), file=stream, flush=True)


def attempt(job: dict[str, Any]) -> dict[str, Any]:
    """One unit, unless another process has it by now; whatever it raises comes back as a line.

    The traceback is kept in a file. `unwritable` says that the store cannot keep anything.
    """
    unit, folder = unit_of(job["unit"]), Path(job["store"])
    try:
        with store.alone(folder, job["key"]):
            done = store.find(folder, job["key"])
            return {**store.about(done), "reused": True} if done else compute(unit, folder, job["key"])
    except store.UnwritableError as error:
        return {"unwritable": str(error)}
    except Exception as error:
        return failure(unit, folder / "failures" / f"{job['key']}.txt", error)


def unit_of(fields: dict[str, Any]) -> Unit:
    """A unit from its fields as JSON has them."""
    tuples = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Unit(**(fields | tuples))


def failure(unit: Unit, place: Path, error: Exception) -> dict[str, Any]:
    try:
        write_atomically(place, f"{unit}\n\n{traceback.format_exc()}")
    except UsageError as full:
        return {"unwritable": str(full)}
    what = str(error) if isinstance(error, CrosscheckError) else f"{type(error).__name__}: {error}"
    where = register.line_of(error, f"studies/{unit.study}.py")
    return {"error": what.splitlines()[0] + where, "traceback": str(place)}


def compute(unit: Unit, folder: Path, key: str) -> dict[str, Any]:
    prepare(unit)
    os.environ["CROSSCHECK_CHECKPOINTS"] = str(checkpoints(unit, folder))
    start = time.perf_counter()
    with reads.only_named(unit, folder):
        measured = register.measured(unit)
    seconds = time.perf_counter() - start
    about = {"unit": str(unit), "seconds": seconds, "nan": not_finite(measured)}
    store.write(folder, key, measured, about)
    return about


def checkpoints(unit: Unit, folder: Path) -> Path:
    """Where long trainings of a unit keep how far they are: in the store, or where a node's owner has it."""
    return Path(os.environ.get(SHARED) or folder / "checkpoints") / training_key(unit)


def not_finite(rows: pd.DataFrame) -> list[str]:
    """Where a claim's seeds gave no finite number; the first few."""
    judged = rows[(rows["seed"] >= 0) & (rows["check"] != "") & (rows["arm"] == "claim")]
    bad = judged[~judged["value"].abs().lt(float("inf"))]
    return [f"{row.check} {row.setting} seed {row.seed}" for row in bad.itertuples()][:5]


def prepare(unit: Unit) -> None:
    """Deterministic kernels, where TensorFlow is what computes; it is a no-op the second time."""
    if unit.backend == "tensorflow" and os.environ.get("CROSSCHECK_DETERMINISM", "1") == "1":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


if __name__ == "__main__":
    main()
