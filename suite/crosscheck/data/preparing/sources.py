"""The TensorFlow Datasets side: prepares a set and reads it into arrays. Imports TensorFlow on use only."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscheck.data.preparing import cache, forms, packed
from crosscheck.data.preparing.entry import Entry
from crosscheck.errors import UsageError

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

NEEDED = ("tensorflow_datasets", "array_record", "importlib_resources")  # TFDS uses the last undeclared
INSTALL = "pip install 'keras-crosscheck[studies]'"
FILE_FORMAT = "array_record"  # for sets prepared here; sets prepared elsewhere are read as they are


def absent_packages() -> list[str]:
    """Which of the packages that preparing needs are not installed; none of them is imported."""
    return [package for package in NEEDED if importlib.util.find_spec(package) is None]


def prepare(name: str, entry: Entry, folder: Path, originals: Sequence[Path] = ()) -> None:
    """Download and prepare a set with TFDS in `folder`, from the original files in `originals` where given.

    Args:
        originals: folders to look for original files in.

    Raises:
        UsageError: TFDS is not installed, `originals` lack an original file, or the network does.
        OSError: the folder cannot be written, the disk is full, or a download broke off.
    """
    tfds, builder = _tfds(name), _builder(name, entry, folder)
    if originals:
        cache.seed(builder, originals)
    cache.require_hosts(name, cache.missing(builder))
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with contextlib.redirect_stdout(sys.stderr):  # where TFDS announces itself; stdout is the caller's
        builder.download_and_prepare(download_config=config, file_format=FILE_FORMAT)


def arrays(name: str, entry: Entry, folder: Path) -> dict[str, np.ndarray]:
    """A prepared set in TFDS's order, as packed by `entry.x` and `entry.y`, under the names of `packed`.

    Raises:
        UsageError: TFDS is not installed, or what it has prepared is damaged.
    """
    _tfds(name)
    with _blamed(name, folder / name / entry.version):
        return _read(name, entry, folder)


def _read(name: str, entry: Entry, folder: Path) -> dict[str, np.ndarray]:
    builder = _builder(name, entry, folder)
    splits = [_split(builder, split, entry.side) for split in (*entry.splits, *entry.outside)]
    inputs = zip(("x_train", "x_test", *packed.OUTSIDE), entry.x.pack(*splits), strict=False)
    targets = zip(("y_train", "y_test"), map(entry.y.pack, splits), strict=False)
    return {**dict(inputs), **dict(targets)}


@contextlib.contextmanager
def _blamed(name: str, prepared: Path) -> Iterator[None]:
    """Turn whatever goes wrong inside into an error that names these files."""
    try:
        yield
    except (PermissionError, MemoryError):
        raise
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(
            f"What TFDS has prepared in {prepared} cannot be read: {first[:200]} Move that folder away and "
            f"prepare the set again with `crosscheck data {name}`, offline with --from FOLDER."
        ) from error


def _split(builder: DatasetBuilder, split: str, side: int) -> list[Mapping[str, Any]]:
    """A split's examples; images are brought to one size one by one: whole, they would not fit in memory."""
    examples: Iterable[Mapping[str, Any]] = _examples(builder, split)
    if side:
        examples = ({**example, "image": forms.resized(example["image"], side)} for example in examples)
    return list(examples)


def _examples(builder: DatasetBuilder, split: str) -> Iterable[dict[str, Any]]:
    if builder.info.file_format.value == FILE_FORMAT:
        return builder.as_data_source(split=split)
    return _tfds(builder.name).as_numpy(builder.as_dataset(split=split))


def _builder(name: str, entry: Entry, folder: Path) -> DatasetBuilder:
    tfds = _tfds(name)
    if entry.builder:
        importlib.import_module(entry.builder)  # registers what TFDS does not know
    return tfds.builder(f"{name}:{entry.version}", data_dir=str(folder))


def _tfds(name: str) -> Any:
    """TensorFlow Datasets, to prepare or read the set of that name.

    Raises:
        UsageError: it is not installed, or a package that it needs for our sets is not.
    """
    if absent := absent_packages():
        raise UsageError(f"Preparing data set '{name}' needs {', '.join(absent)}: {INSTALL}.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up chatter drowns our messages
    import tensorflow_datasets as tfds

    logging.getLogger("absl").addFilter(_is_no_chatter)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds


def _is_no_chatter(record: logging.LogRecord) -> bool:
    return "OpenCV is not installed" not in record.msg
