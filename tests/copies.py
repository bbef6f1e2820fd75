"""`python -m crosscheck` as a copy of one interpreter that has imported what every run imports.

To start Python and to import pandas and SciPy, in a run and in its workers, takes five times as long as
all that a run of the made-up studies does. A copy is a process like any other, with a number, descriptors,
signals and workers of its own, and has seen nothing of crosscheck; but it hashes as its siblings do, so that
what must not hang on the order of a set is held against a run in an interpreter of its own. Where processes
cannot be copied, all are.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WORKER = "crosscheck.running.worker"
IMPORTED = (  # by a run or by its workers, of what is not our own
    *(
        "click",
        "concurrent.futures",
        "filelock",
        "jinja2",
        "latex2mathml.converter",
        "msgspec",
        "numpy",
        "pandas",
    ),
    *("psutil", "pyarrow.parquet", "pylatexenc.latexencode", "rich", "scipy.special"),
)
OPEN = 256  # descriptors beyond what any of these processes has open


# --- in the tests -----------------------------------------------------------------------------------


class Run:
    """As much of `subprocess.Popen` as the tests use, for a copy that runs the command line."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str], *imported: str):
        request = json.dumps({"arguments": arguments, "folder": str(folder), "environment": environment})
        self.told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.output, self.errors = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115
        with theirs:
            files = [self.output.fileno(), self.errors.fileno(), theirs.fileno()]
            socket.send_fds(original(*imported), [request.encode()], files)
        self.pid = int(self.told.recv(16))
        self.returncode: int | None = None
        self.written: list[str] = []

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        with contextlib.suppress(BlockingIOError):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float = 120) -> int:
        if self.returncode is None:
            self.told.settimeout(timeout)
            try:
                self.returncode = int(self.told.recv(16))
            except TimeoutError:
                self.kill()
                raise
            self.told.close()
            for file in (self.output, self.errors):
                with file:
                    file.seek(0)
                    self.written.append(file.read())
        return self.returncode

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        self.wait(timeout)
        return self.written[0], self.written[1]


def started(
    arguments: Iterable[object], folder: Path, environment: dict[str, str], *imported: str
) -> Run | subprocess.Popen[str]:
    """`crosscheck` with these arguments, in a folder; in a copy, which has imported this as well."""
    if sys.platform != "linux":
        return afresh(arguments, folder, environment)
    return Run([str(argument) for argument in arguments], folder, environment, *imported)


def afresh(
    arguments: Iterable[object], folder: Path, environment: dict[str, str], **how: Any
) -> subprocess.Popen[str]:
    """The same in an interpreter of its own."""
    command = [sys.executable, "-m", "crosscheck", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes, **how)


@functools.cache
def original(*imported: str) -> socket.socket:
    """The door of the interpreter that is copied; it ends when nobody is left to knock."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    templates = tempfile.TemporaryDirectory()
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, str(theirs.fileno()), templates.name, *imported],
        env={**plain, "OMP_NUM_THREADS": "1"},  # no threads, which a copy would not have
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait(60)
        templates.cleanup()

    atexit.register(end)
    return ours


# --- in the original --------------------------------------------------------------------------------


def serve(door: socket.socket) -> None:
    """Copy itself for every request, and return in the copy that has run it."""
    while True:
        request, files, *_ = socket.recv_fds(door, 2**20, 3)
        with contextlib.suppress(ChildProcessError):  # those that have ended meanwhile; at the end, all
            while os.waitpid(-1, os.WNOHANG if request else 0)[0]:
                pass
        if not request:
            return
        if not os.fork():
            door.detach()
            accompany(files[2])
            return run(*files[:2], **json.loads(request))
        for file in files:
            os.close(file)


def accompany(told: int) -> None:
    """Go on in a copy; this process stays behind, and tells its number and how it ended."""
    if pid := os.fork():
        os.write(told, b"%d" % pid)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):
            os.write(told, b"%d" % os.waitstatus_to_exitcode(status))
        os._exit(0)


def run(output: int, errors: int, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """`python -m crosscheck` with these arguments, whose workers are copies as well."""
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.closerange(3, OPEN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    become("crosscheck", arguments, environment, [folder])
    subprocess.Popen = lambda command, **how: (Worker if WORKER in command else POPEN)(command, **how)
    concurrent.futures.ThreadPoolExecutor.submit = submitted
    runpy.run_module("crosscheck", run_name="__main__", alter_sys=True)


def become(module: str, arguments: list[str], environment: dict[str, str], first: list[str]) -> None:
    """What Python makes of its command line and its environment before it runs a module."""
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [*first, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *PATH]
    sys.argv[:], sys.orig_argv[:] = [module, *arguments], [sys.executable, "-m", module, *arguments]
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    with contextlib.suppress(ModuleNotFoundError):
        import sitecustomize  # noqa: F401 - a hook that a test has laid there


def submitted(*task: Any, **more: Any) -> concurrent.futures.Future[Any]:
    WAITING.append(SUBMIT(*task, **more))
    return WAITING[-1]


class Worker:
    """As much of `subprocess.Popen` as the runner uses, for a worker that is a copy of its run."""

    def __init__(
        self, command: list[str], env: dict[str, str], stderr: Any, start_new_session: bool, **pipes: Any
    ):
        sys.stdout.flush()
        concurrent.futures.wait(WAITING)  # a lock that a thread holds stays locked for ever in a copy
        jobs, their_jobs = os.pipe()
        answers, their_answers = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            start_new_session and os.setsid()
            os.dup2(jobs, 0)
            os.dup2(their_answers, 1)
            stderr and os.dup2(stderr.fileno(), 2)
            end_as_worker(command, env)
        os.close(jobs)
        os.close(their_answers)
        self.stdin, self.stdout = os.fdopen(their_jobs, "w"), os.fdopen(answers)

    def poll(self) -> int | None:
        return self.wait(os.WNOHANG)

    def wait(self, how: int = 0) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def communicate(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        with self.stdout:
            self.stdout.read()
        self.wait()


def end_as_worker(command: list[str], environment: dict[str, str]) -> None:
    """Forget what the run has imported of its own, be a worker, and end: the caller is the run's."""
    code: Any = 1
    try:
        os.closerange(3, OPEN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        subprocess.Popen = POPEN
        for name in set(sys.modules) - WARM:
            file = getattr(sys.modules[name], "__file__", None)
            if (
                file
                and not Path(file).is_relative_to(sys.prefix)
                and not Path(file).is_relative_to(sys.base_prefix)
            ):
                del sys.modules[name]
        sys.path_importer_cache.clear()
        become(WORKER, command[command.index(WORKER) + 1 :], environment, [])
        runpy.run_module(WORKER, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def keep_templates(folder: str) -> None:
    """Compile a template of the report once for all copies: it takes half of a run."""
    import jinja2

    cache = jinja2.FileSystemBytecodeCache(folder)
    jinja2.Environment.__init__ = functools.partialmethod(jinja2.Environment.__init__, bytecode_cache=cache)


if __name__ == "__main__":
    for name in (*IMPORTED, *sys.argv[3:]):
        importlib.import_module(name)
    keep_templates(sys.argv[2])
    PATH, POPEN, SUBMIT = list(sys.path), subprocess.Popen, concurrent.futures.ThreadPoolExecutor.submit
    WAITING: list[concurrent.futures.Future[Any]] = []
    sys.modules.pop("sitecustomize", None)
    WARM = set(sys.modules)
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
