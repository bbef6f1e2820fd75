"""CIFAR-10N as a TensorFlow Datasets builder: what people saw in CIFAR-10's 50,000 training images.

Importing this registers the builder, and imports TensorFlow: only preparing does so. The labels may not be
shipped, nor used commercially (CC BY-NC 4.0), so that this prepares what a user has fetched, and fetches
nothing. Row i belongs to image i in the order of CIFAR-10's files; the right labels, which the labels' file
repeats, are compared to hold that. The split that TFDS calls `test` here holds the last 5,000 *training*
images, as in `cifar10_train`.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

from crosscheck.data.builders import cifar10_train
from crosscheck.data.entries import CIFAR10N_LABELS

FILE = "CIFAR-10_human.pt"
SIZE, CHECKSUM = 2_401_007, "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310"
RIGHT = "clean_label"  # what the file calls CIFAR-10's own label
NUMPYS_WORDS = {"b", "latin1", "i8", "<"}  # of a stored array: how bytes are text, how they are numbers


def labels_by_name(content: bytes) -> dict[str, np.ndarray]:
    """The labels [N] in the published file, by its names for them.

    The file is an archive of a pickle, which is a program. It is not run: its instructions are listed, and
    the strings among them read, each name before the bytes of its numbers.

    Raises:
        ValueError: the file has another form.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            program = archive.read("archive/data.pkl")
        strings = [str(text) for code, text, _ in pickletools.genops(program) if code.name == "BINUNICODE"]
        return {name: numbers_after(name, strings) for name in (RIGHT, *CIFAR10N_LABELS[1:])}
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{FILE} is not of the published form: {error}") from error


def numbers_after(name: str, strings: list[str]) -> np.ndarray:
    """The classes that follow a name, stored as the first string after it that is no word of NumPy's.

    Raises:
        ValueError: no such name, or no classes after it.
    """
    after = strings[strings.index(name) + 1 :]
    raw = next((text for text in after if text not in NUMPYS_WORDS), "")
    numbers = np.frombuffer(raw.encode("latin-1"), "<i8")
    if not len(numbers) or numbers.min() < 0 or numbers.max() >= len(cifar10_train.CLASSES):
        raise ValueError(f"no classes follow {name!r}")
    return numbers


def in_columns(labels: Mapping[str, np.ndarray], right: np.ndarray) -> np.ndarray:
    """CIFAR-10's labels and people's, uint8 [N, J], in the order of `CIFAR10N_LABELS`.

    Raises:
        ValueError: the file's own copy of the right labels is not that of the images, in their order.
    """
    if not np.array_equal(labels[RIGHT], right):
        raise ValueError(
            f"the right labels in {FILE} are not those of the images, in the order of their files"
        )
    return np.column_stack([right, *(labels[name] for name in CIFAR10N_LABELS[1:])]).astype(np.uint8)


class Cifar10N(tfds.core.GeneratorBasedBuilder):
    """`image`, `label` and what people said of it, in the order of CIFAR-10's files."""

    name = "cifar10n"  # TFDS's own `cifar10_n` has pickled files turned into tables by hand
    VERSION = tfds.core.Version("1.0.0")

    @property
    def url_infos(self) -> dict[str, UrlInfo]:
        """TFDS's record of the original files, none of which has an address: the images and the labels."""
        labels = {address(FILE): UrlInfo(SIZE, CHECKSUM, FILE)}
        return {**labels, **{address(name): info for name, info in cifar10_train.infos().items()}}

    def _info(self) -> tfds.core.DatasetInfo:
        classes = tfds.features.ClassLabel(names=cifar10_train.CLASSES)
        side = cifar10_train.SIDE
        return tfds.core.DatasetInfo(
            builder=self,
            description="CIFAR-10's training images with people's labels, the last 5,000 held out.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(side, side, 3)),
                    **dict.fromkeys(CIFAR10N_LABELS, classes),
                }
            ),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
            homepage="https://github.com/UCSC-REAL/cifar-10-100n",
            license="people's labels CC BY-NC 4.0; images none stated",
            citation=(
                "@inproceedings{wei2022learning, author={Wei, J. and Zhu, Z. and Cheng, H. and Liu, T. and "
                "Niu, G. and Liu, Y.}, title={Learning with Noisy Labels Revisited: A Study Using Real-World "
                "Human Annotations}, booktitle={ICLR}, year={2022}}"
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        files = {name: Path(file) for name, file in dl_manager.download(self._addresses()).items()}
        labels = labels_by_name(files.pop(FILE).read_bytes())
        x, right = cifar10_train.read(files)
        y, first = in_columns(labels, right), cifar10_train.TRAIN
        return {
            "train": self._generate_examples(x[:first], y[:first]),
            "test": self._generate_examples(x[first:], y[first:]),
        }

    def _addresses(self) -> dict[str, str]:
        return {name: address(name) for name in (FILE, *cifar10_train.ORIGINALS)}

    def _generate_examples(self, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, dict]]:
        for index, (image, labels) in enumerate(zip(x, y, strict=True)):
            yield index, {"image": image, **dict(zip(CIFAR10N_LABELS, map(int, labels), strict=True))}


def address(name: str) -> str:
    """What stands for a file in TFDS's download cache."""
    return f"cifar10n:{name}"
