"""Damaged files, full and read-only disks: named, set aside, and made good by the next run."""

from __future__ import annotations

import contextlib
import random
import resource
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import throwaway
from faults import ended, files_of_units, finish, lay_out, measured, started, undisturbed_files

from crosscheck.claims.rows import tidy
from crosscheck.running import store

UNITS = 4


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return undisturbed_files(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def project(tmp_path: Path) -> throwaway.Project:
    return lay_out(tmp_path)


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
    for harm in (truncated, flipped) * 50:
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
