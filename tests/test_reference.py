"""The reference is what git or the package holds, never what a run on this machine has just written."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import in_process
import pytest
import throwaway

from crosscheck.claims import register
from crosscheck.running import provenance, reference

STUDY = "saturation"
RESULTS = throwaway.ROOT / "results"
COMMITTED = (RESULTS / STUDY / "verdict.json").read_text()


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, check=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of the project, as far as its results go, in which a run has overwritten them."""
    folder = tmp_path / "checkout"
    file = folder / "results" / STUDY / "verdict.json"
    file.parent.mkdir(parents=True)
    file.write_text(COMMITTED)
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "results")
    record = json.loads(COMMITTED)
    record["checks"][0]["verdict"] = "invalid"
    file.write_text(json.dumps(record))
    monkeypatch.setattr(provenance, "ROOT", folder.resolve())
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package, outside any checkout, and an empty current folder."""
    package = tmp_path / "package" / "reference"
    for name in register.NAMES:
        (package / name).mkdir(parents=True)
        shutil.copy(RESULTS / name / "verdict.json", package / name)
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "package")
    monkeypatch.setattr(reference, "PACKAGED", package)
    monkeypatch.chdir(tmp_path / "work")
    return package


def test_in_a_checkout_the_reference_is_what_git_holds(checkout: Path) -> None:
    with reference.folder((STUDY, "surprise")) as folder:
        assert (folder / STUDY / "verdict.json").read_text().strip() == COMMITTED.strip()
        assert not (folder / "surprise").exists()
    assert not folder.exists() and "in git" in reference.description()


def test_verify_sees_what_moved_although_a_run_has_overwritten_the_results(checkout: Path) -> None:
    same = in_process.crosscheck("verify", STUDY, "--against", "results", "--reference", "results")
    assert same.code == 0
    ran = in_process.crosscheck("verify", STUDY, "--against", "results")
    assert ran.code == 1 and "invalid" in ran.out
    missing = in_process.crosscheck("verify", "surprise", "--against", "results")
    assert in_process.refused(missing) and "no verdict on surprise" in missing.err


def test_verify_on_a_cluster_computes_there_or_says_why_not(checkout: Path) -> None:
    ran = in_process.crosscheck("verify", STUDY, "--on", "nowhere")
    assert in_process.refused(ran) and ran.code == 2
    assert "needs Ray" in ran.err or "There is no cluster 'nowhere'" in ran.err
    ran = in_process.crosscheck("verify", STUDY, "--on", "auto", "--against", "results")
    assert in_process.refused(ran) and "--against runs nothing" in ran.err
    ran = in_process.crosscheck("verify", STUDY, "--on", "slurm://")
    assert in_process.refused(ran) and "name it by --scratch" in ran.err


def test_outside_a_checkout_the_reference_is_what_the_package_brings(installed: Path) -> None:
    listed = in_process.crosscheck("list", "--json")
    lines = json.loads(listed.out)["studies"]
    assert [line["study"] for line in lines] == list(register.NAMES)
    assert all(line["verdict_from"] == "reference" and line["verdict"] != "—" for line in lines)
    assert listed.err.startswith("Not run here: all verdicts are those of the reference")
    shown = in_process.crosscheck("show", STUDY)
    assert shown.code == 0 and json.loads(COMMITTED)["verdict"] in shown.out and "not run here" in shown.out


def test_what_was_run_on_this_machine_comes_before_the_reference(installed: Path) -> None:
    shutil.copytree(installed / STUDY, Path("results") / STUDY)
    listed = in_process.crosscheck("list", "--json")
    sources = {line["study"]: line["verdict_from"] for line in json.loads(listed.out)["studies"]}
    assert sources == {name: "results" if name == STUDY else "reference" for name in register.NAMES}
    assert listed.err.startswith("Not run here: surprise") and STUDY not in listed.err
    assert "not run here" not in in_process.crosscheck("show", STUDY).out


def test_a_folder_asked_for_by_name_is_not_mixed_with_the_reference(installed: Path) -> None:
    lines = json.loads(in_process.crosscheck("list", "--json", "--results", "nowhere").out)["studies"]
    assert {line["verdict"] for line in lines} == {"—"}
