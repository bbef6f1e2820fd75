"""Arrays of a prepared set on disk: one .npy file each and a manifest with their checksums.

TensorFlow Datasets decodes image by image, which takes a minute for MNIST; these files load in a second, in
processes that never import TensorFlow.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck._files import write_atomically

NAMES = ("x_train", "y_train", "x_test", "y_test")
OUTSIDE = ("x_outside_train", "x_outside_test")  # inputs of no class, in the sets that have them
MANIFEST = "manifest.json"


class DamagedError(Exception):
    """A packed file is not what its manifest says."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path} {reason}")
        self.path = path


def content_checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 over names, types, shapes and values: the same whatever numpy writes into a file's header."""
    digest = hashlib.sha256()
    for name in _names(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def write(folder: Path, arrays: Mapping[str, np.ndarray], checksum: str) -> None:
    """Write the arrays of `NAMES` and `OUTSIDE`, then the manifest: without it nothing counts as packed.

    Raises:
        UsageError: the folder cannot be written, or the disk is full.
    """
    files = {name: _npy(arrays[name]) for name in _names(arrays)}
    for name, content in files.items():
        write_atomically(folder / f"{name}.npy", content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    write_atomically(folder / MANIFEST, json.dumps({"checksum": checksum, "files": sums}, indent=1))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest: `checksum` of the set, and `files`, the sha256 of each.

    Raises:
        FileNotFoundError: nothing is packed here.
        DamagedError: it is no manifest.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        sums = manifest["files"]
        if {type(manifest["checksum"]), *(type(sums[name]) for name in _names(sums))} == {str}:
            return manifest
    except (ValueError, TypeError, KeyError):
        pass
    raise DamagedError(path, "is not a manifest")


def read(folder: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Checksum of the set, and its arrays, memory-mapped, each verified against the manifest.

    Raises:
        FileNotFoundError: nothing is packed here, or not all of it.
        DamagedError: a file is not what the manifest says.
    """
    manifest = read_manifest(folder)
    sums = manifest["files"]
    return manifest["checksum"], {name: _array(folder, name, sums[name]) for name in _names(sums)}


def set_aside(path: Path) -> Path:
    """Rename a damaged file, to be looked at later, and return its new path."""
    aside = path.with_name(path.name + ".damaged")
    path.replace(aside)
    return aside


def _names(names: Container[str]) -> tuple[str, ...]:
    """The arrays of a set that has these: both of `OUTSIDE` where one of them is there."""
    return (*NAMES, *OUTSIDE) if any(name in names for name in OUTSIDE) else NAMES


def _array(folder: Path, name: str, expected: str) -> np.ndarray:
    path = folder / f"{name}.npy"
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != expected:
            raise DamagedError(path, "does not have the sha256 of its manifest")
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
