"""Whatever strikes a run, and whenever: the next one ends with the results of an undisturbed one.

A moment is counted in changes of files, so that every step of writing one is hit, and hit again in the same
way; some blows fall at a moment of the clock instead, in whatever the run is doing. `CROSSCHECK_FAULTS` is
how many blows fall (24; hundreds leave no step out).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import throwaway

from crosscheck.claims.rows import tidy
from crosscheck.running import store

BLOWS = int(os.environ.get("CROSSCHECK_FAULTS", "24"))
STEPS = 90  # more changes of files than a whole run makes
UNITS = 4
# Counts changes of files below .store and results, and strikes at the one it is told to. A unit takes no
# time: it would be the only difference between two runs.
HOOK = """
import glob, os, signal, sys, time

WORKER = "crosscheck.running.worker" in sys.orig_argv
left, blow = int(os.environ.get("STRIKE_AFTER", 0)), os.environ.get("STRIKE", "")


def children():
    for file in glob.glob("/proc/self/task/*/children"):
        with open(file) as listed:
            yield from map(int, listed.read().split())


def struck_before():
    try:
        os.close(os.open("struck", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return True
    return False


def strike():
    if blow == "worker" and struck_before():
        return
    for child in children() if blow == "group" else ():
        os.kill(child, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def changes(event, told):
    if event == "open":
        return told[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return event in ("os.rename", "os.remove", "os.mkdir")


def watch(event, told):
    global left
    if left and changes(event, told) and str(told[0]).startswith((".store", "results")):
        left -= 1
        if not left:
            strike()


if WORKER:
    time.perf_counter = lambda: 0.0
if left and WORKER == (blow == "worker"):
    sys.addaudithook(watch)
"""


def lay_out(folder: Path) -> throwaway.Project:
    """The made-up studies with two units each, whose log says which was measured."""
    project = throwaway.lay_out(folder)
    for name in throwaway.MOODS:
        file = folder / "studies" / f"{name}.py"
        text = file.read_text()
        one = f'Unit("{name}", "measure", {{}}, seeds),'
        another = one.replace("{}", '{"setting": "a"}')
        assert one in text and f'log.write("{name}\\n")' in text
        text = text.replace(one, f"{one}\n        {another}")
        text = text.replace('settings=("", "mnist")', 'settings=("", "a", "mnist")')
        file.write_text(text.replace(f'"{name}\\n"', f'"{name}:" + setting + "\\n"'))
    (folder / "sitecustomize.py").write_text(HOOK)
    return project


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run leaves behind that nothing happens to."""
    project = lay_out(tmp_path_factory.mktemp("undisturbed"))
    finish(project)
    return project.files()


@pytest.fixture
def project(tmp_path: Path) -> throwaway.Project:
    return lay_out(tmp_path)


def started(
    project: throwaway.Project, preexec: Callable[[], object] | None = None, **environment: object
) -> subprocess.Popen:
    told = {name: str(value) for name, value in environment.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "crosscheck", "run", "--jobs", "2"],
        cwd=project.folder,
        env={**project.environment(), "PYTHONDONTWRITEBYTECODE": "1", **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=preexec,
    )


def ended(run: subprocess.Popen) -> tuple[int, str]:
    """Exit code, negative where it was killed, and what it complained of."""
    _, told = run.communicate(timeout=120)
    assert "Traceback" not in told and "fault of crosscheck" not in told
    return run.returncode, told


def finish(project: throwaway.Project) -> str:
    code, told = ended(started(project))
    assert code == 0, told
    return told


def measured(project: throwaway.Project) -> Counter[str]:
    """How often each unit was measured."""
    log = project.folder / "measured.log"
    return Counter(log.read_text().split()) if log.exists() else Counter()


def files_of_units(project: throwaway.Project) -> dict[str, Path]:
    """The file of each unit that is finished, by the unit's name in the log."""
    found = {}
    for path in (project.folder / ".store").glob("*.parquet"):
        unit = store.about(path)["unit"]
        setting = re.search(r"setting=(\S+)", unit)
        found[f"{unit.split('/')[0]}:{setting[1] if setting else ''}"] = path
    return found


def leftovers(project: throwaway.Project) -> list[Path]:
    return [path for name in ("results", ".store") for path in (project.folder / name).rglob(".*.tmp")]


# --- killed -----------------------------------------------------------------------------------------


def strike(project: throwaway.Project, dice: random.Random) -> tuple[int, str]:
    """A run that is struck: itself, itself with its workers, or a worker, once; or it ends before that."""
    blow = dice.choice(("main", "group", "worker", "clock"))
    if blow != "clock":
        steps = 8 if blow == "worker" else STEPS
        return ended(started(project, STRIKE=blow, STRIKE_AFTER=dice.randint(1, steps)))
    run = started(project)
    time.sleep(dice.uniform(0, 2.5))
    run.kill()
    return ended(run)


def test_killed_at_any_moment_again_and_again_it_ends_as_if_nothing_had_been(
    project: throwaway.Project, undisturbed: dict[str, bytes]
) -> None:
    dice, blows = random.Random(1), 0
    while blows < BLOWS:
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

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for process in (gone.pid, os.getpid()):
        (tmp_path / f".table.md.{process}.tmp").write_text("half a ta")
    (tmp_path / ".table.md.x.tmp").write_text("not ours")
    pipeline.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f".table.md.{os.getpid()}.tmp", ".table.md.x.tmp"}


# --- damaged ----------------------------------------------------------------------------------------


def truncated(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def flipped(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << dice.randrange(8))]) + content[at + 1 :]


def test_any_truncation_and_any_flipped_bit_is_seen(tmp_path: Path) -> None:
    key, dice = "0123456789abcdef0123", random.Random(2)
    told = {"unit": "u", "seconds": 0.0, "nan": []}
    path = store.write(tmp_path, key, tidy(value=[1.0, 2.0], seed=[0, 1]), told)
    content = path.read_bytes()
    for harm in (truncated, flipped) * max(50, BLOWS):
        path.write_bytes(harm(content, dice))
        assert store.find(tmp_path, key) is None and not path.exists()
    path.write_bytes(content)
    assert store.find(tmp_path, key) == path


def test_damaged_and_foreign_units_are_named_set_aside_and_alone_measured_again(
    project: throwaway.Project, undisturbed: dict[str, bytes]
) -> None:
    finish(project)
    dice, files = random.Random(3), files_of_units(project)
    assert len(files) == UNITS
    cut, flip, foreign, sound = dice.sample(sorted(files), UNITS)
    files[cut].write_bytes(truncated(files[cut].read_bytes(), dice))
    files[flip].write_bytes(flipped(files[flip].read_bytes(), dice))
    key, others = files[foreign].name.split("-")[0], files[sound].read_bytes()
    files[foreign].unlink()
    planted = files[foreign].with_name(store.file_name(key, others))
    planted.write_bytes(others)
    told = finish(project)
    assert f"{files[cut].name} does not match its checksum" in told
    assert f"{files[flip].name} does not match its checksum" in told
    assert f"{planted.name} is another unit's" in told
    assert measured(project) == Counter({cut: 2, flip: 2, foreign: 2, sound: 1})
    assert project.files() == undisturbed
    aside = {path.name for path in (project.folder / ".store" / "set-aside").iterdir()}
    assert aside == {files[cut].name, files[flip].name, planted.name}


@pytest.mark.parametrize("content", [b"no table", b""], ids=["text", "nothing"])
def test_what_is_no_table_is_set_aside_although_its_name_is_right(tmp_path: Path, content, caplog) -> None:
    key = "0123456789abcdef0123"
    path = tmp_path / store.file_name(key, content)
    path.write_bytes(content)
    assert store.find(tmp_path, key) is None
    assert (tmp_path / "set-aside" / path.name).exists() and "no table" in caplog.text


def test_a_folder_in_the_place_of_a_unit_is_set_aside(tmp_path: Path) -> None:
    key = "0123456789abcdef0123"
    (tmp_path / f"{key}-0000.parquet").mkdir()
    assert store.find(tmp_path, key) is None
    assert (tmp_path / "set-aside" / f"{key}-0000.parquet").is_dir()


# --- no room, no permission -------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A small file system of its own at a folder; what comes out mounts it again with other options."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    try:
        made = subprocess.run([*mount, options, "tmpfs", folder], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount` here")
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
    try:
        yield lambda other: subprocess.run(["mount", "-o", f"remount,{other}", folder], check=True)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def one_complaint(told: str) -> str:
    (line,) = (line for line in told.splitlines() if line.startswith("crosscheck: "))
    return line


@pytest.mark.parametrize(("folder", "room"), [(".store", "16k"), ("results", "40k")])
def test_a_full_disk_is_named_and_nothing_finished_is_lost(
    project: throwaway.Project, undisturbed: dict[str, bytes], folder: str, room: str
) -> None:
    with mounted(project.folder / folder, f"size={room}") as again:
        code, told = ended(started(project))
        assert code == 2 and "disk is full" in one_complaint(told) and folder in one_complaint(told)
        kept = set(files_of_units(project))
        again("size=10m")
        before = measured(project)
        finish(project)
        assert not kept & set(measured(project) - before)
        assert project.files() == undisturbed


def test_a_file_that_may_not_grow_is_named_and_the_next_run_goes_on(
    project: throwaway.Project, undisturbed: dict[str, bytes]
) -> None:
    """The same on any machine: the system refuses files beyond a size, as a quota would."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    code, told = ended(started(project, preexec=limit))
    assert code == 2 and ".parquet" in one_complaint(told) and "Cannot write" in one_complaint(told)
    finish(project)
    assert project.files() == undisturbed


@pytest.mark.parametrize("folder", ["results", ".store"])
def test_a_read_only_file_system_is_refused_before_anything_runs(
    project: throwaway.Project, undisturbed: dict[str, bytes], folder: str
) -> None:
    with mounted(project.folder / folder, "size=10m") as again:
        again("ro")
        code, told = ended(started(project))
        assert code == 2 and "read-only" in one_complaint(told) and folder in one_complaint(told)
        assert not measured(project)
        again("rw")
        finish(project)
        assert project.files() == undisturbed


# --- two at once ------------------------------------------------------------------------------------


def test_two_runs_on_one_store_measure_each_unit_once(
    project: throwaway.Project, undisturbed: dict[str, bytes]
) -> None:
    both = [started(project), started(project)]
    assert [ended(run)[0] for run in both] == [0, 0]
    assert set(measured(project).values()) == {1}
    assert project.files() == undisturbed and not leftovers(project)


def test_a_run_ends_well_although_the_one_beside_it_is_killed(
    project: throwaway.Project, undisturbed: dict[str, bytes]
) -> None:
    dying, living = started(project, STRIKE="group", STRIKE_AFTER=12), started(project)
    assert ended(dying)[0] == -signal.SIGKILL
    assert ended(living)[0] == 0
    finish(project)
    assert project.files() == undisturbed and not leftovers(project)


# --- a real study -----------------------------------------------------------------------------------


def test_a_real_study_that_is_killed_ends_with_the_same_numbers(tmp_path: Path) -> None:
    """With TensorFlow, at the smoke scale, struck after its first unit."""
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
    assert again.returncode == 0 and "[1/" not in told, told
    sound = run("sound")
    sound.communicate(timeout=300)
    assert sound.returncode == 0
    found = [outcome(tmp_path / name / "results" / "laplace_prior") for name in ("struck", "sound")]
    assert found[0] == found[1]


def outcome(folder: Path) -> dict[str, object]:
    """Every file of a study; of the provenance what does not tell of the run itself."""
    record = json.loads((folder / "verdict.json").read_text())
    for key in ("git", "seconds"):
        record["provenance"].pop(key)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "verdict.json"}
    return {**files, "verdict.json": record}
