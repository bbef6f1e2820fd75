"""Broken verdicts, audits, benches and stamps: one line that names the file, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import in_process
import pytest
import throwaway
from harm import content_of, fuzzed, harmed_bytes, harmed_json, told_in_a_line
from hypothesis import given
from hypothesis import strategies as st

from crosscheck.errors import UsageError
from crosscheck.running import stamp

RECORD = json.loads((throwaway.ROOT / "results" / "saturation" / "verdict.json").read_text())


# --- verdicts ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder that `verify` can compare with."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "saturation").mkdir()
    (folder / "saturation" / "verdict.json").write_text(json.dumps(RECORD))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "saturation").mkdir()
    return tmp_path


def look(folder: Path, sound: Path) -> Iterator[in_process.Ran]:
    """Every command that reads verdicts."""
    yield in_process.crosscheck("list", "--results", folder)
    yield in_process.crosscheck("show", "saturation", "--results", folder)
    yield in_process.crosscheck("show", "saturation", "--results", folder, "--json")
    yield in_process.crosscheck("report", "--results", folder)
    for one, other in ((folder, sound), (sound, folder)):
        ran = in_process.crosscheck("verify", "--reference", one, "--against", other)
        yield in_process.Ran(0, ran.out, ran.err) if ran.code == 1 and ran.out else ran  # it found drift


@fuzzed
@given(content=harmed_bytes(json.dumps(RECORD).encode()))
def test_a_verdict_of_broken_bytes(folder: Path, sound: Path, content: bytes) -> None:
    file = folder / "saturation" / "verdict.json"
    file.write_bytes(content)
    for ran in look(folder, sound):
        assert told_in_a_line(ran, file), ran


@fuzzed
@given(record=harmed_json(RECORD))
def test_a_verdict_of_another_shape(folder: Path, sound: Path, record: Any) -> None:
    file = folder / "saturation" / "verdict.json"
    file.write_text(json.dumps(record))
    for ran in look(folder, sound):
        assert told_in_a_line(ran, file), ran


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"checks":' * 100_000])
def test_a_verdict_too_deep_to_read(folder: Path, sound: Path, deep: str) -> None:
    file = folder / "saturation" / "verdict.json"
    file.write_text(deep)
    for ran in look(folder, sound):
        assert told_in_a_line(ran, file), ran


@fuzzed
@given(record=harmed_json(RECORD))
def test_a_report_that_cannot_be_written_leaves_the_old_one(folder: Path, record: Any) -> None:
    file = folder / "saturation" / "verdict.json"
    file.write_text(json.dumps(RECORD))
    in_process.crosscheck("report", "--results", folder)
    file.write_text(json.dumps(record))
    before = content_of(folder)
    ran = in_process.crosscheck("report", "--results", folder)
    assert ran.code == 0 or content_of(folder) == before


# --- the chapter ------------------------------------------------------------------------------------

SENTENCES = json.loads((throwaway.ROOT / "results" / "chapter.json").read_text())
CHAPTER = {**SENTENCES, "sentences": SENTENCES["sentences"][16:18]}  # small, so that harm hits all of it


@fuzzed
@given(data=st.data())
def test_a_broken_chapter(folder: Path, sound: Path, data: st.DataObject) -> None:
    (folder / "saturation" / "verdict.json").write_text(json.dumps(RECORD))
    file = folder / "chapter.json"
    if data.draw(st.booleans()):
        file.write_bytes(data.draw(harmed_bytes(json.dumps(CHAPTER).encode())))
    else:
        file.write_text(json.dumps(data.draw(harmed_json(CHAPTER))))
    for command in (("list",), ("list", "--json"), ("show", "S17"), ("show", "S17", "--json")):
        ran = in_process.crosscheck(*command, "--results", folder)
        assert told_in_a_line(ran, file), ran
    ran = in_process.crosscheck("verify", "--reference", sound, "--against", folder)
    assert told_in_a_line(in_process.Ran(0, ran.out, ran.err) if ran.code == 1 and ran.out else ran, file)
    assert in_process.crosscheck("report", "--results", folder).code == 0  # it is written afresh


# --- the audit --------------------------------------------------------------------------------------

CARD = json.loads((throwaway.ROOT / "results" / "audit" / "audit.json").read_text())[0]
CARDS = [{**CARD, "checks": CARD["checks"][:2]}]  # small, so that harm hits all of it


@fuzzed
@given(data=st.data())
def test_a_broken_audit_in_the_report(folder: Path, data: st.DataObject) -> None:
    (folder / "saturation" / "verdict.json").write_text(json.dumps(RECORD))
    (folder / "audit").mkdir(exist_ok=True)
    file = folder / "audit" / "audit.json"
    if data.draw(st.booleans()):
        file.write_bytes(data.draw(harmed_bytes(json.dumps(CARDS).encode())))
    else:
        file.write_text(json.dumps(data.draw(harmed_json(CARDS))))
    ran = in_process.crosscheck("report", "--results", folder)
    assert told_in_a_line(ran, file), ran


# --- stamps -----------------------------------------------------------------------------------------


@fuzzed
@given(data=st.data())
def test_a_broken_stamp_is_no_stamp(tmp_path: Path, data: st.DataObject) -> None:
    from crosscheck.running.plan import Request

    request = Request(("saturation",), tmp_path / "results", tmp_path / "store")
    (tmp_path / "results").mkdir(exist_ok=True)
    output = tmp_path / "results" / "README.md"
    output.write_text("")
    stamp.write(request, ("digits",), [output])
    assert stamp.matches(request)
    file = stamp.path_of(request)
    good = file.read_bytes()
    if data.draw(st.booleans()):
        file.write_bytes(data.draw(harmed_bytes(good)))
    else:
        file.write_text(json.dumps(data.draw(harmed_json(json.loads(good)))))
    assert stamp.matches(request) in (True, False)
    file.write_text("[" * 100_000)
    assert not stamp.matches(request)


# --- benches ----------------------------------------------------------------------------------------

BENCH = json.loads((throwaway.ROOT / "results" / "bench" / "bench.json").read_text())


@fuzzed
@given(data=st.data())
def test_broken_benches(tmp_path: Path, data: st.DataObject) -> None:
    from benchmarks.__main__ import read_entries

    file = tmp_path / "bench.json"
    if data.draw(st.booleans()):
        file.write_bytes(data.draw(harmed_bytes(json.dumps(BENCH[:2]).encode())))
    else:
        file.write_text(json.dumps(data.draw(harmed_json(BENCH[:2]))))
    try:
        entries = read_entries(file)
    except UsageError as error:
        assert str(file) in str(error)
    else:
        assert all({"bench", "subject", "against", "ratio", "setting"} <= set(entry) for entry in entries)
