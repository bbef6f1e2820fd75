"""Sets that come with an installed library, read from its files without TensorFlow Datasets.

The digits are scikit-learn's, split and shuffled as TensorFlow Datasets does it (`builders.digits`).
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CLASSES = 10
TEST_PER_CLASS = 50


@dataclass(frozen=True)
class Embedded:
    """How to read a set that needs no download."""

    checksum: Callable[[], str]  # sha256 of the original bytes
    arrays: Callable[[], dict[str, np.ndarray]]  # by the names of `preparing.packed`, as stored there


def digits_csv() -> bytes:
    """scikit-learn's digits as CSV text: 1,797 lines of 64 pixels (0 to 16) and the class.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    spec = importlib.util.find_spec("sklearn")  # finds the folder and runs none of its code
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("The data set 'digits' is part of scikit-learn, which is not installed.")
    file = Path(spec.origin).with_name("datasets") / "data" / "digits.csv.gz"
    return gzip.decompress(file.read_bytes())


@functools.cache
def digits_checksum() -> str:
    """sha256 of the uncompressed content, so that a set packed anew by its library keeps its name."""
    return hashlib.sha256(digits_csv()).hexdigest()


def digits_splits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images [N, 8, 8, 1] with values 0 to 16 and labels [N] of "train" and "test", in scikit-learn's order.

    Both are uint8.
    """
    table = np.loadtxt(io.BytesIO(digits_csv()), delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 8, 8, 1), table[:, -1]
    test = in_test(labels)
    return {"train": (images[~test], labels[~test]), "test": (images[test], labels[test])}


def in_test(labels: np.ndarray) -> np.ndarray:
    """Which images form the test split: 50 of each class, evenly spaced in scikit-learn's order.

    That order follows the writers, so even spacing leaves every writer in both splits; the last 50 of each
    class would be other people's hands. Image j of the m in its class is chosen where ⌊50 (j + 1) / m⌋
    exceeds ⌊50 j / m⌋, which happens exactly 50 times.

    Args:
        labels: class of each image, [N].

    Returns:
        Boolean mask, [N].
    """
    chosen = np.zeros(labels.shape, bool)
    for label in range(CLASSES):
        members = np.flatnonzero(labels == label)
        steps = TEST_PER_CLASS * np.arange(members.size + 1) // members.size
        chosen[members] = np.diff(steps) > 0
    return chosen


def digits_arrays() -> dict[str, np.ndarray]:
    """The digits in TFDS's order: pixels uint8 [N, 64], labels uint8 [N], of both splits."""
    arrays = {}
    for split, (images, labels) in digits_splits().items():
        order = tfds_order(split, len(labels))
        arrays[f"x_{split}"] = images[order].reshape(len(labels), -1)
        arrays[f"y_{split}"] = labels[order]
    return arrays


def tfds_order(split: str, n: int) -> list[int]:
    """The order in which TFDS stores what a builder numbers from 0 to n − 1: by MD5 of split and number.

    TFDS cannot change it without raising the version of all its sets (`tensorflow_datasets.core.hashing`).
    """
    return sorted(range(n), key=lambda i: hashlib.md5(f"{split}{i}".encode(), usedforsecurity=False).digest())


DIGITS = Embedded(digits_checksum, digits_arrays)
