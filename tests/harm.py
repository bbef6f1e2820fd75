"""Harm to what a command reads: bytes that change, JSON of another shape; and how many examples are tried.

Deterministic; `CROSSCHECK_FUZZ` is how many examples each test tries (25; thousands find more).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import in_process
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("CROSSCHECK_FUZZ", "25"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # a failing example is shown as it was found
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@st.composite
def harmed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Cut, with bytes changed, or something else altogether."""
    kind = draw(st.sampled_from(("cut", "changed", "other")))
    if kind == "other":
        return draw(st.binary(max_size=200))
    at = draw(st.integers(0, len(content) - 1))
    return content[:at] if kind == "cut" else content[:at] + draw(st.binary(max_size=4)) + content[at + 1 :]


@st.composite
def harmed_json(draw: st.DrawFn, value: Any) -> Any:
    """The same with one item, however deep, replaced or left out."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 3)) == 0:
        return draw(values)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    copy = dict(value) if isinstance(value, dict) else list(value)
    if draw(st.integers(0, 5)) == 0:
        del copy[key]
    else:
        copy[key] = draw(harmed_json(value[key]))
    return copy


def told_in_a_line(ran: in_process.Ran, file: Path | str) -> bool:
    """It went well after all, or it was refused in one line that names the file."""
    return (ran.code == 0 and not ran.err) or (in_process.refused(ran) and str(file) in ran.err)


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
