"""Data folders as fixtures, empty or with the digits prepared by TFDS; and who works on them."""

import dataclasses
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crosscheck import data

# The digits as a set like any other, that TFDS has to prepare.
ORDINARY = dataclasses.replace(data.CATALOGUE["digits"], origin=None)


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory):
    """A data folder in which TFDS has prepared the digits, packed too; not to be changed."""
    folder = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder))
        patch.setitem(data.CATALOGUE, "digits", ORDINARY)
        data.prepare("digits")
    return folder


@pytest.fixture
def copy_dir(digits_dir, tmp_path, monkeypatch):
    """A copy of it in use, to be damaged."""
    folder = tmp_path / "copy"
    shutil.copytree(digits_dir, folder)
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def empty_dir(tmp_path, monkeypatch):
    """An empty data folder in use."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def ordinary_digits(monkeypatch):
    monkeypatch.setitem(data.CATALOGUE, "digits", ORDINARY)


def packed_folder(folder):
    return folder / "crosscheck" / "digits" / "1.0.0"


def seconds(function):
    start = time.monotonic()
    function()
    return time.monotonic() - start


def run(code, folder, blocked=()):
    """A fresh interpreter that runs the code on the data folder; what is blocked is as if not installed."""
    block = f"sys.modules.update(dict.fromkeys({blocked}))"
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"import os, sys; {block}; from crosscheck import data; {code}",
        ],
        stdin=subprocess.PIPE,
        env={"PATH": "", "TFDS_DATA_DIR": str(folder), "PYTHONPATH": str(Path(data.__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def use_proxy(monkeypatch, port):
    """Send whatever TFDS would download to this port of our own."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv(name, "" if name == "no_proxy" else f"http://127.0.0.1:{port}")
