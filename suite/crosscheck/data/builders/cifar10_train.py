"""CIFAR-10's 50,000 training images as a TensorFlow Datasets builder, split 45,000 to 5,000.

Importing this registers the builder, and imports TensorFlow: only preparing does so. It is for where the
test images are not at hand. The split that TFDS calls `test` here holds the last 5,000 *training* images, in
the order of the files; it is not CIFAR-10's test set, and no number on it may be given as one on that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN = 45_000  # images; the others are held out
SIDE = 32
ORIGINALS = {  # sha256, in the order of the images
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
}
RECORD = 1 + 3 * SIDE**2  # bytes: a label, then the planes of red, green and blue
SIZE = 10_000 * RECORD  # of a file


def records(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 32, 32, 3] and labels [N] of a file of CIFAR-10's binary version."""
    table = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return table[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), table[:, 0]


def infos() -> dict[str, UrlInfo]:
    """TFDS's record of each original file, by its name."""
    return {name: UrlInfo(SIZE, checksum, name) for name, checksum in ORIGINALS.items()}


def read(files: Mapping[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 32, 32, 3] and labels [N] of the original files, in their order."""
    parts = [records(Path(files[name]).read_bytes()) for name in ORIGINALS]
    x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return x, y


class Cifar10Train(tfds.core.GeneratorBasedBuilder):
    """`image` and `label` of the training images, in the order of their files."""

    name = "cifar10_train"
    VERSION = tfds.core.Version("1.0.0")

    @property
    def url_infos(self) -> dict[str, UrlInfo]:
        """TFDS's record of the original files; they come in an archive, and have no address of their own."""
        return {f"cifar10:{name}": info for name, info in infos().items()}

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="CIFAR-10's training images, the last 5,000 held out. Not CIFAR-10's test set.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIDE, SIDE, 3)),
                    "label": tfds.features.ClassLabel(names=CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
            homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
            license="none stated",
            citation=(
                "@techreport{krizhevsky2009learning, author={Krizhevsky, A.}, "
                "title={Learning Multiple Layers of Features from Tiny Images}, year={2009}}"
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        files = dl_manager.download({name: f"cifar10:{name}" for name in ORIGINALS})
        x, y = read(files)
        return {
            "train": self._generate_examples(x[:TRAIN], y[:TRAIN]),
            "test": self._generate_examples(x[TRAIN:], y[TRAIN:]),
        }

    def _generate_examples(self, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, dict]]:
        for index, (image, label) in enumerate(zip(x, y, strict=True)):
            yield index, {"image": image, "label": int(label)}
