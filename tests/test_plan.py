"""What a request comes to: shared units counted once, missing backends left out and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosscheck.claims import Unit
from crosscheck.running import plan

PATHS = "execution_paths"


def request_for(*names: str, **more) -> plan.Request:
    return plan.Request(names, Path("results"), Path("store"), "smoke", **more)


@pytest.fixture
def only_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "is_installed", lambda backend: backend == "tensorflow")


def test_what_two_studies_show_is_measured_once(only_tensorflow: None) -> None:
    both = plan.make(request_for(PATHS, "saturation"))
    shared = [unit for unit in both.units["saturation"] if unit.study == PATHS]
    assert shared and all(unit in both.units[PATHS] for unit in shared)
    assert len(both.all_units) == len(both.units[PATHS]) + len(both.units["saturation"]) - len(shared)


def test_a_missing_backend_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, only_tensorflow: None
) -> None:
    made = plan.make(request_for(PATHS))
    assert {unit.backend for unit in made.all_units} == {"tensorflow"}
    assert made.uninstalled == {"jax", "torch"} <= made.absent and not made.unprepared & {"jax", "torch"}
    monkeypatch.setattr(plan, "is_installed", lambda backend: True)
    everywhere = plan.make(request_for(PATHS))
    assert {unit.backend for unit in everywhere.all_units} == {"tensorflow", "jax", "torch"}
    assert not everywhere.uninstalled


def test_a_unit_that_belongs_to_a_backend_stays_there() -> None:
    free, pinned = Unit("a", "measure"), Unit("a", "measure", backend="torch", pinned=True)
    assert [unit.backend for unit in plan.with_backend([free, pinned], "jax")] == ["jax", "torch"]
