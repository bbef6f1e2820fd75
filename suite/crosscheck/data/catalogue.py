"""Every real data set by name: prepared through TensorFlow Datasets, and read without it."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from crosscheck._files import locked, remedy
from crosscheck.data.entries import CATALOGUE, lookup
from crosscheck.data.preparing import packed, sources
from crosscheck.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A set in memory.

    x is float32, [N, D] with D the product of `shape`: pixels in [0, 1] (`shape` is height, width, channels),
    numbers as published, or 0 and 1 for absent and present words. y is int32, [N], a class; [N, L] where an
    example may have several labels, each 0 or 1; [N, J] where the set has the class J times, the right one
    first; or float32, [N, K], shares of people that chose each class.
    The digits and the sets of TFDS's catalogue come in TFDS's order, shuffled and always the same, the others
    in that of their files. Where TFDS has a validation split too, it is left out.
    """

    name: str
    version: str
    checksum: str  # sha256 of the content
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int
    shape: tuple[int, ...]
    x_outside_train: np.ndarray | None = None  # inputs of no class, in the sets that have them
    x_outside_test: np.ndarray | None = None


def data_dir() -> Path:
    """Where TFDS keeps its sets: `TFDS_DATA_DIR` if set, else TFDS's own default."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared(name: str) -> bool:
    """Whether `load` will find the set, going by files alone; embedded sets are always there.

    Raises:
        UsageError: unknown name.
    """
    embedded = lookup(name).origin is not None
    return embedded or (_folder(name) / packed.MANIFEST).exists() or _in_tfds(name)


def prepare(name: str, source: Path | None = None) -> None:
    """Download a set and prepare it, once; with `source`, from the original files in `source/<name>/`.

    They may also lie in a folder of `source` that several sets share, such as `mulan` (`Entry.folders`). An
    embedded set needs no preparing.

    Raises:
        UsageError: unknown name, no TensorFlow Datasets, no network, no way to download the set, wrong or
            missing original files, or no place to write.
    """
    entry = lookup(name)
    folders = [source / folder for folder in (name, *entry.folders)] if source else []
    if not entry.origin:
        _ensure(name, fetch=True, originals=folders)


def load(name: str, most: int | None = None) -> Dataset:
    """Read a set, or the first `most` examples of each split.

    What TFDS has prepared is packed on first use, and read from there without TFDS; a damaged packed file is
    set aside and packed anew, with a RuntimeWarning. An embedded set comes from the library that carries it.

    Raises:
        UsageError: unknown name, a set that is not prepared, or no place to write.
    """
    entry = lookup(name)
    if entry.origin:
        checksum, arrays = entry.origin.checksum(), entry.origin.arrays()
    else:
        checksum, arrays = _packed(name, packed.read)
    content = {
        key: (entry.x if key.startswith("x_") else entry.y).unpack(stored[:most])
        for key, stored in arrays.items()
    }
    return Dataset(name, entry.version, checksum, **content, classes=entry.classes, shape=entry.shape)


def identity(name: str) -> str:
    """Version, a slash and the first 16 hexadecimal digits of the checksum, for hashes and provenance.

    Of an embedded set it is that of the original bytes; another set is packed for it first.

    Raises:
        UsageError: unknown name, or a set that is not prepared.
    """
    entry = lookup(name)
    checksum = entry.origin.checksum() if entry.origin else _packed(name, packed.read_manifest)["checksum"]
    return f"{entry.version}/{checksum[:16]}"


def _folder(name: str) -> Path:
    entry = CATALOGUE[name]
    recipe = entry.x.recipe()
    return data_dir() / "crosscheck" / name / (f"{entry.version}-{recipe}" if recipe else entry.version)


def _in_tfds(name: str) -> bool:
    return (data_dir() / name / CATALOGUE[name].version / "dataset_info.json").exists()


def _packed(name: str, read: Callable[[Path], T]) -> T:
    """What `read` finds in the packed folder, packing first where it finds nothing or nothing sound."""
    if not prepared(name):
        raise _missing(name)
    with contextlib.suppress(OSError, packed.DamagedError):
        return read(_folder(name))
    _ensure(name)
    return read(_folder(name))


def _ensure(name: str, fetch: bool = False, originals: Sequence[Path] = ()) -> None:
    """Pack the set unless it is, from TFDS; have TFDS prepare it first where `fetch` allows."""
    entry, folder = CATALOGUE[name], _folder(name)
    with _alone(name):
        if _sound(folder):
            return
        if fetch and not _in_tfds(name) and (originals or not entry.archive):
            sources.prepare(name, entry, data_dir(), originals)
        if not _in_tfds(name):
            raise _missing(name)
        arrays = sources.arrays(name, entry, data_dir())
        packed.write(folder, arrays, packed.content_checksum(arrays))


def _sound(folder: Path) -> bool:
    """Whether all is packed and intact; a damaged file is set aside."""
    try:
        packed.read(folder)
    except FileNotFoundError:
        return False
    except packed.DamagedError as fault:
        aside = packed.set_aside(fault.path)
        warnings.warn(f"{fault}; it is packed anew, the old one is {aside}", RuntimeWarning, stacklevel=2)
        return False
    return True


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Only one process at a time prepares or packs a set; what the system refuses becomes a message."""
    try:
        with locked(data_dir() / "crosscheck" / f"{name}.lock"):
            yield
    except OSError as error:
        raise UsageError(
            f"Cannot prepare data set '{name}' in {data_dir()}: {remedy(error)}. "
            "The environment variable TFDS_DATA_DIR chooses another folder."
        ) from error


def _missing(name: str) -> UsageError:
    entry = CATALOGUE[name]
    places = " or ".join(f"FOLDER/{folder}" for folder in (name, *entry.folders))
    command = f"Run `crosscheck data {name}` (needs a network), or `crosscheck data {name} --from FOLDER`"
    if entry.archive:
        command = f"Unpack its archive, from {entry.archive}, and run `crosscheck data {name} --from FOLDER`"
    absent = sources.absent_packages()
    first = f"Preparing it needs {', '.join(absent)}: {sources.INSTALL}. " if absent else ""
    return UsageError(
        f"Data set '{name}' is not prepared in {data_dir()}. {first}{command} with the original files in "
        f"{places}."
    )
