"""The tests are put in order by the seconds of their groups; the garbage collector looks at little else."""

from __future__ import annotations

import gc

import pytest
from conftest import recorded_group

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
