"""Units on other machines: the seam with a made-up executor and a made-up Ray."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_ray import MadeUpRay, TaskUnschedulableError

import crosscheck
from crosscheck import _nodes
from crosscheck._files import checksum
from crosscheck.claims import Unit
from crosscheck.claims.rows import tidy
from crosscheck.errors import CrosscheckError, UsageError
from crosscheck.running import desk, runner, store, worker
from crosscheck.running.executor import Job

UNITS = [Unit("study", name, cost=cost) for name, cost in (("short", 1), ("long", 9), ("middle", 3))]
DONE = {"seconds": 1.0, "nan": []}


class MadeUp:
    """An executor that answers in turn what it was told to, and `DONE` after that."""

    def __init__(self, **replies: list[dict]):
        self.told, self.taken, self.waiting = replies, [], deque[Job]()

    def submit(self, job: Job) -> None:
        self.waiting.append(job)

    def replies(self) -> Iterator[tuple[Job, dict]]:
        job = self.waiting.popleft()
        self.taken.append(job.unit.measure)
        replies = self.told.get(job.unit.measure, [])
        yield job, replies.pop(0) if replies else DONE


def drained(executor: MadeUp) -> runner.Outcome:
    outcome = runner.Outcome()
    runner.drain([Job(unit, unit.measure) for unit in UNITS], executor, outcome, lambda *_: None)
    return outcome


# --- the seam ---------------------------------------------------------------------------------------


def test_any_executor_will_do() -> None:
    executor = MadeUp(long=[{"seconds": 0.0, "nan": ["x is NaN"], "reused": True}])
    outcome = drained(executor)
    assert executor.taken == ["short", "long", "middle"]
    assert (outcome.finished, outcome.reused, outcome.failed) == (2, 1, [])
    assert outcome.nan == ["study/long: x is NaN"]


@pytest.mark.parametrize(
    ("reply", "times", "words"),
    [
        ({"died": "was killed"}, runner.ATTEMPTS, "its worker was killed, 2 times in a row"),
        ({"lost": "node a"}, runner.LOSSES, "5 workers were lost with it, the last on node a"),
    ],
    ids=["died", "lost"],
)
def test_a_unit_is_tried_again_and_then_given_up(reply: dict, times: int, words: str) -> None:
    assert not drained(MadeUp(long=[reply] * (times - 1))).failed
    executor = MadeUp(long=[reply] * times)
    outcome = drained(executor)
    assert executor.taken.count("long") == times and outcome.finished == 2
    assert outcome.failed == [f"study/long: {words}"]


# --- nodes, made up ---------------------------------------------------------------------------------


def file_of(key: str, folder: Path) -> bytes:
    return store.write(folder, key, tidy(value=[1.0]), {"unit": key, **DONE}).read_bytes()


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MadeUpRay:
    """Two nodes that compute in no time; what each did is in `did`."""

    def answer(node: str, line: str) -> tuple[str, bytes]:
        key = json.loads(line)["key"]
        made.did.append((node, key))
        content = file_of(key, tmp_path / node)
        return json.dumps({**DONE, "checksum": checksum(content)}), content

    made = MadeUpRay({"a": 1, "b": 1}, answer).put_in_place(monkeypatch)
    made.did = []
    return made


def ran(folder: Path, units: list[Unit] = UNITS, jobs: int | None = None) -> runner.Outcome:
    outcome, work = runner.Outcome(), [Job(unit, unit.measure) for unit in units]
    with runner.opened("auto", folder, jobs, work) as executor:
        runner.drain(work, executor, outcome, lambda *_: None)
    return outcome


def test_rows_come_back_into_the_one_store(ray: MadeUpRay, tmp_path: Path) -> None:
    assert ran(tmp_path).finished == 3
    for name in ("short", "long", "middle"):
        path = store.find(tmp_path, name)
        assert path and path.read_bytes() in {p.read_bytes() for p in tmp_path.glob(f"[ab]/{name}-*")}
    assert sorted(key for _, key in ray.did) == ["long", "middle", "short"] and ray.closed


def test_at_most_as_many_at_a_time_as_asked_for(ray: MadeUpRay, tmp_path: Path) -> None:
    ran(tmp_path, jobs=1)
    assert len(ray.did) == 3 and len({node for node, _ in ray.did}) == 1


def test_a_node_that_goes_costs_its_unfinished_units_and_no_more(
    ray: MadeUpRay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ray.answer
    ray.answer = lambda node, line: (
        ray.dead.add("a") or answer("b", line) if node == "b" else answer(node, line)
    )
    assert ran(tmp_path).finished == 3
    assert "Node a is gone" in caplog.text


def test_no_node_left_is_said(ray: MadeUpRay, tmp_path: Path) -> None:
    ray.dead |= {"a", "b"}
    with pytest.raises(CrosscheckError, match=r"No node is left that can compute study/short.* is kept"):
        ran(tmp_path)


def test_a_file_damaged_on_its_way_is_not_kept(ray: MadeUpRay, tmp_path: Path) -> None:
    answer, damaged = ray.answer, []

    def harmed(node: str, line: str) -> tuple[str, bytes]:
        reply, content = answer(node, line)
        if "long" in line and len(damaged) < often:
            damaged.append(node)
            return reply, content[:-1]
        return reply, content

    ray.answer, often = harmed, 1
    assert ran(tmp_path / "once").finished == 3
    often = 3
    (failure,) = ran(tmp_path / "always").failed
    assert "sent a file that does not match its checksum, 2 times in a row" in failure
    assert store.find(tmp_path / "always", "long") is None


def test_rows_of_another_unit_are_not_kept(tmp_path: Path) -> None:
    content = file_of("one", tmp_path / "node")
    assert store.keep(tmp_path, "other", content, checksum(content)) == "is another unit's"
    assert not list(tmp_path.glob("*.parquet"))


def test_a_full_disk_on_a_node_or_here_ends_the_run(
    ray: MadeUpRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise UsageError("Cannot write rows: the disk is full")

    with monkeypatch.context() as patched, pytest.raises(UsageError, match="the disk is full"):
        patched.setattr(store, "write_atomically", lambda path, content: "store" in str(path) and full())
        monkeypatch.setattr(
            ray, "answer", lambda node, line: (json.dumps({**DONE, "checksum": checksum(b"")}), b"")
        )
        patched.setattr(store, "strange", lambda content, key: "")
        ran(tmp_path / "store")
    ray.answer = lambda node, line: (json.dumps({"unwritable": "Cannot write rows: full"}), b"")
    with pytest.raises(UsageError, match=r"On node [ab]: Cannot write rows"):
        ran(tmp_path)


def test_a_traceback_comes_back(ray: MadeUpRay, tmp_path: Path) -> None:
    ray.answer = lambda node, line: (
        json.dumps({"error": "x", "traceback": "/there", "checksum": ""}),
        b"where",
    )
    assert ran(tmp_path, UNITS[:1]).failed == [
        f"study/short: x (traceback in {tmp_path / 'failures' / 'short.txt'})"
    ]
    assert (tmp_path / "failures" / "short.txt").read_text() == "where"


def test_what_another_run_is_computing_is_left_to_it(ray: MadeUpRay, tmp_path: Path) -> None:
    """This run does the rest meanwhile, and takes over what the other one has finished."""
    other = contextlib.ExitStack()
    other.enter_context(store.alone(tmp_path, "short"))
    answer = ray.answer

    def answer_last(node: str, line: str) -> tuple[str, bytes]:
        if len(ray.did) == 1:
            file_of("short", tmp_path)
            other.close()
        return answer(node, line)

    ray.answer = answer_last
    outcome = ran(tmp_path)
    assert (outcome.finished, outcome.reused) == (2, 1)
    assert sorted(key for _, key in ray.did) == ["long", "middle"]


def test_units_go_to_the_nodes_that_have_their_data(
    ray: MadeUpRay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def told(node: str, question, *arguments: object) -> object:
        answer = question(*arguments)
        lacking = question is desk.inventory and node == "a"
        return {**answer, "digits": "another"} if lacking else answer

    ray.told = told
    with_data = [Unit("study", f"on digits {i}", data=("digits",)) for i in range(3)]
    assert ran(tmp_path, [*with_data, *UNITS]).finished == 6
    assert {node for node, key in ray.did if "digits" in key} == {"b"} and ("a", "short") in ray.did
    assert caplog.messages == ["Node a lacks digits: the units that need it run on others."]
    ray.at_once = 0
    assert ran(tmp_path / "one", [*with_data, *UNITS], jobs=1).finished == 6 and ray.at_once == 1
    ray.told = lambda node, question, *arguments: told("a", question, *arguments)
    with pytest.raises(UsageError, match="No node of the cluster has digits as this machine has it"):
        ran(tmp_path / "none", with_data)


OURS = {"version": "1", "code": "c", "machine": "m", "packages": {"keras": "3", "jax": ""}}


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ({}, ""),
        ({"packages": {"keras": "", "jax": ""}}, ""),
        ({"version": "2"}, "has crosscheck 2, and this machine 1"),
        ({"code": "d"}, r"has other code of crosscheck 1 .*fingerprint d there, c here"),
        ({"machine": "arm"}, "is a arm"),
        ({"packages": {"keras": "4", "jax": "5"}}, r"has keras 4 \(here 3\), jax 5 \(here none\)"),
    ],
)
def test_what_makes_a_node_another_machine(theirs: dict, words: str) -> None:
    import re

    told = _nodes.difference(OURS, {**OURS, **theirs})
    assert re.match(words, told) if words else told == ""


def test_a_node_without_the_package_is_named_before_anything_runs(ray: MadeUpRay, tmp_path: Path) -> None:
    ray.told = lambda node, question, *arguments: (
        {"python": "/bin/python"} if node == "b" else question(*arguments)
    )
    with pytest.raises(UsageError, match="Node b cannot import crosscheck: install keras-crosscheck"):
        ran(tmp_path)
    assert not ray.did


def test_a_node_that_has_just_died_and_is_still_listed_is_left_out(ray: MadeUpRay, tmp_path: Path) -> None:
    told, died = ray.told, {"b"}

    def asked(node: str, *question: Any) -> Any:
        if node in died:
            raise TaskUnschedulableError(f"{node} is not there")
        return told(node, *question)

    ray.told = asked
    assert ran(tmp_path).finished == 3 and {node for node, _ in ray.did} == {"a"}
    died.add("a")
    with pytest.raises(UsageError, match="all have just died"):
        ran(tmp_path / "again")


def test_the_question_to_a_node_is_sent_without_a_name_to_import() -> None:
    question = _nodes.question_of(crosscheck.__version__, ("keras",))
    assert "<locals>" in question.__qualname__
    assert question() == _nodes.described(("keras",))
    assert _nodes.question_of("0", ())() == {"version": crosscheck.__version__}


def test_desks_whose_process_is_gone_are_swept(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for process in (gone.pid, 1):
        (tmp_path / f"{desk.prefix()}{process}-x").mkdir()
    desk.sweep(tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == [f"{desk.prefix()}1-x"]


def test_nodes_may_share_a_folder_for_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = Unit("curvature", "measure_binary")
    own = worker.checkpoints(unit, tmp_path)
    monkeypatch.setenv(worker.SHARED, str(tmp_path / "shared"))
    assert own.parent == tmp_path / "checkpoints"
    assert worker.checkpoints(unit, tmp_path) == tmp_path / "shared" / own.name


def test_without_ray_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"needs Ray.*pip install 'keras-crosscheck\[ray\]'"):
        _nodes.require_address("auto")


@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="Ray is not installed")
def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match="There is no cluster 'gpu'"):
        _nodes.require_address("gpu")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:port"])
def test_where_nobody_listens_is_said_at_once(address: str) -> None:
    with pytest.raises(UsageError, match=f"No Ray cluster answers at {address}"):
        _nodes.require_listener(address)
