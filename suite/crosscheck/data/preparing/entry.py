"""What must be known of a set before it is there, to prepare it and to read it."""

from __future__ import annotations

from dataclasses import dataclass

from crosscheck.data.embedded import Embedded
from crosscheck.data.preparing.forms import Inputs, Targets


@dataclass(frozen=True)
class Entry:
    """An entry of the catalogue; where to fetch the set from is the TFDS builder's knowledge."""

    version: str  # of the TFDS builder
    classes: int  # K, or L where an example may have several labels
    shape: tuple[int, ...]  # height, width, channels of an image; else D alone
    x: Inputs
    y: Targets
    licence: str
    origin: Embedded | None = None  # of a set that needs no download
    outside: tuple[str, ...] = ()  # TFDS's splits of examples of no class, to train on and to test on
    folders: tuple[str, ...] = ()  # where original files may lie besides the folder of the set's own name
    archive: str = ""  # page that offers the original files in a form that TFDS cannot fetch
    splits: tuple[str, str] = ("train", "test")  # TFDS's splits, or parts of them
    side: int = 0  # of images that come in other sizes: their shorter side is brought to it, the rest cut off
    builder: str = ""  # the module that holds the TFDS builder; empty for a set of TFDS's own catalogue
