"""Every real data set by name: prepared through TensorFlow Datasets, and read back without it."""

from __future__ import annotations

import contextlib
import difflib
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from suite.data import bundled, packed, sources
from suite.errors import UsageError
from suite.files import remedy

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """What is known of a set before it is there; where to fetch it from is TFDS's own knowledge."""

    version: str  # of the TFDS builder
    classes: int
    shape: tuple[int, int, int]  # height, width, channels
    peak: int  # the largest pixel value, scaled to 1
    licence: str
    origin: Callable[[], bytes] | None = None  # original bytes of a set that needs no download


CATALOGUE: dict[str, Entry] = {
    "digits": Entry("1.0.0", 10, (8, 8, 1), 16, "CC BY 4.0", bundled.digits),
    "mnist": Entry("3.0.1", 10, (28, 28, 1), 255, "commonly stated as CC BY-SA 3.0"),
    "fashion_mnist": Entry("3.0.1", 10, (28, 28, 1), 255, "MIT"),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """A set in memory.

    x is float32 in [0, 1], [N, D] with D the product of `shape` (height, width, channels); y is int32, [N].
    The order is TFDS's: shuffled, and always the same.
    """

    name: str
    version: str
    checksum: str  # sha256 of the content
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int
    shape: tuple[int, int, int]


def lookup(name: str) -> Entry:
    """The entry of that name.

    Raises:
        UsageError: there is none.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    close = difflib.get_close_matches(name, CATALOGUE, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise UsageError(f"Unknown data set '{name}'.{hint} Known: {', '.join(CATALOGUE)}.")


def data_dir() -> Path:
    """Where TFDS keeps its sets: `TFDS_DATA_DIR` if set, else TFDS's own default."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared(name: str) -> bool:
    """Whether `load` would find the set, going by files alone; embedded sets are always there.

    Raises:
        UsageError: unknown name.
    """
    embedded = lookup(name).origin is not None
    return embedded or (_folder(name) / packed.MANIFEST).exists() or _in_tfds(name)


def prepare(name: str, source: Path | None = None) -> None:
    """Download a set and prepare it, once; with `source`, from the original files in `source/<name>/`.

    Raises:
        UsageError: unknown name, no network, wrong or missing original files, or no place to write.
    """
    _ensure(name, fetch=True, source=source / name if source else None)


def load(name: str) -> Dataset:
    """Read a set; one that TFDS has prepared, or that is embedded, is packed on first use.

    A damaged packed file is set aside and packed anew, with a RuntimeWarning.

    Raises:
        UsageError: unknown name, a set that is not prepared, or no place to write.
    """
    entry = lookup(name)
    checksum, arrays = _packed(name, packed.read)
    x_train, x_test = (np.divide(arrays[x], entry.peak, dtype=np.float32) for x in ("x_train", "x_test"))
    y_train, y_test = (arrays[y].astype(np.int32) for y in ("y_train", "y_test"))
    content = x_train, y_train, x_test, y_test
    return Dataset(name, entry.version, checksum, *content, entry.classes, entry.shape)


def identity(name: str) -> str:
    """Version, a slash and the first 16 hexadecimal digits of the checksum, for hashes and provenance.

    An embedded set has it before anything is prepared, and keeps it; another set is packed for it first.

    Raises:
        UsageError: unknown name, or a set that is not prepared.
    """
    entry = lookup(name)
    if entry.origin:
        return f"{entry.version}/{bundled.checksum(entry.origin)[:16]}"
    return f"{entry.version}/{_packed(name, packed.read_manifest)['checksum'][:16]}"


def _folder(name: str) -> Path:
    return data_dir() / "crosscheck" / name / CATALOGUE[name].version


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


def _ensure(name: str, fetch: bool = False, source: Path | None = None) -> None:
    """Pack the set unless it is, from TFDS; have TFDS prepare it first where `fetch` allows."""
    entry, folder = lookup(name), _folder(name)
    with _alone(name):
        if _sound(folder):
            return
        if entry.origin or (fetch and not _in_tfds(name)):
            sources.prepare(name, entry.version, data_dir(), source, afresh=entry.origin is not None)
        if not _in_tfds(name):
            raise _missing(name)
        arrays = sources.arrays(name, entry.version, data_dir())
        checksum = bundled.checksum(entry.origin) if entry.origin else packed.content_checksum(arrays)
        packed.write(folder, arrays, checksum)


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
        with packed.lock(data_dir() / "crosscheck" / f"{name}.lock"):
            yield
    except OSError as error:
        raise UsageError(
            f"Cannot prepare data set '{name}' in {data_dir()}: {remedy(error)}. "
            "The environment variable TFDS_DATA_DIR chooses another folder."
        ) from error


def _missing(name: str) -> UsageError:
    return UsageError(
        f"Data set '{name}' is not prepared in {data_dir()}. Run `crosscheck data {name}` (needs a network), "
        f"or `crosscheck data {name} --from FOLDER` with the original files in FOLDER/{name}."
    )
