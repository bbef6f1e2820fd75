"""Whatever becomes of a run or of its workers, the next one goes on from what is finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import throwaway

from crosscheck.running import runner


@pytest.fixture
def project(tmp_path: Path) -> throwaway.Project:
    return throwaway.lay_out(tmp_path)


def measured(project: throwaway.Project, name: str) -> int:
    return (project.folder / "measured.log").read_text().split().count(name)


def started(project: throwaway.Project, jobs: int = 2) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "crosscheck", "run", "--jobs", str(jobs)],
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell starts what runs in the background with Ctrl-C ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def workers(project: throwaway.Project) -> list[Path]:
    """Worker processes that run in the project's folder, where the system tells."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").readlink() == project.folder
            found += (
                [process]
                if here and b"crosscheck.running.worker" in (process / "cmdline").read_bytes()
                else []
            )
        except OSError:  # it has gone meanwhile, or is somebody else's
            continue
    return found


def until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.05)


def test_a_worker_that_dies_is_replaced_and_its_unit_tried_again(project: throwaway.Project) -> None:
    (project.folder / "die once").touch()
    project.crosscheck("run")
    assert (measured(project, "moody"), measured(project, "steady")) == (2, 1)


def test_a_unit_that_kills_every_worker_is_given_up_and_spares_the_others(project: throwaway.Project) -> None:
    (project.folder / "die").touch()
    ran = project.crosscheck("run", code=1)
    assert "its worker died 2 times" in ran.stderr
    assert measured(project, "moody") == 2
    assert (project.folder / "results" / "steady" / "verdict.json").exists()


STARTS = """
import os, sys
if "crosscheck.running.worker" in sys.orig_argv:
    with open("started.log", "a") as log:
        log.write(f"{os.getpid()} ")
"""
ELSEWHERE = """
if "crosscheck.running.worker" in sys.orig_argv:
    import pandas  # which would miss files of that system
    sys.platform = "darwin"
"""
ACCELERATED = """
if "crosscheck.running.worker" in sys.orig_argv:
    os.environ["GPU"] = "1"
"""


@pytest.mark.parametrize("system", ["", ELSEWHERE, ACCELERATED])
@pytest.mark.parametrize(("held", "count"), [(0, 2), (1e12, 1)])
def test_a_worker_that_holds_much_memory_starts_afresh(
    project: throwaway.Project, held: float, count: int, system: str
) -> None:
    """Two units: the second finds what the first left in its module, unless the worker did start afresh."""
    hook = f"{STARTS}{system}\nimport crosscheck.running.runner\ncrosscheck.running.runner.HELD = {held}\n"
    (project.folder / "sitecustomize.py").write_text(hook)
    (project.folder / "left.py").write_text("behind = []\n")
    for study in (project.folder / "studies").glob("[!_]*.py"):
        log = "import left; left.behind.append(0); log.write(f'{len(left.behind)} ');"
        study.write_text(study.read_text().replace("log.write(", f"{log} log.write("))
    project.crosscheck("run", "--jobs", "1")
    told = (project.folder / "measured.log").read_text().split()
    assert [word for word in told if word.isdigit()] == ["1", str(3 - count)]
    started = (project.folder / "started.log").read_text().split()
    assert len(set(started)) == 1 and (len(started) > 1) == bool(system and not held)


@pytest.mark.skipif(sys.platform != "linux", reason="workers do not fork here")
def test_what_works_dies_with_the_worker_it_is_a_copy_of(project: throwaway.Project) -> None:
    (project.folder / "slow").touch()
    run = started(project, jobs=1)
    log = project.folder / "measured.log"
    until(lambda: log.exists() and measured(project, "moody"))
    before = workers(project)
    (worker,) = (one for one in before if f"PPid:\t{run.pid}\n" in (one / "status").read_text())
    os.kill(int(worker.name), signal.SIGKILL)
    until(lambda: not set(before) & set(workers(project)), seconds=5)
    (project.folder / "slow").unlink()
    assert run.wait(60) == 0, "the unit was tried again"


def test_a_worker_that_died_while_idle_is_given_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(code: str) -> subprocess.Popen:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-c", code], text=True, **pipes)

    monkeypatch.setattr(runner, "start_worker", lambda backend, count: start("input()"))
    with runner.workers(1, tmp_path) as pool:
        dead = pool.worker_for("tensorflow")
        dead.communicate()
        pool.idle.append((dead, "tensorflow"))
        pool.idle.append((fresh := pool.worker_for("tensorflow"), "tensorflow"))
        assert fresh is not dead and pool.worker_for("tensorflow") is fresh
        pool.idle.append((fresh, "tensorflow"))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_struck_down_is_taken_up_again(project: throwaway.Project, blow: signal.Signals) -> None:
    (project.folder / "slow").touch()
    run = started(project)
    until(lambda: list((project.folder / ".store").glob("*.parquet")))
    run.send_signal(blow)
    assert run.wait(30) == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(blow, -signal.SIGKILL)
    assert blow == signal.SIGKILL or not workers(project), "who leaves in order leaves no worker behind"
    (project.folder / "slow").unlink()
    project.crosscheck("run")
    assert measured(project, "steady") == 1, "what was finished is not repeated"
    assert (project.folder / "results" / "moody" / "verdict.json").exists()


def test_two_runs_at_once_on_one_store(project: throwaway.Project) -> None:
    runs = [started(project), started(project)]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert "Nothing to do" in project.crosscheck("run").stdout
