"""Fixtures: data folders, empty ones and such in which TFDS has prepared the digits."""

import dataclasses
import shutil

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
