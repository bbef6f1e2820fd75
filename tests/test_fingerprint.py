"""A unit's key changes with whatever determines its rows, and with nothing else."""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import crosscheck
from crosscheck import _child
from crosscheck.claims import Unit
from crosscheck.running import fingerprint, provenance, stamp
from crosscheck.running.plan import Request

SOURCE = '''
"""A study."""
from crosscheck.lazy import losses, rows
COUNT = 3
SHOWN = 4
def helper():
    """Help."""
    return COUNT
def measure(seeds):
    return losses.brier(helper(), 0)
def figure(rows):
    return SHOWN
'''


@pytest.fixture
def code(monkeypatch):
    """The hash of `measure` in a study with this source."""
    original = fingerprint.parse

    def of(source: str) -> str:
        for cached in (fingerprint.names_of, fingerprint.code_hash):
            cached.cache_clear()
        made_up = ast.parse(source)
        monkeypatch.setattr(
            fingerprint, "parse", lambda m: made_up if m == "crosscheck.studies.it" else original(m)
        )
        return fingerprint.code_hash("it", "measure")

    yield of
    for cached in (fingerprint.names_of, fingerprint.code_hash):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("old", "new"),
    [("COUNT = 3", "COUNT = 5"), ("return COUNT", "return COUNT + 1"), ("losses.brier", "rows.tidy")],
)
def test_what_measuring_reaches_counts(code, old: str, new: str) -> None:
    assert code(SOURCE) != code(SOURCE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SHOWN = 4", "SHOWN = 5"),
        ("return SHOWN", "return None"),
        ("Help.", "Assist."),
        ("COUNT = 3", "COUNT = 3  #"),
    ],
)
def test_figures_docstrings_and_comments_do_not(code, old: str, new: str) -> None:
    assert code(SOURCE) == code(SOURCE.replace(old, new))


JUDGED = """
from crosscheck.claims import Check, Equal
MARGIN = 0.1
SETTINGS = ("a", "b")
MEAN = Check("mean", "It is zero.", Equal(MARGIN), "0", control="one is added", settings=SETTINGS)
def measure(seeds):
    return MEAN.rows([0.0], seed=seeds, setting="a")
"""


@pytest.mark.parametrize("old", ["MARGIN = 0.1", "It is zero", "Equal(", "one is added"])
def test_of_a_check_that_makes_its_rows_statement_criterion_and_control_do_not_count(code, old: str) -> None:
    new = {"Equal(": "Exceeds("}.get(old, old + "5")
    assert code(JUDGED) == code(JUDGED.replace(old, new))


@pytest.mark.parametrize("old", ['"mean"', '"b"', "[0.0]"])
def test_of_a_check_that_makes_its_rows_id_and_settings_count(code, old: str) -> None:
    assert code(JUDGED) != code(JUDGED.replace(old, {"[0.0]": "[1.0]"}.get(old, '"other"')))


def test_the_code_that_makes_a_checks_rows_counts(code, monkeypatch) -> None:
    before, dumped = code(JUDGED), fingerprint.module_dump
    changed = lambda module: dumped(module) + "!" * (module == "crosscheck.claims.rows")
    monkeypatch.setattr(fingerprint, "module_dump", changed)
    assert code(JUDGED) != before


def test_modules_of_ours_are_followed_through_lazy_and_further() -> None:
    modules = fingerprint.everything_imported({"crosscheck.paths.probing"})
    assert {
        "crosscheck.paths.probing",
        "crosscheck.paths.heads",
        "crosscheck.losses",
        "crosscheck.autodiff",
    } <= modules
    assert "crosscheck.replicates.backends.tensorflow" in fingerprint.everything_imported(
        {"crosscheck.replicates"}
    )


def test_settings_seeds_and_backend_count() -> None:
    unit = Unit("mutual_information", "train_strengths", {"a": 1}, (0, 1))
    changes = [{"setting": {"a": 2}}, {"seeds": (0, 2)}, {"backend": "jax"}, {"measure": "train_many"}]
    keys = {fingerprint.unit_key(dataclasses.replace(unit, **change)) for change in [{}, *changes]}
    assert len(keys) == len(changes) + 1


PACKAGE = Path(crosscheck.__file__).parent


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is no Python in the package, a reference among it, and the studies behind a link."""
    copy = tmp_path / "crosscheck"
    shutil.copytree(PACKAGE / "report" / "templates", copy / "report" / "templates")
    shutil.copy(PACKAGE / "lazy.pyi", copy)
    (tmp_path / "results" / "saturation").mkdir(parents=True)
    (tmp_path / "results" / "saturation" / "verdict.json").touch()
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "saturation.py").touch()
    (copy / "fonts").mkdir()
    (copy / "fonts" / "serif.woff2").write_bytes(b"0")
    for name, target in (("reference", "results"), ("studies", "studies")):
        (copy / name).symlink_to(tmp_path / target)
    monkeypatch.setattr(_child, "PACKAGE", copy)
    return copy


@pytest.mark.parametrize(
    "file",
    [
        "report/templates/report.js",
        "report/templates/report.css",
        "report/templates/report.html.j2",
        "lazy.pyi",
        "fonts/serif.woff2",
        "studies/saturation.py",
    ],
)
def test_a_stamp_knows_every_file_of_the_package(package: Path, file: str) -> None:
    request = Request(("saturation",), Path("results"), Path("store"))
    before = stamp.inputs(request)
    (package / file).write_bytes((package / file).read_bytes() + b" ")
    assert stamp.inputs(request) != before


@pytest.mark.parametrize("file", ["reference/saturation/verdict.json", "report/__pycache__/a.pyc"])
def test_a_stamp_does_not_know_what_runs_write_nor_what_python_compiles(package: Path, file: str) -> None:
    request = Request(("saturation",), Path("results"), Path("store"))
    before = stamp.inputs(request)
    (package / file).parent.mkdir(exist_ok=True)
    (package / file).write_bytes(b"changed")
    assert stamp.inputs(request) == before


def test_keys_are_found_without_importing_anything_heavy() -> None:
    script = """
import sys
from crosscheck.claims import register as studies
from crosscheck.running import fingerprint, runner, store
for name in studies.NAMES:
    for unit in studies.load(name).units("standard"):
        if set(unit.data) <= {"digits"}:
            fingerprint.unit_key(unit)
heavy = {"tensorflow", "keras", "pandas", "matplotlib", "scipy.stats"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_new_release_number_computes_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = Unit("surprise", "measure_surprise")
    asked = Request((), Path("results"), Path("store"))
    before = fingerprint.versions_behind(unit), stamp.inputs(asked)
    monkeypatch.setattr(crosscheck, "__version__", "9.9.9")
    assert fingerprint.versions_behind(unit) == before[0]
    assert stamp.inputs(asked) != before[1], "results tell the version, and are written anew"


def test_the_file_with_the_version_shapes_no_rows() -> None:
    reached = fingerprint.everything_imported(["crosscheck.replicates"])
    assert "crosscheck._nodes" in reached, "which imports it"
    assert "crosscheck" not in reached
    (docstring, version) = fingerprint.parse("crosscheck").body
    assert isinstance(docstring, ast.Expr) and ast.unparse(version).startswith("__version__ = ")


def test_a_nightly_build_counts_by_its_own_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is distributed under another name, and rows of one build are not those of the next."""
    there = {"keras-nightly": "3.16.0.dev1", "tensorflow-cpu": "2.21.0"}

    def version(name: str) -> str:
        if name in there:
            return there[name]
        raise importlib.metadata.PackageNotFoundError(name)

    provenance.installed.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(importlib.metadata, "version", version)
        told = provenance.versions("tensorflow")
    provenance.installed.cache_clear()
    assert (told["keras"], told["tensorflow"], told["scipy"]) == ("3.16.0.dev1", "2.21.0", "not installed")
