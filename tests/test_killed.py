"""Killed at any moment, alone or beside another: the next run ends with the results of an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import Popen

import copies
import pytest
import throwaway
from copies import Run
from faults import ended, files_of_units, finish, lay_out, leftovers, measured, started, undisturbed_files

from crosscheck.running import store

STEPS = 90  # more changes of files than a whole run makes


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return undisturbed_files(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def project(tmp_path: Path) -> throwaway.Project:
    return lay_out(tmp_path)


# --- killed -----------------------------------------------------------------------------------------


def strike(project: throwaway.Project, dice: random.Random) -> tuple[int, str]:
    """A run that is struck: itself, itself with its workers, or a worker, once; or it ends before that."""
    blow = dice.choice(("main", "group", "worker", "clock"))
    if blow != "clock":
        steps = 8 if blow == "worker" else STEPS
        return ended(started(project, STRIKE=blow, STRIKE_AFTER=dice.randint(1, steps)))
    run = started(project)
    time.sleep(dice.uniform(0, 1.5))  # about as long as a run takes
    run.kill()
    return ended(run)


@pytest.mark.parametrize("most", [8, pytest.param(200, marks=pytest.mark.long)])  # 200 leave no step out
def test_killed_at_any_moment_again_and_again_it_ends_as_if_nothing_had_been(
    project: throwaway.Project, undisturbed: dict[str, bytes], most: int
) -> None:
    dice, blows = random.Random(1), 0
    while blows < most:
        kept, before = set(files_of_units(project)), measured(project)
        (project.folder / "struck").unlink(missing_ok=True)
        code, told = strike(project, dice)
        assert code in (0, -signal.SIGKILL), told
        blows += code != 0 or (project.folder / "struck").exists()
        again = measured(project) - before
        assert not kept & set(again), "what was finished is not measured again"
        require_whole(project, undisturbed)
        if code == 0:
            assert project.files() == undisturbed
            start_over(project, dice)
    finish(project)
    assert project.files() == undisturbed
    assert not leftovers(project)


def require_whole(project: throwaway.Project, undisturbed: dict[str, bytes]) -> None:
    """What is in its place is there to the last byte; what is being written lies beside it, hidden."""
    for name, content in project.files().items():
        assert Path(name).name.startswith(".") or content == undisturbed[name], f"{name} is half-written"
    for path in (project.folder / ".store").glob("*.parquet"):
        assert not store.fault(path, path.name.split("-")[0])


def start_over(project: throwaway.Project, dice: random.Random) -> None:
    """Something to do for the next run: all of it, or the results alone."""
    gone = dice.choice((("results", ".store"), ("results",)))
    for name in gone:
        folder = project.folder / name
        folder.rename(project.folder / f"{name} {time.monotonic_ns()}")


def test_a_killed_run_leaves_nothing_half_written(tmp_path: Path) -> None:
    """What lies beside its place is cleared away, if its process is gone; that of a running one stays."""
    from crosscheck.running import pipeline

    gone, unheard = (subprocess.Popen([sys.executable, "-c", ""]) for _ in range(2))
    gone.wait()
    if hasattr(os, "waitid"):  # it has ended, and nobody has asked how
        os.waitid(os.P_PID, unheard.pid, os.WEXITED | os.WNOWAIT)
    for process in (gone.pid, unheard.pid, os.getpid()):
        (tmp_path / f".table.md.{process}.tmp").write_text("half a ta")
    (tmp_path / ".table.md.x.tmp").write_text("not ours")
    pipeline.sweep(tmp_path)
    unheard.wait()
    assert {path.name for path in tmp_path.iterdir()} == {f".table.md.{os.getpid()}.tmp", ".table.md.x.tmp"}


# --- two at once ------------------------------------------------------------------------------------


def test_two_runs_on_one_store_measure_each_unit_once(
    project: throwaway.Project, undisturbed: dict[str, bytes]
) -> None:
    both = [started(project), started(project)]
    assert [ended(run)[0] for run in both] == [0, 0]
    assert set(measured(project).values()) == {1}
    assert project.files() == undisturbed and not leftovers(project)
    assert "Nothing to do" in project.crosscheck("run").stdout


def test_a_run_ends_well_although_the_one_beside_it_is_killed(
    project: throwaway.Project, undisturbed: dict[str, bytes]
) -> None:
    dying, living = started(project, STRIKE="group", STRIKE_AFTER=12), started(project)
    assert ended(dying)[0] == -signal.SIGKILL
    assert ended(living)[0] == 0
    finish(project)
    assert project.files() == undisturbed and not leftovers(project)


# --- real training ----------------------------------------------------------------------------------

TRAINING = """import keras
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(len(setting)).normal(size=(16, 2))
    model.fit(x, x.sum(axis=1), epochs=2, verbose=0)
    noise = claim = 0.001 * model.predict(x, verbose=0)[:, 0].astype(float)"""


def test_training_that_is_killed_ends_with_the_same_numbers(tmp_path: Path) -> None:
    """With TensorFlow, struck after the first of two units."""
    projects = [lay_out(tmp_path / name) for name in ("struck", "sound")]
    for project in projects:
        (project.folder / "keras.py").unlink()
        study = project.folder / "studies" / "steady.py"
        measuring = "noise = claim = 0.001 * np.arange(len(seeds))"
        assert measuring in study.read_text()
        study.write_text(study.read_text().replace(measuring, TRAINING))
    struck, sound = projects
    run = training(struck)
    while not files_of_units(struck):
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)
    kill_with_workers(run)
    assert ended(run)[0] == -signal.SIGKILL
    (first,) = files_of_units(struck)
    assert [ended(training(project))[0] for project in projects] == [0, 0]
    assert measured(sound).keys() == measured(struck).keys() and measured(struck)[first] == 1
    assert struck.files() == sound.files()


def kill_with_workers(run: Run | Popen[str]) -> None:
    run.send_signal(signal.SIGSTOP)
    for children in Path(f"/proc/{run.pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            os.kill(child, signal.SIGKILL)
    run.kill()


def training(project: throwaway.Project) -> Run | Popen[str]:
    environment = {**project.environment(), "CROSSCHECK_DETERMINISM": "1", "KERAS_BACKEND": "tensorflow"}
    return copies.started(["run", "steady", "--jobs", 1], project.folder, environment, "keras")


@pytest.mark.long
def test_a_real_study_that_is_killed_ends_with_the_same_numbers(tmp_path: Path) -> None:
    """At the smoke scale, struck after its first unit, in interpreters of its own.

    Four seeds are too few for its controls, so that either run leaves with 1.
    """
    command = [sys.executable, "-m", "crosscheck", "run", "laplace_prior", "--scale", "smoke", "--jobs", "1"]
    command += ["--seeds", "4"]

    def run(name: str) -> subprocess.Popen:
        folders = ["--results", tmp_path / name / "results", "--store", tmp_path / name / "store"]
        return subprocess.Popen(
            [*command, *folders],
            cwd=throwaway.ROOT,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    struck = run("struck")
    assert struck.stderr
    assert "[1/" in struck.stderr.readline()
    struck.kill()
    struck.communicate()
    again = run("struck")
    _, told = again.communicate(timeout=300)
    assert again.returncode == 1 and "[1/" not in told and "too few" in told, told
    sound = run("sound")
    sound.communicate(timeout=300)
    assert sound.returncode == 1
    found = [outcome(tmp_path / name / "results" / "laplace_prior") for name in ("struck", "sound")]
    assert found[0] == found[1]


def outcome(folder: Path) -> dict[str, object]:
    """Every file of a study; of the provenance what does not tell of the run itself."""
    record = json.loads((folder / "verdict.json").read_text())
    for key in ("git", "seconds"):
        record["provenance"].pop(key)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "verdict.json"}
    return {**files, "verdict.json": record}
