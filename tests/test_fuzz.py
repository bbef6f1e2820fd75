"""Broken files and senseless command lines: one line that names the file or the word, never a traceback.

Deterministic; `CROSSCHECK_FUZZ` is how many examples each test tries (25; thousands find more).
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import random
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import in_process
import pytest
import throwaway
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crosscheck.claims import BACKENDS, SCALES, register
from crosscheck.claims.rows import tidy
from crosscheck.cli import run, show
from crosscheck.errors import UsageError
from crosscheck.running import stamp, store

EXAMPLES = int(os.environ.get("CROSSCHECK_FUZZ", "25"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # a failing example is shown as it was found
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
RECORD = json.loads((throwaway.ROOT / "results" / "saturation" / "verdict.json").read_text())
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


# --- harm -------------------------------------------------------------------------------------------


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


# --- the store, stamps, data, checkpoints, models ---------------------------------------------------

KEY = "0123456789abcdef0123"


@fuzzed
@given(data=st.data())
def test_a_unit_of_broken_bytes_under_any_name(tmp_path: Path, data: st.DataObject) -> None:
    """Also where whoever broke it named it by its new checksum."""
    path = store.write(tmp_path, KEY, tidy(value=[1.0]), {"seconds": 0.0, "nan": []})
    content = data.draw(harmed_bytes(path.read_bytes()))
    unharmed = content == path.read_bytes()
    path.unlink()
    named = data.draw(st.booleans())
    planted = tmp_path / (store.file_name(KEY, content) if named else path.name)
    planted.write_bytes(content)
    found = store.find(tmp_path, KEY)
    if found and not unharmed:  # a name that is right, and a change that Parquet does not mind
        assert named
        assert store.about(found).keys() >= store.REQUIRED
    assert bool(found) == planted.exists()
    if found:
        try:
            store.sound(found, KEY)
        except UsageError as error:
            assert str(found) in str(error)
    for left in tmp_path.glob("*.parquet"):
        left.unlink()


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


MANIFEST = {
    "checksum": "0" * 64,
    "files": dict.fromkeys(("x_train", "y_train", "x_test", "y_test"), "0" * 64),
}


@pytest.mark.filterwarnings("ignore:.*packed anew:RuntimeWarning")
@fuzzed
@given(data=st.data())
def test_a_broken_manifest_of_a_data_set(tmp_path: Path, data: st.DataObject) -> None:
    from crosscheck import data as sets
    from crosscheck.data.preparing import packed

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TFDS_DATA_DIR", str(tmp_path))
        place = tmp_path / "crosscheck" / "mnist" / sets.CATALOGUE["mnist"].version
        place.mkdir(parents=True, exist_ok=True)
        file = place / packed.MANIFEST
        if data.draw(st.booleans()):
            file.write_bytes(data.draw(harmed_bytes(json.dumps(MANIFEST).encode())))
        else:
            file.write_text(json.dumps(data.draw(harmed_json(MANIFEST))))
        for read in (sets.identity, sets.load):
            try:
                read("mnist")
            except UsageError as error:
                assert "'mnist' is not prepared" in str(error) and "crosscheck data mnist" in str(error)


@pytest.fixture(scope="module")
def made_by_tfds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits as TFDS prepares them."""
    from crosscheck import data as sets
    from crosscheck.data.preparing import sources

    folder = tmp_path_factory.mktemp("tfds")
    sources.prepare("digits", sets.CATALOGUE["digits"], folder)
    return folder / "digits"


@settings(fuzzed, max_examples=max(1, EXAMPLES // 3))
@given(data=st.data())
def test_broken_files_of_tfds(tmp_path: Path, made_by_tfds: Path, data: st.DataObject) -> None:
    """As if the digits were a set like any other."""
    from crosscheck import data as sets

    place = tmp_path / "digits" / "1.0.0"
    shutil.rmtree(tmp_path / "digits", ignore_errors=True)
    shutil.rmtree(tmp_path / "crosscheck", ignore_errors=True)
    shutil.copytree(made_by_tfds, tmp_path / "digits")
    file = data.draw(st.sampled_from(sorted(path for path in place.iterdir() if path.name != "LICENSE")))
    content = file.read_bytes()
    if file.suffix == ".json" and data.draw(st.booleans()):
        file.write_text(json.dumps(data.draw(harmed_json(json.loads(content)))))
    else:
        file.write_bytes(data.draw(harmed_bytes(content)))
    ordinary = dataclasses.replace(sets.CATALOGUE["digits"], origin=None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TFDS_DATA_DIR", str(tmp_path))
        patched.setitem(sets.CATALOGUE, "digits", ordinary)
        try:
            sets.load("digits")
        except UsageError as error:
            assert str(place) in str(error) and "crosscheck data digits" in str(error)


@fuzzed
@given(data=st.data())
def test_broken_checkpoints_are_set_aside(tmp_path: Path, data: st.DataObject) -> None:
    import keras

    from crosscheck.lab.photographs import checkpoints

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    path = checkpoints.save(tmp_path, 3, model)
    content = data.draw(harmed_bytes(path.read_bytes()))
    path.unlink()
    named = tmp_path / f"epoch-00003-{checkpoints.checksum(content)}.npz"
    planted = named if data.draw(st.booleans()) else path
    planted.write_bytes(content)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checkpoints.warnings, "warn", lambda *told, **more: None)
        assert checkpoints.restore(tmp_path, model) in (0, 3)
    for left in tmp_path.glob("epoch-*"):
        left.unlink()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    import keras

    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    file = tmp_path_factory.mktemp("model") / "model.keras"
    made.save(file)
    return file.read_bytes()


JUNK = (None, True, 0, -1, 10**30, 1e308, "", "keras", [], {}, [[]], {"class_name": "Dense"}, "\0")


def junk_within(value: Any, dice: random.Random) -> Any:
    """The same with one item, however deep, replaced by junk or left out."""
    if not isinstance(value, dict | list) or not value or dice.random() < 0.15:
        return dice.choice(JUNK)
    copy = value.copy()
    key = dice.choice(list(copy)) if isinstance(copy, dict) else dice.randrange(len(copy))
    if dice.random() < 0.15:
        del copy[key]
    else:
        copy[key] = junk_within(copy[key], dice)
    return copy


def broken(model: bytes, dice: random.Random) -> bytes:
    """As a file, or inside: its configuration, of which every part may be anything."""
    if dice.random() < 0.3:
        at = dice.randrange(len(model))
        return model[:at] + dice.randbytes(dice.randrange(4)) + dice.choice((b"", model[at + 1 :]))
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = json.dumps(junk_within(json.loads(parts["config.json"]), dice)).encode()
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return again.getvalue()


def test_a_broken_model_file(tmp_path: Path, model: bytes) -> None:
    """Not by hypothesis: Keras draws random numbers between its examples, which it does not bear."""
    file, dice = tmp_path / "model.keras", random.Random(4)
    for _ in range(EXAMPLES):
        file.write_bytes(broken(model, dice))
        ran = in_process.crosscheck("doctor", file)
        assert ran.code in (0, 1, 2) and "fault of crosscheck" not in ran.err, ran.err
        assert ran.code == 0 or ran.out or in_process.refused(ran), ran


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


# --- the command line -------------------------------------------------------------------------------

COMMANDS = ("list", "show", "run", "report", "verify", "doctor", "audit", "data", "completion", "help")
OPTIONS = (
    *(
        "--results",
        "--store",
        "--scale",
        "--backend",
        "--data",
        "--replace",
        "--seeds",
        "--jobs",
        "--json",
        "--quiet",
    ),
    *("-q", "-v", "--gpu", "--open", "--against", "--reference", "--scratch", "--out", "--from", "--loss"),
    *("--kind", "--config", "--theory"),
    *("--debug", "--version", "--help", "-h", "--", "-", "--import", "--no-such-option", "-x"),
)
WORDS = (
    *register.NAMES[:3],
    *SCALES,
    *BACKENDS,
    "mnist",
    "ood_*",
    "[",
    "0",
    "-1",
    "2",
    "1e9",
    "",
    ".",
    "a/b",
    "~",
    "keras.losses:BinaryCrossentropy",
    "keras.losses:Nothing",
    "no.such:Loss",
    ":",
    "binary",
    "focal",
    "{}",
    '{"gamma": "x"}',
    '{"no": 1}',
)
word = (
    st.sampled_from(OPTIONS)
    | st.sampled_from(WORDS)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
)


@settings(fuzzed, max_examples=8 * EXAMPLES)
@given(command=st.sampled_from(COMMANDS), words=st.lists(word, max_size=5))
def test_any_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: list[str]
) -> None:
    """Nothing is trained, fetched or shown: a request that can be met ends there."""
    from crosscheck import data
    from crosscheck.audit import command as auditing
    from crosscheck.running import pipeline

    class Met(Exception):
        """The arguments were good."""

        exit_code = 0

    def meet(*told: object, **more: object) -> None:
        raise Met("met")

    monkeypatch.chdir(tmp_path)
    for name in ("meet", "carry_out"):
        monkeypatch.setattr(run, name, meet)
    monkeypatch.setattr(data, "prepare", meet)
    monkeypatch.setattr(auditing, "audit_keras_losses", meet)
    monkeypatch.setattr(auditing.scorecard, "scorecard", meet)
    monkeypatch.setattr(show.click, "launch", meet)
    monkeypatch.setattr(pipeline, "up_to_date", lambda request: False)
    monkeypatch.setenv("CROSSCHECK_DEBUG", "")
    before = content_of(tmp_path)
    ran = in_process.crosscheck(command, *[each for each in words if each != "--debug"])
    assert ran.code in (0, 2), ran
    assert ran.code == 0 or in_process.refused(ran), ran
    assert content_of(tmp_path) == before


@fuzzed
@given(
    target=st.sampled_from(("keras.losses:BinaryCrossentropy", "keras.losses:Nothing", "no.such:Loss", ":")),
    config=values.map(json.dumps)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    theory=st.sampled_from(("", "focal", "no.such:formula", ":")),
)
def test_any_arguments_of_the_audit(
    monkeypatch: pytest.MonkeyPatch, target: str, config: str, theory: str
) -> None:
    """The loss is had or refused; it is not checked."""
    from crosscheck.audit import command as auditing

    class Met(Exception):
        exit_code = 0

    def meet(*told: object, **more: object) -> None:
        raise Met("met")

    monkeypatch.setattr(auditing.scorecard, "scorecard", meet)
    monkeypatch.setenv("CROSSCHECK_DEBUG", "")
    options = ["--theory", theory] if theory else []
    ran = in_process.crosscheck("audit", target, "--config", config, *options)
    assert ran.code == 0 or in_process.refused(ran), ran
