"""Units as jobs of SLURM: the seam with a made-up submitit, and submitit's own executor on this machine."""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import copies
import psutil
import pytest
import throwaway
from faults import lay_out, measured

from crosscheck.claims import Unit
from crosscheck.claims.rows import tidy
from crosscheck.errors import UsageError
from crosscheck.running import batch, plan, runner, store
from crosscheck.running.executor import Job

UNITS = [Unit("study", name, cost=cost) for name, cost in (("short", 1), ("long", 900), ("middle", 3))]
DONE = json.dumps({"seconds": 1.0, "nan": []})


class Handle:
    """A job that has ended: `answer` is what it returned, or how it ended."""

    job_id, cancelled = "7", False

    def __init__(self, answer: str | Exception, state: str):
        self.answer, self.state = answer, state

    def done(self) -> bool:
        return True

    def result(self) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def cancel(self, check: bool) -> None:
        self.cancelled = True


class MadeUpSubmitit:
    """Jobs that end at once, each with the next of `answers`, and `DONE` after that."""

    def __init__(self) -> None:
        self.answers: list[str | Exception] = []
        self.state, self.cluster = "COMPLETED", ""
        self.parameters: dict = {}
        self.lines: list[dict] = []
        self.minutes: list[int] = []
        self.saves = True

    def AutoExecutor(self, folder: str, cluster: str) -> MadeUpSubmitit:
        self.folder, self.cluster = Path(folder), cluster
        return self

    def update_parameters(self, **parameters: object) -> None:
        self.parameters |= parameters

    def submit(self, function, line: str, environment: dict) -> Handle:
        assert function is batch.computed
        self.lines.append({**json.loads(line), "environment": environment})
        self.minutes.append(self.parameters["timeout_min"])
        if self.saves:
            save(Path(self.lines[-1]["store"]), self.lines[-1]["key"])
        return Handle(self.answers.pop(0) if self.answers else DONE, self.state)


def save(folder: Path, key: str) -> None:
    store.write(folder, key, tidy(check="c", seed=[0], value=[0.0]), {"unit": key, "seconds": 1.0, "nan": []})


@pytest.fixture
def submitit(monkeypatch: pytest.MonkeyPatch) -> MadeUpSubmitit:
    made_up = MadeUpSubmitit()
    monkeypatch.setitem(sys.modules, "submitit", made_up)
    monkeypatch.setattr(batch, "PATIENCE", 0)
    monkeypatch.setenv("GPU", "1")
    return made_up


def ran(folder: Path, jobs: int | None = None, units: list[Unit] = UNITS) -> runner.Outcome:
    outcome = runner.Outcome()
    executor = batch.Batch("slurm://fast", folder, jobs)
    runner.drain([Job(unit, unit.measure) for unit in units], executor, outcome, lambda *_: None)
    executor.stop()
    return outcome


def test_a_unit_is_a_job_with_a_limit_by_its_cost(submitit: MadeUpSubmitit, tmp_path: Path) -> None:
    assert ran(tmp_path, jobs=1).finished == 3
    assert submitit.cluster == "slurm" and not submitit.folder.exists()
    asked = {
        name: submitit.parameters[name] for name in ("slurm_partition", "cpus_per_task", "gpus_per_node")
    }
    assert asked == {"slurm_partition": "fast", "cpus_per_task": 1, "gpus_per_node": 1}
    assert [line["key"] for line in submitit.lines] == ["short", "long", "middle"]
    assert submitit.minutes == [60, 150, 60]
    assert {line["store"] for line in submitit.lines} == {str(tmp_path)}
    assert submitit.lines[0]["environment"]["GPU"] == "1"


def test_so_many_jobs_at_a_time_are_in_the_queue(submitit: MadeUpSubmitit, tmp_path: Path) -> None:
    executor = batch.Batch("slurm://", tmp_path, 2)
    assert "slurm_partition" not in submitit.parameters
    for unit in UNITS:
        executor.submit(Job(unit, unit.measure))
    assert len(list(executor.replies())) == 2 and len(submitit.lines) == 2
    assert len(list(executor.replies())) == 1


def test_a_job_that_did_not_end_is_tried_again(submitit: MadeUpSubmitit, tmp_path: Path) -> None:
    submitit.answers = [TimeoutError("x\nit took too long")]
    assert ran(tmp_path, units=UNITS[:1]).finished == 1 and len(submitit.lines) == 2
    submitit.answers = [TimeoutError("x\nit took too long")] * 2
    assert ran(tmp_path, units=UNITS[:1]).failed == [
        "study/short: its worker in job 7 ended: it took too long, 2 times in a row"
    ]
    submitit.answers, submitit.state = [RuntimeError("gone")] * 4, "NODE_FAIL"
    assert ran(tmp_path, units=UNITS[:1]).finished == 1, "a node's fault is not the unit's"


def test_a_node_that_would_compute_something_else_ends_the_run(
    submitit: MadeUpSubmitit, tmp_path: Path
) -> None:
    submitit.answers = [json.dumps({"differs": "Node x has other code"})]
    with pytest.raises(UsageError, match="Node x has other code"):
        ran(tmp_path)


def test_rows_that_are_not_seen_here_are_waited_for_and_then_missed(
    submitit: MadeUpSubmitit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitit.saves = False
    looks = iter([None, None, tmp_path / "there"])
    with monkeypatch.context() as patched:
        patched.setattr(store, "find", lambda folder, key: next(looks))
        assert ran(tmp_path, units=UNITS[:1]).finished == 1 and not list(looks)
    monkeypatch.setattr(batch, "DELAY", 0)
    (failure,) = ran(tmp_path, units=UNITS[:1]).failed
    assert "its rows are not in" in failure


def test_stopping_cancels_what_is_in_the_queue(submitit: MadeUpSubmitit, tmp_path: Path) -> None:
    executor = batch.Batch("slurm://", tmp_path, 1)
    executor.submit(Job(UNITS[0], "short"))
    executor.submit(Job(UNITS[1], "long"))
    next(executor.replies())
    (handle,) = executor.busy = {Handle(DONE, "RUNNING"): Job(UNITS[1], "long")}
    executor.stop()
    assert handle.cancelled


def test_a_node_compares_the_key_before_it_computes() -> None:
    unit = Unit("surprise", "measure_information")
    line = batch.as_line(Job(unit, "another"), "nowhere")
    assert "has other code, versions or data" in json.loads(batch.computed(line, {}))["differs"]
    absent = batch.as_line(Job(Unit("surprise", "x", files=("absent.csv",)), "another"), "nowhere")
    assert "absent.csv" in json.loads(batch.computed(absent, {}))["differs"]


def test_without_submitit_or_slurm_one_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs submitit.*keras-crosscheck\[slurm\]"):
        plan.require_address("slurm://fast")

    def no_slurm(folder: str, cluster: str) -> None:
        raise RuntimeError("Could not detect 'srun'")

    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(AutoExecutor=no_slurm))
    with pytest.raises(UsageError, match="There is no SLURM here: Could not detect 'srun'"):
        batch.Batch("slurm://", tmp_path, None)
    assert not list((tmp_path / "batch").iterdir())


# --- submitit itself --------------------------------------------------------------------------------

with_submitit = pytest.mark.skipif(
    sys.platform != "linux" or not importlib.util.find_spec("submitit"), reason="submitit is not installed"
)


@pytest.mark.long
@with_submitit
def test_jobs_give_the_same_bytes_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    for name in ("alone", "batch"):
        (tmp_path / name).mkdir()
    alone, project = lay_out(tmp_path / "alone"), lay_out(tmp_path / "batch")
    assert ended(alone)[0] == 0
    code, err = ended(project, "--on", "slurm://local", "--jobs", "2")
    assert code == 0 and project.files() == alone.files(), err
    rows = [sorted((p.name, p.read_bytes()) for p in (one.folder / ".store").glob("*.parquet"))
            for one in (project, alone)]  # fmt: skip
    assert rows[0] == rows[1] and set(measured(project).values()) == {1}
    assert not list((project.folder / ".store" / "batch").iterdir())
    interrupt(project)


def ended(project: throwaway.Project, *options: str) -> tuple[int, str]:
    run = copies.afresh(["run", *options], project.folder, project.environment())
    _, err = run.communicate(timeout=300)
    return run.returncode, err


def interrupt(project: throwaway.Project) -> None:
    for path in (project.folder / ".store").glob("*.parquet"):
        if "moody" in store.about(path)["unit"]:
            path.unlink()
    before = measured(project)
    (project.folder / "slow").touch()
    told = ["run", "--on", "slurm://local"]
    run = copies.afresh(told, project.folder, project.environment(), start_new_session=True)
    until(lambda: measured(project) != before)
    started = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130 and "Interrupted. What is finished is kept" in err
    until(lambda: not any(process.is_running() for process in started), seconds=30)


def until(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.1)
