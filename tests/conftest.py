"""How the tests are shared between workers, and which of them are left to the long run.

A file at a time, the longest first: xdist's own order goes by how many tests a file has, so that long files
of few tests come last and run alone. `pytest --record-seconds` writes down what a file takes.
Tests that are dear and reach nothing that others do not are `long` (`longer.txt`, by `choose_longer.py`),
unless the command line names a test.
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
LONGER = Path(__file__).with_name("longer.txt")
SECONDS_OF_TESTS = Path(__file__).parents[1] / "build" / "seconds-of-tests.json"
UNKNOWN = 60.0  # a file without a record goes early rather than last


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-seconds", action="store_true", help="write seconds.json, of files and of tests"
    )


def group_of(item: pytest.Item) -> str:
    """The tests that one worker runs together: those of a file, or of a mark `xdist_group` within it."""
    marker = item.get_closest_marker("xdist_group")
    return marker.args[0] if marker else item.path.stem


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what `-m` does not name
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seconds = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    is_named = any("::" in argument for argument in config.args)
    longer = set() if is_named else set(LONGER.read_text(encoding="utf-8").splitlines())
    for item in items:
        if item.nodeid in longer:
            item.add_marker(pytest.mark.long)
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


def without_group(nodeid: str) -> str:
    """The name of a test that has run without the group that xdist puts behind it."""
    name, at, group = nodeid.rpartition("@")
    return name if at and group.isidentifier() else nodeid


def recorded_group(nodeid: str) -> str:
    """The group of a test that has run: xdist puts it behind the name, whose parameter may hold an @."""
    grouped = nodeid.removeprefix(without_group(nodeid))
    return grouped.removeprefix("@") or Path(nodeid.partition("::")[0]).stem


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--record-seconds"):
        groups: dict[str, float] = defaultdict(float)
        tests: dict[str, float] = defaultdict(float)
        for reports in terminalreporter.stats.values():
            for report in reports:
                if isinstance(report, pytest.TestReport):
                    groups[recorded_group(report.nodeid)] += report.duration
                    tests[without_group(report.nodeid)] += report.duration
        ordered = sorted(groups.items(), key=lambda pair: -pair[1])
        RECORD.write_text(json.dumps({name: round(total, 1) for name, total in ordered}, indent=1) + "\n")
        SECONDS_OF_TESTS.parent.mkdir(exist_ok=True)
        SECONDS_OF_TESTS.write_text(json.dumps(tests, indent=1) + "\n")


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
