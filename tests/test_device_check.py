"""The device check: what a section says is kept however it ends, and every line runs at a tiny size."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import crosscheck
from benchmarks.device_check import __main__ as device_check
from benchmarks.device_check import machine, report
from benchmarks.device_check.sizes import BUDGET, EXTRA, SHARES

ROOT = Path(__file__).parents[1]


def test_a_backend_s_sections_share_its_time_and_all_stay_under_eight_minutes() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert BUDGET < 8 * 60 and set(EXTRA) <= set(SHARES)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch):
    """Lets a section be a program of one's own."""
    popen = subprocess.Popen

    def replace(program: str) -> None:
        monkeypatch.setattr(
            device_check.subprocess,
            "Popen",
            lambda command, **options: popen([sys.executable, "-c", program], **options),
        )

    return replace


def test_rows_are_kept_of_a_section_that_dies_or_takes_too_long(says, monkeypatch) -> None:
    row = "print('{\"row\": {\"R\": 1}}', flush=True); print('a library talks');"
    says(f"{row} raise MemoryError('full')")
    found = device_check.run_section("jax", "memory", 1, tiny=True)
    assert found["rows"] == [{"R": 1}] and found["end"].endswith("MemoryError: full")
    monkeypatch.setattr(device_check, "START", 1.0)
    says(f"{row} import time; time.sleep(600)")
    found = device_check.run_section("jax", "memory", 0.1, tiny=True)
    assert found["rows"] == [{"R": 1}] and found["end"] == "Stopped: its time was up."


def test_a_section_s_switches_are_set_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--mine")
    switched = device_check.environment("jax", "deterministic")
    assert switched["XLA_FLAGS"] == "--mine --xla_gpu_deterministic_ops=true"
    assert device_check.environment("jax", "paths")["JAX_ENABLE_X64"] == "1"
    assert device_check.environment("jax", "memory")["XLA_FLAGS"] == "--mine"


def test_the_page_says_device_versions_and_how_a_section_ended(says, tmp_path, monkeypatch) -> None:
    about = {"device": "GPU X", "driver": "580", "versions": {"jax": "1.2"}, "settings": {}}
    told = [json.dumps({"provenance": about}), json.dumps({"row": {"a": 0.5}})]
    says(f"print(*{told}, sep='\\n')")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert device_check.main(["--tiny", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "device-jax.json").read_text())
    assert set(record["sections"]) == set(SHARES) and record["provenance"] == about
    page = (tmp_path / "table.md").read_text()
    assert "- GPU X" in page and "- jax 1.2" in page and "no number here says anything of speed" in page
    assert page.count("| 0.5 |") == len(SHARES)
    says("raise SystemExit('no device')")
    assert device_check.main(["--tiny", "--out", str(tmp_path)]) == 1


def test_provenance_names_this_package_and_the_backend() -> None:
    about = machine.provenance()
    assert about["versions"]["crosscheck"] == crosscheck.__version__
    assert about["backend"] == keras.backend.backend() and about["backend"] in about["versions"]


def test_rows_with_other_columns_are_tables_of_their_own() -> None:
    assert report.alike([{"a": 1}, {"b": None}, {"a": 2}]) == [[{"a": 1}, {"a": 2}], [{"b": None}]]
    assert report.table([{"a": True, "b": None, "c": 0.123456}]).splitlines()[-1] == "| yes | – | 0.1235 |"


@pytest.mark.long
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_section_runs_at_a_tiny_size(backend, tmp_path, monkeypatch) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    assert device_check.main(["--tiny", "--out", str(tmp_path)]) == 0
    sections = json.loads((tmp_path / f"device-{backend}.json").read_text())["sections"]
    assert set(sections) == set(SHARES)
    for found in sections.values():
        assert found["rows"] and not [row for row in found["rows"] if "left out" in row]
    (resumed, _) = sections["wide network"]["rows"]
    assert resumed["bit for bit"] and resumed["finite"]
    assert all(row["bit for bit"] for row in sections["deterministic"]["rows"])
    exact = [row for row in sections["paths"]["rows"] if row["implementation"] == "ours"]
    assert len(exact) == 8 and all(row["lost from"] is None for row in exact)
