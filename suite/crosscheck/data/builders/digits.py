"""scikit-learn's bundled digits as a TensorFlow Datasets builder.

Importing this registers the builder under the name `digits`, and imports TensorFlow: only preparing does so.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from crosscheck.data.builders import bundled

CLASSES = 10
TEST_PER_CLASS = 50


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


def pixels_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """Images [1797, 8, 8, 1] with values 0 to 16 and labels [1797], in scikit-learn's order, both uint8."""
    table = np.loadtxt(io.BytesIO(bundled.digits()), delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 8, 8, 1), table[:, -1]


class Digits(tfds.core.GeneratorBasedBuilder):
    """1,797 handwritten digits of 8 × 8 pixels: 1,297 to train on, 500 to test on."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Handwritten digits, 8 x 8 pixels with values 0 to 16, as bundled with scikit-learn.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1)),
                    "label": tfds.features.ClassLabel(num_classes=CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
            license="CC BY 4.0",
            citation=(
                "@misc{alpaydin1998optical, author={Alpaydin, E. and Kaynak, C.}, year={1998}, "
                "title={Optical Recognition of Handwritten Digits}, "
                "howpublished={UCI Machine Learning Repository}}"
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        images, labels = pixels_and_labels()
        test = in_test(labels)
        return {
            "train": self._generate_examples(images[~test], labels[~test]),
            "test": self._generate_examples(images[test], labels[test]),
        }

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict]]:
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}
