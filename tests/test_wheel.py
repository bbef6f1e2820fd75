"""What `pip install` gives: package, studies, templates and reference verdicts, and no more."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from crosscheck.claims import register

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tree, unpacked as pip would, far from any checkout."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("suite", "studies", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        options = (
            {"symlinks": True, "ignore": shutil.ignore_patterns("*.egg-info")}
            if copy is shutil.copytree
            else {}
        )
        copy(ROOT / name, source / name, **options)
    for verdict in (ROOT / "results").glob("*/verdict.json"):
        place = source / "results" / verdict.parent.name
        place.mkdir(parents=True)
        shutil.copy(verdict, place)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        target,
        source,
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (wheel,) = target.glob("keras_crosscheck-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    wheel.unlink()
    return target


def run(installed: Path, folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_it_has_studies_templates_types_and_reference_verdicts_and_no_tests(installed: Path) -> None:
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert {f"crosscheck/studies/{name}.py" for name in register.NAMES} <= files
    assert {f"crosscheck/reference/{name}/verdict.json" for name in register.NAMES} <= files
    assert {"crosscheck/py.typed", "crosscheck/lazy.pyi", "crosscheck/report/templates/report.js"} <= files
    assert {name.split("/")[0].split("-")[0] for name in files} == {"crosscheck", "keras_crosscheck"}
    assert not [name for name in files if "/tests/" in name or "/defects/" in name or name.endswith(".png")]


def test_it_lists_and_shows_the_reference_verdicts_outside_any_checkout(
    installed: Path, tmp_path: Path
) -> None:
    listed = run(installed, tmp_path, "-m", "crosscheck", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    reference = ROOT / "results" / "saturation" / "verdict.json"
    known = json.loads(reference.read_text(encoding="utf-8"))["verdict"]
    studies = json.loads(listed.stdout)["studies"]
    assert known in next(str(study) for study in studies if study["study"] == "saturation")
    shown = run(installed, tmp_path, "-m", "crosscheck", "show", "saturation")
    assert shown.returncode == 0 and known in shown.stdout, shown.stderr
    assert str(installed) not in shown.stderr


def test_importing_it_costs_nothing(installed: Path, tmp_path: Path) -> None:
    script = "import sys; before = set(sys.modules); import crosscheck; print(*(set(sys.modules) - before))"
    ran = run(installed, tmp_path, "-c", script)
    assert set(ran.stdout.split()) == {"crosscheck"}, ran.stdout + ran.stderr


def test_a_users_own_type_checker_sees_its_types(installed: Path, tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text("from crosscheck.replicates import Replicates\nReplicates(1, seeds='a', mood='merry')\n")
    ran = run(installed, tmp_path, "-m", "mypy", "--ignore-missing-imports", "--no-incremental", code)
    assert 'Unexpected keyword argument "mood"' in ran.stdout, ran.stdout + ran.stderr


def test_the_version_is_told_once() -> None:
    import crosscheck

    assert crosscheck.__version__ == importlib.metadata.version("keras-crosscheck")
