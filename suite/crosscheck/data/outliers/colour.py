"""Colour photographs in three roles that share no kind of data, for networks that take images as bytes.

Two casts. `cifar10` is the published one as far as its sets can be had: the published auxiliary set, 80
Million Tiny Images, was withdrawn in 2020, and LSUN-Crop, LSUN-Resize and iSUN are not among TFDS's sets in
that form. `cifar10_train` needs CIFAR-10's training images alone: six classes against the other four, noise
and grey sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosscheck.data.catalogue import Dataset, load
from crosscheck.data.entries import CATALOGUE, COLOUR
from crosscheck.data.outliers.casts import TEST, Cast, classes_named
from crosscheck.data.outliers.kinds import make_outliers
from crosscheck.data.preparing.forms import resized

PHOTOGRAPHS: dict[str, Cast] = {
    "cifar10": Cast(
        classes=tuple(range(10)),
        auxiliary=("cifar100",),  # drawn, like CIFAR-10, from 80 Million Tiny Images; other classes
        mixed=("cifar100",),
        outliers=("dtd", "svhn_cropped", "places365_small"),
        reads=("cifar10", "cifar100", "dtd", "svhn_cropped", "places365_small"),
    ),
    "cifar10_train": Cast(
        classes=tuple(range(6)),
        auxiliary=("classes 6, 7",),
        mixed=("classes 6, 7",),
        outliers=("classes 8, 9", "gaussian noise", "mnist", "fashion_mnist"),
        reads=("cifar10_train", "mnist", "fashion_mnist"),
    ),
}


@dataclass(frozen=True, eq=False)
class Photographs:
    """Images are uint8 [N, 32, 32, 3], labels int [N] in 0…K−1; outliers are of one kind.

    Training examples and auxiliary outliers come from training splits; test examples and test outliers from
    test splits, or from classes that are trained on nowhere.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    auxiliary: np.ndarray
    outliers: np.ndarray


def photographs(name: str, kind: str, most: int) -> Photographs:
    """The examples of a cast, with its test outliers of a kind.

    Args:
        name: one of `PHOTOGRAPHS`.
        kind: one of its kinds of test outliers.
        most: examples of a role, at most.

    Raises:
        KeyError: for another name.
        ValueError: for a kind that the cast does not test on.
        UsageError: if a data set is not prepared.
    """
    cast, own = PHOTOGRAPHS[name], load(name)
    if kind not in cast.outliers:
        raise ValueError(f"{name} is tested on {', '.join(cast.outliers)}, not on {kind!r}.")
    inside = [np.isin(y, cast.classes) for y in (own.y_train, own.y_test)]
    x, x_test = (
        coloured(part[keep][:most], own.shape)
        for part, keep in zip((own.x_train, own.x_test), inside, strict=True)
    )
    y, y_test = own.y_train[inside[0]][:most], own.y_test[inside[1]][:most]
    auxiliary = np.concatenate([trained_on(source, own, most) for source in cast.mixed])
    return Photographs(x, y, x_test, y_test, auxiliary, tested_on(kind, own, x_test, most))


def photographs_read(name: str, kind: str = "") -> tuple[str, ...]:
    """The data sets that a cast needs: to train; with a kind, to be tested on it too."""
    sources = (name, *PHOTOGRAPHS[name].mixed, kind)
    return tuple(source for source in sources if source in CATALOGUE)


def trained_on(kind: str, own: Dataset, most: int) -> np.ndarray:
    """Auxiliary outliers of a kind, from the cast's own set or another."""
    if kind.startswith("classes"):
        return coloured(own.x_train[of_classes(kind, own.y_train)][:most], own.shape)
    other = load(kind)
    return coloured(other.x_train[:most], other.shape)


def tested_on(kind: str, own: Dataset, x_test: np.ndarray, most: int) -> np.ndarray:
    """Test outliers of a kind.

    Classes that are trained on nowhere come from both splits: the held-out one alone has few.
    """
    if kind.startswith("classes"):
        pairs = ((own.x_test, own.y_test), (own.x_train, own.y_train))
        both = np.concatenate([x[of_classes(kind, y)] for x, y in pairs])
        return coloured(both[:most], own.shape)
    if kind in CATALOGUE:
        other = load(kind)
        return coloured(other.x_test[:most], other.shape)
    flat = x_test.reshape(len(x_test), -1).astype("float32") / 255
    return coloured(make_outliers(kind, TEST, flat, COLOUR), COLOUR)


def of_classes(kind: str, y: np.ndarray) -> np.ndarray:
    """Which of the labels y are of the classes that the kind names."""
    return np.isin(y, classes_named(kind))


def coloured(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels in [0, 1], [N, D], as bytes; grey images three times over, other sizes brought to 32 × 32."""
    images = np.rint(255 * x).astype("uint8").reshape(-1, *shape)
    if images.shape[1:3] != COLOUR[:2]:
        images = np.stack([resized(image, COLOUR[0]) for image in images])
    return np.broadcast_to(images, (len(images), *COLOUR)).copy() if shape[-1] == 1 else images
