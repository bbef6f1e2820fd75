"""The TensorFlow Datasets side: prepares a set and reads it into arrays. Imports TensorFlow on use only."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscheck.data.preparing import cache, forms, packed
from crosscheck.errors import UsageError

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

    from crosscheck.data.entries import Entry

FILE_FORMAT = "array_record"  # for sets prepared here; sets prepared elsewhere are read as they are


def prepare(
    name: str, version: str, folder: Path, originals: Sequence[Path] = (), afresh: bool = False
) -> None:
    """Download and prepare a set with TFDS in `folder`, from the original files in `originals` where given.

    Args:
        originals: folders to look for original files in.
        afresh: delete what TFDS has prepared of it before.

    Raises:
        UsageError: `originals` lack an original file, or the network does.
        OSError: the folder cannot be written, the disk is full, or a download broke off.
    """
    tfds = _tfds()
    if afresh:
        shutil.rmtree(folder / name / version, ignore_errors=True)
    builder = _builder(name, version, folder)
    if originals:
        cache.seed(builder, originals)
    cache.require_hosts(name, cache.missing(builder))
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with contextlib.redirect_stdout(sys.stderr):  # where TFDS announces itself; stdout is the caller's
        builder.download_and_prepare(download_config=config, file_format=FILE_FORMAT)


def arrays(name: str, entry: Entry, folder: Path) -> dict[str, np.ndarray]:
    """A prepared set in TFDS's order, as packed by `entry.x` and `entry.y`, under the names of `packed`.

    Raises:
        UsageError: what TFDS has prepared is damaged.
    """
    with _blamed(name, folder / name / entry.version):
        return _read(name, entry, folder)


def _read(name: str, entry: Entry, folder: Path) -> dict[str, np.ndarray]:
    builder = _builder(name, entry.version, folder)
    splits = [_split(builder, split, entry.side) for split in (*entry.splits, *entry.outside)]
    inputs = zip(("x_train", "x_test", *packed.OUTSIDE), entry.x.pack(*splits), strict=False)
    targets = zip(("y_train", "y_test"), map(entry.y.pack, splits), strict=False)
    return {**dict(inputs), **dict(targets)}


@contextlib.contextmanager
def _blamed(name: str, prepared: Path) -> Iterator[None]:
    """Whatever goes wrong inside is the doing of these files."""
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
    found: Iterable[Mapping[str, Any]] = _examples(builder, split)
    if side:
        found = ({**example, "image": forms.resized(example["image"], side)} for example in found)
    return list(found)


def _examples(builder: DatasetBuilder, split: str) -> Iterable[dict[str, Any]]:
    if builder.info.file_format.value == FILE_FORMAT:
        return builder.as_data_source(split=split)
    return _tfds().as_numpy(builder.as_dataset(split=split))


def _builder(name: str, version: str, folder: Path) -> DatasetBuilder:
    tfds = _tfds()
    from crosscheck.data.builders import cifar10_train, digits, fashion_mnist_h, mulan  # noqa: F401  # registers what TFDS does not know

    return tfds.builder(f"{name}:{version}", data_dir=str(folder))


def _tfds() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up chatter drowns our messages
    import tensorflow_datasets as tfds

    logging.getLogger("absl").addFilter(lambda record: "OpenCV is not installed" not in record.msg)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds
