"""scikit-learn's bundled digits as a TensorFlow Datasets builder.

Importing this registers the builder under the name `digits`, and imports TensorFlow. `data.load` reads the
same arrays without it (`data.embedded`); a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from crosscheck.data import embedded


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
                    "label": tfds.features.ClassLabel(num_classes=embedded.CLASSES),
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
        return {split: self._generate_examples(*part) for split, part in embedded.digits_splits().items()}

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict]]:
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}
