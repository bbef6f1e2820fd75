"""The tests are put in order by the seconds of their groups; the garbage collector looks at little else."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest
from choose_longer import longer
from conftest import LONGER, recorded_group

COLLECTED = [object()]


@pytest.mark.parametrize(
    "name",
    [
        "test_a",
        "test_a[x]",
        "test_a[a/b::c]",
        "test_a[@DATA\\n0.5,1]",
        "test_a[one@two]",
        "test_a[a@b@c::d/e.f]",
    ],
)
def test_the_group_of_a_test_is_its_file_unless_xdist_names_another(name: str) -> None:
    assert recorded_group(f"tests/test_x.py::{name}") == "test_x"
    assert recorded_group(f"tests/test_x.py::{name}@test_x") == "test_x"
    assert recorded_group(f"tests/test_x.py::{name}@other") == "other"


def test_the_garbage_collector_passes_over_what_was_imported_and_over_nothing_else() -> None:
    of_the_test = [object()]
    seen = {id(tracked) for tracked in gc.get_objects()}
    assert gc.isenabled() and id(of_the_test) in seen and id(COLLECTED) not in seen


def test_dear_tests_are_left_to_the_long_run_where_others_reach_their_lines() -> None:
    seconds = {"cheap": 0.01, "in a process": 9, "one file": 2, "both files": 5, "again": 1, "alone": 7}
    reached = {"cheap": {(1, 1)}, "one file": {(1, 1), (1, 2)}, "both files": {(1, 2), (2, 1)}}
    reached |= {"again": {(1, 2)}, "alone": {(3, 1)}}
    assert longer(seconds, reached) == {"one file", "again"}
    assert longer(seconds, reached, times=2) == {"again"}


def test_every_test_that_is_left_to_the_long_run_exists() -> None:
    listed = {line.partition("[")[0] for line in LONGER.read_text(encoding="utf-8").splitlines()}
    for file, name in (line.split("::") for line in listed):
        text = (Path(__file__).parents[1] / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{file}::{name}: run choose_longer.py"
