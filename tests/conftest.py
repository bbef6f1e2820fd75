"""How the tests are shared between workers: a file at a time, the longest first.

xdist's own order goes by how many tests a file has, so that long files of few tests come last and run alone.
`pytest --record-seconds` writes down what each file takes (`seconds.json`); the order goes by that.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["data_folders"]
RECORD = Path(__file__).with_name("seconds.json")
UNKNOWN = 60.0  # a file without a record goes early rather than last


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-seconds", action="store_true", help="write tests/seconds.json")


def group_of(item: pytest.Item) -> str:
    """The tests that one worker runs together: those of a file, or of a mark `xdist_group` within it."""
    marker = item.get_closest_marker("xdist_group")
    return marker.args[0] if marker else item.path.stem


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seconds = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items.sort(key=lambda item: -seconds.get(group_of(item), UNKNOWN))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Has the garbage collector pass over what is imported and collected here, then and later.

    Those half a million objects live to the end. Keras' `clear_session` alone goes through all of them each
    time, for a quarter of a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def recorded_group(nodeid: str) -> str:
    """The group of a test that has run: xdist puts it behind the name, whose parameter may hold an @."""
    file, _, name = nodeid.partition("::")
    _, at, group = name.rpartition("@")
    return group if at and group.isidentifier() else Path(file).stem


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--record-seconds"):
        groups: dict[str, float] = defaultdict(float)
        for reports in terminalreporter.stats.values():
            for report in reports:
                if isinstance(report, pytest.TestReport):
                    groups[recorded_group(report.nodeid)] += report.duration
        ordered = sorted(groups.items(), key=lambda pair: -pair[1])
        RECORD.write_text(json.dumps({name: round(total, 1) for name, total in ordered}, indent=1) + "\n")


@pytest.fixture(autouse=True)
def float_types_are_left_as_they_were():
    """A test that leaves Keras in half precision makes another one fail, far away and now and then."""
    yield
    keras = sys.modules.get("keras")
    if keras is not None:
        left = keras.config.floatx(), keras.config.dtype_policy().name
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        assert left == ("float32", "float32"), left
