"""Whatever becomes of a run or of its workers, the next one goes on from what is finished."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import copies
import pytest
import throwaway
from copies import Run

from crosscheck.claims import Unit
from crosscheck.running import local, runner
from crosscheck.running.executor import Job


@pytest.fixture
def project(tmp_path: Path) -> throwaway.Project:
    return throwaway.lay_out(tmp_path)


def measured(project: throwaway.Project, name: str) -> int:
    return (project.folder / "measured.log").read_text().split().count(name)


def started(project: throwaway.Project, jobs: int = 2) -> Run | subprocess.Popen[str]:
    return copies.started(["run", "--jobs", jobs], project.folder, project.environment())


def workers(project: throwaway.Project, run: Run | subprocess.Popen[str]) -> list[Path]:
    """The processes of workers: in the project's folder like the run itself, where the system tells."""
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").readlink() == project.folder
            if here and b"python" in (process / "cmdline").read_bytes() and process.name != str(run.pid):
                processes.append(process)
        except OSError:  # it has gone meanwhile, or is somebody else's
            continue
    return processes


def leads_a_session(process: int) -> bool:
    """As a worker does, and neither its copy nor what the run asks of Git meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(process) == process
    return False


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
    assert "its worker was killed (out of memory?), 2 times in a row" in ran.stderr
    assert measured(project, "moody") == 2
    assert (project.folder / "results" / "steady" / "verdict.json").exists()


@pytest.mark.parametrize(
    ("death", "words"),
    [
        (
            'os.write(2, b"I0000 00:00 a log\\nthe last word\\n"); os._exit(3)',
            "ended with exit code 3: the last word,",
        ),
        ("os.abort()", "died of SIGABRT,"),
        ('os.write(2, b"an error\\n"); os.kill(os.getpid(), 9)', "was killed: an error,"),
    ],
    ids=["exit", "abort", "kill"],
)
def test_how_a_worker_ended_is_told_with_its_last_words(
    project: throwaway.Project, death: str, words: str
) -> None:
    moody = project.folder / "studies" / "moody.py"
    moody.write_text(moody.read_text().replace("time.sleep(0.1)", death))
    assert words in project.crosscheck("run", "moody", code=1).stderr


@pytest.mark.parametrize("way", ["PYTHONPATH", "sys.path"])
def test_a_worker_has_the_code_of_its_parent_in_whatever_folder_it_starts(
    project: throwaway.Project, tmp_path: Path, way: str
) -> None:
    """Not that of the folder at hand, nor of an installation that the parent has passed over."""
    (tmp_path / "elsewhere" / "crosscheck" / "running").mkdir(parents=True)
    for module in ("__init__", "running/__init__", "running/worker"):
        text = "raise SystemExit('a foreign copy')\n"
        (tmp_path / "elsewhere" / "crosscheck" / f"{module}.py").write_text(text)
    path = [str(project.folder)] if way == "sys.path" else []
    code = f"import sys; sys.path[:0] = {path}; from crosscheck.cli.main import main; main()"
    environment = project.environment()
    if way == "sys.path":
        environment["PYTHONPATH"] = str(throwaway.ROOT / "suite")
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code, "run", "steady"],
        cwd=tmp_path / "elsewhere",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert measured(project, "steady") == 1


def test_a_worker_with_other_code_than_its_parent_refuses(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "crosscheck.running.worker", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1 and f"and the run from {tmp_path}" in ran.stderr


STARTS = """
import os, sys
if "crosscheck.running.worker" in sys.orig_argv:
    with open("started.log", "a") as log:
        log.write(f"{os.getpid()} ")
"""
ELSEWHERE = """
if "crosscheck.running.worker" in sys.orig_argv:
    import pandas, psutil  # which would miss files of that system
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
    hook = (
        f"{STARTS}{system}\nimport crosscheck.running.executor\ncrosscheck.running.executor.HELD = {held}\n"
    )
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
    before = workers(project, run)
    (worker,) = (number for number in (int(one.name) for one in before) if leads_a_session(number))
    os.kill(worker, signal.SIGKILL)
    until(lambda: not set(before) & set(workers(project, run)), seconds=5)
    (project.folder / "slow").unlink()
    assert run.wait(60) == 0, "the unit was tried again"


def test_a_worker_that_died_while_idle_is_given_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "start_worker", waiting_worker)
    with stopped(local.Pool(1, tmp_path, threads=1)) as pool:
        dead = pool.worker_for("tensorflow")
        kill(dead)
        pool.idle.append(dead)
        pool.idle.append(fresh := pool.worker_for("tensorflow"))
        assert fresh is not dead and pool.worker_for("tensorflow") is fresh
        pool.idle.append(fresh)


def test_a_worker_that_dies_while_idle_is_let_go_while_another_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "start_worker", waiting_worker)
    with stopped(local.Pool(2, tmp_path, threads=1)) as pool:
        idle = pool.worker_for("tensorflow")
        busy = pool.worker_for("tensorflow")
        pool.idle.append(idle)
        pool.busy[busy] = Job(Unit("study", "measure"), "key")
        kill(idle)
        assert list(pool.replies()) == [] and pool.idle == []
        kill(busy)
        ((job, reply),) = pool.replies()
        assert job.key == "key" and reply["died"].startswith("was killed")


@contextlib.contextmanager
def stopped(pool: local.Pool) -> Iterator[local.Pool]:
    try:
        yield pool
    finally:
        pool.stop()


def waiting_worker(backend: str, threads: int) -> local.Worker:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", "input()"], text=True, **pipes)
    return local.Worker(process, backend, tempfile.TemporaryFile("a+b"))


def kill(worker: local.Worker) -> None:
    worker.process.kill()
    worker.process.wait()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_struck_down_is_taken_up_again(project: throwaway.Project, blow: signal.Signals) -> None:
    (project.folder / "slow").touch()
    run = started(project)
    until(lambda: list((project.folder / ".store").glob("*.parquet")))
    run.send_signal(blow)
    assert run.wait(30) == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(blow, -signal.SIGKILL)
    assert blow == signal.SIGKILL or not workers(project, run), "who leaves in order leaves no worker behind"
    (project.folder / "slow").unlink()
    project.crosscheck("run")
    assert measured(project, "steady") == 1, "what was finished is not repeated"
    assert (project.folder / "results" / "moody" / "verdict.json").exists()


def test_units_come_study_by_study_and_the_longest_first() -> None:
    costs = (("small", 3), ("large", 2), ("small", 1), ("large", 9))
    units = [Unit(study, str(cost), cost=cost) for study, cost in costs]
    jobs = sorted((Job(unit, "") for unit in units), key=runner.by_study(units), reverse=True)
    assert [(job.unit.study, job.unit.cost) for job in jobs] == [
        ("large", 9),
        ("large", 2),
        ("small", 3),
        ("small", 1),
    ]
