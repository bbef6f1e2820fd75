"""Mulan's multi-label sets as TensorFlow Datasets builders, in the published splits and order.

Importing this registers the builders, and imports TensorFlow: only preparing does so. Mulan offers each set
as a RAR archive, which TFDS cannot unpack: its files have no address, only a name in the download cache.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
import tensorflow_datasets as tfds
from scipy.io import arff
from tensorflow_datasets.core.download.checksums import UrlInfo

LABEL = "{http://mulan.sourceforge.net/labels}label"


def examples(table: str, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Features, float32 [N, D], and labels 0 or 1, uint8 [N, L], both in the order of the ARFF columns.

    Args:
        table: the text of a dense ARFF file of numbers.
        labels: the text of Mulan's XML file, which lists the columns that are labels in an order of its own.

    Raises:
        ValueError: a value is missing or no number, a label has no column, or is neither 0 nor 1.
    """
    label_names = {label.attrib["name"] for label in ElementTree.fromstring(labels).iter(LABEL)}
    columns = columns_of(table)
    if absent := label_names - set(columns):
        raise ValueError(f"no columns for the labels {', '.join(sorted(absent))}")
    x = np.column_stack([column for name, column in columns.items() if name not in label_names])
    y = np.column_stack([column for name, column in columns.items() if name in label_names])
    if not np.isin(y, (0, 1)).all():
        raise ValueError("a label is neither 0 nor 1")
    return x.astype(np.float32), y.astype(np.uint8)


def columns_of(table: str) -> dict[str, np.ndarray]:
    """The columns of an ARFF file by name, float64 [N] each.

    Raises:
        ValueError: a value is missing or no number.
    """
    records, attributes = arff.loadarff(io.StringIO(table))
    columns = {name: records[name].astype(np.float64) for name in attributes.names()}
    if any(np.isnan(column).any() for column in columns.values()):
        raise ValueError("a value is missing")
    return columns


class Mulan(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """`x`, float32 [D], and `y`, 0 or 1 for each label, [L], in the order of the columns of the ARFF file."""

    ORIGINALS: ClassVar[dict[str, tuple[int, str]]]  # size and sha256 by the end of the file's name
    FEATURES: ClassVar[int]
    LABELS: ClassVar[int]
    DESCRIPTION: ClassVar[str]
    CITATION: ClassVar[str]

    @property
    def url_infos(self) -> dict[str, UrlInfo]:
        """TFDS's record of the original files, by what stands for their address."""
        return {
            self._address(ending): UrlInfo(size, checksum, f"{self.name}{ending}")
            for ending, (size, checksum) in self.ORIGINALS.items()
        }

    def _address(self, ending: str) -> str:
        return f"mulan:{self.name}{ending}"

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "x": tfds.features.Tensor(shape=(self.FEATURES,), dtype=np.float32),
                    "y": tfds.features.Tensor(shape=(self.LABELS,), dtype=np.uint8),
                }
            ),
            supervised_keys=("x", "y"),
            disable_shuffling=True,
            homepage="http://mulan.sourceforge.net/datasets-mlc.html",
            license="none stated",
            citation=self.CITATION,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        files = dl_manager.download({ending: self._address(ending) for ending in self.ORIGINALS})
        texts = {ending: Path(file).read_text() for ending, file in files.items()}
        return {
            split: self._generate_examples(*examples(texts[f"-{split}.arff"], texts[".xml"]))
            for split in ("train", "test")
        }

    def _generate_examples(self, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, dict]]:
        for index, (features, labels) in enumerate(zip(x, y, strict=True)):
            yield index, {"x": features, "y": labels}


class Emotions(Mulan):
    """593 songs, 391 to train on, by 72 measures of rhythm and timbre, with which of 6 moods people heard."""

    VERSION = tfds.core.Version("1.0.0")
    FEATURES, LABELS = 72, 6
    DESCRIPTION = "Music described by rhythm and timbre, with the moods that listeners chose among six."
    CITATION = (
        "@inproceedings{trohidis2008multilabel, author={Trohidis, K. and Tsoumakas, G. and Kalliris, G. and "
        "Vlahavas, I.}, title={Multilabel Classification of Music into Emotions}, "
        "booktitle={ISMIR}, year={2008}}"
    )
    ORIGINALS: ClassVar = {
        "-train.arff": (252_080, "bbe704106c79bb8fb99c1d1d2e9bde081d6a2daeb01f100862f11fd91a3c1f98"),
        "-test.arff": (132_007, "f13d4b746b7b5c8eb484bd751d6ac463d4560dff998a93516a5c1fe35daf6c8f"),
        ".xml": (323, "dbce8e6ccbbb2fcbfd9e9edbb230d7ed12692c6e13f59fdbc0161fa9b6cf2dc0"),
    }


class Yeast(Mulan):
    """2,417 genes, 1,500 to train on, by 103 measures, with which of 14 functions they have."""

    VERSION = tfds.core.Version("1.0.0")
    FEATURES, LABELS = 103, 14
    DESCRIPTION = (
        "Yeast genes described by expression and phylogenetic profile, with their functional classes."
    )
    CITATION = (
        "@inproceedings{elisseeff2001kernel, author={Elisseeff, A. and Weston, J.}, "
        "title={A Kernel Method for Multi-Labelled Classification}, booktitle={NIPS}, year={2001}}"
    )
    ORIGINALS: ClassVar = {
        "-train.arff": (1_501_117, "e759dc991ff54694a4ff9c4314f3be0d6fd2b1994a4b563f57e416394c6aebbd"),
        "-test.arff": (918_515, "4aaac102bff9669a765bf0b378602e5cc8c3b181048282e2f003117b496d552a"),
        ".xml": (526, "c3056cc26444b5158b1588d1b73bec9c45429e10f0957ad085903423cb81f247"),
    }
