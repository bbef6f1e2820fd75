"""Broken units, data sets, checkpoints and models: set aside or refused by name, never a traceback."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import in_process
import pytest
from harm import EXAMPLES, fuzzed, harmed_bytes, harmed_json
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.claims.rows import tidy
from crosscheck.errors import UsageError
from crosscheck.running import store

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
    named = tmp_path / checkpoints.file_name(3, content)
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
