"""Mulan's files: a table of numbers as ARFF, and an XML list of the columns that are labels."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import numpy as np

ATTRIBUTE = re.compile(r"^\s*@attribute\s+('[^']*'|\"[^\"]*\"|\S+)", re.IGNORECASE | re.MULTILINE)
DATA = re.compile(r"^\s*@data\s*$", re.IGNORECASE | re.MULTILINE)
LABEL = "{http://mulan.sourceforge.net/labels}label"


def parse(text: str) -> tuple[list[str], np.ndarray]:
    """Names of the A attributes, and the values, float64 [N, A], of a dense ARFF file of numbers.

    Raises:
        ValueError: no data section, a row of another length, or a value that is no number (sparse rows,
            missing values and words are none).
    """
    header, *body = DATA.split(text, maxsplit=1)
    if not body:
        raise ValueError("no @data line")
    names = [name.strip("'\"") for name in ATTRIBUTE.findall(header)]
    values = np.loadtxt(io.StringIO(body[0]), delimiter=",", comments="%", ndmin=2)
    if values.shape[1] != len(names):
        raise ValueError(f"rows of {values.shape[1]} values for {len(names)} attributes")
    return names, values


def label_names(xml: str) -> set[str]:
    """Names that Mulan's XML lists as labels; its order is not that of the columns."""
    return {label.attrib["name"] for label in ElementTree.fromstring(xml).iter(LABEL)}


def examples(text: str, xml: str) -> tuple[np.ndarray, np.ndarray]:
    """Features, float32 [N, D], and labels 0 or 1, uint8 [N, L], both in the order of the ARFF columns.

    Raises:
        ValueError: as `parse`; a label without its column, or a label other than 0 and 1.
    """
    names, values = parse(text)
    wanted = label_names(xml)
    if not wanted <= set(names):
        raise ValueError(f"no columns for the labels {', '.join(sorted(wanted - set(names)))}")
    is_label = np.array([name in wanted for name in names])
    x, y = values[:, ~is_label], values[:, is_label]
    if not np.isin(y, (0, 1)).all():
        raise ValueError("a label is neither 0 nor 1")
    return x.astype(np.float32), y.astype(np.uint8)
