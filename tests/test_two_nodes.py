"""Units on two nodes of Ray on this machine: the same bytes, a node killed, nodes that are no good."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import copies
import numpy as np
import psutil
import pytest
import ray_cluster
import throwaway
from faults import lay_out, leftovers, measured

import crosscheck
from crosscheck.data import catalogue
from crosscheck.data.preparing import packed
from crosscheck.running import store

with_ray = pytest.mark.skipif(
    sys.platform != "linux" or not importlib.util.find_spec("ray"), reason="Ray is not installed"
)


WHILE_SLOW = """
        while (HERE / "slow").exists():
            time.sleep(0.1)"""


def environment(project: throwaway.Project, sets: str = "data") -> dict[str, str]:
    return {**project.environment(), "TFDS_DATA_DIR": str(project.folder / sets)}


def on_ray(project: throwaway.Project, nodes: ray_cluster.Nodes) -> subprocess.Popen[str]:
    places = ["--results", project.folder / "results", "--store", project.folder / ".store"]
    return there(project, nodes, "run", *places)


def there(project: throwaway.Project, nodes: ray_cluster.Nodes, *arguments: object) -> subprocess.Popen[str]:
    """A command in a folder of its own: Ray has its workers on this machine import from the run's, too."""
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    told = [*arguments, "--on", nodes.address]
    return copies.afresh(told, elsewhere, environment(project), start_new_session=True)


def ended(run: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = run.communicate(timeout=180)
    return run.returncode, out, err


def until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.1)


def workers_of(nodes: ray_cluster.Nodes) -> list[psutil.Process]:
    """What the nodes run beside Ray's own servers: desks, and the workers that they start."""
    every = (process for node in range(len(nodes.started)) for process in nodes.processes(node))
    return [process for process in every if is_of_a_run(process)]


def is_of_a_run(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        line = " ".join(process.cmdline())
        return "crosscheck.running.worker" in line or line.startswith("ray::Desk")
    return False


def prepare_mnist(folder: Path) -> None:
    """As far as anybody looks: the studies read nothing of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder))
        place = catalogue._folder("mnist")
    arrays = dict.fromkeys(packed.NAMES, np.zeros(1))
    packed.write(place, arrays, packed.content_checksum(arrays))


@pytest.fixture
def project(tmp_path: Path) -> throwaway.Project:
    """The made-up studies, of which `moody` takes as long as there is a file `slow`."""
    (tmp_path / "project").mkdir()
    project = lay_out(tmp_path / "project")
    moody = project.folder / "studies" / "moody.py"
    moody.write_text(moody.read_text().replace("time.sleep(10)", WHILE_SLOW))
    return project


@pytest.mark.long
@with_ray
def test_two_nodes_give_the_same_bytes_and_ctrl_c_leaves_nothing(
    project: throwaway.Project, tmp_path: Path
) -> None:
    (tmp_path / "alone").mkdir()
    alone = lay_out(tmp_path / "alone")
    (alone.folder / "studies" / "moody.py").write_text((project.folder / "studies" / "moody.py").read_text())
    prepare_mnist(alone.folder / "data")
    prepare_mnist(project.folder / "data")
    code, _, err = ended(copies.afresh(["run"], alone.folder, environment(alone)))
    assert code == 0, err
    at_once = [environment(project), environment(project, "no data")]
    with ray_cluster.nodes(*at_once) as nodes:
        code, out, err = ended(on_ray(project, nodes))
        assert code == 0 and "6 units run, 0 reused" in out, err
        assert "lacks mnist: the units that need it run on others" in err
        assert project.files() == alone.files() and not leftovers(project)
        rows = [sorted((p.name, p.read_bytes()) for p in (one.folder / ".store").glob("*.parquet"))
                for one in (project, alone)]  # fmt: skip
        assert rows[0] == rows[1] and set(measured(project).values()) == {1}
        code, out, err = ended(there(project, nodes, "verify", "--reference", project.folder / "results"))
        assert code == 0 and ", 0 moved" in out and "every table and figure is the same" in out, err
        assert set(measured(project).values()) == {2}, "all of it was computed afresh, once"
        interrupt(project, nodes)


def interrupt(project: throwaway.Project, nodes: ray_cluster.Nodes) -> None:
    for path in (project.folder / ".store").glob("*.parquet"):
        if "moody" in store.about(path)["unit"]:
            path.unlink()
    before = measured(project)
    (project.folder / "slow").touch()
    run = on_ray(project, nodes)
    until(lambda: measured(project) != before)
    run.send_signal(signal.SIGINT)
    code, _, err = ended(run)
    assert code == 130 and "Interrupted. What is finished is kept" in err and "Traceback" not in err
    until(lambda: not workers_of(nodes), seconds=10)
    (project.folder / "slow").unlink()


@pytest.mark.long
@with_ray
def test_a_node_is_killed_and_others_are_not_what_they_should_be(
    project: throwaway.Project, tmp_path: Path
) -> None:
    good = environment(project)
    with ray_cluster.nodes(good, good) as nodes:
        (project.folder / "slow").touch()
        run = on_ray(project, nodes)
        until(lambda: sum(measured(project).values()) == 4)
        desks = [process for process in nodes.processes(1) if is_of_a_run(process)]
        nodes.kill_raylet(1)
        until(lambda: desks and not any(desk.is_running() for desk in desks))
        (project.folder / "slow").unlink()
        code, out, err = ended(run)
        assert code == 0 and "4 units run, 0 reused" in out, err
        assert "is gone" in err and "Traceback" not in err
        assert sum(measured(project).values()) == 5, "only what the node was computing is measured again"
        refuse_another_version(project, nodes, tmp_path)
        refuse_without_the_package(project, nodes, tmp_path)


def refuse_another_version(project: throwaway.Project, nodes: ray_cluster.Nodes, folder: Path) -> None:
    other = folder / "other" / "crosscheck"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "0.0.9"\n')
    nodes.start({**environment(project), "PYTHONPATH": str(other.parent)})
    told = refused(project, nodes)
    assert f"has crosscheck 0.0.9, and this machine {crosscheck.__version__}" in told
    nodes.kill_raylet(2)


def refuse_without_the_package(project: throwaway.Project, nodes: ray_cluster.Nodes, folder: Path) -> None:
    """An environment that has all that this one has but the package itself."""
    venv.create(folder / "bare")
    (site,) = (folder / "bare" / "lib").glob("python*/site-packages")
    (site / "all_else.pth").write_text(str(Path(importlib.util.find_spec("ray").origin).parents[1]))
    plain = {name: value for name, value in environment(project).items() if name != "PYTHONPATH"}
    nodes.start(plain, folder / "bare" / "bin" / "python")
    told = refused(project, nodes)
    assert "cannot import crosscheck: install keras-crosscheck" in told and str(folder / "bare") in told


def refused(project: throwaway.Project, nodes: ray_cluster.Nodes) -> str:
    """What is said once Ray knows of the nodes that there are, before anything is measured."""
    (project.folder / "results").rename(project.folder / f"results {time.monotonic_ns()}")
    (project.folder / ".store").rename(project.folder / f"store {time.monotonic_ns()}")
    before = measured(project)
    code, _, err = ended(on_ray(project, nodes))
    assert code == 2 and measured(project) == before, err
    return err
