"""The TensorFlow Datasets side: prepares a set and reads it into arrays. Imports TensorFlow on use only."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.data import cache

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

FILE_FORMAT = "array_record"  # for sets prepared here; sets prepared elsewhere are read as they are


def prepare(name: str, version: str, folder: Path, source: Path | None, afresh: bool = False) -> None:
    """Download and prepare a set with TFDS in `folder`, from the original files in `source` where given.

    Args:
        afresh: delete what TFDS has prepared of it before.

    Raises:
        UsageError: `source` lacks an original file, or the network does.
        OSError: the folder cannot be written, the disk is full, or a download broke off.
    """
    tfds = _tfds()
    if afresh:
        shutil.rmtree(folder / name / version, ignore_errors=True)
    builder = _builder(name, version, folder)
    if source is not None:
        cache.seed(builder, source)
    cache.require_hosts(name, cache.missing(builder))
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with contextlib.redirect_stdout(sys.stderr):  # where TFDS announces itself; stdout is the caller's
        builder.download_and_prepare(download_config=config, file_format=FILE_FORMAT)


def arrays(name: str, version: str, folder: Path) -> dict[str, np.ndarray]:
    """A prepared set in TFDS's order: `x_train`, `x_test` [N, D] and `y_train`, `y_test` [N], all uint8."""
    builder = _builder(name, version, folder)
    (x_train, y_train), (x_test, y_test) = (_split(builder, split) for split in ("train", "test"))
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _split(builder: DatasetBuilder, split: str) -> tuple[np.ndarray, np.ndarray]:
    count = builder.info.splits[split].num_examples
    x = np.empty((count, np.prod(builder.info.features["image"].shape)), np.uint8)
    y = np.empty(count, np.uint8)
    for index, example in zip(range(count), _examples(builder, split), strict=True):
        x[index], y[index] = example["image"].reshape(-1), example["label"]
    return x, y


def _examples(builder: DatasetBuilder, split: str) -> Iterable[dict[str, Any]]:
    if builder.info.file_format.value == FILE_FORMAT:
        return builder.as_data_source(split=split)
    return _tfds().as_numpy(builder.as_dataset(split=split))


def _builder(name: str, version: str, folder: Path) -> DatasetBuilder:
    tfds = _tfds()
    from suite.data import digits  # noqa: F401  # registers the embedded set

    return tfds.builder(f"{name}:{version}", data_dir=str(folder))


def _tfds() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up chatter drowns our messages
    import tensorflow_datasets as tfds

    logging.getLogger("absl").addFilter(lambda record: "OpenCV is not installed" not in record.msg)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds
