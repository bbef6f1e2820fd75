"""Fashion-MNIST-H as a TensorFlow Datasets builder: which class each of some 67 people saw in a test image.

Importing this registers the builder, and imports TensorFlow: only preparing does so. Row i of the counts
belongs to image i of Fashion-MNIST's original test file, whose order this set keeps; TFDS shuffles its
`fashion_mnist`. The training images were never labelled like this: of the test images, the first 8,000 serve
to train on and the last 2,000 to test on.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

CLASSES = 10
TRAIN = 8000  # images; the others are the test split
COUNTS = (
    "https://raw.githubusercontent.com/takashiishida/irreducible/"
    "18e120d239fd5db9889e88ce66f87222d3531472/data/fmh_counts.csv"
)
SIZE, CHECKSUM = 216_176, "bec7efff5d6f901a6224758d71caadb436dbd8de1284b0be7089d193be94ddbc"
HEADER = 16  # bytes of an IDX file of images, before the first pixel


def images(content: bytes) -> np.ndarray:
    """The images of a compressed IDX file of 28 × 28 pixels, uint8 [N, 28, 28, 1]."""
    return np.frombuffer(gzip.decompress(content), np.uint8, offset=HEADER).reshape(-1, 28, 28, 1)


class FashionMnistH(tfds.core.GeneratorBasedBuilder):
    """The 10,000 test images of Fashion-MNIST, each with how many people chose each of the 10 classes."""

    name = "fashion_mnist_h"
    VERSION = tfds.core.Version("1.0.0")

    @property
    def url_infos(self) -> dict[str, UrlInfo]:
        """TFDS's record of the original files: the counts, and the test images, which it knows already."""
        (address,) = (url for url in self._of_fashion_mnist() if "t10k-images" in url)
        return {
            COUNTS: UrlInfo(SIZE, CHECKSUM, "fmh_counts.csv"),
            address: self._of_fashion_mnist()[address],
        }

    def _of_fashion_mnist(self) -> dict[str, UrlInfo]:
        return tfds.builder_cls("fashion_mnist").url_infos

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Test images of Fashion-MNIST and how many people saw each class in them.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1)),
                    "counts": tfds.features.Tensor(shape=(CLASSES,), dtype=np.uint8),
                }
            ),
            supervised_keys=("image", "counts"),
            disable_shuffling=True,
            homepage="https://github.com/takashiishida/irreducible",
            license="images MIT; the counts state none, their repository is GPL-3.0",
            citation=(
                "@inproceedings{ishida2023performance, author={Ishida, T. and Yamane, I. and "
                "Charoenphakdee, N. and Niu, G. and Sugiyama, M.}, title={Is the Performance of My Deep "
                "Network Too Good to Be True? A Direct Approach to Estimating the Bayes Error in Binary "
                "Classification}, "
                "booktitle={ICLR}, year={2023}}"
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        counts, pictures = map(Path, dl_manager.download(list(self.url_infos)))
        x, y = images(pictures.read_bytes()), np.loadtxt(counts, delimiter=",", dtype=np.uint8)
        return {
            "train": self._generate_examples(x[:TRAIN], y[:TRAIN]),
            "test": self._generate_examples(x[TRAIN:], y[TRAIN:]),
        }

    def _generate_examples(self, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, dict]]:
        for index, (image, counts) in enumerate(zip(x, y, strict=True)):
            yield index, {"image": image, "counts": counts}
