"""What inputs and targets look like: how TFDS's examples are stored, and what is read from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from crosscheck.data.preparing import words

Examples = Sequence[Mapping[str, Any]]  # of one split: arrays and numbers by the builder's names for them


class Inputs(Protocol):
    """One kind of input."""

    def recipe(self) -> str:
        """What the stored arrays depend on besides the builder's version; empty where nothing else."""

    def pack(self, *splits: Examples) -> list[np.ndarray]:
        """What is stored of each split; what has to be learnt for it, from the first, the training split."""

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        """The inputs that were stored: float32 [N, D], in memory."""


class Targets(Protocol):
    """One kind of target."""

    def pack(self, examples: Examples) -> np.ndarray:
        """What is stored."""

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        """The targets that were stored, in memory."""


@dataclass(frozen=True)
class Pixels:
    """The `image` by pixels, D = height × width × channels, from [0, peak] to [0, 1]; stored as uint8."""

    peak: int

    def recipe(self) -> str:
        return ""

    def pack(self, *splits: Examples) -> list[np.ndarray]:
        return [np.stack([example["image"].reshape(-1) for example in split]) for split in splits]

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        return np.divide(stored, self.peak, dtype=np.float32)


@dataclass(frozen=True)
class Numbers:
    """The `x` as published, [D], neither centred nor scaled; stored as float32."""

    def recipe(self) -> str:
        return ""

    def pack(self, *splits: Examples) -> list[np.ndarray]:
        return [np.stack([example["x"] for example in split]) for split in splits]

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        return np.array(stored)


@dataclass(frozen=True)
class Words:
    """Presence, 0 or 1, of each of D = `words.SIZE` words in the text of that name; stored by bits.

    The words are the most frequent ones of the training split.
    """

    text: str

    def recipe(self) -> str:
        return words.recipe()

    def pack(self, *splits: Examples) -> list[np.ndarray]:
        return words.bags(*([example[self.text].decode() for example in split] for split in splits))

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        return np.unpackbits(stored, axis=-1, count=words.SIZE).astype(np.float32)


@dataclass(frozen=True)
class Label:
    """The class of that name, int32 [N]; stored as uint8."""

    name: str = "label"

    def pack(self, examples: Examples) -> np.ndarray:
        return _bytes([example[self.name] for example in examples])

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        return stored.astype(np.int32)


@dataclass(frozen=True)
class Labels:
    """Labels 0 or 1 under these names, one label or several each, int32 [N, L]; stored as uint8."""

    names: tuple[str, ...] = ("y",)

    def pack(self, examples: Examples) -> np.ndarray:
        return _bytes([np.hstack([example[name] for name in self.names]) for example in examples])

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        return stored.astype(np.int32)


@dataclass(frozen=True)
class Classes:
    """The class under each of these names, as several people see it, int32 [N, J]; stored as uint8."""

    names: tuple[str, ...]

    def pack(self, examples: Examples) -> np.ndarray:
        return _bytes([[example[name] for name in self.names] for example in examples])

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        return stored.astype(np.int32)


@dataclass(frozen=True)
class Shares:
    """The share of people that chose each class, float32 [N, K]; stored are their `counts`, as uint8."""

    def pack(self, examples: Examples) -> np.ndarray:
        return _bytes([example["counts"] for example in examples])

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        return np.divide(stored, stored.sum(axis=-1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True)
class Unlabelled:
    """A set that serves as outliers, whose classes do not matter: int32 zeros [N]."""

    def pack(self, examples: Examples) -> np.ndarray:
        return np.zeros(len(examples), np.uint8)

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        return stored.astype(np.int32)


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """The shorter side brought to `side` pixels, bilinearly, the middle cut out: uint8 [side, side, C]."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    grey = image.shape[-1] == 1
    whole = Image.fromarray(image[..., 0] if grey else image).resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    cut = np.asarray(whole)[top : top + side, left : left + side]
    return cut[..., None] if grey else cut


def _bytes(values: Sequence[Any]) -> np.ndarray:
    """The whole numbers as uint8.

    Raises:
        ValueError: one is below 0 or above 255.
    """
    array = np.array(values)
    if array.min() < 0 or array.max() > 255:
        raise ValueError(f"values from {array.min()} to {array.max()} do not fit into a byte")
    return array.astype(np.uint8)
