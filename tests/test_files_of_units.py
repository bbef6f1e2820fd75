"""Files of one's own: a unit names them, and they are part of its key; one that it does not name fails it."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

import pytest
import throwaway

import crosscheck
from crosscheck import data
from crosscheck.claims import Unit, unit
from crosscheck.errors import UsageError
from crosscheck.running import fingerprint, reads

STUDY = "surprise"


def lay_out(folder: Path, files: str = "") -> throwaway.Project:
    """A project whose study reads a table of its own."""
    project = throwaway.lay_out(folder)
    study = project.folder / "studies" / "steady.py"
    text = study.read_text().replace("time.sleep(0.1)", '(HERE / "studies" / "my.csv").read_text()')
    study.write_text(text.replace('"measure", {}, seeds)', f'"measure", {{}}, seeds{files})'))
    (project.folder / "studies" / "my.csv").write_text("1")
    return project


def test_a_changed_file_is_measured_anew_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    project = lay_out(tmp_path, ', files=("my.csv",)')
    project.crosscheck("run", "steady")
    assert "Nothing to do" in project.crosscheck("run", "steady").stdout
    (project.folder / "studies" / "my.csv").write_text("2")
    assert "1 unit run, 0 reused" in project.crosscheck("run", "steady").stdout
    (project.folder / "studies" / "my.csv").unlink()
    missing = project.crosscheck("run", "steady", code=2).stderr
    assert "'my.csv'" in missing and str(project.folder / "studies") in missing


def test_a_file_that_is_read_and_not_named_fails_the_unit(tmp_path: Path) -> None:
    project = lay_out(tmp_path)
    (line,) = project.crosscheck("run", "steady", "--quiet", code=1).stderr.splitlines()
    assert f"it reads {project.folder / 'studies' / 'my.csv'}" in line and "files=[" in line


def test_a_unit_without_files_keeps_its_key_and_one_with_files_has_that_of_their_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.csv").write_text("1")
    bare = Unit(STUDY, "measure")
    named = dataclasses.replace(bare, files=("my.csv",))
    assert fingerprint.content_of_files(bare) == {}
    before = fingerprint.unit_key(named), fingerprint.training_key(named)
    assert before[0] != fingerprint.unit_key(bare)
    (tmp_path / "my.csv").write_text("2")
    after = fingerprint.unit_key(named), fingerprint.training_key(named)
    assert before[0] != after[0] and before[1] != after[1]


def test_a_file_is_looked_for_beside_the_study_in_the_project_and_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").touch()
    names = (f"{STUDY}.py", "pyproject.toml", "mine.csv")
    paths = fingerprint.named_files(Unit(STUDY, "measure", files=names))
    assert [path.resolve() for path in paths.values()] == [
        throwaway.ROOT / "studies" / f"{STUDY}.py",
        throwaway.ROOT / "pyproject.toml",
        tmp_path / "mine.csv",
    ]
    with pytest.raises(UsageError, match=r"'no\.csv', which is not in"):
        fingerprint.named_files(Unit(STUDY, "measure", files=("no.csv",)))


def measure(seeds: tuple[int, ...]) -> None:
    """A function that a unit may be made of."""


def test_unit_takes_one_file_or_several() -> None:
    assert unit(measure, files="a.csv").files == ("a.csv",)
    assert unit(measure, files=["a.csv", "b.csv"]).files == ("a.csv", "b.csv")
    assert unit(measure).files == ()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path.parent))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    return tmp_path


def opened(home: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with reads.only_named(Unit(STUDY, "measure"), home / "store"):
        path.read_bytes()


@pytest.mark.parametrize("name", ["my.csv", "work/my.csv", "work/.hidden/my.csv"])
def test_a_file_below_the_home_folder_is_ones_own(home: Path, name: str) -> None:
    with pytest.raises(reads.UnnamedFileError, match=name):
        opened(home, home / name)


@pytest.mark.parametrize("name", ["store/a", ".cache/a", ".keras/a", "sets/mnist/a", "work/module.py"])
def test_what_programs_keep_for_themselves_is_not(home: Path, name: str) -> None:
    opened(home, home / name)


def test_neither_is_the_package_nor_what_is_installed_nor_what_the_machine_has(home: Path) -> None:
    package = Path(crosscheck.__file__).parent
    for path in (package / "lazy.pyi", Path(pytest.__file__), Path("/etc/hostname"), Path(os.devnull)):
        if path.exists():
            with reads.only_named(Unit(STUDY, "measure"), home / "store"):
                path.read_bytes()
    with reads.only_named(Unit(STUDY, "measure"), home / "store"):
        data.identity("digits")
    with tempfile.NamedTemporaryFile("w") as file, reads.only_named(Unit(STUDY, "measure"), home / "store"):
        Path(file.name).read_bytes()


def test_a_file_in_the_project_is_ones_own_and_one_that_was_written_there_is_not(home: Path) -> None:
    with (
        pytest.raises(reads.UnnamedFileError, match=r"README\.md"),
        reads.only_named(Unit(STUDY, "measure"), home / "store"),
    ):
        (throwaway.ROOT / "README.md").read_bytes()
    with reads.only_named(Unit(STUDY, "measure"), home / "store"):
        (home / "made.csv").write_text("")
        (home / "made.csv").read_text()


def test_a_named_file_may_be_read(home: Path) -> None:
    with reads.only_named(Unit(STUDY, "measure", files=("README.md",)), home / "store"):
        (throwaway.ROOT / "README.md").read_bytes()
