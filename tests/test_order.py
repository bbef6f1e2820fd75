"""The tests are put in order by the seconds of their groups, whatever their parameters look like."""

from __future__ import annotations

import pytest
from conftest import recorded_group


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
